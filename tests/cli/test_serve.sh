#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `sonoseg serve`: help, --check, the file that it writes, errors, the manual page; the line that it prints when it is ready.
set -euo pipefail
[ -n "${SONO_COMMAND:-}" ] || { echo "SKIP: the command is not built"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

# run STATUS WORDS...: output in $work/out and $work/err
run() {
    local expected=$1 status=0
    shift
    "$SONO_COMMAND" serve "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [ $status -eq "$expected" ] || { cat "$work/out" "$work/err"; fail "serve $*: exit status $status, not $expected"; }
}
# refuses TEXT WORDS...: exit status 2, the text in standard error, nothing on standard output
refuses() {
    local text=$1
    shift
    run 2 "$@"
    grep -qF -- "$text" "$work/err" || { cat "$work/err"; fail "serve $*: does not say '$text'"; }
    [ ! -s "$work/out" ] || fail "serve $*: wrote to standard output"
}
says() { grep -q -- "$1" "$work/out" || { cat "$work/out"; fail "does not say '$1'"; }; }

run 0 --help
says '^usage: sonoseg serve'
for section in source mailbox engine state sink control web record log service; do says "^$section: "; done
while IFS=$'\t' read -r flag _; do says "^      --$flag"; done < <("$SONO_COMMAND" serve --print-keys)
while IFS=$'\t' read -r flag _; do
    run 2 "--$flag"
    grep -q "option '--$flag' needs a value" "$work/err" || fail "--$flag is not known"
done < <("$SONO_COMMAND" serve --print-keys)
[ "$("$SONO_COMMAND" serve --print-keys | awk -F'\t' 'NF != 8' | wc -l)" -eq 0 ] || fail "--print-keys: not 8 fields"
"$SONO_COMMAND" --help | grep -q '^  serve ' || fail "the list of commands has no serve"

# What --print-config writes is a configuration, whatever came in by options.
run 0 --print-config --threshold 0.25 --sink-mask-name 'a "b": #c' --source-order all
cp "$work/out" "$work/all.yaml"
run 0 --print-config --config "$work/all.yaml"
cmp "$work/out" "$work/all.yaml" || fail "--print-config does not read back the same"
says '^  threshold: 0.25$'

# Options win over the file, whatever their order.
printf 'sink:\n  mask_value: 2\n  keep_alive_ms: 77\n' >"$work/some.yaml"
run 0 --sink-mask-value 3 --config "$work/some.yaml" --print-config
says '^  mask_value: 3$'
says '^  keep_alive_ms: 77$'

refuses "unknown option '--engien': did you mean '--engine'?" --engien null
refuses "--engine: 'nul' is not one of pipeline or null: did you mean 'null'?" --engine nul
refuses "--threads: '257' is not a whole number within 0..256" --threads 257
refuses "option '--source' needs a value: --source TEXT" --source
refuses "unexpected 'x'" x
refuses "/nonexistent.yaml: No such file" --config /nonexistent.yaml
printf 'sink:\n  mask_vlue: 2\n' >"$work/wrong.yaml"
refuses "$work/wrong.yaml:2: unknown key 'mask_vlue' in section 'sink': did you mean 'mask_value'?" --config "$work/wrong.yaml"
refuses "$work/wrong.yaml:2: " --config "$work/wrong.yaml" --check
refuses "sink.listen: ':18945' is not an address" --check --listen :18945
refuses "source.backoff_min_ms: 9000 ms is above source.backoff_max_ms, 5000 ms" --check --source-backoff-min-ms 9000
refuses "state.off: 400 is above state.on, 300" --check --state-on 300 --state-off 400
refuses "state.agree_off: 501 is above state.agree_on, 500" --check --state-agree-on 500 --state-agree-off 501

# --check: a null engine needs no models, and a word where others can reach it.
run 0 --check --engine null --listen 0.0.0.0:18945
says '^would run   yes$'
says '^listens on  0.0.0.0:18945'
grep -q 'without a password' "$work/err" || fail "no word of warning for 0.0.0.0"
run 0 --check --engine null
[ ! -s "$work/err" ] || fail "--check on loopback warned"

# Models: those that come with sonoseg, one that is none, one that is not there.
if [ -e "$SONO_SOURCE_DIR/models/mobile_sam_bone.safetensors" ]; then
    export SONO_MODELS=$SONO_SOURCE_DIR/models
    run 0 --check --device cpu
    says "dfine-n, sha256 $(awk '/dfine_n_bone/ {print $1}' "$SONO_SOURCE_DIR/models/SHA256SUMS")$"
    says "^segmenter   .*mobile_sam_bone.safetensors$"
fi
printf 'Dear Sir or Madam' >"$work/letter.pth"
run 1 --check --device cpu --detector "$work/letter.pth" --segmenter "$work/letter.pth"
says "letter.pth: cannot be used$"
says '^would run   no$'
run 1 --check --device cpu --detector "$work/none.pth" --segmenter "$work/letter.pth"
grep -qF "none.pth: cannot open: No such file" "$work/err" || fail "a detector that is not there is not named"

# Ready: one line with the port and what connects Slicer. It greets who comes, and SIGTERM ends it.
mkfifo "$work/ready"
"$SONO_COMMAND" serve --engine null --listen 127.0.0.1:0 --source 127.0.0.1:1 >"$work/ready" 2>"$work/events" &
service=$!
trap 'kill -KILL $service 2>/dev/null || true; rm -rf "$work"' EXIT
read -r -t 20 line <"$work/ready" || { cat "$work/events"; fail "no line when it is ready"; }
port=$(sed -n 's/^sonoseg: ready: listening on 127\.0\.0\.1:\([0-9]*\); .*/\1/p' <<<"$line")
[ -n "$port" ] || fail "no port in '$line'"
script=$(sed -n 's/.*exec(open(r"\([^"]*\)").read()); sonoseg("127\.0\.0\.1", '"$port"')$/\1/p' <<<"$line")
[ -r "$script" ] || fail "no script for Slicer in '$line'"
exec 3<>"/dev/tcp/127.0.0.1/$port"
timeout 10 head -c 58 <&3 | grep -qa STATUS || fail "no STATUS for who connects"
exec 3>&-
kill -TERM $service
status=0
wait $service || status=$?
[ $status -eq 0 ] || { cat "$work/events"; fail "SIGTERM: exit status $status"; }

# --demo: the source comes with it, and goes with it. A page that finds its port taken is at the next that is free.
python3 -c 'import socket, time
try:
    taken = socket.create_server(("127.0.0.1", 8080))
except OSError:
    pass # somebody else has it: as well
print("taken", flush=True)
time.sleep(120)' >"$work/taken" &
taker=$!
trap 'kill -KILL $service $taker 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 200); do ! grep -q taken "$work/taken" || break; sleep 0.05; done
source_port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$SONO_COMMAND" serve --demo --engine null --listen 127.0.0.1:0 --source "127.0.0.1:$source_port" >"$work/ready" 2>"$work/events" &
service=$!
exec 4<"$work/ready"
while read -r -t 20 -u 4 line && [[ $line != *ready:* ]]; do :; done
if read -r -t 5 -u 4 page; then # not in a build without a web service
    [[ $page =~ page:\ http://127.0.0.1:808[1-9]/ ]] || fail "--demo: port 8080 is taken, and the page is at '$page'"
    grep -q 'warning: port 8080 is taken: the page is at 808' "$work/events" || fail "--demo does not say that port 8080 is taken"
fi
[[ $line == *", image_port=$source_port)" ]] || fail "the line for Slicer does not name the image: '$line'"
for _ in $(seq 200); do ! grep -q image_device "$work/events" || break; sleep 0.05; done
grep -q image_device "$work/events" || { cat "$work/events"; fail "--demo: no image came"; }
kill -TERM $service
wait $service || { cat "$work/events"; fail "--demo: SIGTERM did not end it well"; }
kill -KILL $taker
if (exec 3<>"/dev/tcp/127.0.0.1/$source_port") 2>/dev/null; then fail "--demo: the replay is still there"; fi

python3 "$SONO_SOURCE_DIR/scripts/serve_manual.py" --check --command "$SONO_COMMAND"
