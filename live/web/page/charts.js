// SPDX-License-Identifier: Apache-2.0
// Charts over the history, drawn by Chart.js (MIT). Lines differ in dashes as well as in colour.
import {byId} from "./text.js";

const KEEPS = 600;
export const history = {points: []};
let charts = [], span_s = 600;
let cached = {};

// What a custom property is in the theme that holds.
export function colour(name) {
  if (!cached[name]) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    cached[name] = getComputedStyle(probe).color;
    probe.remove();
  }
  return cached[name];
}

const line = (label, key, colourName, dash, from) => ({label, key, colourName, dash, from});
const LINES = {
  latency: [line("50 %", "latency_ms_p50", "--a", []), line("95 %", "latency_ms_p95", "--b", [6, 3]), line("99 %", "latency_ms_p99", "--c", [2, 2])],
  rate: [line("in", "rate_in_hz", "--a", []), line("out", "rate_out_hz", "--d", [6, 3]),
    line("dropped", null, "--bad", [2, 2], (point, before) => (before && point.received >= before.received ? (point.dropped - before.dropped) / Math.max(0.5, point.time - before.time) : null))],
  gpu: [line("use", "gpu_use_percent", "--a", []), line("memory", "gpu_memory_percent", "--b", [6, 3]), line("temperature", "gpu_temperature_celsius", "--c", [2, 2])],
};

// A second alone, with none beside it, is a dot: a line needs two.
function dot(context) {
  const data = context.dataset.data, i = context.dataIndex, isGap = (point) => !point || Number.isNaN(point.y);
  return isGap(data[i - 1]) && isGap(data[i + 1]) ? 2.5 : 0;
}

function options() {
  const soft = colour("--soft"), edge = colour("--edge");
  const tick = (value) => (value === 0 ? "now" : span_s > 60 ? `−${Math.round(-value / 60)} min` : `−${Math.round(-value)} s`);
  return {
    animation: false, parsing: false, normalized: true, responsive: true, maintainAspectRatio: false, events: [],
    spanGaps: false, elements: {point: {radius: dot, borderWidth: 0}, line: {borderWidth: 2, tension: 0}},
    scales: {
      x: {type: "linear", min: -span_s, max: 0, ticks: {color: soft, stepSize: span_s / 5, maxRotation: 0, callback: tick}, grid: {color: edge, drawTicks: false}},
      y: {beginAtZero: true, grace: "5%", ticks: {color: soft, maxTicksLimit: 5}, grid: {color: edge, drawTicks: false}},
    },
    plugins: {legend: {align: "end", reverse: true, labels: {color: colour("--ink"), boxWidth: 39, boxHeight: 0, padding: 8}}, tooltip: {enabled: false}},
  };
}

function setOf(one, i) {
  const points = history.points, now = points.length ? points[points.length - 1].time : 0, data = [];
  points.forEach((point, i) => {
    const before = points[i - 1];
    if (before && point.time - before.time > 3) data.push({x: point.time - now - 0.01, y: NaN}); // a gap, not a slope
    const value = one.from ? one.from(point, before) : point[one.key];
    data.push({x: point.time - now, y: value === null || value === undefined ? NaN : value});
  });
  return {label: one.label, data, order: -i, borderColor: colour(one.colourName), backgroundColor: colour(one.colourName), borderDash: one.dash};
}

function update() {
  for (const {name, chart} of charts) {
    if (byId(`chart-${name}`).offsetParent === null) continue;
    LINES[name].forEach((one, i) => Object.assign(chart.data.datasets[i], setOf(one, i)));
    chart.update("none");
  }
}

export function drawCharts() {
  cached = {};
  if (!window.Chart) {
    document.querySelectorAll(".chart").forEach((card) => (card.hidden = true)); // built without libjs-chart.js
    return;
  }
  window.Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  window.Chart.defaults.font.size = 12;
  charts.forEach(({chart}) => chart.destroy());
  charts = Object.keys(LINES).map((name) => ({name, chart: new window.Chart(byId(`chart-${name}`),
    {type: "line", data: {datasets: LINES[name].map(setOf)}, options: options()})}));
}

export function setSpan(seconds) {
  span_s = seconds;
  drawCharts();
}

export function addHistory(points) {
  const last = history.points.length ? history.points[history.points.length - 1].time : -Infinity;
  history.points.push(...points.filter((point) => point.time > last));
  history.points = history.points.slice(-KEEPS);
  update();
}
