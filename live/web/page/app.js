// SPDX-License-Identifier: Apache-2.0
// The page: streams in, everything else by itself.
import {byId, put} from "./text.js";
import {Link} from "./link.js";
import {pictureLink, takePicture, tick} from "./picture.js";
import {addState, drawTimeline, setClock, setTimeline, showNoState, showState, timeline} from "./state.js";
import {addHistory, drawCharts, history, setSpan} from "./charts.js";
import {addEvent, addTrips, forget, newest, showLost, showMetrics} from "./numbers.js";
import {saveCsv, saveJson} from "./save.js";
import {askSession, setUpControl} from "./control.js";

const TICK_MS = 50, THEMES = ["system", "light", "dark"];
let isUp = false, hasPast = false, pid = 0;
let toldAt = 0; // the service's time of the state that is shown; 0 = none

async function read(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// Events from before this page was opened: the stream of events tells the last ones, then it is left.
async function readEvents() {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 3000);
  try {
    const answer = await fetch("api/events", {headers: {"Last-Event-ID": "0"}, signal: stop.signal});
    const stream = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", part; !(part = await stream.read()).done;) {
      const blocks = (rest + part.value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").find((line) => line.startsWith("data: "));
        if (data) addEvent(JSON.parse(data.slice(6)));
      }
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

async function readPast() {
  const [past, states, trips] = await Promise.all([read("api/metrics/history?last_n=600"), read("api/timeline"), read("api/trips?last_n=8")]);
  addHistory(past.points);
  setTimeline(states.spans);
  addTrips(trips.trips);
  await readEvents();
}

function beginAnew(m) {
  if (pid && pid !== m.process.pid) { // another process: its history begins with it
    forget();
    history.points = [];
    setTimeline([]);
  }
  pid = m.process.pid;
  hasPast = true;
  readPast().catch((error) => console.warn("the past could not be read:", error));
}

function takeMessage(text) {
  const message = JSON.parse(text);
  if (message.type === "trips") return hasPast && addTrips(message.trips);
  if (message.type === "event") {
    addEvent(message);
    if (message.name !== "state") return undefined;
    addState(message);
    toldAt = message.time;
    return showState(message.state, message.fault, newest.metrics && newest.metrics.fault === message.fault ? newest.metrics.fault_text
      : message.text.replace(/^[A-Z_]+: /, ""));
  }
  setClock(message.time);
  showMetrics(message);
  // Numbers are up to a second old: what an event or a picture said since wins.
  if (message.time >= toldAt && (message.fault !== "OK" || !toldAt)) showState(message.state, message.fault, message.fault_text);
  toldAt = Math.max(toldAt, message.time);
  if (!hasPast || pid !== message.process.pid) return beginAnew(message);
  read("api/metrics/history?last_n=3").then((past) => addHistory(past.points)).catch(() => {});
  drawTimeline();
  return undefined;
}

function metricsLink(is) {
  isUp = is;
  document.body.classList.toggle("lost", !is);
  askSession().catch(() => {}); // where it answers: does it want the token, and is the one given still good?
  if (is) return;
  hasPast = false;
  toldAt = 0;
  showLost();
  showNoState();
}

// ---- the tools ----------------------------------------------------------------------------------------------------

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  put(byId("theme"), `Theme: ${name}`);
  localStorage.setItem("theme", name);
  drawCharts();
  drawTimeline();
}

function chooseSpan(seconds) {
  for (const button of document.querySelectorAll("[data-span]")) button.setAttribute("aria-pressed", String(Number(button.dataset.span) === seconds));
  timeline.span_s = seconds;
  setSpan(seconds);
  drawTimeline();
}

function toggleBig() {
  const isBig = document.body.classList.toggle("big");
  byId("big").setAttribute("aria-pressed", String(isBig));
  if (!isBig) chooseSpan(timeline.span_s);
}

function setUpTools() {
  const keys = {b: "big", t: "theme", c: "csv", j: "json", "?": "help"};
  byId("big").addEventListener("click", toggleBig);
  byId("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]));
  byId("csv").addEventListener("click", saveCsv);
  byId("json").addEventListener("click", saveJson);
  byId("help").addEventListener("click", () => byId("help-dialog").showModal());
  for (const button of document.querySelectorAll("[data-span]")) button.addEventListener("click", () => chooseSpan(Number(button.dataset.span)));
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLInputElement && event.target.type !== "checkbox";
    if (isTyping || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]") || !byId("keys").checked) return;
    const key = event.key.toLowerCase();
    if (keys[key]) byId(keys[key]).click();
    else if (key === "1" || key === "0") chooseSpan(key === "1" ? 60 : 600);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(document.documentElement.dataset.theme));
  window.addEventListener("resize", drawTimeline);
  document.addEventListener("visibilitychange", tick);
}

const kept = localStorage.getItem("theme");
setTheme(THEMES.includes(kept) ? kept : "system");
setUpTools();
setUpControl();
setInterval(tick, TICK_MS);
if (location.hash === "#big") toggleBig();
askSession().catch(() => {}).then(() => {
  new Link("/ws/metrics", takeMessage, metricsLink);
  new Link("/ws/frames?max_hz=25", takePicture, pictureLink);
});
setTimeout(() => isUp || metricsLink(false), 1500);
