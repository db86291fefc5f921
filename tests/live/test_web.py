# SPDX-License-Identifier: Apache-2.0
# labels: slow timeout=120 cost=20
"""The web service: every endpoint's content against what was really sent, who may read and change what, streams, and that it
goes away cleanly. With the null engine."""
import gzip
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

import plus_source
import sink_client
import web_client

import live # sink_client has put its folder on the path

RATE_HZ = 50
TOKEN = "0123456789abcdef0123456789abcdef"
FLAGS = ["--source-backoff-max-ms", 300, "--source-stall-ms", 400, "--sink-keep-alive-ms", 200]


class World:
    def __init__(self, *flags, rate_hz=RATE_HZ):
        self.source = plus_source.PlusSource(rate_hz=rate_hz)
        self.service, self.port = web_client.serve(self.source.port, *FLAGS, *flags)
        self.sink = sink_client.SinkClient(self.service.port, keeps=1000)

    def close(self):
        status = self.service.stop()
        self.sink.close()
        self.source.close()
        assert status == 0, f"exit status {status}:\n{self.service.text}"

    def json(self, path, **options):
        return web_client.get_json(self.port, path, **options)

    def get(self, path, **options):
        return web_client.request(self.port, path, **options)

    def wait_latest(self, wanted, timeout_s=5):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            status, latest = self.json("/api/metrics/latest")
            assert status == 200
            if wanted(latest):
                return latest
            time.sleep(0.05)
        raise AssertionError(f"not in {timeout_s} s: {latest}")


def check_identity(frames):
    assert frames["received"] == frames["processed"] + frames["dropped"] + frames["in_flight"], frames
    assert frames["in_flight"] == frames["waiting"] + frames["in_engine"]
    assert frames["dropped"] == sum(frames["drops"].values())


# ---- what is told --------------------------------------------------------------------------------------------------------


def check_latest(world):
    latest = world.wait_latest(lambda m: m["frames"]["processed"] >= 2 * RATE_HZ and m["clients"])
    assert latest["schema"] == 1 and latest["state"] == "VISIBLE" and latest["fault"] == "OK"
    assert latest["verdict"] == {"level": "OK", "reasons": []}, latest["verdict"]
    check_identity(latest["frames"])
    assert abs(latest["frames"]["rate_in_hz"] - RATE_HZ) < 0.2 * RATE_HZ, latest["frames"]
    assert latest["clients"][0]["address"] == world.sink.address and latest["clients"][0]["version"] == 2
    assert latest["source"]["up"] and latest["source"]["device"] and latest["source"]["bad_crc"] == 0
    for window in latest["latency"].values():
        assert list(window) == ["end_to_end", "waiting", "engine", "showing", "sending"]
        for stage, spans in window.items():
            assert spans["n"] > 0 and 0 < spans["p50"] <= spans["p95"] <= spans["p99"] <= spans["max"] < 1000, (stage, spans)
    assert latest["gpu"] is None and latest["ledger"]["known"] is False and latest["ledger"]["residency_percent"] is None
    assert latest["process"]["pid"] == world.service.pid and re.fullmatch(r"[0-9a-f]*", latest["process"]["commit"])
    assert latest["web"]["control"] == "off" and latest["web"]["max_sockets"] == 128


def check_health(world):
    status, health = world.json("/api/health")
    assert status == 200 and health["level"] == "OK" and health["reasons"] == [], health
    assert abs(health["time"] - time.time()) < 5
    head = world.get("/api/health", method="HEAD")
    assert head.status == 200 and head.body == b"" and int(head.headers["content-length"]) > 10


def check_history(world):
    status, history = world.json("/api/metrics/history?last_n=2")
    points = history["points"]
    assert status == 200 and len(points) == 2 and 0.5 < points[1]["time"] - points[0]["time"] < 2
    assert points[1]["received"] > points[0]["received"] and points[1]["latency_ms_p50"] > 0
    assert points[1]["gpu_use_percent"] is None
    table = world.get("/api/metrics/history?format=csv&last_n=2")
    rows = [line.split(",") for line in table.body.decode().splitlines()]
    assert table.headers["content-type"].startswith("text/csv") and len(rows) == 3
    assert rows[0] == list(points[0]) and len(rows[1]) == len(rows[0]), rows
    for query in ("last_n=0", "last_n=601", "last_n=x", "last_n=", "last_n=1&last_n=2", "last_n=-1", "format=xml", "more=1"):
        status, answer = world.json("/api/metrics/history?" + query)
        assert status == 400 and answer["error"]["text"], (query, answer)
    assert world.json("/api/metrics/history")[0] == 200


def check_trips(world):
    trips = world.json("/api/trips?last_n=20")[1]["trips"]
    assert len(trips) == 20 and all(trip["state"] == "VISIBLE" for trip in trips)
    for trip in trips[:-2]: # the newest may still be on their way
        assert 0 <= trip["submitted_ms"] <= trip["done_ms"] <= trip["shown_ms"] <= trip["sent_ms"], trip
    frames = [trip["frame"] for trip in trips]
    assert frames == sorted(set(frames))
    assert len(world.get("/api/trips?last_n=5&format=csv").body.splitlines()) == 6


def check_timeline(world):
    timeline = world.json("/api/timeline")[1]
    spans = timeline["spans"]
    assert spans[-1]["to"] is None and spans[-1]["state"] == "VISIBLE" and spans[-1]["fault"] == "OK", spans
    for before, after in zip(spans, spans[1:]):
        assert before["to"] == after["from"] and (before["state"], before["fault"]) != (after["state"], after["fault"])


def png_pixels(data):
    """Rows of RGB of a PNG without filters."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, size = 8, b"", None
    while at < len(data):
        n_bytes, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n_bytes]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + n_bytes:at + 12 + n_bytes])[0]
        size = struct.unpack(">II", body[:8]) if kind == b"IHDR" else size
        packed += body if kind == b"IDAT" else b""
        at += 12 + n_bytes
    raw = zlib.decompress(packed)
    step = 1 + 3 * size[0]
    return size, [raw[y * step + 1:(y + 1) * step] for y in range(size[1])]


def check_frames(world):
    status, head = world.json("/api/frames/latest.json")
    assert status == 200 and head["kind"] == "frame" and head["state"] == "VISIBLE" and head["fault"] == "OK"
    assert 0 <= head["age_ms"] < 300 and abs(head["shown_utc"] - time.time()) < 5
    sent = [record for record in world.source.sent.values() if abs(record.timestamp / 2**32 - head["source_time"]) < 1e-5]
    assert len(sent) == 1 and (sent[0].width, sent[0].height) == (head["width_px"], head["height_px"])
    picture = world.get("/api/frames/latest.jpg")
    assert picture.headers["content-type"] == "image/jpeg" and picture.body[:3] == b"\xff\xd8\xff"
    assert picture.body[-2:] == b"\xff\xd9" and picture.headers["cache-control"] == "no-store"
    picture = world.get("/api/frames/latest.png")
    assert picture.status == 200 and picture.headers["content-type"] == "image/png"
    size, rows = png_pixels(picture.body)
    assert size == (head["width_px"], head["height_px"])
    # In the row in the middle: the ellipse of 200 on a ground of 40, and where it ends the outline, green.
    row = rows[size[1] // 2]
    pixels = [tuple(row[3 * x:3 * x + 3]) for x in range(size[0])]
    assert pixels[size[0] // 2] == (200, 200, 200) and (0, 230, 118) in pixels and (40, 40, 40) in pixels, set(pixels)


# ---- metrics -------------------------------------------------------------------------------------------------------------


def samples_of(text):
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name not in found, f"twice: {name}"
            found[name] = float(value)
    return found


def check_scrape(text, n_scrapes):
    samples = samples_of(text)
    dropped = sum(value for name, value in samples.items() if name.startswith("sonoseg_frames_dropped_total"))
    in_flight = sum(value for name, value in samples.items() if name.startswith("sonoseg_frames_in_flight"))
    assert samples["sonoseg_frames_received_total"] == samples["sonoseg_frames_processed_total"] + dropped + in_flight, n_scrapes
    assert sum(value for name, value in samples.items() if name.startswith("sonoseg_state{")) == 1
    return samples


def check_names(samples):
    """What the alerts and the dashboard ask for is there (but for what only a GPU has)."""
    there = {name.split("{")[0] for name in samples}
    for path in ("packaging/prometheus/sonoseg_rules.yml", "packaging/grafana/sonoseg_dashboard.json"):
        text = (live.ROOT / path).read_text()
        names = set(re.findall(r"\b(?:sonoseg|process)_[a-z_]+[a-z]", text)) - {"sonoseg_rules", "sonoseg_dashboard"}
        missing = {name for name in names - there if not name.startswith(("sonoseg_gpu_", "sonoseg_ledger_"))}
        assert len(names) > 5 and not missing, (path, missing)
    json.loads((live.ROOT / "packaging/grafana/sonoseg_dashboard.json").read_text())


def check_metrics(world):
    answer = world.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.body.decode()
    samples = check_scrape(text, 0)
    assert any(name.startswith("sonoseg_build_info{version=") and value == 1 for name, value in samples.items())
    for stage in ("end_to_end", "waiting", "engine", "showing", "sending"):
        buckets = [value for name, value in samples.items()
                   if name.startswith(f'sonoseg_frame_duration_seconds_bucket{{stage="{stage}"')]
        assert buckets == sorted(buckets) and buckets[-1] == samples[f'sonoseg_frame_duration_seconds_count{{stage="{stage}"}}']
    check_names(samples)
    for i in range(30): # while frames flow
        check_scrape(world.get("/metrics").body.decode(), i)
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    opened = world.get("/metrics", headers={"Accept": accept})
    assert opened.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert opened.body.endswith(b"# EOF\n")
    check_scrape(opened.body.decode(), "openmetrics")
    assert world.get("/metrics", headers={"Accept": "text/plain, application/openmetrics-text;q=0.1"}).body[-6:] != b"# EOF\n"
    if shutil.which("promtool"):
        run = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert run.returncode == 0 and not run.stdout + run.stderr, run
        run = subprocess.run(["promtool", "check", "rules", live.ROOT / "packaging/prometheus/sonoseg_rules.yml"], capture_output=True,
                             text=True, check=False)
        assert run.returncode == 0, run
    else:
        print("not checked by promtool: it is not there (scripts/setup.sh ci)")
    return opened.body.decode()


# ---- who may -------------------------------------------------------------------------------------------------------------


def check_headers(world):
    for path in ("/", "/app.js", "/api/health", "/api/frames/latest.json", "/metrics", "/nothing"):
        answer = world.get(path)
        assert answer.headers["content-security-policy"].startswith("default-src 'self'; frame-ancestors 'none'"), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers and "server" not in answer.headers
    page = world.get("/")
    assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8" and b"http" not in page.body
    again = world.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert again.status == 304 and again.body == b""
    assert world.get("/app.js").headers["content-type"] == "text/javascript; charset=utf-8"


def check_guard(world):
    port = world.port
    data = ("/api/health", "/api/frames/latest.jpg", "/metrics", "/", "/api/events", "/ws/frames")
    for host in ("evil.example", "127.0.0.1.evil.example", "", "127.0.0.1:99999", "localhost@evil.example", "[::1"):
        for path in data:
            answer = world.get(path, host=host)
            assert answer.status in (400, 403), (host, path, answer)
    for host in (f"localhost:{port}", "LOCALHOST", "127.0.0.1", f"[::1]:{port}", "127.0.0.1:9000"): # ssh -L has other ports
        assert world.get("/api/health", host=host).status == 200, host
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port}.evil.example", f"http://localhost:{port}",
                   f"http://127.0.0.1:{port + 1}", "file://", f"ftp://127.0.0.1:{port}"):
        for path in data:
            answer = world.get(path, headers={"Origin": origin})
            assert answer.status == 403 and json.loads(answer.body)["error"]["code"] == "origin", (origin, path)
        stream = web_client.Socket(port, "/ws/frames", headers={"Origin": origin})
        assert stream.status == 403
        stream.close()
    assert world.get("/api/health", headers={"Origin": f"http://127.0.0.1:{port}"}).status == 200
    # What a proxy brings comes from elsewhere.
    assert world.get("/api/health", headers={"X-Forwarded-For": "192.0.2.7"}).status == 401
    twice = web_client.parse(web_client.raw(port, f"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: a\r\n\r\n".encode()))
    assert twice.status == 400
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/index.html%00.js", "/page/"):
        assert world.get(path).status in (400, 404), path
    assert "reason=host" in world.service.text or world.service.wait_line("reason=host")
    check_methods(world)
    status, answer = world.json("/api/control/stop", method="POST")
    assert status == 403 and answer["error"]["code"] == "control_off", answer
    assert world.json("/api/session")[1] == {"schema": 1, "reading": True, "control": "off"}


def check_methods(world):
    """Methods that nothing here knows are 405 with what is allowed, also those that civetweb itself does not know; a request line that is
    none is 400."""
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PROPFIND", "LINK", "QUERY", "get", "X-" + "A" * 20):
        for path, allowed in (("/api/health", "GET, HEAD"), ("/", "GET, HEAD"), ("/metrics?a=b", "GET, HEAD"), ("/api/control/stop", "POST"),
                              ("/api/login", "POST")):
            if (method, allowed) == ("POST", "POST"):
                continue
            answer = world.get(path, method=method)
            assert answer.status == 405 and answer.headers["allow"] == allowed, (method, path, answer)
            assert json.loads(answer.body)["error"]["code"] == "method", (method, path)
    assert world.get("*", method="TRACE").status == 405
    for line in (b"TRACE /api/health", b"TR(CE / HTTP/1.1", b"TRACE http HTTP/1.1", b"TRACE", b"\x01 / HTTP/1.1"):
        answer = web_client.raw(world.port, line + b"\r\nHost: 127.0.0.1\r\n\r\n")
        assert not answer or web_client.parse(answer).status == 400, (line, answer[:60])


# ---- streams -------------------------------------------------------------------------------------------------------------


def check_metrics_socket(world):
    stream = web_client.Socket(world.port, "/ws/metrics", headers={"Origin": f"http://127.0.0.1:{world.port}"})
    assert stream.status == 101
    first = stream.receive_json("metrics")
    trips = stream.receive_json("trips")["trips"]
    second = stream.receive_json("metrics")
    assert second["frames"]["received"] > first["frames"]["received"] and 0.7 < second["time"] - first["time"] < 1.5
    check_identity(second["frames"])
    more = stream.receive_json("trips")["trips"]
    assert trips and more[0]["frame"] == trips[-1]["frame"] + 1 and 0.5 * RATE_HZ < len(more) < 1.5 * RATE_HZ
    stream.send(web_client.PING, b"hello")
    while (news := stream.frame())[0] != web_client.PONG:
        pass
    assert news[1] == b"hello"
    stream.send(web_client.TEXT, b"whatever")
    stream.send(web_client.CLOSE, struct.pack(">H", 1000))
    while (news := stream.frame())[0] != web_client.CLOSE:
        pass
    assert news[1] == struct.pack(">H", 1000)
    assert stream.connection.recv(1) == b""
    stream.close()
    for bad in ({"first": 0x82 | 0x40}, {"is_masked": False}, {"payload": b"x" * 126}, {"first": 0x83}):
        stream = web_client.Socket(world.port, "/ws/metrics")
        stream.send(web_client.BINARY, **({"payload": b"x"} | bad))
        while (news := stream.frame())[0] != web_client.CLOSE:
            pass
        assert struct.unpack(">H", news[1])[0] in (1002, 1009), bad
        stream.close()
    assert world.get("/ws/metrics").status == 426
    for key in ("short", "*" * 22 + "=="):
        stream = web_client.Socket(world.port, "/ws/metrics", headers={"Sec-WebSocket-Key": key})
        assert stream.status == 400
        stream.close()


def check_frames_socket(world):
    stream = web_client.Socket(world.port, "/ws/frames?max_hz=60")
    pictures = [stream.receive_picture() for _ in range(30)]
    stream.close()
    heads = [picture.head for picture in pictures if picture.head["kind"] == "frame"]
    assert len(heads) >= 25 and all(head["frame"] > before["frame"] for before, head in zip(heads[1:], heads[2:])), heads
    assert all(picture.jpeg[:2] == b"\xff\xd8" for picture in pictures if picture.head["kind"] == "frame")
    ages = sorted(head["age_ms"] for head in heads[2:])
    assert ages[len(ages) // 2] < 60, ages
    slow = web_client.Socket(world.port, "/ws/frames?max_hz=5")
    began = time.monotonic()
    times = [slow.receive_picture().received for _ in range(8)]
    slow.close()
    assert times[-1] - began > 1.0, "not more than 5 a second"
    for query in ("max_hz=0", "max_hz=61", "max_hz=nan", "max_hz=0x10", "hz=1"):
        refused = web_client.Socket(world.port, "/ws/frames?" + query)
        assert refused.status == 400, query
        refused.close()


def check_events(world):
    """A fault: within 200 ms everywhere, no mask any more, and back again."""
    events = web_client.Events(world.port)
    metrics = web_client.Socket(world.port, "/ws/metrics")
    frames = web_client.Socket(world.port, "/ws/frames?max_hz=1")
    assert events.headers["content-type"] == "text/event-stream"
    while frames.receive_picture().head["kind"] != "frame":
        pass
    world.source.is_paused = True
    world.service.wait_line("fault=SOURCE_STALLED")
    logged = float([line for line in world.service.lines if "fault=SOURCE_STALLED" in line][-1].split()[0][3:])
    while (event := events.next())[1] != "state":
        pass
    late_s = time.time() - logged
    assert event[2]["fault"] == "SOURCE_STALLED" and event[2]["text"].startswith("SOURCE_STALLED: "), event
    assert late_s < 0.2, late_s
    while (message := metrics.receive_json("event"))["name"] != "state":
        pass
    assert message["seq"] == event[0] and abs(message["time"] - logged) < 0.05
    while (picture := frames.receive_picture()).head["kind"] != "empty": # does not wait for its second
        pass
    assert picture.head["fault"] == "SOURCE_STALLED" and picture.jpeg == b"" and picture.head["age_ms"] < 200
    status, health = world.json("/api/health")
    assert status == 503 and health["level"] == "CRITICAL" and health["reasons"][0]["code"] == "fault", health
    assert world.get("/api/frames/latest.jpg").status == 404 and world.get("/api/frames/latest.png").status == 404
    assert world.json("/api/frames/latest.json")[1]["kind"] == "empty"
    while (alive := frames.receive_picture()).head["kind"] != "alive":
        pass
    assert alive.head["fault"] == "SOURCE_STALLED" and alive.jpeg == b""
    world.source.is_paused = False
    while frames.receive_picture().head["kind"] != "frame":
        pass
    world.wait_latest(lambda m: m["fault"] == "OK" and m["state"] == "VISIBLE")
    assert world.json("/api/health")[0] == 200
    spans = world.json("/api/timeline")[1]["spans"]
    assert any(span["fault"] == "SOURCE_STALLED" for span in spans) and spans[-1]["fault"] == "OK"
    again = web_client.Events(world.port, last=event[0] - 1)
    assert again.next() == event, "events since the last are told again"
    for stream in (events, metrics, frames, again):
        stream.close()


# ---- control -------------------------------------------------------------------------------------------------------------


def check_refused_control(world, post):
    for headers in ({}, {"Authorization": "Bearer wrong-but-long-enough"}, {"Authorization": f"Basic {TOKEN}"},
                    {"Cookie": "sonoseg_session=" + "0" * 64}):
        status, answer = post("stop", headers=headers)
        assert status == 401 and answer["error"]["code"] == "token", (headers, answer)
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert post("stop", headers=right | {"Origin": "http://evil.example"})[0] == 403
    for body in (b"{", b"[]", b'{"value": "0.4"}', b'{"value": 1.5}', b'{"value": -1}', b'{"value": NaN}', b'{"value": 0.4} x',
                 b'{"value": 0.4, "value": 0.5}', b'{"other": 1}', b'{"value": null}', b"{}", b"", b'{"value": 00.4}',
                 b'{"value": [0.4]}'):
        status, answer = post("threshold", body=body, headers=right)
        assert status == 400 and answer["error"]["text"], (body, answer)
    assert post("threshold", body=b"value=0.4", headers=right | {"Content-Type": "text/plain"})[0] == 415
    assert post("threshold", body=b" " * 5000, headers=right)[0] == 413
    assert post("explode", headers=right)[0] in (404, 405)
    assert web_client.request(world.port, f"/api/control/stop?token={TOKEN}", method="POST").status == 400
    assert web_client.request(world.port, "/api/control/stop", headers=right).status == 405


def check_control():
    folder = live.folder()
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    (folder / "recording").mkdir()
    old_audit = "".join(f"ts={i} event=audit command=stop result=granted\n" for i in range(30000))
    assert len(old_audit) > 1 << 20
    (folder / "audit.log").write_text(old_audit)
    world = World("--control-token-file", token, "--log-audit", folder / "audit.log", "--record-folder", folder / "recording",
                  "--log-snapshot", folder / "kpi_snapshot.json", "--log-errors", folder / "errors.log", "--log-max-mb", 1, "--log-levels", "info,frames=error")

    def post(what, **options):
        return web_client.get_json(world.port, f"/api/control/{what}", method="POST", **options)

    right = {"Authorization": f"Bearer {TOKEN}"}
    world.wait_latest(lambda m: m["frames"]["processed"] > 10)
    check_refused_control(world, post)
    time.sleep(2.1) # wrong tokens were counted
    status, answer = post("stop", headers=right)
    assert status == 200 and answer["done"], answer
    world.wait_latest(lambda m: m["fault"] == "PAUSED")
    assert world.json("/api/health")[0] == 200, "what was asked for is no failure"
    assert post("start", headers=right)[0] == 200
    world.wait_latest(lambda m: m["fault"] == "OK" and m["state"] == "VISIBLE")
    assert post("threshold", body={"value": 0.55}, headers=right)[0] == 200
    world.wait_latest(lambda m: m["engine"]["threshold"] == 0.55 and m["engine"]["opens"] == 2)
    assert post("record", body={"on": False}, headers=right)[0] == 200
    world.wait_latest(lambda m: m["recording"]["on"] is False)
    assert post("record", body={"on": True}, headers=right)[0] == 200
    world.wait_latest(lambda m: m["recording"]["on"] is True and m["state"] == "VISIBLE")
    status, answer = post("snapshot", headers=right)
    assert status == 200 and str(folder) in answer["text"], answer
    world.service.wait_line("event=snapshot frame=")
    kept = sorted(path.name.rsplit("_", 1)[1] for path in (folder / "recording").glob("sonoseg_2*.png"))
    assert kept[1:] == ["mask.png", "outline.png"] and kept[0][0].isdigit(), kept
    check_login(world, post)
    kept = json.loads((folder / "kpi_snapshot.json").read_text())
    latest = world.json("/api/metrics/latest")[1]["frames"]
    assert kept["schema"] == 1 and latest["received"] - 3 * RATE_HZ < kept["received"] <= latest["received"] + RATE_HZ, (kept, latest)
    world.close()
    errors = (folder / "errors.log").read_text()
    assert "fault=PAUSED" in errors and "fault=OK" not in errors and "event=started" not in errors, errors
    audit = (folder / "audit.log").read_text()
    for wanted in ('by=web command=stop value="" result=granted', 'command=threshold value="0.55" result=granted',
                   'command=stop value="" result=refused', "command=login"):
        assert wanted in audit, (wanted, audit)
    assert TOKEN not in audit + world.service.text, "the token stands in no log"
    assert gzip.decompress((folder / "audit.log.1.gz").read_bytes()).decode() == old_audit and "ts=0 " not in audit, "put aside whole"


def check_login(world, post):
    port = world.port
    wrong = web_client.request(port, "/api/login", method="POST", body={"token": "no"})
    assert wrong.status == 401 and "set-cookie" not in wrong.headers
    login = web_client.request(port, "/api/login", method="POST", body={"token": TOKEN})
    cookie = login.headers["set-cookie"]
    assert login.status == 204 and "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
    session = {"Cookie": cookie.split(";")[0]}
    assert world.json("/api/session", headers=session)[1]["control"] == "granted"
    assert world.json("/api/session")[1]["control"] == "token_needed"
    assert world.json("/api/health", headers=session | {"X-Forwarded-For": "192.0.2.7"})[0] == 200
    assert post("start", headers=session)[0] == 200
    assert web_client.request(port, "/api/logout", method="POST", headers=session).status == 204
    assert post("start", headers=session)[0] == 401
    statuses = [web_client.request(port, "/api/login", method="POST", body={"token": "guess%d" % i}).status for i in range(8)]
    assert statuses[-1] == 429 and 401 in statuses, statuses
    limited = web_client.request(port, "/api/login", method="POST", body={"token": TOKEN})
    assert limited.status == 429 and int(limited.headers["retry-after"]) > 0, "also the right one waits"


def check_configuration():
    folder = live.folder()
    token = folder / "token"
    token.write_text("short\n")
    token.chmod(0o600)
    for flags, words in ((["--web-listen", "0.0.0.0:0"], "control.token_file"), (["--web-listen", "nonsense"], "web.listen"),
                         (["--web-listen", "127.0.0.1:0", "--control-token-file", token], "16 to 256"),
                         (["--web-listen", "127.0.0.1:0", "--control-token-file", folder / "none"], "No such file")):
        run = live.run("serve", "--engine-kind", "null", "--sink-listen", "127.0.0.1:0", *flags)
        assert run.returncode in (1, 2) and words in run.stdout + run.stderr, (flags, run)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = live.run("serve", "--engine-kind", "null", "--sink-listen", "127.0.0.1:0", "--web-listen",
                       f"127.0.0.1:{taken.getsockname()[1]}")
        assert run.returncode == 1 and "web.listen 127.0.0.1:" in run.stdout + run.stderr and "in use" in run.stdout + run.stderr, run
    token.write_text(TOKEN)
    token.chmod(0o644)
    run = live.run("serve", "--engine-kind", "null", "--sink-listen", "127.0.0.1:0", "--web-listen", "127.0.0.1:0",
                   "--control-token-file", token)
    assert run.returncode == 1 and "chmod 600" in run.stdout + run.stderr, run


def check_end(world):
    """Streams end with a goodbye, and the service goes in time."""
    stream = web_client.Socket(world.port, "/ws/metrics")
    codes = []

    def listen():
        while (news := stream.receive())[0] != web_client.CLOSE:
            pass
        codes.append(struct.unpack(">H", news[1])[0])

    thread = threading.Thread(target=listen)
    thread.start()
    began = time.monotonic()
    world.close()
    thread.join(5)
    assert codes == [1001] and time.monotonic() - began < 6, codes


def main():
    world = World()
    if "--openmetrics" in sys.argv: # for tests/web/test_metrics_readers.py
        world.wait_latest(lambda m: m["frames"]["processed"] >= RATE_HZ)
        print(check_metrics(world))
        world.close()
        return
    for check in (check_latest, check_health, check_history, check_trips, check_timeline, check_frames, check_metrics,
                  check_headers, check_guard, check_metrics_socket, check_frames_socket, check_events):
        began = time.monotonic()
        check(world)
        print(f"{check.__name__}: {time.monotonic() - began:.2f} s")
    check_end(world)
    check_control()
    check_configuration()
    print("the web service: passed")


if __name__ == "__main__":
    assert pathlib.Path(os.getcwd())
    main()
