#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The scripts without a tool that they need: each names it and its package, and none passes without it.
set -euo pipefail
source=$SONO_SOURCE_DIR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MAKELEVEL
fail() { echo "FAILED: $*" >&2; exit 1; }

mkdir "$work/bin"
for tool in bash env true echo cat sed sort awk dirname basename mktemp rm mkdir cp find git make nproc tee grep head tail ldd strip \
    xz pkg-config cmake ninja python3 clang-format; do
    path=$(type -P "$tool") || continue
    ln -s "$path" "$work/bin/$tool"
done

# expect TEXT COMMAND...: it fails and says TEXT, with the tools of $work/bin only.
expect() {
    local text=$1 status=0
    shift
    PATH=$work/bin "$@" >"$work/log" 2>&1 </dev/null || status=$?
    [ $status -ne 0 ] || { cat "$work/log"; fail "$*: passed"; }
    grep -qF "$text" "$work/log" || { cat "$work/log"; fail "$*: does not say '$text'"; }
}

# without TOOL COMMAND...: runs it without that tool.
without() {
    local tool=$1
    shift
    if [ -e "$work/bin/$tool" ]; then mv "$work/bin/$tool" "$work/hidden"; fi
    "$@"
    if [ -e "$work/hidden" ]; then mv "$work/hidden" "$work/bin/$tool"; fi
}

cd "$source"
without clang-format expect "missing: clang-format (Debian: clang-format)" make check
without clang-format expect "missing: clang-format" scripts/format.sh --check
without python3 expect "missing: python3" make check
without ninja expect "missing: ninja (Debian: ninja-build)" scripts/build.sh release 1
expect "missing: nvcc (Debian: nvidia-cuda-toolkit)" scripts/gpu/bundle.sh
without xz expect "missing: xz (Debian: xz-utils)" scripts/gpu/bundle.sh --no-build
PKG_CONFIG_LIBDIR=/nonexistent expect "missing: the library cmocka (Debian: libcmocka-dev)" scripts/gpu/bundle.sh

# A tree without anything built or tracked: nothing to check is no success.
mkdir -p "$work/tree/scripts" "$work/tree/.ci"
cp scripts/*.sh "$work/tree/scripts/"
cd "$work/tree"
ln -s "$(type -P true)" "$work/bin/ctest"
expect "nothing was tested" scripts/test.sh release 1
expect "nothing was tried" scripts/fuzz.sh 1
[ ! -e "$work/bin/clang-format" ] || expect "nothing was checked" scripts/format.sh --check

# .ci/run with everything else stubbed: it names the tool, counts a failure, says that no GPU was there, and ends as before.
cp "$source/.ci/run" .ci/
printf '%b\n' check: '\t@true' test: "\t@echo '100% tests passed, 0 tests failed out of 1'" >Makefile
for script in setup build test; do printf '#!/usr/bin/env bash\n' >"scripts/$script.sh"; done
rm -f "$work/bin/cmake"
# shellcheck disable=SC2016  # the stub prints, nothing expands
printf '#!/usr/bin/env bash\necho "-- CUDA: left out, this machine has no NVIDIA GPU (SONO_CUDA=ON builds it)"\n' >"$work/bin/cmake"
chmod +x "$work/bin/cmake"
expect "missing: llvm-symbolizer (Debian: llvm)" .ci/run
grep -qx "failed: tools" "$work/log" || fail ".ci/run does not count the missing tool"
grep -qx "failed: asan: its tests did not run" "$work/log" || fail ".ci/run passes without tests"
grep -qx "GPU: not tested here: this machine has no NVIDIA GPU" "$work/log" || fail ".ci/run says nothing of the GPU"
tail -n 1 "$work/log" | grep -qx "100% tests passed, 0 tests failed out of 1" || { cat "$work/log"; fail ".ci/run ends otherwise"; }
tail -n 2 "$work/log" | head -n 1 | grep -qE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' || fail ".ci/run has no totals"
echo "ok"
