#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The packages of `make deb` in a fresh Debian 12: installed, used, removed, and nothing left behind: deb_chroot.sh
# Needs mmdebstrap and Debian's packages by network; as root, or with user namespaces. About two minutes.
set -euo pipefail
if [ "${1:-}" != --inside ]; then
    cd "$(dirname "$0")/.."
    scripts/need_tools.sh mmdebstrap
    [ -n "$(compgen -G 'build/deb/*.deb')" ] || { echo "sonoseg: no packages in build/deb: 'make deb' builds them" >&2; exit 1; }
    mapfile -t packages < <(find build/deb -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*')
    # shellcheck disable=SC2016 # mmdebstrap's own shell is handed the folder
    exec mmdebstrap --quiet --variant=minbase --format=null \
        --customize-hook='mkdir "$1/packages"' \
        --customize-hook="copy-in ${packages[*]} debian/tests scripts/deb_chroot.sh /packages" \
        --customize-hook='chroot "$1" bash /packages/deb_chroot.sh --inside' bookworm /dev/null
fi

cd /packages
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
step() { echo "-- $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
apt_get() { apt-get -qq -y -o Dpkg::Use-Pty=0 "$@" >apt.log 2>&1 || { cat apt.log >&2; fail "apt-get $*"; }; }
# Files that installing and removing packages may change.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /packages -o -path /var/cache -o -path /var/lib/apt \
        -o -path /var/lib/dpkg -o -path /var/log -o -path /run \) -prune -o -print | sort
}
dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sort >packages_before
files >files_before

step "install the command, as apt finds what it needs"
apt_get update
apt_get install --no-install-recommends ./libsonoseg1_*.deb ./libsonoseg-io1_*.deb ./sonoseg_*.deb ./sonoseg-models_*.deb
! ldd "$(command -v sonoseg)" | grep 'not found' || fail "the command does not find its libraries"
[ -e /lib/systemd/system/sonoseg.service ] || fail "there is no unit"
[ ! -e /etc/systemd/system/multi-user.target.wants/sonoseg.service ] || fail "the service was enabled unasked"
step "use it"
AUTOPKGTEST_TMP=$(mktemp -d) sh tests/demo
step "its configuration, as README.Debian says"
sonoseg serve --print-config --record-folder /var/lib/sonoseg >/etc/sonoseg/serve.yaml
sonoseg serve --config /etc/sonoseg/serve.yaml --check
rm /etc/sonoseg/serve.yaml

step "install and use the GStreamer plugin"
apt_get install --no-install-recommends ./gstreamer1.0-sonoseg_*.deb gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
HOME=$(mktemp -d) AUTOPKGTEST_TMP=$(mktemp -d) sh tests/gstreamer # which has a cache at home

step "install and use the development files"
apt_get install --no-install-recommends ./libsonoseg-dev_*.deb gcc libc6-dev pkg-config
AUTOPKGTEST_TMP=$(mktemp -d) sh tests/develop

step "install everything anew over itself"
apt_get install --no-install-recommends --reinstall ./*.deb

step "remove all of it"
mapfile -t ours < <(dpkg-query -W -f '${Package}\n' '*sonoseg*')
apt_get purge "${ours[@]}" gcc libc6-dev pkg-config gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
apt_get autoremove --purge
dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sort | diff packages_before - || fail "packages are left (>)"
left=$(files | comm -13 files_before - | grep -E 'sono|gst' || true)
[ -z "$left" ] || fail "these files are left: $left"
echo "installed, used and removed: all good"
