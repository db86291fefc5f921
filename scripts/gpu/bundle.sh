#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything that scripts/gpu_check.sh needs and packs it into carry/ (ignored by git), for a machine with a GPU
# that lacks the development packages or the network:
#
#     scripts/gpu/bundle.sh [--architectures "90"] [--dfine CHECKOUT] [--mobile-sam CHECKOUT] [--no-build] [--no-reference]
#
# carry/gpu.tar.xz       the command, the tests that can use a GPU, the shared libraries that they need
# carry/COMMIT           the commit, with a + when the tree differs from it
# carry/shared/          frames, references and checkpoints of $SONO_SHARED (../shared), if there; the checkpoints as
#                        float16 safetensors, half the bytes: every one of their values is a float16
# carry/real/            frames and sequences of the same place for gpu_check.sh --only suite, 2 MB, also with --no-reference
# carry/peers/           what bench/peers/pytorch_cuda.py imports of the official checkouts, if given
# Then carry/ and the repository are all that travels; together they must stay below 64 MiB. With the reference checkpoints
# that leaves no room for models/*.safetensors: move them aside meanwhile, and the tests that need them are skipped; or
# leave carry/shared/ out (--no-reference), for gpu_check.sh --only models,suite,tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
architectures=90 dfine='' mobile_sam='' build=1 reference=1
while [ $# -gt 0 ]; do
    case $1 in
        --architectures) architectures=$2; shift 2 ;;
        --dfine) dfine=$2; shift 2 ;;
        --mobile-sam) mobile_sam=$2; shift 2 ;;
        --no-build) build=0; shift ;;
        --no-reference) reference=0; shift ;;
        *) sed -n '3,17s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
shared=${SONO_SHARED:-../shared}
stage=build/gpu_bundle
scripts/need_tools.sh xz strip ldd git
if [ "$build" -eq 1 ]; then
    scripts/need_tools.sh cmake ninja nvcc pkg-config lib:cmocka
elif [ ! -x build/gpu/bin/sonoseg ] || [ ! -d build/gpu/tests ]; then
    echo "sonoseg: build/gpu lacks the command or its tests: leave out --no-build" >&2
    exit 1
fi
libraries_of_the_system='linux-vdso|ld-linux|/lib(c|m|pthread|dl|rt|gcc_s|stdc\+\+)\.so'

[ "$build" -eq 0 ] || scripts/gpu/build.sh "$architectures"

rm -rf "$stage" carry
mkdir -p "$stage/bin" "$stage/lib" "$stage/tests" carry
cp build/gpu/bin/sonoseg "$stage/bin/"
cp -L build/gpu/lib/libsonoseg.so.[0-9] build/gpu/lib/libsonoseg-io.so.[0-9] "$stage/lib/"
find build/gpu/tests -maxdepth 1 -type f -perm -u+x \
    -regextype posix-extended -regex '.*/(test_(ops|gpu|budget|golden|pipeline)_.*|make_synthetic)' \
    -exec cp {} "$stage/tests/" \;
# Only what the stage's own programs ask for: a library is kept under the name by which it is looked up.
for program in "$stage"/bin/* "$stage"/tests/*; do
    LD_LIBRARY_PATH=$stage/lib ldd "$program"
done | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | grep -vE "$libraries_of_the_system" |
    while read -r library; do
        name=$(basename "$library")
        [ -f "$stage/lib/$name" ] || cp -L "$library" "$stage/lib/$name"
    done
find "$stage" -type f -exec strip --strip-unneeded {} +
# The tests hold the same static library each: a dictionary larger than all of them packs it once.
tar -C "$stage" --sort=name -cf - bin lib tests | xz -T1 --lzma2=preset=2,dict=256MiB >carry/gpu.tar.xz

commit=$(git rev-parse --short=12 HEAD)
[ -z "$(git status --porcelain -- src include tools tests)" ] || commit=$commit+
echo "$commit" >carry/COMMIT

if [ -d "$shared/frames" ] && [ -d "$shared/sequences" ]; then
    mkdir carry/real
    cp -r "$shared/frames" "$shared/sequences" carry/real/
    chmod -R u+w carry/real
fi
if [ "$reference" -eq 0 ]; then
    echo "sonoseg: without reference material"
elif [ -d "$shared/frames" ]; then
    mkdir -p carry/shared/checkpoints carry/shared/reference
    cp -r "$shared/frames" carry/shared/
    cp "$shared"/reference/frames24.safetensors "$shared"/reference/outputs_00100.safetensors carry/shared/reference/
    for checkpoint in dfine_s_bone.pth mobile_sam_bone.pt; do
        build/gpu/bin/sonoseg convert "$shared/checkpoints/$checkpoint" \
            "carry/shared/checkpoints/${checkpoint%.*}.safetensors" --precision fp16
    done
    chmod -R u+w carry/shared
else
    echo "sonoseg: no reference material at $shared (SONO_SHARED): accuracy, benchmark and peers will be skipped" >&2
fi

# copy_python CHECKOUT NAME FOLDER...: the Python files and configurations below the folders.
copy_python() {
    local checkout=$1 name=$2
    shift 2
    mkdir -p "carry/peers/$name"
    (cd "$checkout" && find "$@" \( -name '*.py' -o -name '*.yml' \) -print0 | tar --null -T - -cf -) |
        tar -C "carry/peers/$name" -xf -
}
[ -z "$dfine" ] || copy_python "$dfine" dfine src configs
[ -z "$mobile_sam" ] || copy_python "$mobile_sam" mobile_sam mobile_sam

du -sh "$stage" carry/* | sed 's/^/    /'
present() { while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done; }
bytes=$( (du -sb carry; git ls-files -z -co --exclude-standard | present | du -cb --files0-from=- | tail -n 1) |
    awk '{n += $1} END {print n}')
echo "sonoseg: carry/ and the repository: $((bytes / 1048576)) MiB"
[ "$bytes" -lt $((64 * 1048576)) ] || { echo "sonoseg: more than 64 MiB" >&2; exit 1; }
