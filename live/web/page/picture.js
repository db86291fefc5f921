// SPDX-License-Identifier: Apache-2.0
// The live frame: what came last, how old it is, and whether it may be believed.
import {byId, put, NOTHING, count} from "./text.js";
import {showState} from "./state.js";

const STALE_MS = 500; // without a frame: NO NEW IMAGE
export const picture = {head: null, cameAt: null, ageAtArrival: 0, isUp: false, fault: ""};
let isDrawing = false, waiting = null;

function decode(buffer) {
  const view = new DataView(buffer);
  const name = new TextDecoder("latin1").decode(new Uint8Array(buffer, 0, 4));
  if (name !== "SWF1") throw new Error(`not a picture's message: ${name}`);
  const nHead = view.getUint32(4, true), nJpeg = view.getUint32(8, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 12, nHead)));
  return {head, jpeg: nJpeg ? new Uint8Array(buffer, 12 + nHead, nJpeg) : null};
}

// Surface and box once more, in the screen's own thickness: a line of one image pixel is lost two metres away.
function drawLines(context, head, scale) {
  const lines = head.surface_px || [];
  context.lineJoin = "round";
  context.lineWidth = Math.max(2, 3 * scale);
  context.strokeStyle = "#00e5ff";
  for (const line of lines) {
    context.beginPath();
    line.forEach(([x, y], i) => (i ? context.lineTo(x + 0.5, y + 0.5) : context.moveTo(x + 0.5, y + 0.5)));
    context.stroke();
  }
  if (head.bbox_px) {
    const [x1, y1, x2, y2] = head.bbox_px;
    context.lineWidth = Math.max(1, 1.5 * scale);
    context.strokeStyle = "#ffd54f";
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
  }
}

async function draw(head, jpeg) {
  if (isDrawing) {
    waiting = [head, jpeg]; // the newest wins
    return;
  }
  isDrawing = true;
  try {
    const image = await createImageBitmap(new Blob([jpeg], {type: "image/jpeg"}));
    const canvas = byId("frame");
    if (canvas.width !== head.width_px || canvas.height !== head.height_px) {
      canvas.width = head.width_px;
      canvas.height = head.height_px;
    }
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    image.close();
    drawLines(context, head, canvas.width / Math.max(1, Math.min(canvas.clientWidth, canvas.clientHeight * canvas.width / canvas.height)));
  } finally {
    isDrawing = false;
    const next = waiting;
    waiting = null;
    if (next) draw(...next);
  }
}

const share = (value) => (typeof value === "number" ? value.toFixed(2) : NOTHING);
const facts = {
  frame: (head) => count(head.frame),
  score: (head) => share(head.score),
  iou_predicted: (head) => share(head.iou_predicted),
  quality: (head) => share(head.quality),
  agreement: (head) => share(head.agreement),
  area_px: (head) => (head.area_px ? `${count(head.area_px)} px` : NOTHING),
  surface: (head) => (head.surface_px && head.surface_px.length ? `${head.surface_px.length} ${head.surface_px.length === 1 ? "line" : "lines"}` : NOTHING),
  size: (head) => `${head.width_px} × ${head.height_px}`,
  reasons: (head) => (head.reasons && head.reasons.length ? head.reasons.join(", ") : NOTHING),
};

export function takePicture(buffer) {
  const {head, jpeg} = decode(buffer);
  picture.fault = head.fault === "OK" ? "" : head.fault_text || head.fault;
  showState(head.state, head.fault, head.fault_text);
  if (head.kind === "empty" || head.fault !== "OK") picture.isEmpty = true;
  if (head.kind !== "frame" || !jpeg) return tick();
  Object.assign(picture, {head, cameAt: performance.now(), ageAtArrival: head.age_ms, isEmpty: false});
  for (const cell of document.querySelectorAll("[data-f]")) put(cell, facts[cell.dataset.f](head));
  draw(head, jpeg).catch((error) => console.error("a picture could not be drawn:", error));
  tick();
}

export function pictureLink(isUp) {
  picture.isUp = isUp;
  tick();
}

function why(silent) {
  if (!picture.isUp) return "no connection to sonoseg; trying again";
  if (picture.fault) return picture.fault;
  return picture.cameAt === null ? "none has come yet" : `none for ${(silent / 1000).toFixed(1)} s`;
}

// Called often: ages count up by themselves, whatever comes or does not come.
export function tick() {
  const silent = picture.cameAt === null ? Infinity : performance.now() - picture.cameAt;
  const isOld = !picture.isUp || picture.isEmpty || silent > STALE_MS;
  const age = picture.ageAtArrival + silent;
  put(byId("age"), !isFinite(age) ? NOTHING : age < 1000 ? String(Math.round(age)) : age < 60000 ? (age / 1000).toFixed(1) : count(age / 1000));
  put(byId("age-unit"), age < 1000 || !isFinite(age) ? "ms" : "s");
  document.body.classList.toggle("old", isOld);
  if (isOld) {
    put(byId("stale-text"), why(silent));
    put(byId("old-text"), picture.fault ? "" : `no new image: ${why(silent)}`); // a fault is among the reasons
  }
  put(document.head.querySelector("title"), isOld ? "NO NEW IMAGE – sonoseg" : `${picture.head.state} – sonoseg`);
  const label = picture.head ? `Live frame ${isOld ? "(NO NEW IMAGE)" : `: ${picture.head.state}`}` : "Live frame: none yet";
  const canvas = byId("frame");
  if (canvas.getAttribute("aria-label") !== label) canvas.setAttribute("aria-label", label);
}
