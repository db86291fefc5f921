#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes build/venv, a Python with the packages of tests/requirements.txt, or another one: venv.sh [REQUIREMENTS FOLDER]
# Does nothing, quickly, when it is there already. Tests that need it say Skipped without it. Needs a package index and
# python3-venv (scripts/setup.sh ci).
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=${1:-tests/requirements.txt} venv=${2:-build/venv}
if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$venv/made-of.txt"; then
    exit 0
fi
scripts/need_tools.sh python3
mkdir -p build
rm -rf "$venv"
if ! python3 -m venv "$venv"; then
    echo "sonoseg: python3 cannot make a virtual environment (Debian: python3-venv)" >&2
    exit 1
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$wanted"
cp "$wanted" "$venv/made-of.txt"
