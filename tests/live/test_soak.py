# SPDX-License-Identifier: Apache-2.0
# labels: slow serial timeout=300
"""scripts/live_bench.py: $SONO_SOAK_SECONDS (default 60) of 60 images/s, bursts, twice the rate that can be computed. What is lost,
CPU time and memory are judged; times are shown, and judged by the benchmark (make check-long LONG=soak). Skipped while others
keep the processors busy: then it would measure them."""
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

BUSY = 0.4  # of all processors
PATIENCE = 30


def busy_share():
    """Of all processors' time over a second."""
    def times():
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        return [int(field) for field in fields]
    before = times()
    time.sleep(1)
    spent = [b - a for a, b in zip(before, times())]
    return 1 - (spent[3] + spent[4]) / max(1, sum(spent))


live.command()
for attempt in range(PATIENCE):
    if busy_share() < BUSY:
        break
else:
    live.skip(f"the processors are busy, {PATIENCE} seconds in a row")
SECONDS = os.environ.get("SONO_SOAK_SECONDS", "60")
sys.exit(subprocess.run([sys.executable, str(live.ROOT / "scripts/live_bench.py"), "--counts-only", "--seconds", SECONDS],
                        check=False).returncode)
