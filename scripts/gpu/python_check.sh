#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Python package on a machine with a GPU and PyTorch, where nothing can be downloaded: scripts/gpu/python_check.sh [WHEEL]
#
# WHEEL (default carry/python/sonoseg-*.whl) comes from a machine with nvcc and a package index:
#     CUDA_ARCHITECTURES=90-real scripts/wheel.sh --cuda --no-models --out carry/python
# (after scripts/gpu/build.sh add --archives build/gpu/lib: seconds). The models are those of models/. PYTHON names another
# Python than python3. All tests of bindings/python/tests are run where there is pytest, else those of the GPU alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
wheel=${1:-$(ls carry/python/sonoseg-*.whl)}
package=$PWD/build/python_check
rm -rf "$package"
mkdir -p "$package"
"$python" -m zipfile -e "$wheel" "$package"
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
