#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the live service itself costs: images from `sonoseg replay`, the null engine, a client that reads everything, all over
loopback.

    scripts/live_bench.py [--seconds N] [--json FILE] [--no-limits] [--counts-only] [--device NAME] [--rounds N] [steady] [burst] [overload]
                          [pipeline] [pages]

steady    60 images/s of 640 x 480 for N seconds (default 60), all of them in order (source.order all: where the newest wins,
          two images in one read are one image and one that is superseded): nothing lost, CPU <= 15 % of a core, memory
          flat (it grows by less than 1 MiB in the second half; in the first, queues reach what they hold at most),
          overhead beside the engine p99 <= 1 ms
burst     100 images at once, again and again, 5 ms of engine each: the newest is answered within one frame time (1/60 s)
overload  60 images/s, 33 ms of engine each: latency within two frame times of the engine, drops counted
pipeline  only when named: the real engine on --device (default cuda) at 60 and 200 images/s of 422 x 558: from the image's
          last byte in to the mask's last byte out p50 within 0.5 ms, p99 within 1 ms of the pipeline's own
pages     only when named: one service on --device (`null` = the null engine, 5 ms an image) at 60 images/s, for --rounds (default 3) times
          N seconds without and N seconds with three clients that do what three pages do, 25 pictures a second each: p99 of the engine and
          of the whole grow by 2 % at most, and no image is dropped

Exit status 1 when a limit is not held (0 with --no-limits). With --counts-only times are shown and not judged: what was lost,
CPU time and memory are. Times are those of a quiet machine, or of `chrt -f 10 scripts/live_bench.py` on one that is not.
Standard library only.
"""
import argparse
import csv
import json
import os
import pathlib
import platform
import subprocess
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("tests/support", "tests/live")]
import live  # noqa: E402

RATE_HZ, SIZE = 60, "640x480"
NULL = ("--engine-kind", "null")
WARM_UP_S = 3
BURST = 100
BURST_ENGINE_MS, OVERLOAD_ENGINE_MS = 5, 33
FRAME_MS = 1000 / RATE_HZ
PAGES, PAGE_HZ, PAGE_GROWTH_PERCENT, PAGE_ENGINE_MS, SETTLE_S = 3, 25, 2, 5, 2
CPU_LIMIT_PERCENT, OVERHEAD_LIMIT_MS, MEMORY_LIMIT_KB = 15, 1.0, 1024


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else None


def cpu_s(pid):
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


class Sink:
    """A client that reads everything: frame numbers of the masks, the newest KPI."""

    def __init__(self, port):
        self.client = live.Client(port, timeout_s=60)
        self.frames, self.kpi = [], {}
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while True:
                message = self.client.next()
                if message.type == "IMAGE" and "FrameId" in message.metadata:
                    self.frames.append(int(message.metadata["FrameId"]))
                elif message.type == "STRING":
                    self.kpi = json.loads(message.content[4:])
        except (OSError, EOFError):
            pass

    def close(self):
        self.thread.join(10)
        self.client.close()


class Run:
    """The three processes; `end` stops them and reads the latency log."""

    def __init__(self, replay_words, serve_words, size=SIZE):
        self.log = live.folder() / "latency.csv"
        self.source = live.replay(f"phantom:frames=120,size={size}", "--loop", "--preload", *replay_words)
        self.serve = live.serve(self.source.port, "--log-latency", self.log, *serve_words)
        self.serve.wait_line("event=engine_up", 300)
        self.sink = Sink(self.serve.port)
        time.sleep(WARM_UP_S)

    def end(self):
        time.sleep(1.2)  # one KPI text more
        kpi = self.sink.kpi
        status = self.serve.stop()
        self.source.stop()
        self.sink.close()
        assert status == 0, self.serve.text
        assert kpi["received"] == kpi["processed"] + kpi["dropped"] + kpi["waiting"] + kpi["in_engine"], kpi
        with self.log.open() as stream:
            rows = [{key: int(value, 16 if key == "source_timestamp" else 10) for key, value in row.items()}
                    for row in csv.DictReader(stream)]
        return kpi, rows


def overheads_ms(rows):
    """From the image's last byte in to the mask's last byte out, without the engine's time."""
    return [(row["last_byte_ns"] - row["received_ns"] - (row["done_ns"] - row["submitted_ns"])) / 1e6 for row in rows]


def latencies_ms(rows):
    return [(row["last_byte_ns"] - row["received_ns"]) / 1e6 for row in rows]


def spread(values):
    return {"p50": round(percentile(values, 50), 3), "p99": round(percentile(values, 99), 3),
            "max": round(max(values), 3)}


def steady(seconds):
    run = Run(("--rate", RATE_HZ), (*NULL, "--source-order", "all"))
    pid, began, cpu, memory = run.serve.pid, time.monotonic(), cpu_s(run.serve.pid), []
    while time.monotonic() - began < seconds:
        memory.append(memory_kb(pid))
        time.sleep(min(1.0, seconds / 10))
    lasted, used = time.monotonic() - began, cpu_s(pid) - cpu
    kpi, rows = run.end()
    frames = run.sink.frames
    overhead = spread(overheads_ms(rows))
    out = {"seconds": round(lasted, 1), "images": len(frames), "rate_hz": round((len(rows) - 1) * 1e9 /
           (rows[-1]["received_ns"] - rows[0]["received_ns"]), 2), "lost": frames[-1] - frames[0] + 1 - len(frames),
           "dropped": kpi["dropped"], "client_dropped": kpi["clients"][0]["dropped"],
           "cpu_percent": round(100 * used / lasted, 1), "memory_kb": max(memory), "memory_begin_kb": memory[0],
           "memory_growth_kb": max(memory[len(memory) // 2:]) - memory[len(memory) // 2],
           "overhead_ms": overhead, "latency_ms": spread(latencies_ms(rows))}
    out["holds"] = (out["lost"] == 0 and out["dropped"] == 0 and out["client_dropped"] == 0
                    and out["cpu_percent"] <= CPU_LIMIT_PERCENT and out["memory_growth_kb"] <= MEMORY_LIMIT_KB)
    out["in_time"] = overhead["p99"] <= OVERHEAD_LIMIT_MS
    return out


def burst(seconds):
    run = Run(("--rate", BURST, "--burst", BURST), (*NULL, "--engine-null-delay-ms", BURST_ENGINE_MS))
    time.sleep(min(seconds, 30))
    kpi, rows = run.end()
    newest = latencies_ms([row for row in rows if row["frame"] % BURST == 0])
    answered = {row["frame"] for row in rows}
    last = max(answered) // BURST
    first = min(answered) // BURST + 1
    missing = [n * BURST for n in range(first, last + 1) if n * BURST not in answered]
    out = {"bursts": len(newest), "images_a_burst": BURST, "engine_ms": BURST_ENGINE_MS, "newest_unanswered": len(missing),
           "newest_latency_ms": spread(newest), "limit_ms": round(FRAME_MS, 2), "dropped": kpi["dropped"]}
    out["holds"] = len(newest) >= 2 and not missing
    out["in_time"] = out["newest_latency_ms"]["max"] <= FRAME_MS
    return out


def overload(seconds):
    run = Run(("--rate", RATE_HZ), (*NULL, "--engine-null-delay-ms", OVERLOAD_ENGINE_MS))
    time.sleep(min(seconds, 30))
    kpi, rows = run.end()
    latency = spread(latencies_ms(rows))
    limit_ms = 2 * OVERLOAD_ENGINE_MS + OVERHEAD_LIMIT_MS
    out = {"engine_ms": OVERLOAD_ENGINE_MS, "received": kpi["received"], "processed": kpi["processed"],
           "dropped": kpi["dropped"], "drops": {key: n for key, n in kpi["drops"].items() if n}, "latency_ms": latency,
           "limit_ms": limit_ms}
    out["holds"] = kpi["drops"]["superseded"] >= kpi["received"] // 3
    out["in_time"] = latency["p99"] <= limit_ms
    return out


def pipeline_at(seconds, device, rate_hz):
    run = Run(("--rate", rate_hz), ("--engine-device", device), "422x558")
    time.sleep(seconds)
    kpi, rows = run.end()
    engine = spread([(row["done_ns"] - row["submitted_ns"]) / 1e6 for row in rows])
    latency = spread(latencies_ms(rows))
    out = {"rate_hz": rate_hz, "processed": kpi["processed"], "dropped": kpi["dropped"], "engine": kpi["engine"],
           "engine_ms": engine, "latency_ms": latency, "overhead_ms": spread(overheads_ms(rows))}
    out["in_time"] = latency["p50"] <= engine["p50"] + 0.5 and latency["p99"] <= engine["p99"] + 1
    return out


def pipeline(seconds, device):
    parts = [pipeline_at(seconds, device, rate_hz) for rate_hz in (60, 200)]
    return {"device": device, "at": parts, "holds": True, "in_time": all(part["in_time"] for part in parts)}


# ---- pages ---------------------------------------------------------------------------------------------------------------


def be_a_page(port):
    """What a page does, without looking at it, in a process of its own: both sockets, and what it asks for once. Ends with standard input,
    and says how many pictures and metrics came."""
    import web_client # beside the tests

    counts, began = {"pictures": 0, "bytes": 0, "metrics": 0}, time.monotonic()

    def drink(path, take):
        stream = web_client.Socket(port, path, timeout_s=60)
        assert stream.status == 101, stream.status
        while True:
            take(stream.receive())

    def take_picture(message):
        counts["pictures"] += 1
        counts["bytes"] += len(message[1])

    def take_metrics(message):
        counts["metrics"] += json.loads(message[1]).get("type") == "metrics"

    for path in ("/", "/api/session", "/api/metrics/history?last_n=600", "/api/timeline", "/api/trips?last_n=100"):
        assert web_client.request(port, path).status == 200, path
    for path, take in ((f"/ws/frames?max_hz={PAGE_HZ}", take_picture), ("/ws/metrics", take_metrics)):
        threading.Thread(target=drink, args=(path, take), daemon=True).start()
    print("open", flush=True)
    sys.stdin.read()
    print(json.dumps({**counts, "seconds": time.monotonic() - began}), flush=True)


def open_pages(port):
    pages = [subprocess.Popen([sys.executable, __file__, "--page", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
             for _ in range(PAGES)]
    for page in pages:
        assert page.stdout.readline() == "open\n", "a page could not be opened"
    return pages


def close_pages(pages):
    """Pictures a second of each."""
    told = [json.loads(page.communicate("")[0]) for page in pages]
    return [round(page["pictures"] / page["seconds"], 1) for page in told]


def window(run, seconds, n_pages, port):
    """Some seconds with so many pages: begin and end on the log's clock, drops, pictures a second."""
    pages = open_pages(port) if n_pages else []
    time.sleep(SETTLE_S)
    before, began_ns = dict(run.sink.kpi), time.monotonic_ns()
    time.sleep(seconds)
    after, ended_ns = dict(run.sink.kpi), time.monotonic_ns()
    return {"pages": n_pages, "began_ns": began_ns, "ended_ns": ended_ns, "page_hz": close_pages(pages),
            "drops": {key: n - before["drops"][key] for key, n in after["drops"].items() if n - before["drops"][key]}}


def spans(rows):
    return {"images": len(rows), "engine_ms": spread([(row["done_ns"] - row["submitted_ns"]) / 1e6 for row in rows]),
            "latency_ms": spread(latencies_ms(rows))}


def pages(seconds, device, rounds):
    engine = (*NULL, "--engine-null-delay-ms", PAGE_ENGINE_MS) if device == "null" else ("--engine-device", device)
    run = Run(("--rate", RATE_HZ), (*engine, "--web-listen", "127.0.0.1:0"), "422x558")
    port = int(run.serve.wait_line(r"page: http://127.0.0.1:(\d+)/").group(1))
    windows = [window(run, seconds, n_pages, port) for _ in range(rounds) for n_pages in (0, PAGES)]
    kpi, rows = run.end()
    pooled = {0: [], PAGES: []}
    for one in windows:
        began_ns, ended_ns = one.pop("began_ns"), one.pop("ended_ns")
        inside = [row for row in rows if began_ns <= row["received_ns"] < ended_ns]
        one.update(spans(inside))
        pooled[one["pages"]] += inside
    without, with_pages = spans(pooled[0]), spans(pooled[PAGES])
    growth = {key: round(100 * (with_pages[key]["p99"] / without[key]["p99"] - 1), 2) for key in ("engine_ms", "latency_ms")}
    # How far apart windows of one kind are: what growth can be told from.
    noise = {key: round(max(100 * (max(p99s) / min(p99s) - 1) for p99s in
                            ([one[key]["p99"] for one in windows if one["pages"] == n] for n in pooled)), 2) for key in growth}
    n_dropped = sum(sum(one["drops"].values()) for one in windows if one["pages"])
    out = {"device": device, "engine": kpi["engine"], "rate_hz": RATE_HZ, "rounds": rounds, "seconds": seconds, "windows": windows,
           "without": without, "with": with_pages, "p99_growth_percent": growth, "p99_noise_percent": noise, "dropped_with_pages": n_dropped}
    out["holds"] = n_dropped == 0 and all(hz >= 0.9 * PAGE_HZ for one in windows for hz in one["page_hz"])
    out["in_time"] = all(percent <= PAGE_GROWTH_PERCENT for percent in growth.values())
    return out


def machine():
    name = platform.processor() or platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return f"{name}, {os.cpu_count()} threads"


def commit():
    """Of the programs: what scripts/gpu/bundle.sh packed is not of the commit that lies around it."""
    carried = live.ROOT / "carry/COMMIT"
    if carried.exists():
        return carried.read_text(encoding="utf-8").strip()
    result = subprocess.run(["git", "-C", str(live.ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False)
    return result.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["steady", "burst", "overload", "pipeline", "pages", []], default=[])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--no-limits", action="store_true")
    parser.add_argument("--counts-only", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.page:
        return be_a_page(args.page)
    results = {"commit": commit(), "machine": machine(), "load": round(os.getloadavg()[0], 2), "rate_hz": RATE_HZ,
               "size": SIZE}
    for part in args.parts or ["steady", "burst", "overload"]:
        results[part] = {"steady": lambda: steady(args.seconds), "burst": lambda: burst(args.seconds), "overload": lambda: overload(args.seconds),
                         "pipeline": lambda: pipeline(args.seconds, args.device),
                         "pages": lambda: pages(args.seconds, args.device, args.rounds)}[part]()
        print(part, json.dumps(results[part]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")
    failed = [part for part, result in results.items()
              if isinstance(result, dict) and not (result["holds"] and (args.counts_only or result["in_time"]))]
    if failed:
        print(f"beyond its limits: {', '.join(failed)}")
    return 1 if failed and not args.no_limits else 0


if __name__ == "__main__":
    sys.exit(main())
