// The volumes: how full, how fast they fill, and for how long that will do.

import { byId, count, element, size } from "./words.js";

export function disks(volumes) {
  byId("disks").replaceChildren(...volumes.map(disk));
}

function disk(volume) {
  const used = volume.total_bytes - volume.free_bytes;
  const names = volume.directories.join(", ");
  const meter = element("meter", {
    min: "0",
    max: String(volume.total_bytes),
    low: String(volume.total_bytes * 0.8),
    high: String(volume.total_bytes * 0.95),
    optimum: "0",
    value: String(used),
    "aria-label": `${names}: ${Math.round((100 * used) / volume.total_bytes)} % used`,
  });
  return element(
    "li",
    { class: volume.low ? "low" : "" },
    element("div", { class: "pair" }, element("b", {}, names), element("span", {}, `${size(volume.free_bytes)} free of ${size(volume.total_bytes)}`)),
    meter,
    element("span", { class: "small quiet" }, `${volume.low ? "too little free · " : ""}${ahead(volume)}`),
  );
}

function ahead(volume) {
  if (volume.growth_bytes === null) return "how fast it fills is not known yet";
  const rate = `${volume.growth_bytes < 0 ? "" : "+"}${size(volume.growth_bytes)} a day`;
  if (volume.days_until_full === null) return `${rate} · not full within ten years`;
  return `${rate} · full in ${count(volume.days_until_full, "day")}`;
}
