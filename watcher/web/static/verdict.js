// The verdict: one word first, then why, and what to do about it.

import { byId, count, element, moment, size } from "./words.js";

const WORDS = { OK: "All is well", ATTENTION: "Attention", FAILING: "Failing" };
const SIGNS = { OK: "✓", ATTENTION: "!", FAILING: "✕" };
const TIERS = ["hot", "warm", "cold", "gone"];
const FIRST = 4;

export function verdict(picture, open) {
  const { level, reasons } = picture.verdict;
  const box = byId("verdict");
  box.dataset.level = level;
  box.querySelector(".sign").textContent = SIGNS[level];
  byId("verdict-word").textContent = WORDS[level];
  document.title = `${level === "OK" ? "" : `${WORDS[level]} – `}Tickward`;
  byId("verdict-line").textContent = [moment(picture.at), ...aboutDaemon(picture.daemon), `event ${picture.sequence}`].join(" · ");
  byId("reasons").replaceChildren(...shown(reasons, open));
  byId("counts").replaceChildren(...TIERS.map((tier) => inTier(tier, picture.tiers[tier])));
}

function inTier(tier, found) {
  return element(
    "div",
    {},
    element("dt", {}, element("span", { class: `cell ${tier}`, "aria-hidden": "true" }), tier),
    element("dd", {}, element("b", {}, (found?.days ?? 0).toLocaleString("en")), element("span", { class: "quiet small" }, tier === "gone" ? "days" : size(found?.bytes_now ?? 0))),
  );
}

function aboutDaemon({ pid, vitals }) {
  if (pid === null) return ["no daemon runs"];
  const waits = vitals?.waiting ? [`${count(vitals.waiting, "step")} waiting`] : [];
  return [`daemon ${pid || ""}${vitals ? ` since ${moment(vitals.started)}` : ""}`, ...waits];
}

function shown(reasons, open) {
  const lines = reasons.map((reason) => line(reason, open));
  if (lines.length <= FIRST) return lines;
  const more = element("details", {}, element("summary", {}, count(lines.length - FIRST, "more reason")), element("ul", { class: "reasons" }, ...lines.slice(FIRST)));
  return [...lines.slice(0, FIRST), element("li", { class: "more" }, more)];
}

function line(reason, open) {
  const made = element("li", { "data-level": reason.level }, element("span", { class: "what" }, reason.sentence));
  if (reason.count) made.append(" ", about(reason, open));
  if (reason.hint) made.append(element("span", { class: "hint" }, reason.hint));
  return made;
}

function about(reason, open) {
  if (reason.count === 1) return link(reason.days[0], open);
  const days = reason.days.map((day) => link(day, open));
  const more = reason.count > days.length ? [element("span", { class: "quiet" }, `and ${count(reason.count - days.length, "more", "more")}`)] : [];
  return element("details", { class: "about" }, element("summary", { class: "quiet" }, reason.span), element("div", { class: "days" }, ...days, ...more));
}

function link(day, open) {
  const made = element("a", { href: `#${day}` }, day);
  made.addEventListener("click", (event) => {
    event.preventDefault();
    open(day);
  });
  return made;
}
