# SPDX-License-Identifier: Apache-2.0
# labels: slow serial timeout=300
"""scripts/live_bench.py with its limits: $SONO_SOAK_SECONDS (default 60) of 60 images/s, bursts, twice the rate that can be
computed. 1200 seconds are the long form (with a time limit to match)."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

live.command()
SECONDS = os.environ.get("SONO_SOAK_SECONDS", "60")
sys.exit(subprocess.run([sys.executable, str(live.ROOT / "scripts/live_bench.py"), "--seconds", SECONDS],
                        check=False).returncode)
