#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures and builds a preset, or some targets of it: build.sh PRESET JOBS [TARGET...]
# Configures once; again where tests were left out, as what they need may be there now.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1 jobs=$2
shift 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
scripts/need_tools.sh cmake ninja pkg-config
if [ ! -f "build/$preset/build.ninja" ] || [ ! -f "build/$preset/CTestTestfile.cmake" ]; then
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        cat "$log" >&2
        echo "sonoseg: configuring failed; 'make setup' installs what is needed on Debian" >&2
        exit 1
    fi
    sed -n 's/^-- \(CUDA\|Tests\): /sonoseg: \1: /p' "$log"
fi
cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"}
