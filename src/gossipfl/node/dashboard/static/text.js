// Figures for people; a dash is what is not known.

export const DASH = "–";

export function number(value, digits = 3) {
  if (value === null || value === undefined) return DASH;
  const size = Math.abs(Number(value));
  if (!Number.isFinite(size)) return "∞";
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return Number(value).toExponential(2);
  return String(Number(Number(value).toPrecision(digits)));
}

export function bytes(value) {
  if (value === null || value === undefined) return DASH;
  for (const [unit, one] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (value >= one) return `${number(value / one)} ${unit}`;
  }
  return `${value} B`;
}

export function ago(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

// An element with text in it: whatever a node is called, it is text.
export function element(name, text = null, attributes = {}) {
  return filled(document.createElement(name), text, attributes);
}

export function drawn(name, text = null, attributes = {}) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), text, attributes);
}

function filled(made, text, attributes) {
  if (text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
