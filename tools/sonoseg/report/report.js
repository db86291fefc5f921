// SPDX-License-Identifier: Apache-2.0
// Draws the plots by Chart.js (MIT) out of the numbers in the page. Lines differ in dashes as well as in colour.
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const lines = [["--a", []], ["--b", [6, 3]], ["--c", [2, 2]]];
  let drawn = [];

  function colour(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }

  function sets(chart) {
    if (chart.kind === "bars") {
      return chart.lines.map((line) => ({label: line.label, data: line.bins, backgroundColor: colour("--a"), barPercentage: 1, categoryPercentage: 0.92}));
    }
    return chart.lines.map((line, i) => ({label: line.label, data: line.points.map(([x, y]) => ({x, y: y === null ? NaN : y})),
      borderColor: colour(lines[i][0]), backgroundColor: colour(lines[i][0]), borderDash: lines[i][1], borderWidth: 1.5}));
  }

  function labels(line) {
    const digits = line.step < 0.1 ? 3 : line.step < 1 ? 2 : line.step < 10 ? 1 : 0;
    return line.bins.map((n, i) => (line.hasTail && i === line.bins.length - 1 ? "≥ " : "") + (i * line.step).toFixed(digits));
  }

  function options(chart) {
    const soft = colour("--soft"), edge = colour("--edge");
    const dot = (context) => {
      const data = context.dataset.data, i = context.dataIndex, isGap = (point) => !point || Number.isNaN(point.y);
      return isGap(data[i - 1]) && isGap(data[i + 1]) ? 2 : 0;
    };
    const x = {ticks: {color: soft, maxRotation: 0, autoSkip: true, maxTicksLimit: 8}, grid: {color: edge, drawTicks: false},
      title: {display: true, text: chart.x, color: soft, padding: 0}};
    if (chart.kind === "lines") x.type = "linear";
    return {animation: false, normalized: true, parsing: chart.kind === "bars", responsive: true, maintainAspectRatio: false, events: [],
      spanGaps: false, elements: {point: {radius: dot, borderWidth: 0}, line: {tension: 0}},
      scales: {x, y: {beginAtZero: true, ticks: {color: soft, maxTicksLimit: 5}, grid: {color: edge, drawTicks: false}}},
      plugins: {tooltip: {enabled: false}, legend: {display: chart.lines.length > 1, align: "end", labels: {color: colour("--ink"), boxWidth: 30, boxHeight: 0}}}};
  }

  function draw() {
    drawn.forEach((chart) => chart.destroy());
    drawn = [];
    if (!window.Chart) {
      document.querySelectorAll(".charts").forEach((place) => (place.hidden = true));
      return;
    }
    window.Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    window.Chart.defaults.devicePixelRatio = Math.max(2, window.devicePixelRatio || 1);
    for (const chart of charts) {
      const data = {datasets: sets(chart)};
      if (chart.kind === "bars") data.labels = labels(chart.lines[0]);
      drawn.push(new window.Chart(document.getElementById(chart.id), {type: chart.kind === "bars" ? "bar" : "line", data, options: options(chart)}));
    }
  }

  function paper(isPaper) {
    document.documentElement.toggleAttribute("data-paper", isPaper);
    draw();
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", () => paper(true));
  addEventListener("afterprint", () => paper(false));
  draw();
})();
