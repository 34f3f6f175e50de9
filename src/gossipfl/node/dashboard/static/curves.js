// Lines over steps, one a node; a pointer shows the values of a step.

import { drawn, element, number } from "./text.js";

const ARMS = 10;
const HEIGHT = 208;
const EDGE = { left: 46, right: 16, top: 8, bottom: 22 };

export function armClass(place) {
  return `arm-${place % ARMS}`;
}

export function showKeys(list, names) {
  list.replaceChildren(
    ...names.map((name, place) => {
      const item = element("li");
      item.append(element("span", null, { class: `key ${armClass(place)}` }), name);
      return item;
    }),
  );
}

export class Curves {
  constructor(figure) {
    this.figure = figure;
    this.series = [];
    this.svg = drawn("svg", null, { role: "img" });
    this.tip = element("div", null, { class: "tip", hidden: "" });
    figure.append(this.svg, this.tip);
    new ResizeObserver(() => this.#draw()).observe(this.svg);
    this.svg.addEventListener("pointermove", (event) => this.#point(event));
    this.svg.addEventListener("pointerleave", () => this.#leave());
  }

  // series: [name, [[step, value], …]] in the order of their colors
  show(series) {
    this.series = series;
    this.figure.hidden = series.every(([, points]) => points.length === 0);
    const last = series.filter(([, points]) => points.length).map(([name, points]) => `${name} ${number(points.at(-1)[1])}`);
    const caption = this.figure.querySelector("figcaption").textContent;
    this.svg.setAttribute("aria-label", `${caption}, now: ${last.join(", ")}`);
    if (!this.figure.hidden) this.#draw();
  }

  #draw() {
    const width = this.svg.clientWidth;
    const points = this.series.flatMap(([, each]) => each);
    if (!width || !points.length) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const end = Math.max(...points.map(([step]) => step), 1);
    const steps = ticks(0, end, Math.max(2, Math.floor(width / 90))).filter((step) => step <= end);
    const values = ticks(Math.min(...points.map(([, value]) => value)), Math.max(...points.map(([, value]) => value)), 5);
    this.x = scale(0, end, EDGE.left, width - EDGE.right);
    this.y = scale(values[0], values.at(-1), HEIGHT - EDGE.bottom, EDGE.top);
    this.cursor = drawn("line", null, { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, visibility: "hidden" });
    this.svg.replaceChildren(...this.#axes(steps, values, width), ...this.#lines(), this.cursor);
  }

  #axes(steps, values, width) {
    const rows = values.flatMap((value) => {
      const y = this.y(value);
      return [
        drawn("line", null, { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y, y2: y }),
        drawn("text", number(value), { x: EDGE.left - 6, y: y + 4, "text-anchor": "end" }),
      ];
    });
    return [...rows, ...steps.map((step) => drawn("text", number(step), { x: this.x(step), y: HEIGHT - 5, "text-anchor": "middle" }))];
  }

  #lines() {
    return this.series.flatMap(([name, points], place) => {
      if (!points.length) return [];
      const path = points.map(([step, value]) => `${this.x(step).toFixed(1)},${this.y(value).toFixed(1)}`);
      const [x, y] = path.at(-1).split(",");
      const line = drawn("polyline", null, { class: `curve ${armClass(place)}`, points: path.join(" "), "data-node": name });
      return [line, drawn("circle", null, { class: `point ${armClass(place)}`, cx: x, cy: y, r: 3 })];
    });
  }

  #point(event) {
    if (!this.x || this.figure.hidden) return;
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    const steps = [...new Set(this.series.flatMap(([, points]) => points.map(([step]) => step)))];
    const step = steps.reduce((best, each) => (Math.abs(this.x(each) - x) < Math.abs(this.x(best) - x) ? each : best), steps[0]);
    for (const each of ["x1", "x2"]) this.cursor.setAttribute(each, this.x(step));
    this.cursor.setAttribute("visibility", "visible");
    const rows = this.series.flatMap(([name, points], place) => {
      const upTo = points.filter(([each]) => each <= step);
      if (!upTo.length) return [];
      const row = element("div");
      row.append(element("span", null, { class: `key ${armClass(place)}` }), `${name} ${number(upTo.at(-1)[1])}`);
      return [row];
    });
    this.tip.replaceChildren(element("div", `step ${step}`), ...rows);
    this.tip.setAttribute("data-side", x > this.svg.clientWidth / 2 ? "left" : "right");
    this.tip.hidden = false;
  }

  #leave() {
    this.tip.hidden = true;
    this.cursor?.setAttribute("visibility", "hidden");
  }
}

// Round numbers from at most the lowest to at least the highest.
export function ticks(low, high, wanted) {
  if (high === low) [low, high] = low === 0 ? [0, 1] : [low - Math.abs(low) / 2, high + Math.abs(high) / 2];
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= rough * 0.999);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => (first + place) * step);
}

function scale(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}
