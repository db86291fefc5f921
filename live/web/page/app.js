// SPDX-License-Identifier: Apache-2.0
"use strict";
const byId = (id) => document.getElementById(id);
let shownAt = null, ageAtArrival = 0;

function rows(object, prefix, out) {
  for (const [key, value] of Object.entries(object)) {
    if (value !== null && typeof value === "object") rows(value, prefix + key + ".", out);
    else out.push([prefix + key, value]);
  }
  return out;
}

function showMetrics(m) {
  byId("level").textContent = m.verdict.level;
  byId("reasons").replaceChildren(...m.verdict.reasons.map((reason) => {
    const item = document.createElement("li");
    item.textContent = reason.text;
    return item;
  }));
  byId("numbers").replaceChildren(...rows(m, "", []).map(([key, value]) => {
    const row = document.createElement("tr");
    for (const text of [key, String(value)]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  }));
}

async function showFrame(bytes) {
  const view = new DataView(bytes), nHead = view.getUint32(4, true), nJpeg = view.getUint32(8, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 12, nHead)));
  byId("head").textContent = `frame ${head.frame}: ${head.fault === "OK" ? head.state : head.fault_text}`;
  if (head.kind === "empty") shownAt = null;
  if (!nJpeg) return;
  const image = await createImageBitmap(new Blob([new Uint8Array(bytes, 12 + nHead, nJpeg)], {type: "image/jpeg"}));
  const canvas = byId("frame");
  canvas.width = head.width_px;
  canvas.height = head.height_px;
  canvas.getContext("2d").drawImage(image, 0, 0);
  shownAt = performance.now();
  ageAtArrival = head.age_ms;
}

function connect(path, onMessage) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (message) => onMessage(message.data);
  socket.onclose = () => setTimeout(() => connect(path, onMessage), 1000);
}

connect("/ws/metrics", (text) => {
  const message = JSON.parse(text);
  if (message.type === "metrics") showMetrics(message);
});
connect("/ws/frames", showFrame);
setInterval(() => {
  const isOld = shownAt === null || ageAtArrival + performance.now() - shownAt > 500;
  byId("frame").classList.toggle("old", isOld);
  document.title = isOld ? "NO NEW IMAGE - sonoseg" : "sonoseg";
}, 100);
