#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Debian or Ubuntu packages that hold the shared libraries of a program, one a line: packages.sh PROGRAM [MORE_PACKAGE...]
# So that an image's second stage installs what the first one linked, whatever the release calls it.
set -euo pipefail
program=$1
shift
linked=$(ldd "$program")
if grep 'not found' <<<"$linked" >&2; then exit 1; fi
{
    for name in "$@"; do echo "$name"; done
    awk '$2 == "=>" && $3 ~ /^\// {print $3}' <<<"$linked" | while read -r library; do
        # dpkg knows a file by the path in its package, which may begin with /lib or with /usr/lib.
        path=/${library#/}
        dpkg-query -S "$path" 2>/dev/null || dpkg-query -S "/usr${path#/usr}" 2>/dev/null || dpkg-query -S "${path#/usr}" 2>/dev/null || true
    done | sed -n 's/^\([^:,]*\)[:,].*/\1/p'
} | sort -u
