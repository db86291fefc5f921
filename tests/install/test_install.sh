#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# labels: slow timeout=300
# Installs into a folder, moves that folder, and uses it from C and C++ through pkg-config and find_package.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step() { echo "-- $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }

step "install and move"
cmake --install "$SONO_BUILD_DIR" --prefix "$work/first" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
mv "$work/first" "$work/moved"
prefix=$work/moved
pc_dir=$(dirname "$(find "$prefix" -name sonoseg.pc)")
lib_dir=$(dirname "$pc_dir")
for file in bin/sonoseg include/sonoseg/sonoseg.h include/sonoseg/io.h include/sonoseg/models.h share/doc/sonoseg/LICENSE share/man/man1/sonoseg.1 share/man/man1/sonoseg-serve.1 share/sonoseg/slicer/sonoseg_slicer.py \
    share/sonoseg/plus/PlusDeviceSet_sonoseg.xml; do
    [ -e "$prefix/$file" ] || fail "$file is not installed"
done
if grep -rIl -e "$work/first" -e "$SONO_BUILD_DIR" "$prefix" --include='*.pc' --include='*.cmake'; then
    fail "an installed file names an absolute path"
fi

# expect_exports LIBRARY HEADER...: what the library exports is what the headers declare.
expect_exports() {
    local library=$1 header
    shift
    for header in "$@"; do cat "$SONO_SOURCE_DIR/include/sonoseg/$header.h"; done | tr '\n' ' ' |
        grep -oE 'SONO_API [^;{]*\(' | grep -oE 'sono_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$work/declared"
    nm -D --defined-only "$lib_dir/$library.so" | awk '{print $3}' | sed 's/@.*//' |
        grep -vE '^(_init|_fini|__|_edata|_end|SONOSEG_)' | sort -u >"$work/exported"
    diff "$work/declared" "$work/exported" || fail "$library: declared (<) and exported (>) symbols differ"
}
step "exported symbols are the public ones, all of them"
expect_exports libsonoseg sonoseg cuda models diagnostics
expect_exports libsonoseg-io io export phantom

step "the library itself needs no image libraries"
for library in png jpeg tiff cjson; do
    ! readelf -d "$lib_dir/libsonoseg.so" | grep -q "NEEDED.*lib$library" || fail "libsonoseg needs lib$library"
done

step "the command runs where it was moved to"
"$prefix/bin/sonoseg" version

# Runs a program in an empty folder with the installed shared library.
consume() {
    step "run $1"
    (cd "$work" && LD_LIBRARY_PATH=$lib_dir "$1")
}

export PKG_CONFIG_PATH=$pc_dir
step "pkg-config"
strict="-Wall -Wextra -Werror -pedantic"
# shellcheck disable=SC2046,SC2086
{
    gcc -std=c11 $strict "$here/consumer.c" $(pkg-config --cflags --libs sonoseg) -o "$work/pc_c"
    g++ -std=c++11 $strict "$here/consumer.cpp" $(pkg-config --cflags --libs sonoseg) -o "$work/pc_cxx"
    gcc -std=c11 $strict -DUSES_IO "$here/consumer.c" $(pkg-config --cflags --libs sonoseg-io) -o "$work/pc_io"
}
step "README's example"
awk '/^```c$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$SONO_SOURCE_DIR/README.md" >"$work/readme.c"
gcc -std=c11 -Wall -Wextra -Werror -pedantic -c "$work/readme.c" $(pkg-config --cflags sonoseg) -o "$work/readme.o"
consume "$work/pc_c"
consume "$work/pc_cxx"
consume "$work/pc_io"

step "find_package"
cmake -S "$here/project" -B "$work/project" -DCMAKE_PREFIX_PATH="$prefix" >"$work/project.log" 2>&1 &&
    cmake --build "$work/project" >>"$work/project.log" 2>&1 || { cat "$work/project.log"; exit 1; }
for name in shared_c shared_cxx static_c io_c io_static_c; do
    consume "$work/project/$name"
done
echo "installed library: all good"
