#!/usr/bin/env bash
# FER+ in eight classes (25,060 / 3,199 / 3,153 images): edgefer-small's recipe, edgefer-base as teacher for seven of them.
#
#     bash benchmarks/training/ferplus.sh fer2013.zip fer2013new.csv runs/train/ferplus-small
#
# It takes hours on two cores and has not been run to its end so far: no figure of edgefer's is from it.
set -euo pipefail
data=$1 votes=$2 out=$3
if [ -f "$out/last.json" ]; then
    edgefer train --resume "$out" --data "$data"
else
    edgefer train edgefer-small --data "$data" --labels "$votes" --teacher edgefer-base --epochs 20 --seed 0 --out "$out"
fi
printf 'path = "%s"\nlabels = "%s"\n' "$(realpath "$data")" "$(realpath "$votes")" > "$out.toml"
edgefer compress "$out" --int8 --data "$out.toml" --out "$out-int8"
edgefer bench "$out-int8" --data "$out.toml" --out "$out-bench"
