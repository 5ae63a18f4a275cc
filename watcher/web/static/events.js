// What happens, newest first: some two hundred, and never a sentence a second to whoever has them read out.

import { byId, clock, element } from "./words.js";

const MOST = 200;
const SAY_MS = 10000;

export class Events {
  constructor(open) {
    this.open = open;
    this.list = byId("events");
    this.button = byId("pause");
    this.waiting = [];
    this.paused = false;
    this.unsaid = 0;
    this.ids = new Set();
    this.calm = performance.now() + 1500; // what is old when the page opens is no news
    this.button.addEventListener("click", () => this.#toggle());
  }

  take({ message, words }) {
    if (this.ids.has(message.id)) return;
    this.ids.add(message.id);
    if (this.paused) {
      this.waiting.push({ message, words });
      if (this.waiting.length > MOST) this.#forget(this.waiting.shift().message.id);
      this.button.textContent = `Go on (${this.waiting.length} new)`;
      return;
    }
    this.#add(message, words);
    this.#say(message);
  }

  #add(message, words) {
    byId("no-events").hidden = true;
    const name = message.type.replace("tickward.", "");
    const line = element(
      "li",
      { class: "event", "data-event": name, "data-id": message.id },
      element("time", { datetime: message.time, title: message.time }, `${message.time.slice(5, 10)} ${clock(message.time)}`),
      element("b", {}, name.replaceAll("_", " ")),
      this.#subject(message.subject),
      words ? element("span", { class: "words", title: words }, words) : null,
    );
    if (performance.now() > this.calm) line.classList.add("new");
    this.list.prepend(line);
    while (this.list.children.length > MOST) {
      this.#forget(this.list.lastElementChild.dataset.id);
      this.list.lastElementChild.remove();
    }
  }

  #subject(subject) {
    if (!subject.includes("/")) return subject === "-" ? null : element("span", {}, subject);
    const link = element("a", { href: `#${subject}` }, subject);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      this.open(subject);
    });
    return link;
  }

  #forget(id) {
    this.ids.delete(id);
  }

  #toggle() {
    this.paused = !this.paused;
    this.button.setAttribute("aria-pressed", String(this.paused));
    this.button.textContent = this.paused ? "Go on" : "Pause";
    for (const { message, words } of this.waiting.splice(0)) this.#add(message, words);
  }

  #say(message) {
    if (performance.now() < this.calm) return;
    this.unsaid += 1;
    if (this.unsaid > 1) return;
    setTimeout(() => {
      const more = this.unsaid > 1 ? `${this.unsaid} new events, the first: ` : "";
      byId("said").textContent = `${more}${message.type.replace("tickward.", "")} ${message.subject}`;
      this.unsaid = 0;
    }, this.saidBefore ? SAY_MS : 500);
    this.saidBefore = true;
  }
}
