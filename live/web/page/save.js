// SPDX-License-Identifier: Apache-2.0
// What is shown, as a file: JSON as it is, or CSV with one value a line.
import {newest} from "./numbers.js";
import {picture} from "./picture.js";
import {timeline} from "./state.js";
import {history} from "./charts.js";

function shown() {
  const m = newest.metrics || {};
  return {schema: 1, saved_utc: Date.now() / 1000, metrics: m, picture: picture.head, timeline: timeline.spans, history: history.points,
    trips: newest.trips, events: newest.events};
}

function offer(text, type, ending) {
  const link = document.createElement("a"), stamp = new Date().toISOString().replace(/[-:]/g, "").slice(0, 15);
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = `sonoseg_${stamp}Z.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function quote(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function flatten(object, prefix, add) {
  for (const [key, value] of Object.entries(object || {})) {
    if (value !== null && typeof value === "object") flatten(value, `${prefix}${key}.`, add);
    else add(prefix + key, value);
  }
}

// Lines "part,time,name,value": time in UTC seconds, of the point, trip, span or event.
export function toCsv(all) {
  const lines = ["part,time,name,value"], add = (part, time) => (name, value) => lines.push([part, time, name, value].map(quote).join(","));
  flatten(all.metrics, "", add("metrics", all.metrics.time));
  flatten(all.picture, "", add("picture", all.picture ? all.picture.received_utc : ""));
  all.timeline.forEach((span) => flatten(span, "", add("timeline", span.from)));
  all.history.forEach((point) => flatten(point, "", add("history", point.time)));
  all.trips.forEach((trip) => flatten(trip, "", add("trip", trip.received_utc)));
  all.events.forEach((event) => flatten(event, "", add("event", event.time)));
  return `${lines.join("\r\n")}\r\n`;
}

export const saveJson = () => offer(JSON.stringify(shown(), null, 1), "application/json", "json");
export const saveCsv = () => offer(toCsv(shown()), "text/csv", "csv");
