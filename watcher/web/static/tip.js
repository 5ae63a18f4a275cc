// What a day is, beside it, as long as one points at it or has the focus on it.

import { get } from "./api.js";
import { byId, element, moment, size } from "./words.js";

const REST_MS = 120;
const MOST_KNOWN = 500;
const known = new Map();
let timer = 0;
let shown = "";

export function show(anchor, key, name) {
  if (shown === key) return;
  hide();
  shown = key;
  draw(anchor, key, name, known.get(key));
  if (known.has(key)) return;
  timer = setTimeout(async () => {
    const row = await get(`/api/days/${key}`).then((answer) => answer.day, () => null);
    if (known.size >= MOST_KNOWN) known.clear();
    if (row) known.set(key, row);
    if (row && shown === key) draw(anchor, key, name, row);
  }, REST_MS);
}

export function hide() {
  clearTimeout(timer);
  shown = "";
  byId("tip").hidden = true;
  document.querySelector('[aria-describedby="tip"]')?.removeAttribute("aria-describedby");
}

// Days have changed.
export function forget() {
  known.clear();
}

function draw(anchor, key, name, row) {
  const tip = byId("tip");
  const lines = row ? linesOf(row) : [];
  tip.replaceChildren(element("b", {}, name), ...lines.map((line) => element("span", {}, line)));
  tip.hidden = false;
  anchor.setAttribute("aria-describedby", "tip");
  const [cell, box] = [anchor.getBoundingClientRect(), tip.getBoundingClientRect()];
  const left = Math.max(8, Math.min(cell.left + cell.width / 2 - box.width / 2, document.documentElement.clientWidth - box.width - 8));
  const above = cell.top - box.height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : cell.bottom + 8}px`;
}

function linesOf(row) {
  const lines = [];
  if (row.ticks !== null) lines.push(`${row.ticks.toLocaleString("en")} ticks of ${row.symbols ?? "?"} symbols`);
  if (row.bytes !== null) {
    const now = row.bytes_now && row.bytes_now !== row.bytes;
    lines.push(size(row.bytes) + (now ? `, now ${size(row.bytes_now)} (${(row.bytes / row.bytes_now).toFixed(1)} times smaller)` : ""));
  }
  if (row.verified_at) lines.push(`last read and compared ${moment(row.verified_at)}`);
  if (row.on_hold) lines.push("on hold");
  if (row.step) lines.push(`next: ${row.step}${row.due ? ` ${moment(row.due)}` : ""}`);
  return lines;
}
