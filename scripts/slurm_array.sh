#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A job array of Slurm: each task does its share of the inputs. Copy it, and change what your cluster wants otherwise.
#
#     job=$(sbatch --parsable --array=1-8 scripts/slurm_array.sh INPUT OUTPUT [OPTIONS OF RUN...])
#     sbatch --dependency=afterany:$job --wrap 'sonoseg merge OUTPUT/shard_* --output OUTPUT/all'
#
# The shares are OUTPUT/shard_<i>; INPUT and OUTPUT are seen by all nodes. A task that is killed, or whose node is lost, is
# queued again and goes on where it was. `merge` does nothing unless every share is there and complete, so it may come after
# tasks that failed: queue these again with --array=3,5 and SONOSEG_SHARDS=8.
# Variables: SONOSEG = the command, default sonoseg; SONOSEG_SHARDS = shares in all, default the number of tasks.
#SBATCH --job-name=sonoseg
#SBATCH --array=1-4
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus=1
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '3,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
task=${SLURM_ARRAY_TASK_ID:?is set by sbatch --array}
shards=${SONOSEG_SHARDS:-${SLURM_ARRAY_TASK_COUNT:?is set by sbatch --array}}
input=$1 output=$2
shift 2
mkdir -p "$output"
exec "${SONOSEG:-sonoseg}" run --input "$input" --output "$output/shard_$task" --shard "$task/$shards" --resume \
    --workers "${SLURM_CPUS_PER_TASK:-0}" "$@"
