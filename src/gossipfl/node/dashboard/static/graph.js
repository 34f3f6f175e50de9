// The graph: circles in the color of their health, rings where a link is missing, with the accuracy inside; lines for links.

import { bytes, drawn, element, number } from "./text.js";

const SIDE = 400;
const LABELED = 40;

export class Graph {
  constructor(svg) {
    this.svg = svg;
    this.circles = new Map();
    this.insides = new Map();
    this.lines = new Map();
    svg.setAttribute("viewBox", `0 0 ${SIDE} ${SIDE}`);
  }

  place({ places, links }) {
    this.svg.replaceChildren();
    [this.circles, this.insides, this.lines].forEach((known) => known.clear());
    const names = Object.keys(places);
    const at = (name) => places[name].map((each) => SIDE / 2 + each * SIDE * 0.38);
    for (const [one, other] of links) {
      const [[x1, y1], [x2, y2]] = [at(one), at(other)];
      const line = drawn("line", null, { x1, y1, x2, y2, "data-up": "unknown" });
      line.append(drawn("title"));
      this.lines.set(`${one} ${other}`, line);
      this.svg.append(line);
    }
    const labeled = names.length <= LABELED;
    const r = labeled ? Math.max(10, 24 - names.length / 3) : 6;
    names.forEach((name) => this.#stand(name, at(name), r, labeled));
  }

  #stand(name, [cx, cy], r, labeled) {
    const circle = drawn("circle", null, { cx, cy, r, "data-node": name, "data-health": "unknown" });
    circle.append(drawn("title"));
    this.circles.set(name, circle);
    this.svg.append(circle);
    if (!labeled) return;
    this.svg.append(drawn("text", name, { x: cx, y: cy < SIDE / 2 ? cy - r - 9 : cy + r + 10 }));
    const inside = drawn("text", "", { x: cx, y: cy, class: "inside" });
    this.insides.set(name, inside);
    if (r >= 16) this.svg.append(inside);
  }

  show({ nodes, edges }) {
    for (const node of nodes) {
      const circle = this.circles.get(node.name);
      if (!circle) continue;
      circle.setAttribute("data-health", node.health);
      circle.firstChild.textContent = `${node.name}: ${node.health}`;
      const accuracy = node.last?.accuracy;
      const inside = this.insides.get(node.name);
      inside?.setAttribute("data-health", node.health);
      inside?.replaceChildren(accuracy === undefined ? "" : number(accuracy, 2));
    }
    for (const edge of edges) {
      const line = this.lines.get(edge.ends.join(" "));
      if (!line) continue;
      line.setAttribute("data-up", linkWord(edge.up));
      line.firstChild.textContent = `${edge.ends.join(" – ")}: ${bytes(edge.bytes[0])} →, ${bytes(edge.bytes[1])} ←`;
    }
    const down = nodes.filter((node) => node.health === "down").map((node) => node.name);
    this.svg.setAttribute("aria-label", `${nodes.length} nodes, ${edges.length} edges; down: ${down.join(", ") || "none"}`);
  }
}

export function linkWord(up) {
  return up === null ? "unknown" : up ? "yes" : "no";
}

export function showEdges(body, edges) {
  body.replaceChildren(
    ...edges.map((edge) => {
      const row = element("tr");
      const word = { yes: "up", no: "missing", unknown: "not known" }[linkWord(edge.up)];
      row.append(
        element("th", edge.ends.join(" – "), { scope: "row" }),
        element("td", word, { "data-up": linkWord(edge.up) }),
        ...[bytes(edge.bytes[0]), bytes(edge.bytes[1]), number(edge.staleness), number(edge.distance)].map((text) =>
          element("td", text, { class: "n" }),
        ),
      );
      return row;
    }),
  );
}
