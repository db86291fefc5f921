// SPDX-License-Identifier: Apache-2.0
// The state of what is shown, in large letters, and its timeline of ten minutes: a lane for each, so that the place says what
// the colour says.
import {byId, make, put} from "./text.js";
import {colour} from "./charts.js";

const LANES = ["VISIBLE", "RELOCALIZING", "LOST", "FAULT"];
const COLOURS = {VISIBLE: "--d", RELOCALIZING: "--b", LOST: "--soft", FAULT: "--bad"};
const KEEPS_S = 660;
const WORDS = {VISIBLE: "the structure is in the picture and outlined", RELOCALIZING: "looking for it again: no outline is shown as sure",
  LOST: "the structure is not in the picture", NONE: "nothing has been shown yet"};
export const timeline = {spans: [], span_s: 600};
let serverLead_s = 0; // the service's clock minus this machine's

export const serverNow = () => Date.now() / 1000 + serverLead_s;
export const setClock = (utc) => (serverLead_s = utc - Date.now() / 1000);

export function showState(state, fault, text) {
  const isFault = fault !== "OK";
  const box = byId("state");
  box.dataset.state = isFault ? "FAULT" : state;
  put(byId("state-name"), isFault ? fault : state === "NONE" ? "NO IMAGE YET" : state);
  put(byId("state-text"), isFault ? text || "" : WORDS[state] || "");
}

// The connection is lost: what the state is, nobody knows.
export function showNoState() {
  byId("state").dataset.state = "NONE";
  put(byId("state-name"), "UNKNOWN");
  put(byId("state-text"), "");
}

export function setTimeline(spans) {
  timeline.spans = spans;
  drawTimeline();
}

// An event "state": the span so far ends, another begins.
export function addState(event) {
  const last = timeline.spans[timeline.spans.length - 1];
  if (last && (event.time < last.from || (last.state === event.state && last.fault === event.fault))) return;
  if (last) last.to = event.time;
  timeline.spans.push({from: event.time, to: null, state: event.state, fault: event.fault});
  const first = event.time - KEEPS_S;
  timeline.spans = timeline.spans.filter((span) => span.to === null || span.to > first);
  drawTimeline();
}

const laneOf = (span) => (span.fault !== "OK" ? "FAULT" : span.state);

function drawAxis(context, left, width, height) {
  context.fillStyle = colour("--soft");
  context.textBaseline = "bottom";
  const parts = width < 340 ? 2 : 5, minutes = timeline.span_s / 60;
  for (let i = 0; i <= parts; i++) {
    const ago = minutes * (1 - i / parts);
    context.textAlign = i === parts ? "right" : i ? "center" : "left";
    context.fillText(i === parts ? "now" : minutes > 1 ? `−${ago.toFixed(0)} min` : `−${(ago * 60).toFixed(0)} s`, left + width * i / parts, height);
  }
}

export function drawTimeline() {
  const canvas = byId("timeline"), ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d"), now = serverNow(), from = now - timeline.span_s;
  const left = 104, lane = (height - 18) / LANES.length, scale = (width - left) / timeline.span_s;
  const sums = Object.fromEntries(LANES.map((name) => [name, 0]));
  context.scale(ratio, ratio);
  context.font = `12.5px ${getComputedStyle(document.body).fontFamily}`;
  LANES.forEach((name, i) => {
    context.fillStyle = colour("--edge");
    context.fillRect(left, Math.round((i + 1) * lane) - 1, width - left, 1);
    context.fillStyle = colour("--ink");
    context.textBaseline = "middle";
    context.fillText(name, 0, (i + 0.5) * lane);
  });
  for (const span of timeline.spans) {
    const begin = Math.max(span.from, from), end = Math.min(span.to === null ? now : span.to, now), i = LANES.indexOf(laneOf(span));
    if (end <= begin || i < 0) continue;
    sums[LANES[i]] += end - begin;
    context.fillStyle = colour(COLOURS[LANES[i]]);
    context.fillRect(left + (begin - from) * scale, i * lane + 2, Math.max(1.5, (end - begin) * scale), lane - 5);
  }
  drawAxis(context, left, width - left, height);
  showShares(sums);
}

function showShares(sums) {
  const all = Object.values(sums).reduce((sum, one) => sum + one, 0), list = byId("shares");
  if (!list.children.length) list.append(...LANES.map(() => make("li")));
  LANES.forEach((name, i) => {
    const percent = all ? 100 * sums[name] / all : 0;
    put(list.children[i], `${name} ${percent.toFixed(percent && percent < 10 ? 1 : 0)} %`);
  });
}
