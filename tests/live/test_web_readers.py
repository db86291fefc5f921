# SPDX-License-Identifier: Apache-2.0
# labels: slow timeout=120
"""Independent judges of the web service: schemathesis holds the answers against live/web/openapi.yaml, with the token and without;
prometheus_client reads the OpenMetrics form. Both out of build/venv-web (scripts/venv.sh tests/live/web_requirements.txt
build/venv-web)."""
import subprocess
import time

import plus_source
import web_client

import live # plus_source has put its folder on the path

TOKEN = "0123456789abcdef0123456789abcdef"
VENV = live.ROOT / "build/venv-web/bin"
READ = """
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain
families = {family.name: family for family in text_string_to_metric_families(open(sys.argv[1]).read())}
older = {family.name for family in plain(open(sys.argv[2]).read())}
assert families["sonoseg_frame_duration_seconds"].type == "histogram" and families["sonoseg_frame_duration_seconds"].unit == "seconds"
assert families["sonoseg_build"].type == "info" and families["sonoseg_frames_received"].type == "counter"
assert families["process_cpu_seconds"].type == "counter"
value = lambda name: sum(sample.value for sample in families[name].samples)
assert value("sonoseg_frames_received") == sum(map(value, ("sonoseg_frames_processed", "sonoseg_frames_dropped",
                                                          "sonoseg_frames_in_flight"))), "identity"
assert len(families) == len(older) > 25, (sorted(families), sorted(older))
"""


def check_openmetrics(port):
    folder = live.folder()
    opened = web_client.request(port, "/metrics", headers={"Accept": "application/openmetrics-text"})
    (folder / "open").write_bytes(opened.body)
    (folder / "plain").write_bytes(web_client.request(port, "/metrics").body)
    subprocess.run([VENV / "python", "-c", READ, folder / "open", folder / "plain"], check=True)


def check_schema(port, *options):
    run = subprocess.run([VENV / "schemathesis", "run", live.ROOT / "live/web/openapi.yaml", "--url", f"http://127.0.0.1:{port}",
                          "--checks", "all", "--max-examples", "6", "--seed", "17",
                          "--request-timeout", "5", *options], capture_output=True, text=True, check=False, cwd=live.folder())
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    print([line.strip() for line in run.stdout.splitlines() if "generated" in line])


def main():
    if not (VENV / "schemathesis").exists():
        live.skip("no schemathesis (scripts/venv.sh tests/live/web_requirements.txt build/venv-web)")
    folder = live.folder()
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    source = plus_source.PlusSource(rate_hz=20)
    service, port = web_client.serve(source.port, "--control-token-file", folder / "token", "--record-folder",
                                     folder / "recording")
    deadline = time.monotonic() + 10
    while web_client.get_json(port, "/api/metrics/latest")[1]["frames"]["processed"] < 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    check_openmetrics(port)
    check_schema(port)
    check_schema(port, "--header", f"Authorization: Bearer {TOKEN}")
    assert service.stop() == 0, service.text
    source.close()
    print("readers of the web service: passed")


if __name__ == "__main__":
    main()
