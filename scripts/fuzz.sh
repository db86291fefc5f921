#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every libFuzzer target of build/fuzz for SECONDS, starting from its corpus: fuzz.sh SECONDS
# New inputs go to build/fuzz/found/<target>; an input that breaks a target is left in build/fuzz/ and named.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
if ! compgen -G 'build/fuzz/fuzz/fuzz_*' >/dev/null; then
    echo "sonoseg: no fuzz targets in build/fuzz: nothing was tried (\`make fuzz\` builds them)" >&2
    exit 1
fi
status=0
for target in build/fuzz/fuzz/fuzz_*; do
    name=$(basename "$target")
    found=build/fuzz/found/$name
    mkdir -p "$found"
    echo "== $name, $seconds s"
    "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="build/fuzz/$name-" "$found" "tests/fuzz/corpus/$name" || status=1
done
exit $status
