#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that only a machine with a GPU can tell, in one go:
#
#     scripts/gpu_check.sh [--quick] [--no-peers] [--only SECTION,...] [--budget SECONDS] [--device cuda|cpu]
#
# Sections, in this order:
#   ops        every op test on CUDA, fp32 and fp16
#   accuracy   24 real frames in both precisions against the float32 reference
#   audit      sonoseg audit --trace
#   bench      10,000 frames, one at a time: p50 <= 2.5 ms, p99 <= 1.2 p50
#   roofline   every op by itself against what the device does at best, lanes alone
#   throughput frames a second at batch 1 to 32
#   paced      a frame every 1/25, 1/60 and 1/200 s, 20 s each; only with --only
#   live       the live service at 60 and 200 images/s; only with --only
#   state_tuning  what scripts/fit_state.py needs, of 100 sweeps with events; only with --only
#   state      states over time on 200 held-out sweeps with events, against the bars of docs/state.md; only with --only
#   state_checks  states: audit, the same sweeps twice to the bit, float16 against float32; only with --only
#   peers      sonoseg and the official PyTorch code on the same frame in turn, unless --no-peers
#   tests      GPU, budget, golden and pipeline tests that can use the GPU
#   decoder    frames with and without a find, the mask decoder always run and left out when LOST
#   schedule   the detector in every frame and in every 5th: p50, energy, shares, accuracy; only with --only
#   memory     device memory of a running pipeline (<= 1 GB)
#   cold       sonoseg run on one frame, from start to end (<= 3 s)
#   repeat     one frame 1,000 times, bitwise
#   models     the shipped models on the held-out phantoms: the same figures in both precisions, to 3 digits
#   suite      every named set of sonoseg evaluate --suite, in both precisions; only with --only
#   sanitizer  compute-sanitizer memcheck, racecheck and initcheck on the op tests and on fused kernels
#   soak       100,000 frames without growth of memory; only with --only
# --quick: fewer frames and repeats, memcheck only, no peers. --budget: nothing goes on beyond it; what it cut off counts
# as skipped. 570 do for everything up to peers, and more. --device cpu tries the script itself. No failure stops it;
# the last line counts them, and the exit status is 1 with any.
#
# Uses carry/ (scripts/gpu/bundle.sh) where it is there, else builds, and takes frames, references and checkpoints
# from $SONO_SHARED or ../shared. Writes bench/results/<device>.json; that, the output and the logs also go to $OUT if
# it is set; what other sections had found at the same commit stays in it. Needs bash, python3 with numpy and pillow
# (peers: torch, torchvision, timm, pyyaml), the NVIDIA driver.
set -uo pipefail
exec </dev/null
cd "$(dirname "$0")/.." || exit 1
root=$PWD

quick=0 peers=1 only='' budget=0 device=cuda
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=1 peers=0 ;;
        --no-peers) peers=0 ;;
        --only) only=,$2,; shift ;;
        --budget) budget=$2; shift ;;
        --device) device=$2; shift ;;
        *) sed -n '3,34s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done

work=build/gpu_check
rm -rf "$work"
mkdir -p "$work/logs" "$work/synthetic" "$work/shared/checkpoints"
if [ -n "${OUT:-}" ]; then
    exec > >(tee "$OUT/gpu_check.txt") 2>&1
    tee_process=$!
fi
n_passed=0 n_failed=0 n_skipped=0
failures=()

pass() { n_passed=$((n_passed + 1)); echo "  PASS $*"; }
skip() { n_skipped=$((n_skipped + 1)); echo "  SKIP $*"; }
fail() { n_failed=$((n_failed + 1)); failures+=("$1"); echo "  FAIL $*"; }

# Seconds left of the budget, at most $1, less what killing and the report take.
seconds() {
    [ "$budget" -gt 0 ] || { echo "$1"; return; }
    local left=$((budget - SECONDS - 4))
    echo $((left < $1 ? (left > 0 ? left : 0) : $1))
}

limited() {
    local limit
    limit=$(seconds "$1")
    [ "$limit" -gt 0 ] || return 124
    timeout -k 2 "$limit" "${@:2}"
}

# was_cut_off STATUS: whether a command that ended so was ended by the budget.
was_cut_off() { [[ $1 == @(124|137) ]] && [ "$(seconds 2)" -lt 2 ]; }

# check NAME SECONDS COMMAND...: runs it, its output in logs/NAME.log; the last line is shown, more on failure.
check() {
    local name=$1 log=$work/logs/${1// /_}.log begin=$SECONDS status
    limited "$2" "${@:3}" >"$log" 2>&1
    status=$?
    if [ $status -eq 0 ]; then
        pass "$name ($((SECONDS - begin)) s): $(tail -n 1 "$log")"
    elif was_cut_off $status; then
        skip "$name: cut off by the budget"
    elif [ $status -eq 77 ]; then
        skip "$name: $(grep -m 1 '^skipped:' "$log" || echo 'says so')"
    else
        fail "$name" "($((SECONDS - begin)) s, exit status $status)"
        tail -n 12 "$log" | cut -c 1-200 | sed 's/^/      /'
    fi
    return $status
}

# section NAME FUNCTION: runs it when it is asked for and there is time, and saves what is known so far.
section() {
    [ -z "$only" ] || [[ $only == *,$1,* ]] || return 0
    local begin=$SECONDS passed=$n_passed failed=$n_failed skipped=$n_skipped
    echo "== $1 (at $SECONDS s)"
    if [ "$(seconds 2)" -lt 2 ]; then
        skip "$1: no time left"
    elif [ "$device" = cuda ] && [ "$has_gpu" -eq 0 ]; then
        skip "$1: no GPU"
    else
        "$2"
    fi
    passed=$((n_passed - passed)) failed=$((n_failed - failed)) skipped=$((n_skipped - skipped))
    echo "  -- $1: $passed passed, $failed failed, $skipped skipped, $((SECONDS - begin)) s"
    echo "$1 $passed $failed $skipped" >>"$work/sections.txt"
    report
}

report() {
    local name
    name=$(tr 'A-Z ' 'a-z_' <<<"${device_name#NVIDIA }" | tr -cd 'a-z0-9_-')
    python3 scripts/gpu/report.py "$work" --out "$work/result.json" --before "bench/results/$name.json" \
        --device "$device_name" --commit "$commit" "$@" || return
    [ "$device" = cuda ] && [ "$has_gpu" -eq 1 ] || return 0
    mkdir -p bench/results
    cp "$work/result.json" "bench/results/$name.json"
    [ -z "${OUT:-}" ] || cp "$work/result.json" "$OUT/$name.json"
}

# run_tests SECONDS JOBS PREFIX PROGRAM...: runs the programs side by side, each behind $PREFIX.
run_tests() {
    local limit=$1 jobs=$2 prefix=$3 program name status
    shift 3
    for program in "$@"; do
        name=${label:+${label}_}$(basename "$program")
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do sleep 0.05; done
        # shellcheck disable=SC2086  # the prefix is words
        (limited "$limit" $prefix "$program" >"$work/logs/$name.log" 2>&1; echo $? >"$work/logs/$name.status") &
    done
    for program in $(jobs -rp); do wait "$program"; done
    for program in "$@"; do
        name=${label:+${label}_}$(basename "$program")
        status=$(cat "$work/logs/$name.status")
        if was_cut_off "$status"; then
            skip "$name: cut off by the budget"
            continue
        fi
        case $status in
            0) pass "$name: $(grep -c '^\[       OK' "$work/logs/$name.log") of its tests" ;;
            77) skip "$name: $(grep -m 1 '^skipped:' "$work/logs/$name.log" || echo 'says so')" ;;
            124 | 137) fail "$name" "took more than $limit s" ;;
            *) fail "$name" "exit status $status"
               grep -vE '^\[(==|--| RUN|       OK|  PASSED)' "$work/logs/$name.log" | head -n 12 | cut -c 1-200 |
                   sed 's/^/      /' ;;
        esac
    done
}

# with_cupti COMMAND...: where the toolkit has no CUPTI, PyTorch's packages may.
with_cupti() {
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}${cupti:+:$cupti} "$@"
}

# ---- what is there

has_gpu=0 device_name=cpu
if command -v nvidia-smi >/dev/null && device_name=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1) &&
    [ -n "$device_name" ]; then
    has_gpu=1
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,power.draw --format=csv,noheader
fi
if [ -f carry/COMMIT ]; then
    commit=$(cat carry/COMMIT)
else
    commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
fi
if command -v nvcc >/dev/null; then
    export CUDA_HOME=${CUDA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")}
fi

cupti=$(python3 -c 'import glob, os, sysconfig
found = glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/lib/libcupti.so*")
print(os.path.dirname(found[0]) if found else "")')

echo "== programs"
if [ -f carry/gpu.tar.xz ]; then
    programs=$root/build/gpu_carried
    rm -rf "$programs"
    mkdir -p "$programs"
    tar -C "$programs" -xJf carry/gpu.tar.xz 2>/dev/null ||
        python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' carry/gpu.tar.xz "$programs"
else
    programs=$root/build/gpu
    if [ "$device" = cuda ]; then
        architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
        check build 900 scripts/gpu/build.sh "${architecture:-90}"
    elif [ ! -x "$programs/bin/sonoseg" ]; then
        programs=$root/build/release
    fi
fi
sonoseg=$programs/bin/sonoseg
check version 20 "$sonoseg" version || echo "  without the command most sections fail"

shared=${SONO_SHARED:-../shared}
[ ! -d carry/shared ] || shared=carry/shared
if [ -d "$shared/frames" ]; then
    shared=$(cd "$shared" && pwd)
    ln -s "$shared/frames" "$shared/reference" "$work/shared/"
    for name in dfine_s_bone.pth mobile_sam_bone.pt; do # a checkpoint is known by its content, not by its suffix
        for file in "$shared/checkpoints/${name%.*}.safetensors" "$shared/checkpoints/$name"; do
            [ ! -f "$file" ] || ln -sf "$file" "$work/shared/checkpoints/$name"
        done
    done
    export SONO_DETECTOR=$root/$work/shared/checkpoints/dfine_s_bone.pth
    export SONO_SEGMENTER=$root/$work/shared/checkpoints/mobile_sam_bone.pt
    has_shared=1 frame=$root/$work/shared/frames/00100.jpg
else
    has_shared=0
    echo "  no reference material (carry/shared, SONO_SHARED): some sections are skipped"
fi
for network in dfine_n mobile_sam; do
    limited 60 "$programs/tests/make_synthetic" "tests/golden/$network.manifest" "$work/synthetic/$network.pth" ||
        echo "  no synthetic $network: tests that want it are skipped or fail"
done
export SONO_SOURCE_DIR=$root SONO_COMMAND=$sonoseg SONO_SHARED=$root/$work/shared
export SONO_TEST_DETECTOR=$root/$work/synthetic/dfine_n.pth SONO_TEST_SEGMENTER=$root/$work/synthetic/mobile_sam.pth
export SONO_TEST_BACKEND=$device SONO_TEST_DEVICE=$device
precisions='fp16 fp32'
[ "$device" = cuda ] || precisions=fp32
precision=${precisions%% *}
n_bench=10000 n_repeat=1000
[ "$quick" -eq 0 ] || n_bench=1000 n_repeat=100
[ "$device" = cuda ] || n_bench=5 n_repeat=4
pipeline_flags=(--device "$device" --precision "$precision")

# ---- sections

ops() {
    label='' run_tests 150 8 '' "$programs"/tests/test_ops_*
}

tests() {
    local program chosen=() measuring="$programs/tests/test_pipeline_profile" # not beside others
    for program in "$programs"/tests/test_{gpu,budget,golden,pipeline}_*; do
        [ -x "$program" ] && [[ $program != *_repeat && $program != "$measuring" ]] || continue
        if [[ $program == */test_@(budget|gpu)_* ]] || grep -qa SONO_TEST_DEVICE "$program"; then
            chosen+=("$program")
        else
            skip "$(basename "$program"): knows nothing of SONO_TEST_DEVICE"
        fi
    done
    [ ${#chosen[@]} -eq 0 ] || label='' with_cupti run_tests 150 3 '' "${chosen[@]}"
    label='' run_tests 150 1 '' "$measuring"
}

accuracy() {
    [ "$has_shared" -eq 1 ] || { skip "accuracy: no reference material"; return; }
    local precision status
    for precision in $precisions; do
        limited 180 "$sonoseg" run --input "$SONO_SHARED/frames" --output "$work/run_$precision" --device "$device" \
            --precision "$precision" --threshold 0 --no-overlays --quiet >"$work/logs/run_$precision.log" 2>&1
        status=$?
        if was_cut_off $status; then
            skip "run $precision: cut off by the budget"
            return
        elif [ $status -ne 0 ]; then
            fail "run $precision" "$(tail -n 2 "$work/logs/run_$precision.log")"
            continue
        fi
        check "accuracy $precision" 60 python3 scripts/gpu/accuracy.py "$work/run_$precision" \
            "$SONO_SHARED/reference/frames24.safetensors" --precision "$precision" \
            --json "$work/accuracy_$precision.json"
        echo "      results hash to $(python3 scripts/gpu/digest.py "$work/run_$precision" | cut -d' ' -f1)"
    done
}

repeat() {
    SONO_TEST_REPEAT=$n_repeat label='' run_tests 120 1 '' "$programs/tests/test_pipeline_repeat"
    grep -h ' runs on ' "$work/logs/test_pipeline_repeat.log" | sed 's/^/      /'
}

# audit_command NAME JSON FLAG...
audit_command() {
    with_cupti check "$1" 60 "$sonoseg" audit --input "$frame" "${pipeline_flags[@]}" --json "$2" "${@:3}"
}

audit() {
    "$sonoseg" --help 2>&1 | grep -qw audit || { skip "audit: sonoseg has no such command"; return; }
    [ "$has_shared" -eq 1 ] || { skip "audit: no checkpoints"; return; }
    local trace=(--trace --frames 100)
    [ "$device" = cuda ] || trace=(--frames 2)
    audit_command audit "$work/audit.json" "${trace[@]}"
    sed 's/^/      /' "$work/logs/audit.log" | head -n 40
}

bench() {
    [ "$has_shared" -eq 1 ] || { skip "bench: no checkpoints"; return; }
    check bench 180 "$sonoseg" bench --input "$frame" --frames "$n_bench" --warmup "$((n_bench / 20 + 1))" \
        --threshold 0 --max-size 640x640 "${pipeline_flags[@]}" --json "$work/bench.json" || return
    sed 's/^/      /' "$work/logs/bench.log"
    [ "$device" = cuda ] || return 0
    check "bench limits" 10 python3 -c '
import json, sys
latency = json.load(open(sys.argv[1]))["latency_ms"]
p50, p99 = latency["p50"], latency["p99"]
print(f"p50 {p50:.3f} ms (at most 2.5), p99 {p99 / p50:.3f} p50 (at most 1.2)")
sys.exit(p50 > 2.5 or p99 > 1.2 * p50)' "$work/bench.json"
}

# time_as NAME FLAG...: bench on the frame, its figures in WORK/NAME.json.
time_as() {
    check "$1" 150 "$sonoseg" bench --input "$frame" --threshold 0 --max-size 640x640 "${pipeline_flags[@]}" \
        --json "$work/$1.json" "${@:2}" || return
    grep -E '^(total p99|parts alone|ceilings|[0-9]+ ops)' "$work/logs/$1.log" | sed 's/^/      /'
}

roofline() {
    [ "$has_shared" -eq 1 ] || { skip "roofline: no checkpoints"; return; }
    time_as roofline --frames 20 --roofline && sed -n '/^  op stage/,$p' "$work/logs/roofline.log"
}

throughput() {
    [ "$has_shared" -eq 1 ] || { skip "throughput: no checkpoints"; return; }
    local batch frames=$((n_bench / 2))
    for batch in 1 2 4 8 16 32; do
        time_as "batch_$batch" --batch "$batch" --frames "$((frames / batch * batch + batch))" \
            --warmup "$((2 * batch))"
    done
}

paced() {
    [ "$has_shared" -eq 1 ] || { skip "paced: no checkpoints"; return; }
    local rate seconds=20
    [ "$quick" -eq 0 ] || seconds=4
    [ "$device" = cuda ] || seconds=1
    for rate in 25 60 200; do
        time_as "paced_$rate" --pace "$rate" --frames "$((rate * seconds))" --warmup 20
    done
}

live() {
    [ "$has_shared" -eq 1 ] || { skip "live: no checkpoints"; return; }
    local seconds=20
    [ "$quick" -eq 0 ] || seconds=4
    SONO_COMMAND=$sonoseg check live 120 python3 scripts/live_bench.py pipeline --seconds "$seconds" \
        --device "$device" --json "$work/live.json"
    sed 's/^/      /' "$work/logs/live.log"
}

device_mb() { nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits | head -n 1; }

# used_mb PID BEFORE: what the process has on the device; where that is not told, all that is used beyond BEFORE.
used_mb() {
    local own
    own=$(nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits |
        awk -F', ' -v pid="$1" '$1 == pid && $2 ~ /^[0-9]+$/ {print $2}')
    echo "${own:-$(($(device_mb) - $2))}"
}

# watch_memory FRAMES FILE: "<device MB> <host MB>" a line while that many frames run.
watch_memory() {
    local before watched end
    before=$(device_mb)
    "$sonoseg" bench --input "$frame" --frames "$1" --warmup 10 --threshold 0 --max-size 640x640 \
        "${pipeline_flags[@]}" >"$work/logs/watched.log" 2>&1 &
    watched=$! end=$((SECONDS + $(seconds 900)))
    while kill -0 $watched 2>/dev/null; do
        [ $SECONDS -lt $end ] || kill $watched
        sleep 0.25
        echo "$(used_mb $watched "$before") $(awk '/^VmRSS/ {printf "%.1f", $2 / 1024}' /proc/$watched/status 2>/dev/null)"
    done >"$2"
    wait $watched
}

memory() {
    [ "$has_shared" -eq 1 ] && [ "$has_gpu" -eq 1 ] || { skip "memory: no checkpoints or no GPU"; return; }
    watch_memory "$((n_bench / 10))" "$work/memory.txt" ||
        { fail memory "$(tail -n 1 "$work/logs/watched.log")"; return; }
    check "memory limit" 10 python3 -c '
import json, sys
used = max(int(line.split()[0]) for line in open(sys.argv[1]) if len(line.split()) == 2)
json.dump({"memory_mb": used}, open(sys.argv[2], "w"))
print(f"{used} MB on the device, the CUDA context included (at most 1024)")
sys.exit(used > 1024)' "$work/memory.txt" "$work/memory.json"
}

cold() {
    [ "$has_shared" -eq 1 ] || { skip "cold: no checkpoints"; return; }
    local limit=3
    [ "$device" = cuda ] || limit=60
    check "cold start" 60 python3 -c '
import json, statistics, subprocess, sys, time
times = []
for _ in range(3):
    start = time.perf_counter()
    subprocess.run(sys.argv[3:], check=True)
    times.append(time.perf_counter() - start)
median = statistics.median(times)
limit = float(sys.argv[2])
json.dump({"cold_start_s": median}, open(sys.argv[1], "w"))
print(f"{median:.2f} s from start to end with one frame (first {times[0]:.2f} s; at most {limit:g})")
sys.exit(median > limit)' "$work/cold_start.json" "$limit" "$sonoseg" run --input "$frame" --output "$work/cold" --no-overlays \
        --quiet --max-size 640x640 "${pipeline_flags[@]}"
}

peers() {
    [ "$peers" -eq 1 ] || { skip "peers: not asked for"; return; }
    [ "$has_shared" -eq 1 ] || { skip "peers: no checkpoints"; return; }
    local dfine=${DFINE_CHECKOUT:-carry/peers/dfine} mobile_sam=${MOBILESAM_CHECKOUT:-carry/peers/mobile_sam}
    [ -d "$dfine" ] && [ -d "$mobile_sam" ] || { skip "peers: no checkouts (bundle.sh --dfine --mobile-sam)"; return; }
    local flags=(--limit-s "$(seconds 240)" --frames "$((n_bench / 5))")
    [ "$device" = cuda ] || flags=(--device cpu --frames 1 --peer-frames 1 --warmup 0 --no-compile)
    PYTHONUNBUFFERED=1 check peers 300 python3 bench/peers/compare.py "$dfine" "$mobile_sam" "$SONO_DETECTOR" \
        "$SONO_SEGMENTER" "$frame" --sonoseg "$sonoseg" --json "$work/peers.json" "${flags[@]}"
    grep ' p50 ' "$work/logs/peers.log" | sed 's/^/      /'
}

decoder() {
    [ "$has_shared" -eq 1 ] || { skip "decoder: no checkpoints"; return; }
    local way kind flags threshold trace=(--trace --frames 50)
    for kind in found lost; do
        [ $kind = lost ] && threshold=1 || threshold=0
        for way in always when_found; do
            flags=(--threshold "$threshold")
            [ $way = always ] || flags+=(--skip-decoder)
            check "decoder $way, $kind" 60 "$sonoseg" bench --input "$frame" --frames "$((n_bench / 5))" \
                --warmup "$((n_bench / 50 + 1))" --max-size 640x640 "${pipeline_flags[@]}" "${flags[@]}" \
                --json "$work/skip_${way}_$kind.json"
            sed -n '/^total p99/!{/^total /s/^/      /p}' "$work/logs/decoder_${way},_$kind.log"
        done
    done
    [ "$device" = cuda ] || trace=(--frames 2)
    audit_command "audit of LOST frames without decoder" "$work/audit_skip.json" --skip-decoder --threshold 1 "${trace[@]}"
}

schedule() {
    [ -f models/dfine_s_bone.safetensors ] || { skip "schedule: no shipped models"; return; }
    local every way n_frames=3000 n_sweeps=20 n_sweep=500 warmup=25 models=(--detector models/dfine_s_bone.safetensors
        --segmenter models/mobile_sam_bone.safetensors --min-piece 0.02 --bridge 0.15)
    [ "$quick" -eq 0 ] || n_frames=500 n_sweeps=4
    [ "$device" = cuda ] || n_frames=8 n_sweeps=1 n_sweep=8 warmup=0
    for every in 1 5; do
        for way in free paced; do
            local flags=() n=$n_frames
            [ $way = free ] || flags=(--pace 25) n=$((n_frames / 4))
            check "schedule $every $way" 400 "$sonoseg" bench --input "phantom:seed=30001,frames=$n_frames,shape=arched" \
                --frames "$n" --warmup "$warmup" --state stream \
                --detect-every "$every" "${models[@]}" "${pipeline_flags[@]}" "${flags[@]}" \
                --json "$work/schedule_${every}_$way.json"
        done
        check "schedule $every states" 400 "$sonoseg" evaluate --sequence --sweeps "$n_sweeps" \
            --input "phantom:seed=30000,frames=$n_sweep,events=held-out" --detect-every "$every" "${models[@]}" \
            "${pipeline_flags[@]}" --json "$work/schedule_${every}_states.json"
    done
    python3 scripts/gpu/schedule.py "$work"
}

models() {
    local precision held_out=phantom:seed=20261123,frames=500,sweep=1 files=()
    [ -f models/dfine_s_bone.safetensors ] || { skip "models: not there"; return; }
    [ "$device" = cuda ] || held_out=${held_out/500/4}
    for precision in $precisions; do
        files+=("$work/models_$precision.json")
        check "models $precision" 120 "$sonoseg" evaluate --input "$held_out" --device "$device" \
            --precision "$precision" --detector models/dfine_s_bone.safetensors \
            --segmenter models/mobile_sam_bone.safetensors --json "${files[-1]}" || return
    done
    check "models in both precisions" 10 python3 -c '
import json, sys
shares = ("ap50", "ap50_95", "iou_mean", "dice_mean", "found_share", "false_alarm_share")
limits = {**dict.fromkeys(shares, 0.0005), "surface95_px": 0.005}
first, last = (json.load(open(path)) for path in (sys.argv[1], sys.argv[-1]))
differences = {key: abs((first[key] or 0) - (last[key] or 0)) for key in limits}
worst = max(differences[key] for key in shares)
print("shares differ by %.5f (at most 0.0005), surface distance by %.4f px (at most 0.005)"
      % (worst, differences["surface95_px"]))
sys.exit(any(differences[key] > limits[key] for key in limits))' "${files[@]}"
}

suite() {
    local n_frames=500 real=$shared models=(--detector models/dfine_s_bone.safetensors
        --segmenter models/mobile_sam_bone.safetensors --min-piece 0.02 --bridge 0.15)
    [ -f models/dfine_s_bone.safetensors ] || { skip "suite: not there"; return; }
    [ "$quick" -eq 0 ] || n_frames=50
    [ "$device" = cuda ] || n_frames=2
    [ ! -d carry/real ] || real=carry/real
    check "suite" 540 "$sonoseg" evaluate --suite all --frames "$n_frames" --device "$device" --precision both \
        --real "$real" "${models[@]}" --json "$work/suite.json" --output "$work/suite"
    sed 's/^/      /' "$work/logs/suite.log"
    check "suite by stream" 60 "$sonoseg" evaluate --suite real-no-bone --frames "$n_frames" --device "$device" \
        --precision both --state stream --real "$real" "${models[@]}" --json "$work/suite_stream.json"
    sed 's/^/      /' "$work/logs/suite_by_stream.log"
    python3 -c '
import datetime, json, sys
json.dump({"device": sys.argv[3], "commit": sys.argv[4], "date": datetime.date.today().isoformat(),
           "new": json.load(open(sys.argv[1]))}, open(sys.argv[2], "w"), indent=1)' "$work/suite.json" "$work/h200_suite.json" \
        "$device_name" "$commit"
    [ "$device" != cuda ] || [ "$quick" -eq 1 ] || cp "$work/h200_suite.json" bench/results/
    [ -z "${OUT:-}" ] || { cp "$work"/*suite*.json "$OUT/"; tar -C "$work" -czf "$OUT/suite.tar.gz" suite; }
}

# watch_states NAME SECONDS SWEEPS INPUT FLAG...: figures in WORK/NAME.json, what states are decided from in $OUT.
watch_states() {
    local name=$1 sweeps=$3 input=$4 frames=500
    [ "$quick" -eq 0 ] || sweeps=$((sweeps / 20))
    [ "$device" = cuda ] || sweeps=1 frames=4
    check "$name" "$2" "$sonoseg" evaluate --sequence --input "phantom:frames=$frames,$input" --sweeps "$sweeps" \
        "${pipeline_flags[@]}" --detector models/dfine_s_bone.safetensors \
        --segmenter models/mobile_sam_bone.safetensors --json "$work/$name.json" --parts "$work/$name.jsonl" "${@:5}" ||
        return
    sed 's/^/      /' "$work/logs/$name.log"
    [ -z "${OUT:-}" ] || gzip -c "$work/$name.jsonl" >"$OUT/$name.jsonl.gz"
}

# While LOST agreement is not measured, and other rules would want it.
state_tuning() {
    [ -f models/dfine_s_bone.safetensors ] || { skip "state_tuning: no models"; return; }
    watch_states state_tuning 290 100 seed=20000,events=tuning --state-rule lost_after_ms=600000
}

state() {
    local name
    [ -f models/dfine_s_bone.safetensors ] || { skip "state: no models"; return; }
    watch_states state 540 200 seed=30000,events=held-out || return
    name=$(tr 'A-Z ' 'a-z_' <<<"${device_name#NVIDIA }" | tr -cd 'a-z0-9_-')_state.json
    check "state bars" 10 python3 -c '
import datetime, json, sys
result = json.load(open(sys.argv[1]))
result.update(device=sys.argv[3], commit=sys.argv[4], date=datetime.date.today().isoformat())
json.dump(result, open(sys.argv[2], "w"), indent=2)
states = result["states"]
bars = dict(false_share=0.01, missed_share=0.03, to_hidden_p95_ms=200, to_lost_p95_ms=200, to_visible_p95_ms=300,
            flicker_per_min=1, surface_median_mm=0.25, surface95_mm=1.0)
above = [f"{key} {states[key]:.4g} (at most {bar:g})" for key, bar in bars.items() if not (states[key] or 0) <= bar]
print("above: " + ", ".join(above) if above else "all bars are kept")
sys.exit(bool(above))' "$work/state.json" "$work/$name" "$device_name" "$commit"
    [ "$device" = cuda ] && [ "$quick" -eq 0 ] || return 0
    cp "$work/$name" bench/results/
    [ -z "${OUT:-}" ] || cp "$work/$name" "$OUT/"
}

state_checks() {
    [ "$device" = cuda ] || { skip "state_checks: the CPU has one precision and no copies"; return; }
    [ -f models/dfine_s_bone.safetensors ] || { skip "state_checks: no models"; return; }
    local name sweeps=20 frames=500 flags=(--detector models/dfine_s_bone.safetensors
        --segmenter models/mobile_sam_bone.safetensors --device "$device" --min-piece 0.02 --bridge 0.15)
    [ "$quick" -eq 0 ] || sweeps=2
    check "state audit's frames" 60 "$sonoseg" phantom phantom:seed=30001,frames=25,shape=arched --output "$work/audited" || return
    with_cupti check "state audit" 120 "$sonoseg" audit --input "$work/audited/images" "${flags[@]}" \
        --state stream --surface on --trace --frames 100 --json "$work/state_audit.json"
    sed 's/^/      /' "$work/logs/state_audit.log" | head -n 30
    for name in fp16 fp16_again fp32; do
        check "state $name" 200 "$sonoseg" evaluate --sequence --sweeps "$sweeps" "${flags[@]}" --precision "${name%_again}" \
            --input "phantom:seed=30000,frames=$frames,events=held-out" --json "$work/state_$name.json" \
            --parts "$work/state_$name.jsonl" || return
    done
    check "state twice, bitwise" 10 cmp "$work/state_fp16.jsonl" "$work/state_fp16_again.jsonl"
    check "state float16 against float32" 30 python3 -c '
import json, sys
half, full = ([json.loads(line) for line in list(open(path))[1:]] for path in sys.argv[1:3])
apart = sum(a["state"] != b["state"] for a, b in zip(half, full))
parts = {}
for a, b in zip(half, full):
    for key in a["parts"]:
        parts[key] = max(parts.get(key, 0), abs(a["parts"][key] - b["parts"][key]))
print(f"{apart} of {len(full)} frames have another state ({100 * apart / len(full):.3f} %, at most 0.1)")
print("worst difference of a part: " + ", ".join(f"{key} {value}" for key, value in parts.items()))
json.dump({"frames": len(full), "apart": apart}, open(sys.argv[3], "w"))
sys.exit(len(half) != len(full) or apart > 0.001 * len(full))' "$work/state_fp16.jsonl" "$work/state_fp32.jsonl" \
        "$work/state_precision.json"
    sed 's/^/      /' "$work/logs/state_float16_against_float32.log"
}

sanitizer() {
    local tool tools='memcheck racecheck initcheck' path
    path=$(command -v compute-sanitizer || echo "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer")
    [ -x "$path" ] && [ "$device" = cuda ] || { skip "sanitizer: no compute-sanitizer, or not on CUDA"; return; }
    [ "$quick" -eq 0 ] || tools=memcheck
    for tool in $tools; do
        SONO_TEST_FEW=1 label=$tool run_tests 100 6 "$path --tool $tool --error-exitcode 99 --print-limit 5" \
            "$programs"/tests/test_ops_* "$programs"/tests/test_gpu_fused
    done
}

soak() {
    [ "$has_shared" -eq 1 ] && [ "$has_gpu" -eq 1 ] || { skip "soak: no checkpoints or no GPU"; return; }
    watch_memory 100000 "$work/soak.txt" || { fail soak "$(tail -n 1 "$work/logs/watched.log")"; return; }
    check "soak growth" 10 python3 -c '
import json, sys
rows = [tuple(map(float, line.split())) for line in open(sys.argv[1]) if len(line.split()) == 2]
early, late = rows[len(rows) // 10], rows[-len(rows) // 10]
tenths = [rows[i * len(rows) // 10] for i in range(1, 10)]
json.dump({"frames": 100000, "device_mb": [int(early[0]), int(late[0])], "host_mb": [early[1], late[1]],
           "host_mb_by_tenth": [row[1] for row in tenths]}, open(sys.argv[2], "w"))
print(f"device {early[0]:.0f} -> {late[0]:.0f} MB, host {early[1]:.1f} -> {late[1]:.1f} MB over 100,000 frames")
sys.exit(late[0] > early[0] + 1 or late[1] > early[1] + 4)' "$work/soak.txt" "$work/soak.json"
}

section ops ops
section accuracy accuracy
section audit audit
section bench bench
section roofline roofline
section throughput throughput
[ -z "$only" ] || section paced paced
[ -z "$only" ] || section live live
[ -z "$only" ] || section state_tuning state_tuning
[ -z "$only" ] || section state state
[ -z "$only" ] || section state_checks state_checks
section peers peers
section tests tests
section decoder decoder
[ -z "$only" ] || section schedule schedule
section memory memory
section cold cold
section repeat repeat
section models models
[ -z "$only" ] || section suite suite
section sanitizer sanitizer
[ -z "$only" ] || section soak soak

echo "== result (at $SECONDS s)"
report --table
[ -z "${OUT:-}" ] || tar -C "$work" -czf "$OUT/logs.tar.gz" logs
[ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
echo "gpu_check: $n_passed passed, $n_failed failed, $n_skipped skipped in $SECONDS s"
if [ -n "${OUT:-}" ]; then
    exec >&- 2>&-
    wait "$tee_process"
fi
[ "$n_failed" -eq 0 ]
