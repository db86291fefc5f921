#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-format over every C and CUDA file of the repository: format.sh (in place) | format.sh --check
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(git -c safe.directory='*' ls-files '*.c' '*.h' '*.cu' '*.cuh')
if [ "${1:-}" = --check ]; then
    clang-format --dry-run -Werror "${files[@]}"
else
    clang-format -i "${files[@]}"
fi
