# SPDX-License-Identifier: Apache-2.0
# labels: slow serial timeout=180
"""The web page in Chromium: what stands on it is what the API and the log say, changes are on the screen in time, an old picture
never looks like a live one, it comes back by itself after a restart, and axe finds nothing that keeps people out."""
import csv
import json
import re
import signal
import time

import page_browser # goes on in the Python that has selenium
import plus_source
import sink_client
import web_client
from axe_selenium_python import Axe

import live

RATE_HZ = 25
TOKEN = "0123456789abcdef0123456789abcdef"
LATE_S = 0.2   # from the event to the screen
STALE_S = 0.5  # without a frame: greyed
UNSURE_PX = 10000 # the source's ellipse has 21,700 pixels at 320 x 240, and 5,400 at 160 x 120


class World:
    def __init__(self):
        folder = live.folder()
        (folder / "token").write_text(TOKEN)
        (folder / "token").chmod(0o600)
        self.snapshot = folder / "kpi_snapshot.json"
        self.source = plus_source.PlusSource(rate_hz=RATE_HZ, width=320, height=240)
        self.flags = ["--source-backoff-max-ms", 300, "--source-stall-ms", 1500, "--control-token-file", folder / "token",
                      "--log-snapshot", self.snapshot, "--record-folder", folder / "recordings", "--engine-null-unsure-px", UNSURE_PX]
        self.recordings = folder / "recordings"
        self.service, self.port = web_client.serve(self.source.port, *self.flags)
        self.sink = sink_client.SinkClient(self.service.port, keeps=100)
        self.page = page_browser.Page(self.port)

    def latest(self):
        return web_client.get_json(self.port, "/api/metrics/latest")[1]

    def wait_live(self, timeout_s=10):
        self.page.wait("a live picture", lambda: self.page.text("state-name") == "VISIBLE" and not self.page.is_old(), timeout_s)

    def restart(self):
        again = live.serve(self.source.port, "--engine-kind", "null", "--web-listen", f"127.0.0.1:{self.port}", *self.flags)
        again.wait_line(r"page: http")
        self.service = again

    def close(self):
        self.page.close()
        status = self.service.stop()
        self.sink.close()
        self.source.close()
        assert status == 0, self.service.text


def logged(service, fault, since):
    """When the log says that this fault, or OK, began, after `since`; the screen may be before the log's reader."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for line in list(service.lines):
            match = re.match(r"ts=([\d.]+) event=state fault=(\w+)", line)
            if match and match.group(2) == fault and float(match.group(1)) >= since:
                return float(match.group(1))
        time.sleep(0.02)
    raise AssertionError(f"no {fault} since {since}:\n{service.text}")


# ---- values --------------------------------------------------------------------------------------------------------------


def at(value, path):
    for key in path.split("."):
        value = value[key] if value is not None else None
    return value


def check_number(cell, value, form):
    """The number on the page is the API's, as far as it is shown."""
    if value is None or value == "":
        assert cell == "–", (cell, value)
    elif form in ("", None):
        assert cell == str(value), (cell, value)
    elif form == "count":
        assert re.sub(r"\s", "", cell) == str(value), (cell, value)
    elif form == "ms":
        shown = re.sub(r"\s", "", cell)
        digits = len(shown.partition(".")[2])
        assert abs(float(shown) - value) <= 0.51 * 10 ** -digits, (cell, value)
    elif form in ("rate", "share"):
        assert abs(float(cell) - value) <= (0.051 if form == "rate" else 0.0051), (cell, value)
    elif form == "bytes":
        number, unit = cell.split()
        assert abs(float(number) * 1000 ** ["B", "kB", "MB", "GB"].index(unit) - value) <= 0.011 * value + 0.5, (cell, value)
    else:
        raise AssertionError(f"no check for {form}")


CELLS = """
const cells = {};
for (const cell of document.querySelectorAll("[data-v]")) cells[cell.dataset.v] = [cell.textContent, cell.dataset.as || ""];
for (const cell of document.querySelectorAll("[data-latency]"))
  cells["latency." + cell.dataset.latency] = [cell.textContent, "ms"];
for (const cell of document.querySelectorAll("[data-drop]")) cells["frames.drops." + cell.dataset.drop] = [cell.textContent, "count"];
return cells;"""
MOVING = ("uptime_s", "process.", "web.", "gpu.", "source.bytes", "source.messages", "clients")


def check_values(world):
    """While the source is silent the numbers stand still: page, API, log and kpi_snapshot.json must say the same."""
    world.source.is_paused = True
    world.page.wait("the fault on the page", lambda: world.page.text("state-name") == "SOURCE_STALLED")
    world.page.wait("the counters at rest", lambda: world.latest()["frames"]["received"] ==
                    int(re.sub(r"\s", "", world.page.script(CELLS)["frames.received"][0])))
    time.sleep(1.2) # until the page and the snapshot have a whole second of it
    latest, cells = world.latest(), world.page.script(CELLS)
    checked = 0
    for path, (cell, form) in cells.items():
        if not path.startswith(MOVING):
            check_number(cell, at(latest, path), form)
            checked += 1
    assert checked >= 40 + 15, (checked, sorted(cells))
    frames = latest["frames"]
    world.page.wait("the same in kpi_snapshot.json", lambda: json.loads(world.snapshot.read_text())["received"] == frames["received"])
    assert frames["received"] > RATE_HZ and json.loads(world.snapshot.read_text())["processed"] == frames["processed"], frames
    assert world.page.text("identity") == "received = processed + dropped + in flight"
    for reason, n in frames["drops"].items():
        assert sum("event=drop " in line and f"reason={reason}" in line for line in world.service.lines) == n, (reason, world.service.text)
    assert world.page.text("level") == latest["verdict"]["level"] == "CRITICAL"
    assert world.page.script("return [...document.querySelectorAll('#reasons li')].map(item => item.textContent)") == [
        reason["text"] for reason in latest["verdict"]["reasons"]]
    for value in (latest["process"]["version"], latest["process"]["commit"], str(latest["process"]["pid"])):
        assert value in world.page.text("service-card"), value
    clients = world.page.script("return [...document.querySelectorAll('#clients tbody tr')].map(row => row.cells[0].textContent)")
    assert clients == [client["address"] for client in latest["clients"]] and clients
    trips = web_client.get_json(world.port, "/api/trips?last_n=8")[1]["trips"]
    rows = world.page.script("return [...document.querySelectorAll('#trips tbody tr')].map(row => [...row.cells].map(c => c.textContent))")
    assert len(rows) == 8
    for row, trip in zip(rows, reversed(trips)):
        check_number(row[0], trip["frame"], "count")
        for cell, key in zip(row[1:5], ("submitted_ms", "done_ms", "shown_ms", "sent_ms")):
            check_number(cell, trip[key], "ms")
    events = world.page.script("return [...document.querySelectorAll('#events li')].map(item => item.textContent)")
    assert any("SOURCE_STALLED" in event for event in events) and any("engine_up" in event for event in events), events
    check_export(world, latest)
    world.source.is_paused = False
    world.wait_live()


def check_export(world, latest):
    for name in ("json", "csv"):
        world.page.click(name)
        world.page.wait(f"a file {name}", lambda ending=name: list(world.page.downloads.glob(f"sonoseg_*.{ending}")))
    saved = json.loads(next(world.page.downloads.glob("*.json")).read_text())
    assert saved["schema"] == 1 and saved["metrics"]["frames"] == latest["frames"] and saved["metrics"]["latency"] == latest["latency"]
    assert saved["timeline"][-1]["fault"] == "SOURCE_STALLED" and saved["history"] and len(saved["trips"]) == 8 and saved["events"]
    with next(world.page.downloads.glob("*.csv")).open(newline="") as file:
        rows = list(csv.DictReader(file))
    values = {row["name"]: row["value"] for row in rows if row["part"] == "metrics"}
    assert values["frames.received"] == str(latest["frames"]["received"]) and values["state"] == latest["state"]
    assert {row["part"] for row in rows} == {"metrics", "picture", "timeline", "history", "trip", "event"}


# ---- in time -------------------------------------------------------------------------------------------------------------


def check_in_time(world):
    """The source stops: greyed after half a second, by the page alone; its fault on the screen in time, and back again."""
    page, began = world.page, time.time()
    world.source.is_paused = True
    last_sent = time.time() # at the latest
    page.wait("greyed", page.is_old)
    greyed = page.when_seen(began, lambda moment: moment[2])
    assert STALE_S - 1.5 / RATE_HZ < greyed - last_sent < STALE_S + 0.4, greyed - last_sent
    assert page.script("return getComputedStyle(document.getElementById('stale')).display") == "flex"
    assert "NO NEW IMAGE" in page.text("stale") and page.browser.title.startswith("NO NEW IMAGE")
    page.wait("the fault", lambda: page.text("state-name") == "SOURCE_STALLED")
    late = page.when_seen(began, lambda moment: moment[1] == "SOURCE_STALLED") - logged(world.service, "SOURCE_STALLED", began)
    assert -0.01 <= late < LATE_S, late
    ages = [page.script("return document.getElementById('age').textContent + document.getElementById('age-unit').textContent")
            for _ in (0, 1) if not time.sleep(0.3)]
    assert ages[0] != ages[1] and ages[1].endswith("s") and float(ages[1][:-1]) > 1.5, ages
    resumed = time.time()
    world.source.is_paused = False
    world.wait_live()
    back = page.when_seen(resumed, lambda moment: moment[1] == "VISIBLE") - logged(world.service, "OK", resumed)
    print(f"on the screen: the fault after {late * 1e3:.0f} ms, greyed {greyed - last_sent:.2f} s after the last image, "
          f"visible after {back * 1e3:.0f} ms")
    assert -0.01 <= back < LATE_S, back


def check_control(world):
    """Nothing may be changed without the token; with it, from the page."""
    page = world.page
    assert not page.script("return document.getElementById('unlock').hidden")
    page.click("unlock")
    assert page.script("return document.getElementById('controls').hidden && !document.getElementById('login').hidden")
    page.script("document.getElementById('token').value = 'not the token of this service'; document.querySelector('#login button').click()")
    page.wait("the refusal", lambda: page.text("said") and page.script("return document.getElementById('said').className") == "bad")
    page.script("document.getElementById('token').value = arguments[0]; document.querySelector('#login button').click()", TOKEN)
    page.wait("the controls", lambda: not page.script("return document.getElementById('controls').hidden"))
    assert page.script("return document.getElementById('token').value + document.cookie") == "", "the token is kept nowhere"
    began = time.time()
    page.script("document.querySelector('[data-control=stop]').click()")
    page.wait("the stop", lambda: page.text("state-name") == "PAUSED")
    late = page.when_seen(began, lambda moment: moment[1] == "PAUSED") - logged(world.service, "PAUSED", began)
    assert late < LATE_S, late
    page.script("document.querySelector('[data-control=start]').click()")
    world.wait_live()
    page.script("document.getElementById('threshold').value = '0.45'; document.querySelector('#threshold-form button').click()")
    page.wait("the threshold", lambda: page.script(CELLS)["engine.threshold"][0] == "0.45")
    assert world.latest()["engine"]["threshold"] == 0.45
    check_axe(world, "the control dialog")
    page.script("document.getElementById('control-dialog').close()")
    world.wait_live()


def check_pictures(world):
    """Snapshot and record, clicked: the files are there, and the page says what became of them."""
    page = world.page
    click = "document.querySelector(`[data-control=${arguments[0]}]`).click()"
    label = "return document.querySelector('[data-control=record]').textContent"
    page.script("document.getElementById('control-dialog').showModal()")
    page.wait("that it records", lambda: world.latest()["recording"]["on"] and page.script(label) == "Stop recording")
    page.script(click, "snapshot")
    page.wait("what was said of the snapshot", lambda: str(world.recordings) in page.text("said"))
    world.service.wait_line("event=snapshot frame=")
    kept = sorted(path.name.rsplit("_", 1)[1] for path in world.recordings.glob("sonoseg_2*.png"))
    assert kept[1:] == ["mask.png", "outline.png"] and kept[0][0].isdigit(), kept
    page.script(click, "record")
    page.wait("the recording's end", lambda: world.latest()["recording"]["on"] is False and page.script(label) == "Record")
    n_recorded = world.latest()["recording"]["recorded"]
    time.sleep(0.5)
    assert world.latest()["recording"]["recorded"] == n_recorded and "off" in page.text("recording").lower(), page.text("recording")
    page.script(click, "record")
    page.wait("the recording's going on", lambda: world.latest()["recording"]["recorded"] > n_recorded and page.script(label) == "Stop recording")
    page.script("document.getElementById('control-dialog').close()")
    world.wait_live()


def check_relocalizing(world):
    """The third state, in words, on the timeline, and in time."""
    page, began = world.page, time.time()
    world.source.width, world.source.height = 160, 120
    page.wait("RELOCALIZING", lambda: page.text("state-name") == "RELOCALIZING")
    seen = page.when_seen(began, lambda moment: moment[1] == "RELOCALIZING")
    assert seen - began < LATE_S + 2 / RATE_HZ, seen - began
    assert not page.is_old() and world.latest()["state"] == "RELOCALIZING"
    assert page.script("return document.querySelector('[data-state=RELOCALIZING]') !== null")
    page.wait("its words", lambda: "looking for it again" in page.script("return document.body.textContent"))
    page.wait("its share of the time", lambda: "RELOCALIZING" in page.text("shares"))
    check_axe(world, "RELOCALIZING")
    world.source.width, world.source.height = 320, 240
    world.wait_live()


def check_problems(world):
    """The browser had nothing to complain about, but for the wrong token: no policy was broken, no file is missing."""
    has_charts = world.page.script("return !!window.Chart") # not where it was built without libjs-chart.js
    problems = [problem for problem in world.page.problems() if "api/login" not in problem and (has_charts or "chart.min" not in problem)]
    assert not problems, problems


def check_restart(world):
    """The service dies without a word, and comes back."""
    page, began = world.page, time.time()
    world.service.stop(signal.SIGKILL)
    died = time.time()
    page.wait("greyed", page.is_old)
    page.wait("the lost connection", lambda: page.text("level") == "NO CONNECTION", 8)
    assert page.when_seen(began, lambda moment: moment[2]) - died < STALE_S + 0.2
    assert page.text("state-name") == "UNKNOWN" and "lost" in page.script("return document.body.className")
    assert "no connection" in page.text("stale-text")
    check_axe(world, "without a connection")
    restarted = time.time()
    world.restart()
    world.wait_live(12)
    page.wait("numbers of the new process", lambda: str(world.service.pid) in page.text("service-card"))
    print(f"back {page.when_seen(restarted, lambda moment: not moment[2]) - restarted:.1f} s after the start of the service")
    page.wait("a verdict without a fault", lambda: page.text("level") in ("OK", "WARNING"))


# ---- for everybody -------------------------------------------------------------------------------------------------------


def check_axe(world, where):
    axe = Axe(world.page.browser)
    axe.inject()
    found = [(violation["id"], [node["target"] for node in violation["nodes"]]) for violation in axe.run()["violations"]]
    assert not found, (where, found)


def check_looks(world):
    page = world.page
    for theme, width, height in (("light", 1440, 900), ("dark", 1440, 900), ("dark", 430, 900), ("light", 1024, 768)):
        page.theme(theme)
        page.resize(width, height)
        time.sleep(0.2)
        check_axe(world, (theme, width))
        assert page.script("return document.documentElement.scrollWidth") <= width, "the page moves sideways"
    page.resize(1440, 900)
    assert page.script("return !!window.Chart !== [...document.querySelectorAll('.chart')].every(card => card.hidden)"), "charts, or none"


def check_gpu(world):
    """What only a GPU has, out of a message that is made up: its numbers, ledger and residency in green and red."""
    page, message = world.page, world.latest()
    message["gpu"] = {"name": "Test GPU", "use_percent": 35, "memory_used_bytes": 690000000, "memory_total_bytes": 150000000000,
                      "temperature_celsius": 45, "power_watts": 120.4, "power_limit_watts": 700.0, "clock_sm_hz": 1980000000,
                      "clock_memory_hz": 3201000000}
    show = "const done = arguments[1]; import('/numbers.js').then(m => { m.showMetrics(arguments[0]); done([...document.querySelectorAll(" \
           "'#ledger, #residency')].map(lamp => lamp.dataset.lamp + ' ' + lamp.textContent).concat(document.getElementById('gpu-card').hidden " \
           "? '' : document.getElementById('gpu-card').textContent)); });"
    for green, offending, percent in (("good", 0, 100.0), ("bad", 3, 99.5)):
        message["ledger"].update(known=True, green=offending == 0, offending_frames=offending, residency_percent=percent, text="1 upload")
        ledger, residency, card = page.browser.execute_async_script(show, message)
        assert ledger.startswith(green) and residency.startswith(green) and f"{offending} frames over budget" in ledger, (ledger, residency)
        for wanted in ("Test GPU", "35 %", "690 MB", "150 GB", "45 °C", "120 W", "700 W", "1\u202f980 MHz", "3\u202f201 MHz"):
            assert wanted in card, (wanted, card)
    check_axe(world, "with a GPU")
    page.wait("the real numbers again", lambda: page.script("return document.getElementById('gpu-card').hidden"))


def check_reading(world):
    """Where reading needs the token, the page asks for it, and does not knock on the streams."""
    page = world.page
    page.command("Network.enable")
    page.command("Network.setExtraHTTPHeaders", headers={"X-Forwarded-For": "192.0.2.7"})
    page.command("Network.clearBrowserCookies")
    page.browser.refresh()
    page.wait("the form", lambda: page.script("return document.getElementById('control-dialog').open"))
    time.sleep(0.7)
    assert "token" in page.text("said") and page.is_old() and page.text("state-name") in ("UNKNOWN", "NO IMAGE YET")
    page.command("Network.setExtraHTTPHeaders", headers={})
    page.script("document.getElementById('token').value = arguments[0]; document.querySelector('#login button').click()", TOKEN)
    world.wait_live()
    page.script("document.getElementById('control-dialog').close()")
    page.script(page_browser.WATCH)


def check_keys(world):
    page = world.page
    body = page.browser.find_element("tag name", "body")
    for key, is_so in (("b", "document.body.classList.contains('big')"), ("b", "!document.body.classList.contains('big')"),
                       ("1", "document.querySelector('[data-span=\"60\"]').getAttribute('aria-pressed') === 'true'"),
                       ("0", "document.querySelector('[data-span=\"600\"]').getAttribute('aria-pressed') === 'true'"),
                       ("?", "document.getElementById('help-dialog').open")):
        body.send_keys(key)
        assert page.script(f"return {is_so}"), key
    page.script("document.getElementById('help-dialog').close(); document.activeElement.blur()")
    reached = []
    for _ in range(20): # all around the page
        page.browser.switch_to.active_element.send_keys("\ue004") # Tab
        reached.append(page.script("return document.activeElement.id || document.activeElement.dataset.span"))
    assert {"big", "theme", "csv", "json", "help", "unlock", "60", "600"} <= set(reached), reached
    before = page.script("return document.documentElement.dataset.theme")
    body.send_keys("t")
    assert page.script("return document.documentElement.dataset.theme") != before


def main():
    world = World()
    world.wait_live(20)
    for check in (check_values, check_in_time, check_looks, check_gpu, check_keys, check_control, check_pictures, check_relocalizing, check_problems, check_reading,
                  check_restart):
        began = time.monotonic()
        check(world)
        print(f"{check.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    world.close()
    print("the page: passed")


if __name__ == "__main__":
    main()
