#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# labels: timeout=120
# The library's binary interface is the one that tests/abi/libsonoseg.abi describes.
set -euo pipefail
case $SONO_BUILD_DIR in
    */release) ;;
    *) echo "skipped: only the release build is described"; exit 77 ;;
esac
exec "$SONO_SOURCE_DIR/scripts/abi.sh" check "$SONO_BUILD_DIR"
