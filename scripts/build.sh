#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures (once) and builds a preset: build.sh PRESET JOBS
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1 jobs=$2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ! -f "build/$preset/build.ninja" ]; then
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        cat "$log" >&2
        echo "sonoseg: configuring failed; 'make setup' installs what is needed on Debian" >&2
        exit 1
    fi
    sed -n 's/^-- CUDA: /sonoseg: CUDA: /p' "$log"
fi
cmake --build --preset "$preset" -j "$jobs"
