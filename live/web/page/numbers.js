// SPDX-License-Identifier: Apache-2.0
// What comes once a second: the verdict, every number, trips, clients, events.
import {NOTHING, at, byId, bytes, clock, count, make, ms, put, row, show} from "./text.js";

const STAGES = {end_to_end: "end to end", waiting: "waiting", engine: "engine", showing: "showing", sending: "sending"};
const DROPS = {superseded: "overtaken by a newer one", age: "waited too long", late: "result too late", checksum: "checksum wrong", malformed: "malformed",
  unsupported: "pixels not supported", too_large: "too large", no_engine: "engine not ready", device: "lost by the device", paused: "paused", rate: "above the rate limit",
  stopped: "stopped", cut: "cut off"};
const HARMLESS = ["superseded", "paused", "stopped"]; // nothing was lost by these
const N_TRIPS = 8, N_EVENTS = 60;
export const newest = {metrics: null, trips: [], events: []};

function showVerdict(verdict) {
  byId("verdict").dataset.level = verdict.level;
  put(byId("level"), verdict.level);
  const list = byId("reasons"), words = verdict.reasons.map((reason) => reason.text);
  if (!words.length) words.push("all within the limits");
  if (list.dataset.words === words.join("\n")) return;
  list.dataset.words = words.join("\n");
  list.replaceChildren(...words.map((text) => make("li", text)));
}

function showLatency(latency) {
  const body = byId("latency").tBodies[0];
  const lines = Object.entries(STAGES).map(([stage, name], i) => {
    const head = make("th", name);
    head.scope = "row";
    const cells = ["1m", "10m"].flatMap((window) => ["p50", "p95", "p99", "max"].map((which) => {
      const cell = make("td", show(latency[window][stage][which], "ms"));
      cell.dataset.latency = `${window}.${stage}.${which}`;
      return cell;
    }));
    return row([head, ...cells], i ? `k${i - 1}` : "");
  });
  body.replaceChildren(...lines);
}

function showDrops(frames) {
  const list = byId("drops");
  const shown = Object.entries(frames.drops).filter(([, n]) => n > 0);
  const lines = shown.flatMap(([reason, n]) => {
    const value = make("dd", count(n));
    value.dataset.drop = reason;
    return [make("dt", DROPS[reason] || reason), value];
  });
  list.hidden = !shown.length;
  list.replaceChildren(...lines);
  const lost = shown.reduce((sum, [reason, n]) => sum + (HARMLESS.includes(reason) ? 0 : n), 0);
  put(byId("lost"), `since the start; ${count(frames.dropped - lost)} overtaken or asked for, ${count(lost)} lost`);
  const adds = frames.received === frames.processed + frames.dropped + frames.in_flight;
  put(byId("identity"), adds ? "received = processed + dropped + in flight" : "THE COUNTERS DO NOT ADD UP");
}

function lamp(id, kind, head, text) {
  const element = byId(id);
  element.dataset.lamp = kind;
  put(element.querySelector("b"), head);
  put(element.querySelector(".text"), text);
}

function showLamps(m) {
  const ledger = m.ledger, percent = ledger.residency_percent;
  if (!ledger.known) lamp("ledger", "none", "Ledger: not applicable.", ledger.text);
  else lamp("ledger", ledger.offending_frames ? "bad" : "good", ledger.offending_frames ? "RED" : "GREEN",
    `ledger: ${ledger.text}; ${count(ledger.offending_frames)} frames over budget`);
  if (percent === null) lamp("residency", "none", "Residency: not applicable.", "");
  else lamp("residency", percent >= 100 ? "good" : "bad", percent >= 100 ? "GREEN" : "RED", `residency: ${percent} % of the work stays on the device`);
  lamp("source", m.source.up ? "good" : "bad", m.source.up ? "Connected" : "NOT CONNECTED", m.source.address);
}

function showClients(clients) {
  const lines = clients.map((client) => row([client.address, String(client.version), count(client.messages), bytes(client.bytes), count(client.dropped),
    bytes(client.queued_bytes), `${ms(client.lag_ms)} ms`, clock(client.since)]));
  if (!lines.length) {
    const none = make("td", "no client is connected");
    none.colSpan = 8;
    lines.push(row([none]));
  }
  byId("clients").tBodies[0].replaceChildren(...lines);
}

export function showMetrics(m) {
  newest.metrics = m;
  showVerdict(m.verdict);
  for (const cell of document.querySelectorAll("[data-v]")) put(cell, show(at(m, cell.dataset.v), cell.dataset.as));
  showLatency(m.latency);
  showDrops(m.frames);
  showLamps(m);
  showClients(m.clients);
  put(byId("engine"), [m.engine.kind, m.engine.backend, m.engine.precision].filter(Boolean).join(", "));
  const r = m.recording;
  put(byId("recording"), r.error || (r.on ? `on: ${count(r.recorded)} recorded, ${count(r.dropped)} dropped` : "off"));
  byId("gpu-card").hidden = !m.gpu;
  byId("chart-gpu-card").hidden = !m.gpu || !window.Chart;
  document.body.classList.toggle("has-gpu", !!m.gpu);
}

function bar(trip, longest) {
  const track = make("div", undefined, "trip"), ends = [0, trip.submitted_ms, trip.done_ms, trip.shown_ms, trip.sent_ms];
  for (let i = 0; i < 4; i++) {
    if (typeof ends[i + 1] !== "number" || typeof ends[i] !== "number") break;
    const part = make("i", undefined, `k${i}`);
    part.style.width = `${100 * Math.max(0, ends[i + 1] - ends[i]) / longest}%`;
    track.append(part);
  }
  const cell = make("td", undefined, "bar");
  cell.append(track);
  return cell;
}

export function addTrips(trips) {
  newest.trips = [...newest.trips, ...trips].slice(-N_TRIPS);
  const longest = Math.max(0.01, ...newest.trips.map((trip) => trip.sent_ms || trip.shown_ms || 0));
  const lines = [...newest.trips].reverse().map((trip) => row([count(trip.frame), ...["submitted_ms", "done_ms", "shown_ms", "sent_ms"].map((key) => show(trip[key], "ms")), bar(trip, longest)]));
  byId("trips").tBodies[0].replaceChildren(...lines);
}

export function addEvent(event) {
  if (newest.events.some((other) => other.seq === event.seq)) return;
  newest.events = [...newest.events, event].sort((a, b) => a.seq - b.seq).slice(-N_EVENTS);
  const lines = [...newest.events].reverse().map((one) => {
    const line = make("li"), time = make("time", clock(one.time));
    time.dateTime = new Date(one.time * 1000).toISOString();
    line.append(time, make("i", one.name), make("span", one.text || NOTHING));
    return line;
  });
  byId("events").replaceChildren(...lines);
}

export function forget() {
  newest.trips = [];
  newest.events = [];
}

export function showLost() {
  byId("verdict").dataset.level = "LOST";
  put(byId("level"), "NO CONNECTION");
  byId("reasons").dataset.words = "";
  byId("reasons").replaceChildren(make("li", "sonoseg does not answer: nothing on this page is current. Trying again by itself."));
}
