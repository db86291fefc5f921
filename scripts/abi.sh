#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The binary interface of libsonoseg against the committed description of it: abi.sh check | dump [BUILD_FOLDER]
# check: exit status 0 when nothing changed, 77 without abigail-tools, else 1 after abidiff's report. What only
# appends (docs/abi.md) is described anew by `dump`; a break raises SONO_SOVERSION in cmake/SonoLibrary.cmake, too.
# Only the stable headers count: what the others declare is left out by tests/abi/unstable.suppr.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${2:-build/release}
library=$build/lib/libsonoseg.so
dump=tests/abi/libsonoseg.abi
stable=$(mktemp -d)
trap 'rm -rf "$stable"' EXIT
if ! command -v abidw >/dev/null || ! command -v abidiff >/dev/null; then
    echo "skipped: no abidw (Debian package abigail-tools)"
    exit 77
fi
cp include/sonoseg/{sonoseg,cuda,dlpack}.h "$stable/"
case ${1:-} in
    dump)
        abidw --headers-dir "$stable" --drop-private-types --no-show-locs --no-corpus-path --no-comp-dir-path \
            --drop-undefined-syms --suppressions tests/abi/unstable.suppr --out-file "$dump" "$library"
        ;;
    check)
        if ! abidiff --headers-dir2 "$stable" --drop-private-types --no-show-locs \
            --suppressions tests/abi/unstable.suppr "$dump" "$library"; then
            echo "The binary interface changed. If it only appends as docs/abi.md allows: scripts/abi.sh dump." >&2
            echo "Otherwise raise SONO_SOVERSION in cmake/SonoLibrary.cmake first, and say so in CHANGELOG.md." >&2
            exit 1
        fi
        ;;
    *) echo "usage: abi.sh check | dump [BUILD_FOLDER]" >&2; exit 2 ;;
esac
