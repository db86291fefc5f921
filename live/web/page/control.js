// SPDX-License-Identifier: Apache-2.0
// Start, stop, threshold, snapshot, record: only where the service has a token, and only for who gave it.
import {byId, put} from "./text.js";
import {Link} from "./link.js";
import {newest} from "./numbers.js";

function say(text, isBad) {
  put(byId("said"), text);
  byId("said").classList.toggle("bad", !!isBad);
}

async function post(path, body) {
  const answer = await fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  if (answer.status === 204) return {};
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error ? told.error.text : `answer ${answer.status}`);
  return told;
}

async function attempt(path, body, words) {
  try {
    say((await post(path, body)).text || words);
  } catch (error) {
    say(String(error.message || error), true);
  }
  return askSession();
}

// Who asks, and what may they: shows the button, the form or the controls. Without the token no streams where reading needs it.
export async function askSession() {
  const session = await (await fetch("api/session")).json();
  const isGranted = session.control === "granted";
  Link.isPaused = !session.reading;
  byId("unlock").hidden = session.control === "off" && session.reading;
  byId("login").hidden = isGranted;
  byId("controls").hidden = !isGranted;
  if (!session.reading && !byId("control-dialog").open) {
    say("Reading from here needs the token.");
    byId("control-dialog").showModal();
  }
}

export function setUpControl() {
  byId("unlock").addEventListener("click", () => {
    say("");
    const m = newest.metrics;
    if (m) {
      byId("threshold").value = m.engine.threshold;
      put(document.querySelector("[data-control=record]"), m.recording.on ? "Stop recording" : "Record");
    }
    byId("control-dialog").showModal();
  });
  byId("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = byId("token"), token = field.value;
    field.value = "";
    await attempt("api/login", {token}, "Unlocked for twelve hours.");
  });
  byId("lock").addEventListener("click", () => attempt("api/logout", {}, "Locked."));
  byId("threshold-form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt("api/control/threshold", {value: Number(byId("threshold").value)}, "Done.");
  });
  for (const button of document.querySelectorAll("[data-control]")) {
    button.addEventListener("click", async () => {
      const what = button.dataset.control;
      if (what !== "record") return attempt(`api/control/${what}`, {}, "Done.");
      const on = button.textContent === "Record";
      await attempt("api/control/record", {on}, "Done.");
      put(button, on && !byId("said").classList.contains("bad") ? "Stop recording" : "Record");
    });
  }
}
