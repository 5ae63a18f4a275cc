// The calendar: years of weeks, the newest first. A year is drawn when it comes near to where one looks.

import { byId, dayOf, element, numberOf } from "./words.js";
import { hide, show } from "./tip.js";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS = ["Mon", "", "Wed", "", "Fri", "", ""];
const STEPS = { ArrowLeft: -7, ArrowRight: 7, ArrowUp: -1, ArrowDown: 1, PageUp: -28, PageDown: 28 };
const FAILING = /[A-Z!]/;
const SHOWN = [".", "a", "h", "w", "c", "g"];

export class Calendar {
  constructor(open) {
    this.open = open;
    this.box = byId("years");
    this.streams = byId("stream");
    this.jump = byId("year");
    this.years = new Map();
    this.letters = new Map();
    this.troubles = new Map();
    this.stream = "";
    this.picked = null; // the number of the day that Tab leads to
    this.observer = new IntersectionObserver((seen) => this.#draw(seen), { root: this.box, rootMargin: "600px" });
    this.streams.addEventListener("change", () => this.show(this.streams.value));
    this.jump.addEventListener("change", () => this.years.get(Number(this.jump.value))?.section.scrollIntoView({ block: "nearest" }));
    this.box.addEventListener("keydown", (event) => this.#key(event));
    this.box.addEventListener("click", (event) => this.#click(event));
    for (const name of ["focusin", "mouseover"]) this.box.addEventListener(name, (event) => this.#point(event));
    for (const name of ["focusout", "mouseleave"]) this.box.addEventListener(name, hide);
    this.box.addEventListener("scroll", hide, { passive: true });
  }

  // What was looked at anew. Days that did not change are not touched.
  take(picture) {
    const first = this.letters.size === 0;
    this.letters = new Map(picture.legend.map((each) => [each.letter, each]));
    this.troubles = new Map(picture.troubles.map((each) => [each.key, each.reason]));
    this.calendars = new Map(picture.calendars.map((each) => [each.stream, each.spans.map(withNumbers)]));
    if (first) this.#legend();
    this.#choices([...this.calendars.keys()]);
    this.today = numberOf(picture.at.slice(0, 10));
    this.show(this.calendars.has(this.stream) ? this.stream : this.calendars.keys().next().value);
  }

  show(stream) {
    const other = stream !== this.stream;
    this.stream = stream ?? "";
    this.streams.value = this.stream;
    const years = yearsOf(this.calendars.get(this.stream) ?? []);
    if (other || years.join() !== [...this.years.keys()].join()) this.#begin(years, other);
    for (const [year, { section }] of this.years) if (section.dataset.drawn) this.#fill(year);
  }

  #begin(years, other) {
    this.observer.disconnect();
    this.years = new Map();
    if (other) this.picked = null;
    this.jump.replaceChildren(...years.map((year) => element("option", {}, String(year))));
    byId("year-label").hidden = years.length < 4;
    this.box.replaceChildren();
    for (const year of years) {
      const cells = element("div", { class: "cells", role: "group", "aria-label": `${this.stream}, ${year}` });
      const section = element(
        "section",
        { class: "year", "aria-label": String(year) },
        element("h3", {}, String(year)),
        element("div", { class: "weekdays", "aria-hidden": "true" }, ...WEEKDAYS.map((name) => element("span", {}, name))),
        element("div", { class: "months", "aria-hidden": "true" }, ...monthsOf(year)),
        cells,
      );
      this.years.set(year, { section, cells, buttons: new Map() });
      this.box.append(section);
      this.observer.observe(section);
    }
    if (years.length) this.#fill(years[0]); // what is seen first need not wait to be seen
    this.box.scrollTop = 0;
    if (other) this.#scrollToNewest();
  }

  // On a narrow screen the last weeks are what matters.
  #scrollToNewest() {
    const newest = this.years.values().next().value;
    const last = newest && [...newest.buttons.values()].at(-1);
    if (last) this.box.scrollLeft = Math.max(0, last.offsetLeft + 2 * last.offsetWidth - this.box.clientWidth);
  }

  #draw(seen) {
    for (const each of seen) {
      if (!each.isIntersecting) continue;
      const year = [...this.years].find(([, { section }]) => section === each.target)?.[0];
      if (year !== undefined) this.#fill(year);
      this.observer.unobserve(each.target);
    }
  }

  #fill(year) {
    const { section, cells, buttons } = this.years.get(year);
    section.dataset.drawn = "yes";
    const [begin, end] = [numberOf(`${year}-01-01`), numberOf(`${year}-12-31`)];
    const made = [];
    for (const span of this.calendars.get(this.stream)) {
      const until = Math.min(span.last, end);
      for (let number = Math.max(span.first, begin); number <= until; number += 1) {
        const letter = span.letters[number - span.first];
        let button = buttons.get(number);
        if (!button) {
          button = element("button", { type: "button", tabindex: "-1", "data-day": number });
          button.style.gridArea = `${((number + 3) % 7) + 1} / ${weekOf(number, begin)}`;
          buttons.set(number, button);
          made.push(button);
        }
        if (button.dataset.letter !== letter) this.#mark(button, number, letter);
      }
    }
    cells.append(...made);
    if (this.picked === null && buttons.size) this.#pick(buttons.has(this.today) ? this.today : [...buttons.keys()].at(-1), false);
  }

  #mark(button, number, letter) {
    const { name, trouble } = this.letters.get(letter);
    const day = dayOf(number);
    button.dataset.letter = letter;
    button.className = `cell ${name} ${trouble}`.trim();
    button.setAttribute("aria-label", this.#name(day, letter));
  }

  // 2026-07-06, hot: uncompressed, failing: compress has failed
  #name(day, letter) {
    const { words, trouble } = this.letters.get(letter);
    const reason = trouble ? this.troubles.get(`${this.stream}/${day}`) : "";
    return `${day}, ${words}${reason ? `: ${reason}` : ""}`;
  }

  #pick(number, focus) {
    const year = Number(dayOf(number).slice(0, 4));
    if (!this.years.has(year)) return;
    if (!this.years.get(year).section.dataset.drawn) this.#fill(year);
    const button = this.years.get(year).buttons.get(number);
    if (!button) return;
    this.box.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    button.setAttribute("tabindex", "0");
    this.picked = number;
    if (focus) button.focus();
  }

  #key(event) {
    const button = event.target.closest("button.cell");
    if (!button || event.ctrlKey || event.metaKey || event.altKey) return;
    const here = Number(button.dataset.day);
    const spans = this.calendars.get(this.stream);
    let to;
    if (event.key in STEPS) to = here + STEPS[event.key];
    else if (event.key === "Home") to = spans[0].first;
    else if (event.key === "End") to = spans.at(-1).last;
    else if (event.key === "Escape") return hide();
    else return;
    event.preventDefault();
    this.#pick(nearest(spans, to, here), true);
  }

  #click(event) {
    const button = event.target.closest("button.cell");
    if (!button) return;
    this.#pick(Number(button.dataset.day), true);
    this.open(this.#keyOf(button));
  }

  #point(event) {
    const button = event.target.closest("button.cell");
    if (button) show(button, this.#keyOf(button), button.getAttribute("aria-label"));
  }

  #keyOf(button) {
    return `${this.stream}/${dayOf(Number(button.dataset.day))}`;
  }

  #choices(streams) {
    byId("stream-label").hidden = streams.length < 2;
    const words = (name) => (FAILING.test(this.calendars.get(name).map(({ letters }) => letters).join("")) ? `${name} – failing` : name);
    const names = streams.map(words);
    if (names.join() === [...this.streams.options].map((each) => each.textContent).join()) return;
    this.streams.replaceChildren(...streams.map((name, index) => element("option", { value: name }, names[index])));
    this.streams.value = this.stream;
  }

  #legend() {
    const entry = (kind, words) => element("li", {}, element("span", { class: `cell ${kind}`, "aria-hidden": "true" }), words);
    const plain = SHOWN.map((letter) => this.letters.get(letter)?.name).map((name) => entry(name, name));
    byId("legend").replaceChildren(...plain, entry("hot attention", "attention"), entry("hot failing", "failing"));
  }
}

function withNumbers(span) {
  const first = numberOf(span.first);
  return { first, last: first + span.letters.length - 1, letters: span.letters };
}

function yearsOf(spans) {
  const years = new Set();
  for (const { first, last } of spans) {
    for (let year = Number(dayOf(first).slice(0, 4)); year <= Number(dayOf(last).slice(0, 4)); year += 1) years.add(year);
  }
  return [...years].sort((one, other) => other - one);
}

// Columns are weeks that begin on a Monday; 1970-01-01 was a Thursday.
function weekOf(number, begin) {
  return Math.floor((number + 3) / 7) - Math.floor((begin + 3) / 7) + 1;
}

function monthsOf(year) {
  const begin = numberOf(`${year}-01-01`);
  return MONTHS.map((name, index) => {
    const made = element("span", {}, name);
    const first = numberOf(`${year}-${String(index + 1).padStart(2, "0")}-01`);
    made.style.gridColumnStart = weekOf(first, begin) + (index && (first + 3) % 7 ? 1 : 0);
    return made;
  });
}

// A step that leads out of a span ends at its edge, or goes on in the next one.
function nearest(spans, to, here) {
  if (spans.some(({ first, last }) => first <= to && to <= last)) return to;
  const edges = spans.flatMap(({ first, last }) => [first, last]).filter((edge) => (to > here ? edge > here : edge < here));
  return edges.length ? (to > here ? Math.min(...edges) : Math.max(...edges)) : here;
}
