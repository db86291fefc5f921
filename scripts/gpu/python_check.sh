#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Python package on a machine with a GPU and PyTorch, where nothing can be downloaded.
#
#     scripts/gpu/python_check.sh --pack    on a machine with nvcc, after scripts/gpu/build.sh: links the CUDA wheel from build/gpu
#                                           and packs it into carry/python.tar.xz (5 MB)
#     scripts/gpu/python_check.sh           there: unpacks it and runs bindings/python/tests: those of the GPU, and the others where
#                                           there is pytest
#
# The models are those of models/, or of SONO_MODELS. PYTHON names another Python than python3; it needs numpy.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
package=$PWD/build/python_check
rm -rf "$package"
mkdir -p "$package"
if [ "${1:-}" = --pack ]; then
    [ -f build/gpu/lib/libsonoseg.a ] || { echo "sonoseg: no build/gpu: run scripts/gpu/build.sh first" >&2; exit 1; }
    CUDA_ARCHITECTURES=$(sed -n 's/^CMAKE_CUDA_ARCHITECTURES:[A-Z]*=//p' build/gpu/CMakeCache.txt) \
        scripts/wheel.sh --cuda --no-models --archives build/gpu/lib --out "$package/dist"
    "$python" -m zipfile -e "$package"/dist/*.whl "$package"
    mkdir -p carry
    tar -C "$package" -cJf carry/python.tar.xz sonoseg
    du -h carry/python.tar.xz
    exit 0
fi
tar -C "$package" -xJf carry/python.tar.xz
export PYTHONPATH=$package SONO_MODELS=${SONO_MODELS:-$PWD/models} PYTHONDONTWRITEBYTECODE=1
cd bindings/python/tests
"$python" - <<'END'
import platform, sys
import sonoseg
print("sonoseg:", sonoseg.__version__, sonoseg.backends, "Python", platform.python_version())
try:
    import torch
    print("PyTorch:", torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "without a GPU")
except ImportError:
    print("no PyTorch")
sys.exit("sonoseg: the wheel has no CUDA" if "cuda" not in sonoseg.backends else 0)
END
"$python" test_cuda.py
if "$python" -c 'import pytest' 2>/dev/null; then
    "$python" -m pytest -q -p no:cacheprovider --ignore test_cuda.py --ignore test_docs.py
fi
