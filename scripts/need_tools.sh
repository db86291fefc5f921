#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Says which tools are missing, and which Debian packages hold them: need_tools.sh TOOL...
# "lib:NAME" is a library that pkg-config knows. Exit status 1 when one is missing: nothing passes for want of a tool.
set -euo pipefail
declare -A package=([cc]=gcc [ninja]=ninja-build [llvm-symbolizer]=llvm [nvcc]=nvidia-cuda-toolkit [xz]=xz-utils
    [strip]=binutils [c++]=g++ [lib:cmocka]=libcmocka-dev [dh]=debhelper [dpkg-buildpackage]=dpkg-dev)
status=0
for tool; do
    if [ "${tool#lib:}" != "$tool" ]; then
        ! pkg-config --exists "${tool#lib:}" 2>/dev/null || continue
        what="the library ${tool#lib:}"
    else
        ! command -v "$tool" >/dev/null || continue
        what=$tool
    fi
    echo "sonoseg: missing: $what (Debian: ${package[$tool]:-$tool})" >&2
    status=1
done
exit $status
