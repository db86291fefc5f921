#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# labels: slow timeout=900
# Links the Python wheel from this build's archives, installs it with the models into an environment that has nothing but numpy
# and pytest, and runs bindings/python/tests there: no build or source folder is on Python's path. Skipped without build/venv-wheel
# (scripts/venv.sh bindings/python/wheel/requirements.txt build/venv-wheel), which needs a package index once.
set -euo pipefail
cd "$SONO_SOURCE_DIR"
skip() { echo "SKIP: $*"; exit 77; }
fail() { echo "FAILED: $*" >&2; exit 1; }
tools=$PWD/build/venv-wheel
cmp -s bindings/python/wheel/requirements.txt "$tools/made-of.txt" || skip "there is no build/venv-wheel, or an old one"
! grep -q '^SONO_SANITIZE:STRING=.' "$SONO_BUILD_DIR/CMakeCache.txt" || skip "a wheel has no sanitizers"
for archive in libsonoseg.a libsonoseg-io.a; do
    [ -f "$SONO_BUILD_DIR/lib/$archive" ] || fail "no $archive in $SONO_BUILD_DIR/lib"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH PYTHONHOME SONO_MODELS
export PYTHONDONTWRITEBYTECODE=1

begin=$SECONDS
scripts/wheel.sh --archives "$SONO_BUILD_DIR/lib" --out "$work/dist"
echo "-- the wheels: $((SECONDS - begin)) s"

# pip of the tools installs into the empty environment; what the tests need is lent from the tools.
"$tools/bin/python" -m venv --without-pip "$work/empty"
"$tools/bin/pip" --disable-pip-version-check --quiet --python "$work/empty/bin/python" install --no-index --no-deps "$work"/dist/*.whl
"$tools/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
    >"$("$work/empty/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tools.pth"

begin=$SECONDS
mkdir "$work/clean"
cd "$work/clean"
"$work/empty/bin/python" -m pytest -q -p no:cacheprovider -c /dev/null --rootdir "$SONO_SOURCE_DIR/bindings/python/tests" \
    "$SONO_SOURCE_DIR/bindings/python/tests" || fail "bindings/python/tests"
echo "-- the tests: $((SECONDS - begin)) s"
