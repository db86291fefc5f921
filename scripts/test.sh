#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests of a built preset: test.sh PRESET JOBS [ctest options]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1 jobs=$2
shift 2
if [ ! -f "build/$preset/CTestTestfile.cmake" ]; then
    scripts/need_tools.sh lib:cmocka || true
    echo "sonoseg: build/$preset has no tests: nothing was tested (\`make test\` builds and runs them)" >&2
    exit 1
fi
launch=()
# The thread sanitizer needs its shadow addresses free, which kernels with much address randomisation do not promise.
if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then
    launch=(setarch -R)
fi
exec "${launch[@]}" ctest --preset "$preset" -j "$jobs" --no-tests=error "$@"
