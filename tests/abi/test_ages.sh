#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# labels: slow timeout=600 cost=80
# Programs and libraries of different ages (docs/abi.md), under the address sanitizer:
#   a program of the first header of this SONAME (tests/abi/sonoseg_1.h) with this library, and with one whose structs
#   have all grown by a field; a program of that later header with this library, and with its own.
# Needs the synthetic checkpoints SONO_TEST_DETECTOR and SONO_TEST_SEGMENTER.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$SONO_SOURCE_DIR
for file in "${SONO_TEST_DETECTOR:-}" "${SONO_TEST_SEGMENTER:-}"; do
    [ -f "$file" ] || { echo "skipped: no synthetic checkpoints"; exit 77; }
done
case $SONO_BUILD_DIR in
    */release) ;;
    *) echo "skipped: the release build runs it, with a sanitizer of its own"; exit 77 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A tree of the same sources in which every struct that grows has a field more, and a build of its library.
later=$work/later
mkdir -p "$later"
tar -C "$root" --exclude=./build --exclude=./.git --exclude=./models --exclude=./tests --exclude=./carry -cf - . | tar -C "$later" -xf -
python3 - "$later" <<'PYTHON'
import pathlib, re, sys
root = pathlib.Path(sys.argv[1])
header = root / "include/sonoseg/sonoseg.h"
text = header.read_text()
for name in ("image", "frame_info", "pipeline_config", "pipeline_info", "packet", "object", "input"):
    text, n = re.subn(r"\n\} sono_%s;" % name, r"\n    int64_t test_field;\n} sono_%s;" % name, text)
    assert n == 1, name
header.write_text(text)
checks = root / "src/pipeline/abi.c"
checks.write_text(re.sub(r"(ENDS_WITH\(sono_(?:image|frame_info|pipeline_config|pipeline_info|input), )\w+", r"\1test_field",
                         checks.read_text()))
PYTHON
build() {
    # Without optimisation, which takes most of a build's time; sizes and places of fields are the same.
    cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DSONO_TESTS=OFF -DSONO_CUDA=OFF \
        -DSONO_SANITIZE=address,undefined >"$work/log" 2>&1 &&
        cmake --build "$2" --target sonoseg_shared >>"$work/log" 2>&1 || { tail -n 30 "$work/log"; exit 1; }
}
build "$root" "$work/now_build"
build "$later" "$work/later_build"

mkdir -p "$work/first/sonoseg"
cp "$here/sonoseg_1.h" "$work/first/sonoseg/sonoseg.h"

# try NAME HEADERS LIBRARY [FLAG...]: compiles the program with the headers, runs it with the library.
failed=0
try() {
    local name=$1 headers=$2 library=$3
    shift 3
    cc -std=c11 -Wall -Wextra -Werror -g -fsanitize=address,undefined "$@" "-I$headers" "$here/caller.c" \
        "-L$library/lib" -lsonoseg -o "$work/caller"
    echo "-- $name"
    LD_LIBRARY_PATH=$library/lib ASAN_OPTIONS=detect_leaks=1 "$work/caller" "$SONO_TEST_DETECTOR" "$SONO_TEST_SEGMENTER" ||
        failed=1
}
try "a program of the first header, this library" "$work/first" "$work/now_build"
try "a program of the first header, a later library" "$work/first" "$work/later_build"
try "a program of a later header, this library" "$later/include" "$work/now_build" -DSONO_HAS_TEST_FIELD
try "a program of a later header, its own library" "$later/include" "$work/later_build" -DSONO_HAS_TEST_FIELD
exit $failed
