// When each step was done last and is done next, what is being written now, and what is on hold.

import { byId, count, element, moment, size, span } from "./words.js";

const MOST_WRITERS = 6;

export function steps({ steps: each, active, holds }) {
  byId("each-step").replaceChildren(...each.map(row));
  const writers = active.slice(0, MOST_WRITERS).map(writer);
  if (active.length > MOST_WRITERS) writers.push(element("li", { class: "quiet" }, `and ${count(active.length - MOST_WRITERS, "more stream")}`));
  byId("writers").replaceChildren(...writers, ...holds.slice(0, MOST_WRITERS).map(hold));
}

function row({ step, last, next, due, overdue }) {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, step),
    element("td", {}, short(last)),
    element("td", {}, due ? "now" : short(next)),
    element("td", { class: overdue ? "late" : "" }, due ? String(due) : ""),
  );
}

// 07-15 00:00; the whole of it for whoever points at it.
function short(time) {
  return time ? element("time", { datetime: time, title: moment(time) }, `${time.slice(5, 10)} ${time.slice(11, 16)}`) : "–";
}

function writer({ database, bytes, silent_seconds: silent, growing }) {
  const words = silent === null ? "is not there" : `${size(bytes)}, ${growing ? "growing" : `silent for ${span(silent)}`}`;
  return element("li", {}, element("span", { class: `cell ${silent === null ? "missing" : "active"}`, "aria-hidden": "true" }), element("a", { href: `#${database}` }, database), element("span", { class: "quiet small" }, words));
}

function hold({ database, reason, by }) {
  return element("li", {}, element("b", { class: "small" }, "hold"), element("a", { href: `#${database}` }, database), element("span", { class: "quiet small" }, `${reason}, by ${by}`));
}
