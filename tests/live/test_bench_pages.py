# SPDX-License-Identifier: Apache-2.0
# labels: slow timeout=120
"""scripts/live_bench.py pages: windows with and without pages, all of them counted. What is measured is not judged here: that needs a quiet
machine."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

out = live.folder() / "pages.json"
live.command()
run = subprocess.run([sys.executable, str(live.ROOT / "scripts/live_bench.py"), "pages", "--device", "null", "--seconds", "2", "--rounds", "1", "--no-limits",
                      "--json", str(out)], capture_output=True, text=True, check=False)
if "this build has no web service" in run.stderr:
    live.skip("built without civetweb or libturbojpeg")
assert run.returncode == 0, run.stdout + run.stderr
told = json.loads(out.read_text())["pages"]
assert [window["pages"] for window in told["windows"]] == [0, 3] and told["windows"][0]["page_hz"] == []
assert len(told["windows"][1]["page_hz"]) == 3 and all(5 < hz < 30 for hz in told["windows"][1]["page_hz"]), told
for window in told["windows"]:
    assert 60 < window["images"] < 150 and 4 < window["engine_ms"]["p50"] <= window["latency_ms"]["p99"], window
assert told["without"]["images"] == told["windows"][0]["images"] and set(told["p99_growth_percent"]) == {"engine_ms", "latency_ms"}
growth = 100 * (told["with"]["latency_ms"]["p99"] / told["without"]["latency_ms"]["p99"] - 1)
assert abs(told["p99_growth_percent"]["latency_ms"] - growth) < 0.1
print("live_bench pages: passed")
