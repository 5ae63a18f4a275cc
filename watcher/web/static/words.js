// How things read for people, and the only place where elements are made: text is never taken for markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

// Three figures and a unit: 6.91 MB. As the command line says it.
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const sign = bytes < 0 ? "−" : "";
  let number = Math.abs(bytes);
  if (number < 1000) return `${sign}${Math.round(number)} B`;
  for (const unit of ["kB", "MB", "GB", "TB"]) {
    number /= 1000;
    if (number < 999.5) return `${sign}${Number(number.toPrecision(3))} ${unit}`;
  }
  return `${sign}${Math.round(number)} TB`;
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

// 2026-01-25 02:00 UTC
export function moment(time) {
  return time ? `${time.slice(0, 10)} ${time.slice(11, 16)} UTC` : "–";
}

export function clock(time) {
  return time.slice(11, 19);
}

export function span(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400).toLocaleString("en")} days`;
}

const DAY_MS = 86400000;

// Days are numbers since 1970-01-01: nothing here depends on the zone of the browser.
export function numberOf(day) {
  return Math.round(Date.parse(`${day}T00:00:00Z`) / DAY_MS);
}

export function dayOf(number) {
  return new Date(number * DAY_MS).toISOString().slice(0, 10);
}
