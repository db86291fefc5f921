#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# labels: slow
# scripts/slurm_array.sh as Slurm starts it, each task by itself: the shares, one of them lost and done again, make what one run
# makes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
detector=${SONO_TEST_DETECTOR:-}
[ -r "$detector" ] || { echo "skipped: no checkpoint (SONO_TEST_DETECTOR)"; exit 77; }
script=$SONO_SOURCE_DIR/scripts/slurm_array.sh
options=(--no-times --quiet --detector "$detector" --detector-family dfine --detector-size 320x320 --detector-only --device cpu
    --threshold 0)
export SONOSEG=$SONO_COMMAND SLURM_CPUS_PER_TASK=2

"$SONOSEG" phantom phantom:frames=5,size=96x96 --output "$work/set" --quiet
"$SONOSEG" run "$work/set/images" --output "$work/one" "${options[@]}"

# task N OF: as a task of an array.
task() {
    SLURM_ARRAY_TASK_ID=$1 SLURM_ARRAY_TASK_COUNT=$2 "$script" "$work/set/images" "$work/out" "${options[@]}"
}

task 1 3
task 3 3
if "$SONOSEG" merge "$work"/out/shard_* --output "$work/out/all" 2>"$work/log"; then fail "merge of two of three passed"; fi
grep -qF 'shard 2/3 is missing' "$work/log" || fail "$(cat "$work/log")"
SONOSEG_SHARDS=3 task 2 1
"$SONOSEG" merge "$work"/out/shard_* --output "$work/out/all" --quiet
diff -r -x sonoseg_run.json "$work/one" "$work/out/all" || fail "the shares differ from one run"
if "$script" a 2>"$work/log"; then fail "one word passed"; fi
grep -qF 'sbatch --parsable' "$work/log" || fail "no usage: $(cat "$work/log")"
