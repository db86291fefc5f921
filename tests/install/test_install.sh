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
for file in bin/sonoseg include/sonoseg/sonoseg.h include/sonoseg/io.h share/doc/sonoseg/LICENSE share/man/man1/sonoseg.1; do
    [ -e "$prefix/$file" ] || fail "$file is not installed"
done
if grep -rIl -e "$work/first" -e "$SONO_BUILD_DIR" "$prefix" --include='*.pc' --include='*.cmake'; then
    fail "an installed file names an absolute path"
fi

step "exported symbols are the public ones, all of them"
cat "$SONO_SOURCE_DIR"/include/sonoseg/*.h | tr '\n' ' ' | grep -oE 'SONO_API [^;{]*\(' |
    grep -oE 'sono_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$work/declared"
nm -D --defined-only "$lib_dir/libsonoseg.so" | awk '{print $3}' | grep -vE '^(_init|_fini|__|_edata|_end)' | sort -u >"$work/exported"
diff "$work/declared" "$work/exported" || fail "declared (<) and exported (>) symbols differ"

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
}
step "README's example"
awk '/^```c$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$SONO_SOURCE_DIR/README.md" >"$work/readme.c"
gcc -std=c11 -Wall -Wextra -Werror -pedantic -c "$work/readme.c" $(pkg-config --cflags sonoseg) -o "$work/readme.o"
consume "$work/pc_c"
consume "$work/pc_cxx"

step "find_package"
cmake -S "$here/project" -B "$work/project" -DCMAKE_PREFIX_PATH="$prefix" >"$work/project.log" 2>&1 &&
    cmake --build "$work/project" >>"$work/project.log" 2>&1 || { cat "$work/project.log"; exit 1; }
for name in shared_c shared_cxx static_c; do
    consume "$work/project/$name"
done
echo "installed library: all good"
