// What runs: how far it is, how fast, and how long it will take.

import { byId, element, size, span } from "./words.js";

const SILENT_MS = 8000; // progress is told once a second: who says nothing for so long has ended, or tells nothing
const SMOOTH = 0.3;

export class Jobs {
  constructor(open) {
    this.open = open;
    this.jobs = new Map();
    this.list = byId("running");
    setInterval(() => this.#sweep(), 2000);
  }

  // What the daemon said it does when it was last asked.
  look(running) {
    const there = new Set(running.map((each) => each.database));
    for (const [key, job] of this.jobs) if (!there.has(key) && performance.now() - job.heard > 2000) this.#end(key);
    for (const each of running) this.#take(each.database, each.step, each.done_bytes, each.total_bytes, true);
  }

  progress({ message }) {
    const { step, done_bytes: done, total_bytes: total } = message.data;
    this.#take(message.subject, step, done, total, false);
  }

  // Whatever is recorded of a day ends what ran for it.
  recorded({ message }) {
    if (this.jobs.has(message.subject)) this.#end(message.subject);
  }

  #take(key, step, done, total, asked) {
    let job = this.jobs.get(key);
    if (job && job.step !== step) {
      this.#end(key);
      job = undefined;
    }
    if (!job) {
      job = this.#begin(key, step);
      this.jobs.set(key, job);
    }
    const now = performance.now();
    if (done > job.done && job.done >= 0 && now > job.at) {
      const rate = ((done - job.done) * 1000) / (now - job.at);
      job.rate = job.rate ? job.rate + SMOOTH * (rate - job.rate) : rate;
    }
    if (done < job.done) return; // older than what is shown
    if (done !== job.done) Object.assign(job, { done, at: now });
    job.heard = now;
    job.silent = asked && !total;
    this.#show(job, done, total);
  }

  #begin(key, step) {
    const bar = element("progress", { max: "1", "aria-label": `${step} ${key}` });
    const words = element("span", { class: "small quiet" });
    const link = element("a", { href: `#${key}` }, key);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      this.open(key);
    });
    const line = element("li", { "data-database": key }, element("b", {}, step), " ", link, bar, words);
    this.list.append(line);
    byId("idle").hidden = true;
    return { key, step, line, bar, words, done: -1, rate: 0, at: performance.now(), heard: performance.now(), silent: false };
  }

  #show(job, done, total) {
    if (!total) {
      job.bar.removeAttribute("value");
      job.words.textContent = "begins";
      return;
    }
    job.bar.value = done / total;
    const parts = [`${Math.floor((100 * done) / total)} %`, `${size(done)} of ${size(total)}`];
    if (job.rate) parts.push(`${size(job.rate)}/s`, `${span((total - done) / job.rate)} left`);
    job.words.textContent = parts.join(" · ");
  }

  #end(key) {
    this.jobs.get(key).line.remove();
    this.jobs.delete(key);
    byId("idle").hidden = this.jobs.size > 0;
  }

  #sweep() {
    for (const [key, job] of this.jobs) if (!job.silent && performance.now() - job.heard > SILENT_MS) this.#end(key);
  }
}
