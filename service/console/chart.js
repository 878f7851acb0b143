// A graph of lines over time, as SVG, with the values under the pointer or the cursor keys.

import { h, svg } from "./dom.js";
import { duration } from "./format.js";

const WIDTH = 600;
const HEIGHT = 120;

// Returns the next of 1, 2, 5, 10 ... that is not less, each times a power of `base`.
function roundUp(value, base) {
  if (!(value > 0)) return 1;
  let unit = 1;
  while (base > 1 && value >= unit * base) unit *= base;
  const power = unit * 10 ** Math.floor(Math.log10(value / unit));
  return [1, 2, 5, 10].map((factor) => factor * power).find((bound) => bound >= value * 0.9999);
}

// `series` are [name, read], where `read` takes a point and gives a number; `show` gives the text of a number, whose
// units are powers of `base`. The returned `draw` takes the points, oldest first, each with `time`.
export function chart(title, series, show, base = 1) {
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const top = h("span", { class: "top" });
  const from = h("span");
  const legend = h("figcaption");
  const frame = h("div", { class: "plot", tabindex: "0", role: "img" }, plot, top);
  const element = h(
    "figure",
    { class: "chart" },
    h("h3", {}, title),
    legend,
    frame,
    h("div", { class: "axis" }, from, h("span", {}, "now")),
  );
  let points = [];
  let at = -1; // the point whose values are shown; -1: the last

  function tell() {
    const point = points.at(at);
    const values = series.map(([name, read], i) =>
      h("span", { class: `key s${i}` }, `${name} ${point ? show(read(point)) : "-"}`),
    );
    legend.replaceChildren(...values, at >= 0 && point ? h("span", {}, new Date(point.time).toLocaleTimeString()) : "");
    frame.setAttribute("aria-label", `${title}: ${legend.textContent}`);
  }

  function draw(all = points) {
    points = all;
    if (at >= points.length) at = -1;
    const max = roundUp(Math.max(0, ...points.flatMap((point) => series.map(([, read]) => read(point)))), base);
    const times = points.map((point) => new Date(point.time).getTime());
    const span = Math.max(1, times.at(-1) - times[0]);
    const x = (i) => (points.length < 2 ? 0 : ((times[i] - times[0]) / span) * WIDTH);
    const lines = series.map(([, read], i) =>
      svg("path", {
        class: `line s${i}`,
        d: points.map((point, p) => `${p ? "L" : "M"}${x(p).toFixed(1)} ${(HEIGHT * (1 - read(point) / max)).toFixed(1)}`).join(""),
      }),
    );
    const cursor = at >= 0 ? svg("path", { class: "cursor", d: `M${x(at)} 0V${HEIGHT}` }) : "";
    const middle = svg("path", { class: "grid", d: `M0 ${HEIGHT / 2}H${WIDTH}` });
    plot.replaceChildren(middle, ...lines, cursor);
    top.textContent = show(max);
    from.textContent = points.length ? `${duration(span / 1000)} ago` : "no points yet";
    tell();
  }

  frame.addEventListener("pointermove", (event) => {
    const box = frame.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    at = Math.max(0, Math.min(points.length - 1, Math.round(share * (points.length - 1))));
    draw();
  });
  frame.addEventListener("pointerleave", () => draw(((at = -1), points)));
  frame.addEventListener("blur", () => draw(((at = -1), points)));
  frame.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || points.length === 0) return;
    event.preventDefault();
    at = Math.max(0, Math.min(points.length - 1, (at < 0 ? points.length - 1 : at) + step));
    draw();
  });
  draw();
  return { element, draw };
}
