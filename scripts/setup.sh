#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing: setup.sh build | deb | test | wheel | ci
# Does nothing, quickly, when everything is there. Root or sudo without a password is needed otherwise.
set -euo pipefail

build="gcc libc6-dev cmake ninja-build pkg-config libopenblas-dev libpng-dev libdeflate-dev libjpeg-dev libtiff-dev zlib1g-dev libcyaml-dev libyaml-dev libcivetweb-dev libturbojpeg0-dev libjs-chart.js"
gstreamer="libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev"
deb="$build $gstreamer debhelper dpkg-dev lintian mmdebstrap"
test="$build g++ libcmocka-dev libcjson-dev python3"
wheel="$build python3 python3-dev python3-venv"
ci="$test $gstreamer python3-dev abigail-tools chromium chromium-driver clang clang-format ffmpeg gstreamer1.0-plugins-base gstreamer1.0-tools libclang-rt-14-dev libopenigtlink-dev llvm prometheus python3-venv"
case ${1:-build} in
    build) wanted=$build ;;
    deb) wanted=$deb ;;
    test) wanted=$test ;;
    wheel) wanted=$wheel ;;
    ci) wanted=$ci ;;
    *) echo "usage: setup.sh build | deb | test | wheel | ci" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "sonoseg: not a Debian system: taking the tools and libraries as they are (Debian names: $wanted)" >&2
    exit 0
fi

missing=()
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then
        as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
    else
        echo "sonoseg: these packages are missing; install them with" >&2
        echo "    sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
fi
echo "sonoseg: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -qq update
"${as_root[@]}" apt-get -qq install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
