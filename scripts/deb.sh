#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Debian packages of this tree, as it is on disk: deb.sh [JOBS]
# Builds them in build/deb (with debhelper, from debian/), has lintian judge them, and lists them. DEB_FLAGS are handed to
# dpkg-buildpackage; without any, binary packages are built (-b); DEB_FLAGS=-F makes the source package, too.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-$(nproc)}
scripts/need_tools.sh dpkg-buildpackage dh lintian
place=build/deb
tree=$place/tree
rm -rf "$place"
mkdir -p "$tree"
# What is tracked, or would be; a tree without git is taken whole.
if [ -e .git ]; then
    git -c safe.directory='*' ls-files -z -co --exclude-standard | while IFS= read -r -d '' file; do
        [ ! -e "$file" ] || printf '%s\0' "$file"
    done | xargs -0 cp --parents -t "$tree"
else
    find . -mindepth 1 -maxdepth 1 ! -name build -exec cp -r -t "$tree" {} +
fi

begin=$SECONDS
export DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS:-terse}
# shellcheck disable=SC2086 # these are words
if ! (cd "$tree" && dpkg-buildpackage -us -uc -j"$jobs" ${DEB_FLAGS:--b}) >"$place/build.log" 2>&1; then
    tail -n 40 "$place/build.log" | cut -c 1-300 >&2
    echo "sonoseg: building the packages failed; all of it is in $place/build.log" >&2
    exit 1
fi
echo "sonoseg: built in $((SECONDS - begin)) s ($place/build.log)"
begin=$SECONDS
lintian --allow-root --fail-on error,warning,info --display-info --show-overrides "$place"/*.changes
echo "sonoseg: lintian has nothing to say ($((SECONDS - begin)) s)"
ls -sh1 "$place"/*.deb
