#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The systemd unit: systemd takes it, and finds it exposed by no more than 3.0 of 10. Offline: nothing is started.
set -euo pipefail
command -v systemd-analyze >/dev/null || { echo "SKIP: there is no systemd-analyze"; exit 77; }
systemd-analyze security --help 2>/dev/null | grep -q -- --offline || { echo "SKIP: systemd is older than 250"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

# systemd checks that the command is there: a stand-in, in its place.
mkdir "$work/bin"
ln -s "$(type -P true)" "$work/bin/sonoseg"
sed "s#@CMAKE_INSTALL_FULL_BINDIR@#$work/bin#" "$SONO_SOURCE_DIR/packaging/systemd/sonoseg.service.in" >"$work/sonoseg.service"
grep -q '@' <(grep -v '^SystemCallFilter\|^#' "$work/sonoseg.service") && fail "a name was not filled in"

systemd-analyze verify --man=no "$work/sonoseg.service" >"$work/log" 2>&1 || { cat "$work/log"; fail "systemd-analyze verify"; }
if grep -F sonoseg.service "$work/log"; then fail "systemd-analyze verify has remarks"; fi

# The threshold is in tenths.
systemd-analyze security --no-pager --offline=true --threshold=30 "$work/sonoseg.service" >"$work/log" 2>&1 ||
    { cat "$work/log"; fail "the unit is exposed by more than 3.0"; }
tail -1 "$work/log"

# A unit that is not hardened must fail here, or the line above proves nothing.
printf '[Service]\nExecStart=%s\n' "$work/bin/sonoseg" >"$work/bare.service"
if systemd-analyze security --no-pager --offline=true --threshold=30 "$work/bare.service" >/dev/null 2>&1; then
    fail "a bare unit passes, too: the threshold is not looked at"
fi

# What a service of a whole day needs.
for line in Type=notify WatchdogSec=10 DynamicUser=yes Restart=on-failure RestartPreventExitStatus=2 'ExecReload=/bin/kill -HUP $MAINPID' \
    'DeviceAllow=char-nvidia\* rw' MemoryDenyWriteExecute=no StateDirectoryMode=0700 StartLimitIntervalSec=0 LoadCredential=sonoseg.token; do
    grep -qx -- "$line" "$work/sonoseg.service" || fail "the unit has no line $line"
done
