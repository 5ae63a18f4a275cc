// One day: how it is, what happens next and why, its proofs, and all that ever happened to it.

import { get } from "./api.js";
import { byId, count, element, moment, size } from "./words.js";

const KEY = /^#([a-z0-9][a-z0-9_-]*\/\d{4}-\d\d-\d\d)$/;
const MOST = 500;

export class Dialog {
  constructor() {
    this.box = byId("day");
    this.key = "";
    this.last = "";
    this.failed = false;
    byId("day-close").addEventListener("click", () => this.box.close());
    this.box.addEventListener("click", (event) => event.target === this.box && this.box.close());
    this.box.addEventListener("close", () => {
      this.key = "";
      if (location.hash) history.replaceState(null, "", location.pathname);
    });
    addEventListener("hashchange", () => this.follow());
  }

  follow() {
    const key = KEY.exec(location.hash)?.[1];
    if (key && key !== this.key) this.open(key);
    else if (!key && this.box.open) this.box.close();
  }

  async open(key) {
    this.key = key;
    this.last = "";
    history.replaceState(null, "", `#${key}`);
    byId("day-title").textContent = key;
    byId("day-content").replaceChildren(element("p", { class: "quiet" }, "Reading …"));
    if (!this.box.open) this.box.showModal();
    await this.#read(key);
  }

  // Something has happened: perhaps to this day.
  refresh() {
    if (this.key) this.#read(this.key);
  }

  async #read(key) {
    let found;
    try {
      found = await get(`/api/days/${key}`);
    } catch (refused) {
      if (this.key !== key) return;
      const said = element("p", { class: "notice" }, refused.message);
      // What somebody may be reading stays.
      const content = byId("day-content");
      if (!this.last) content.replaceChildren(said);
      else if (!this.failed) content.prepend(said);
      this.failed = true;
      return;
    }
    const now = JSON.stringify(found);
    if (this.key !== key || (this.last === now && !this.failed)) return; // nothing of what somebody may be reading has changed
    this.last = now;
    this.failed = false;
    byId("day-content").replaceChildren(...content(found));
  }
}

function content(history) {
  const { day, note, hold, copies, certificate, events } = history;
  const made = [element("p", { class: "state" }, element("span", { class: `cell ${day.tier ?? "missing"} ${day.trouble}`, "aria-hidden": "true" }), `${day.tier ?? "missing"} · ${day.state.replaceAll("_", " ")}${day.on_hold ? " · on hold" : ""}${day.trouble ? ` · ${day.trouble}` : ""}`)];
  made.push(element("p", { class: `next ${day.trouble}`.trim() }, element("b", {}, next(day)), day.reason, note && note !== day.reason ? element("span", { class: "note" }, note) : null));
  if (hold) made.push(element("p", { class: "next attention" }, element("b", {}, `On hold by ${hold.by}. `), hold.reason));
  made.push(facts(day));
  if (copies.length) made.push(element("h3", {}, "Copies"), element("ul", { class: "copies" }, ...copies.map(copy)));
  if (certificate) made.push(element("h3", {}, "Certificate of its deletion"), table(certificate));
  made.push(element("h3", {}, `History, ${count(events.length, "event")}`));
  if (history.left_out || events.length > MOST) made.push(element("p", { class: "quiet small" }, `The newest ${MOST} of them; \`tickward history\` has more.`));
  if (history.pruned_through) made.push(element("p", { class: "quiet small" }, `Events up to #${history.pruned_through} have left the journal.`));
  made.push(element("ol", { class: "history" }, ...events.slice(-MOST).map(happened)));
  made.push(element("p", { class: "quiet small" }, "`tickward audit verify` proves that these links, and all others, follow from each other."));
  return made;
}

function copy({ path, top, bytes, sha256 }) {
  const line = element("li", {}, element("div", { class: "pair" }, element("code", {}, path), element("span", { class: "quiet small" }, `${top} · ${exact(bytes)}`)));
  if (sha256) line.append(proof("SHA-256", sha256));
  return line;
}

function next(day) {
  if (day.entry === "block") return "Nothing is done until a person acts. ";
  if (!day.step) return "Nothing is left to be done. ";
  if (day.entry === "action") return `${day.step} is due now. `;
  return `Next: ${day.step}${day.due ? ` ${moment(day.due)}` : ""}. `;
}

function facts(day) {
  const rows = [];
  const add = (name, value) => rows.push(element("dt", {}, name), element("dd", {}, value));
  if (day.ticks !== null) add("ticks", `${day.ticks.toLocaleString("en")} of ${day.symbols ?? "?"} symbols`);
  if (day.bytes !== null) add("uncompressed", exact(day.bytes));
  if (day.bytes_now) add("first copy now", exact(day.bytes_now));
  if (day.tier !== "gone") add("second copy", day.backup === "live" ? "of while it was open" : day.backup);
  for (const name of ["sealed", "compressed", "archived", "expired", "verified", "drilled"]) {
    if (day[`${name}_at`]) add(name === "verified" ? "read and compared" : name === "drilled" ? "restored on trial" : name, moment(day[`${name}_at`]));
  }
  if (day.sha256) add("SHA-256", digest(day.sha256, "content"));
  return element("dl", { class: "facts" }, ...rows);
}

function exact(bytes) {
  return bytes < 1000 ? size(bytes) : `${size(bytes)} (${bytes.toLocaleString("en")} bytes)`;
}

function happened({ sequence, time, event, says, digests, data, link }) {
  const line = element(
    "li",
    { "data-event": event },
    element("div", {}, element("time", { datetime: time }, `${time.slice(0, 10)} ${time.slice(11, 19)}`), element("b", {}, event.replaceAll("_", " ")), element("span", { class: "quiet small" }, `#${sequence}`)),
  );
  if (says) line.append(element("p", { class: "words" }, says));
  for (const [name, value] of Object.entries(digests)) line.append(proof(name, value));
  line.append(proof("link", link));
  line.append(element("details", {}, element("summary", {}, "all of it"), table(data)));
  return line;
}

function proof(what, value) {
  return element("p", { class: "proof" }, element("span", { class: "quiet small" }, what.replaceAll("_", " ")), digest(value, what));
}

function digest(value, what) {
  const button = element("button", { type: "button", class: "plain small", "aria-label": `Copy the ${what} hash` }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(value).catch(() => null);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return element("span", { class: "digest" }, element("code", {}, value), button);
}

function table(data) {
  const rows = Object.entries(data).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
  return element("dl", { class: "facts data" }, ...rows.flatMap(([name, value]) => [element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, element("code", {}, plain(value)))]));
}

function plain(value) {
  if (Array.isArray(value)) return value.map(plain).join("\n");
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
