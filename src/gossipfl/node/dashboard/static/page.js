// Takes what the server sends, and shows it.

import { Curves, showKeys } from "./curves.js";
import { Graph, showEdges } from "./graph.js";
import { showNodes, showRejected, summary } from "./nodes.js";

const QUIET_MS = 12000;
// place of each figure in a point of a node's past: [step, loss, accuracy, ε, distance]
const FIGURES = { loss: 1, accuracy: 2, epsilon: 3, distance: 4 };

const at = (id) => document.getElementById(id);
const graph = new Graph(at("graph"));
const curves = Object.fromEntries(Object.keys(FIGURES).map((name) => [name, new Curves(at(name))]));
const past = new Map();
let names = [];
let quiet = null;

function live(yes, text) {
  at("connection").setAttribute("data-live", yes ? "yes" : "no");
  at("connection").textContent = text;
  clearTimeout(quiet);
  if (yes) quiet = setTimeout(() => live(false, "no news from the dashboard: what is shown is old"), QUIET_MS);
}

function showCurves() {
  for (const [name, place] of Object.entries(FIGURES)) {
    const series = names.map((node) => [
      node,
      (past.get(node) ?? []).filter((point) => point[place] !== null).map((point) => [point[0], Number(point[place])]),
    ]);
    curves[name].show(series);
  }
  at("no-test").hidden = !(at("loss").hidden && at("accuracy").hidden && past.size > 0);
}

function showNetwork(network) {
  graph.show(network);
  showNodes(at("nodes"), network.nodes);
  showEdges(at("edges"), network.edges);
  showRejected(at("rejected"), network.last_rejected);
  at("summary").textContent = summary(network);
  document.title = `gossipfl: ${network.nodes.filter((node) => node.health === "down").length || "none"} down`;
}

const source = new EventSource("events");
source.addEventListener("graph", (event) => {
  const { places, links } = JSON.parse(event.data);
  names = Object.keys(places);
  graph.place({ places, links });
  showKeys(at("keys"), names);
});
source.addEventListener("history", (event) => {
  for (const [node, points] of Object.entries(JSON.parse(event.data))) past.set(node, points);
  showCurves();
});
source.addEventListener("network", (event) => {
  showNetwork(JSON.parse(event.data));
  live(true, "live");
});
source.onerror = () => live(false, "the dashboard does not answer: trying again");
