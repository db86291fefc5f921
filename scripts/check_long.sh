#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The long forms of checks that .ci/run has in short: check_long.sh [explore] [mutants] [models] [archive] [soak] [fuzz] [deb]  (default: all)
#   explore   every state of the session machine under larger limits (minutes)
#   mutants   mistakes in it that the explorer must find (minutes)
#   models    tests of whole networks on all their frames, at full size, and every request for memory failed (minutes)
#   archive   memory of a run over 100,000 frames (seconds)
#   soak      the live service for 20 minutes at 60 images/s, bursts, overload; a quiet machine is needed (22 minutes)
#   fuzz      ten million executions of every parser and state machine of live/ (hours on two cores)
#   deb       the Debian packages, built, installed in a fresh Debian, used, and removed (three minutes)
# What each gave, with commit, machine and date, goes to bench/results/check_long.json; exit status 1 when one failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
out=bench/results/check_long.json
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0

# part NAME COMMAND...: runs it, shows its output, keeps its last line.
part() {
    local name=$1 begin=$SECONDS passed=true
    shift
    echo "=== $name"
    "$@" 2>&1 | tee "$log"
    [ "${PIPESTATUS[0]}" -eq 0 ] || { passed=false status=1; }
    python3 - "$out" "$name" "$passed" $((SECONDS - begin)) "$(git rev-parse --short=12 HEAD)" "$(tail -n 1 "$log")" <<'PYTHON'
import datetime, json, os, pathlib, sys
path, name, passed, seconds, commit, last = sys.argv[1:]
file = pathlib.Path(path)
results = json.loads(file.read_text()) if file.exists() else {}
model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
results[name] = {"passed": passed == "true", "seconds": int(seconds), "commit": commit, "last_line": last,
                 "machine": f"{model}, {os.cpu_count()} threads",
                 "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ")}
file.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
PYTHON
    echo "--- $name: $passed ($((SECONDS - begin)) s)"
}

fuzz() {
    local target name failed=0
    scripts/build.sh fuzz "$(nproc)" >/dev/null || return 1
    for name in igtl_content igtl_reader session sink config sequence; do
        target=build/fuzz/fuzz/fuzz_$name
        mkdir -p "build/fuzz/found/fuzz_$name"
        echo "== $name"
        "$target" -runs=10000000 -max_len=800 -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 -verbosity=0 \
            -artifact_prefix="build/fuzz/fuzz_$name-" "build/fuzz/found/fuzz_$name" "tests/fuzz/corpus/fuzz_$name" || failed=1
    done
    return $failed
}

# Every test that asks for its form, as a program of its own or through the fixture.
models() {
    SONO_TEST_FORM=long ctest --test-dir build/release -j "$(nproc)" --output-on-failure --no-tests=error -R \
        '^(cli/(demo|depth|limits)|pipeline/(detectors|memory|reference|region|schedule|shipped|states|surface))$'
}

deb() { make deb && scripts/deb_chroot.sh; }

scripts/build.sh release "$(nproc)" >/dev/null || exit 1
for name in ${*:-explore mutants models archive soak fuzz deb}; do
    case $name in
        explore) part explore env SONO_EXPLORE=long build/release/tests/test_session_explore ;;
        mutants)
            part mutants python3 tests/session/mutants.py
            part machine-mutants python3 tests/engine/mutants.py
            ;;
        models) part models models ;;
        archive) part archive env SONO_ARCHIVE=long build/release/tests/test_tools_archive_memory ;;
        soak) part soak python3 scripts/live_bench.py --seconds 1200 --json bench/results/live.json ;;
        fuzz) part fuzz fuzz ;;
        deb) part deb deb ;;
        *) sed -n '3,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
exit $status
