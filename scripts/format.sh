#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-format over every C and CUDA file of the repository: format.sh (in place) | format.sh --check
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/need_tools.sh clang-format
version=$(clang-format --version | sed 's/.*version \([0-9]*\).*/\1/')
[ "$version" = 14 ] || echo "sonoseg: clang-format 14 is wanted, this is $version: what it finds may differ" >&2
if [ -e .git ]; then
    scripts/need_tools.sh git
    mapfile -t files < <(git -c safe.directory='*' ls-files '*.c' '*.h' '*.cu' '*.cuh')
else
    mapfile -t files < <(find . -path ./build -prune -o -name '*.[ch]' -print -o -name '*.cu' -print -o -name '*.cuh' -print)
fi
if [ ${#files[@]} -eq 0 ]; then
    echo "sonoseg: no C files found: nothing was checked" >&2
    exit 1
fi
if [ "${1:-}" = --check ]; then
    clang-format --dry-run -Werror "${files[@]}"
else
    clang-format -i "${files[@]}"
fi
