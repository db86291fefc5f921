#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds release with CUDA into build/gpu: scripts/gpu/build.sh [ARCHITECTURES [JOBS]]
# ARCHITECTURES as CMake takes them, default 90. Programs look for their libraries in ../lib beside themselves (and,
# by DT_RPATH, so do the libraries), so that what is built here can be carried to another machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
architectures=${1:-90} jobs=${2:-$(nproc)}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake -S . -B build/gpu -G Ninja -DCMAKE_BUILD_TYPE=Release -DSONO_CUDA=ON \
    "-DCMAKE_CUDA_ARCHITECTURES=$architectures" '-DCMAKE_BUILD_RPATH=$ORIGIN/../lib' \
    -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags -DCMAKE_SHARED_LINKER_FLAGS=-Wl,--disable-new-dtags \
    >"$log" 2>&1; then
    cat "$log" >&2
    echo "sonoseg: configuring with CUDA failed; 'make setup' installs what is needed on Debian" >&2
    exit 1
fi
cmake --build build/gpu -j "$jobs"
