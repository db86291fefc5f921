// SPDX-License-Identifier: Apache-2.0
// Numbers and names as people read them.
export const byId = (id) => document.getElementById(id);
export const NOTHING = "–"; // unknown, or not there

const withUnit = (digits, unit) => (value) => `${value.toFixed(digits)}${unit}`;

export function count(value) {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at++;
  }
  return `${at ? value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0) : Math.round(value)} ${units[at]}`;
}

export function span(seconds) {
  const whole = Math.floor(seconds), two = (n) => String(n).padStart(2, "0");
  const days = Math.floor(whole / 86400);
  return `${days ? `${days} d ` : ""}${two(Math.floor(whole / 3600) % 24)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

// Three figures at least, so that columns stay calm.
export function ms(value) {
  return value < 0.1 ? value.toFixed(3) : value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : count(value);
}

export function clock(utc) {
  return new Date(utc * 1000).toLocaleTimeString([], {hour12: false});
}

const forms = {count, bytes, span, ms, rate: withUnit(1, ""), percent: withUnit(0, " %"), share: withUnit(2, ""),
  celsius: withUnit(0, " °C"), watts: withUnit(0, " W"), mhz: (hz) => `${count(hz / 1e6)} MHz`};

export function show(value, form) {
  if (value === null || value === undefined || value === "") return NOTHING;
  return form ? forms[form](value) : String(value);
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

export function row(cells, className) {
  const line = make("tr", undefined, className);
  line.append(...cells.map((cell) => (cell instanceof Node ? cell : make("td", cell))));
  return line;
}

export function at(object, path) {
  return path.split(".").reduce((inner, key) => (inner === null || inner === undefined ? inner : inner[key]), object);
}
