#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the live service itself costs: images from `sonoseg replay`, the null engine, a client that reads everything, all over
loopback.

    scripts/live_bench.py [--seconds N] [--json FILE] [--no-limits] [--counts-only] [--device NAME] [steady] [burst] [overload] [pipeline]

steady    60 images/s of 640 x 480 for N seconds (default 60), all of them in order (source.order all: where the newest wins,
          two images in one read are one image and one that is superseded): nothing lost, CPU <= 15 % of a core, memory
          flat (it grows by less than 1 MiB in the second half; in the first, queues reach what they hold at most),
          overhead beside the engine p99 <= 1 ms
burst     100 images at once, again and again, 5 ms of engine each: the newest is answered within one frame time (1/60 s)
overload  60 images/s, 33 ms of engine each: latency within two frame times of the engine, drops counted
pipeline  only when named: the real engine on --device (default cuda) at 60 and 200 images/s of 422 x 558: from the image's
          last byte in to the mask's last byte out p50 within 0.5 ms, p99 within 1 ms of the pipeline's own

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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/support"))
import live  # noqa: E402

RATE_HZ, SIZE = 60, "640x480"
NULL = ("--engine-kind", "null")
WARM_UP_S = 3
BURST = 100
BURST_ENGINE_MS, OVERLOAD_ENGINE_MS = 5, 33
FRAME_MS = 1000 / RATE_HZ
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


def machine():
    name = platform.processor() or platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return f"{name}, {os.cpu_count()} threads"


def commit():
    result = subprocess.run(["git", "-C", str(live.ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False)
    return result.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["steady", "burst", "overload", "pipeline", []], default=[])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--no-limits", action="store_true")
    parser.add_argument("--counts-only", action="store_true")
    args = parser.parse_args()
    results = {"commit": commit(), "machine": machine(), "load": round(os.getloadavg()[0], 2), "rate_hz": RATE_HZ,
               "size": SIZE}
    for part in args.parts or ["steady", "burst", "overload"]:
        results[part] = (pipeline(args.seconds, args.device) if part == "pipeline" else
                         {"steady": steady, "burst": burst, "overload": overload}[part](args.seconds))
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
