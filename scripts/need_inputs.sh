#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Says what `make run` still needs; exit status 2 when something is missing. Checkpoints are needed where no models
# came with the checkout.
set -euo pipefail
models=${SONO_MODELS:-$(dirname "$0")/../models}
has() { compgen -G "$models/$1" >/dev/null; }
missing=()
[ -n "${DETECTOR:-}" ] || has 'dfine_*.safetensors' || missing+=(DETECTOR)
[ -n "${SEGMENTER:-}" ] || has 'mobile_sam_*.safetensors' || missing+=(SEGMENTER)
[ -n "${INPUT:-}" ] || missing+=(INPUT)
[ ${#missing[@]} -eq 0 ] && exit 0
cat >&2 <<TEXT
sonoseg: still needed: ${missing[*]}

    make run DETECTOR=dfine_s.pth SEGMENTER=mobile_sam.pt INPUT=frames/ OUTPUT=out/

  DETECTOR   a D-FINE checkpoint (n, s, m, l or x; .pth, .pt or .safetensors). The official ones are linked from the
             "Model Zoo" of the D-FINE project, GitHub repository Peterande/D-FINE.
  SEGMENTER  a MobileSAM checkpoint. The official one is weights/mobile_sam.pt in the GitHub repository
             ChaoningZhang/MobileSAM.
  INPUT      image files or folders of them (PNG, JPEG, TIFF, PGM/PPM).

Checkpoints trained on everyday photographs load and run, but do not know ultrasound: train or fine-tune with the
official code and pass what it saves. \$SONO_DETECTOR and \$SONO_SEGMENTER are used when the variables are not given.
TEXT
exit 2
