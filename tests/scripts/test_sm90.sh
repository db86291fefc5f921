#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cmake/SonoSm90.cmake: a kernel of 9.0a is compiled as such, apart from the others, and only where 90 is among the
# architectures. Configures a project of its own; needs nvcc, no GPU.
set -euo pipefail
source=$SONO_SOURCE_DIR
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || { echo "SKIP: no nvcc"; exit 77; }
command -v ninja >/dev/null || { echo "SKIP: no ninja"; exit 77; }
export CUDACXX=$nvcc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

mkdir "$work/sm90"
cat >"$work/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(probe LANGUAGES CUDA)
include($source/cmake/SonoSm90.cmake)
function(add name)
    add_library(\${name} OBJECT \${ARGN})
    set_property(GLOBAL APPEND PROPERTY OBJECTS \$<TARGET_OBJECTS:\${name}>)
endfunction()
add(portable portable.cu)
sono_add_sm90(apart \${PROJECT_SOURCE_DIR}/sm90 add)
get_property(objects GLOBAL PROPERTY OBJECTS)
add_library(whole STATIC \${objects})
END
echo '__global__ void portable(int *p) { *p = 1; }' >"$work/portable.cu"

# configure ARCHITECTURES: the flags of both objects into $portable and $apart. One folder, as finding out what nvcc can do
# takes seconds each time.
configure() {
    rm -f "$work/build/build.ninja"
    cmake -S "$work" -B "$work/build" -G Ninja "-DCMAKE_CUDA_ARCHITECTURES=$1" >"$work/log" 2>&1 ||
        fail "does not configure for $1: $(cat "$work/log")"
    portable=$(grep -A 12 'build CMakeFiles/portable.dir' "$work/build/build.ninja" | grep FLAGS || true)
    apart=$(grep -A 12 'build CMakeFiles/apart.dir' "$work/build/build.ninja" | grep FLAGS || true)
}

configure "86-real;90-real"
[ -z "$apart" ] || fail "there is nothing of 9.0a to compile, and yet: $apart"

# What only 9.0a has: an older target does not assemble it.
cat >"$work/sm90/probe.cu" <<'END'
__global__ void probe() { asm volatile("wgmma.fence.sync.aligned;"); }
END
for architectures in "86-real;90-real" "90" "75-real;90-real;120"; do
    configure "$architectures"
    case $apart in
    *"arch=compute_90a,code=sm_90a"*) ;;
    *) fail "$architectures: flags of the kernel apart: $apart" ;;
    esac
    case "${apart/arch=compute_90a,code=sm_90a/} $portable" in
    *90a*) fail "$architectures: 9.0a where it does not belong: $apart | $portable" ;;
    esac
    case $apart in
    *generate-code*) fail "$architectures: the kernel apart is also compiled for others: $apart" ;;
    esac
done
configure "86-real;100-real"
[ -z "$apart" ] || fail "9.0 is not among the architectures, and yet: $apart"

configure "86-real;90-real"
cmake --build "$work/build" >"$work/log" 2>&1 || fail "does not build: $(cat "$work/log")"
echo "ok"
