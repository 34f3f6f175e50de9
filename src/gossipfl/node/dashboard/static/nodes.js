// A card a node, and the line above all.

import { DASH, ago, bytes, element, number } from "./text.js";

const WORDS = {
  partly: "a link is missing",
  linked: "seen by a neighbor only",
  down: "down",
  ended: "ended",
  unknown: "not known",
};

export function showNodes(place, nodes) {
  place.replaceChildren(...nodes.map(card));
}

function card(node) {
  const made = element("article", null, { "data-health": node.health, "data-node": node.name });
  const head = element("h3", node.name);
  head.append(element("span", state(node), { class: "state" }));
  made.append(head);
  if (node.last === null) return made;
  const last = node.last;
  const planned = last.steps_planned;
  made.append(bar("steps", last.step, planned, planned === null ? String(last.step) : `${last.step} of ${planned}`));
  made.append(bar("ε", last.epsilon, last.target_epsilon, spent(last)));
  made.append(facts(last));
  return made;
}

function state(node) {
  const words = [];
  if (node.last !== null && node.silent_s === null) words.push(node.last.state);
  if (node.health !== "up") words.push(WORDS[node.health]);
  if (node.silent_s !== null) words.push(`silent for ${ago(node.silent_s)}`);
  if (node.last === null && !node.has_address) words.push("no address");
  return words.join(", ");
}

function spent(last) {
  if (last.epsilon === null) return "no privacy";
  return last.target_epsilon === null ? number(last.epsilon) : `${number(last.epsilon)} of ${number(last.target_epsilon)}`;
}

function bar(name, value, most, text) {
  const made = element("div", null, { class: "bar" });
  const filled = element("progress", null, { "aria-label": `${name}: ${text}`, max: most || 1 });
  filled.value = most ? Math.min(value ?? 0, most) : 0;
  made.append(element("span", name), filled, element("span", text));
  return made;
}

function facts(last) {
  const list = element("dl");
  const rejected = Object.values(last.rejected).reduce((sum, times) => sum + times, 0);
  const pairs = [
    ["accuracy", number(last.accuracy)],
    ["loss", number(last.loss)],
    ["links", `${last.neighbors_up} of ${last.neighbors}`],
    ["staleness", number(last.staleness)],
    ["sent", bytes(last.bytes_sent)],
    ["received", bytes(last.bytes_received)],
    ["rejected", String(rejected)],
  ];
  for (const [name, text] of pairs.filter(([, text]) => text !== DASH)) {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", text));
    list.append(pair);
  }
  return list;
}

export function summary({ nodes, consensus_distance: between }) {
  const count = (...healths) => nodes.filter((node) => healths.includes(node.health)).length;
  const parts = [`${nodes.length} nodes`, `${count("up", "partly", "linked")} there`];
  if (count("down")) parts.push(`${count("down")} down`);
  if (count("ended")) parts.push(`${count("ended")} ended`);
  if (between !== null) {
    const [low, high] = between.map((each) => number(each));
    parts.push(`consensus distance ${low === high ? low : `between ${low} and ${high}`}`);
  }
  return parts.join(" · ");
}

export function showRejected(body, rows) {
  if (!rows.length) {
    const row = element("tr");
    row.append(element("td", "none", { colspan: 5 }));
    body.replaceChildren(row);
    return;
  }
  body.replaceChildren(
    ...rows.map((each) => {
      const row = element("tr");
      row.append(
        element("th", each.node, { scope: "row" }),
        element("td", each.peer ?? "no neighbor"),
        element("td", each.reason),
        element("td", String(each.times), { class: "n" }),
        element("td", `${ago(each.ago_s)} ago`, { class: "n" }),
      );
      return row;
    }),
  );
}
