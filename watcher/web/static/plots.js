// The plots. Each also says in a sentence what it shows, for whoever does not see it.

import { byId, size } from "./words.js";

const HEIGHT = 150;
const drawn = new Map(); // by id: the plot, and how to draw it anew
let wanted = null;

export function plots(picture) {
  wanted = picture;
  const { series, forecast } = picture;
  byId("plots").hidden = series.dates.length === 0;
  if (!series.dates.length) return;
  const dates = series.dates.map(seconds);
  const tiers = [series.hot_bytes, series.warm_bytes, series.cold_bytes];
  stacked("plot-kept", dates, tiers, `Kept bytes from ${series.dates[0]} on; now ${size(sum(tiers.map((each) => each.at(-1))))}.`);
  line("plot-raw", dates, series.raw_bytes, "--ink", size, `Uncompressed bytes of a day from ${series.dates[0]} on.`);
  const ratios = series.ratio.filter((each) => each !== null);
  line("plot-ratio", dates, series.ratio, "--good", (value) => `${value.toFixed(1)}×`, ratios.length ? `Compressed days are ${Math.min(...ratios).toFixed(1)} to ${Math.max(...ratios).toFixed(1)} times smaller.` : "No day is compressed yet.");
  byId("plot-forecast").hidden = !forecast;
  if (!forecast) return;
  const points = forecast.policy.points;
  stacked(
    "plot-forecast",
    points.map((point) => seconds(point.day)),
    ["hot_bytes", "warm_bytes", "cold_bytes"].map((name) => points.map((point) => point[name])),
    `All days are expected to take ${size(forecast.policy.year.total_bytes)} in a year; now ${size(forecast.now.total_bytes)}.`,
  );
}

// The colours are another theme's.
export function redraw() {
  for (const { plot } of drawn.values()) plot.destroy();
  drawn.clear();
  if (wanted) plots(wanted);
}

const resized = new ResizeObserver((boxes) => {
  for (const { target } of boxes) {
    const plot = drawn.get(target.parentElement.id)?.plot;
    if (plot && target.clientWidth) plot.setSize({ width: target.clientWidth, height: HEIGHT });
  }
});

// The whole is drawn first, in the colour of the top layer; what lies below is drawn over it.
function stacked(id, dates, layers, words) {
  const [hot, warm, cold] = layers;
  const upTo = (...each) => dates.map((_, index) => sum(each.map((values) => values[index])));
  const data = [dates, upTo(hot, warm, cold), upTo(warm, cold), cold];
  const of = [hot, warm, cold];
  const series = ["hot", "warm", "cold"].map((tier, index) => ({
    label: tier,
    stroke: colour(`--${tier}`),
    fill: colour(`--${tier}`),
    width: 1,
    points: { show: false },
    value: (_, __, ___, at) => (at === null ? "–" : size(of[index][at])),
  }));
  draw(id, data, series, size, words);
}

function line(id, dates, values, name, words, sentence) {
  const series = { label: id === "plot-ratio" ? "times" : "bytes", stroke: colour(name), width: 1.25, points: { show: values.filter((each) => each !== null).length < 3 }, value: (_, value) => (value === null ? "–" : words(value)) };
  draw(id, [dates, values], [series], words, sentence);
}

function draw(id, data, series, words, sentence) {
  const box = byId(id).querySelector(".plot");
  box.setAttribute("aria-label", sentence);
  const before = drawn.get(id);
  if (before) {
    before.plot.setData(data);
    before.plot.series.slice(1).forEach((each, index) => (each.value = series[index].value));
    return;
  }
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const options = {
    width: box.clientWidth || 320,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
    legend: { live: true },
    scales: { x: { time: true }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    tzDate: (at) => window.uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    axes: [
      { ...axis, size: 26, space: 70, values: dateWords },
      { ...axis, size: 58, space: 34, values: (_, splits) => splits.map((each) => (each === null ? "" : words(each))) },
    ],
    series: [{ label: "day", value: (_, at) => (at === null ? "–" : new Date(at * 1000).toISOString().slice(0, 10)) }, ...series],
  };
  drawn.set(id, { plot: new window.uPlot(options, data, box) });
  resized.observe(box);
}

// 2026 where a year begins, else 07-15: as everything is written here.
function dateWords(_, splits) {
  const days = splits.map((each) => new Date(each * 1000).toISOString());
  const step = splits.length > 1 ? splits[1] - splits[0] : 0;
  return days.map((day) => (step > 300 * 86400 ? day.slice(0, 4) : step > 25 * 86400 ? day.slice(0, 7) : day.slice(5, 10)));
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function seconds(day) {
  return Date.parse(`${day}T00:00:00Z`) / 1000;
}

function sum(values) {
  return values.reduce((one, other) => one + other, 0);
}
