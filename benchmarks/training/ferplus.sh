#!/usr/bin/env bash
# FER+ in eight classes, by its paper's protocol (majority of ten votes): edgefer-small's recipe, initialized with its weights.
#
#     bash benchmarks/training/ferplus.sh fer2013.zip fer2013new.csv FOLDER
#
# INT8 is only calibrated: fine-tuning is not needed if calibration loses nothing (`compress` reports it).
# About 40 minutes on one core. Run again after a kill, it resumes. benchmarks/results/ferplus holds FOLDER/*.json and
# the log; benchmarks/readme.py makes the table in docs/results.md from them.
set -euo pipefail
data=$1 votes=$2 out=$3
mkdir -p "$out"
edgefer=(python3 -W ignore -m edgefer)
printf 'path = "%s"\nlabels = "%s"\n' "$(realpath "$data")" "$(realpath "$votes")" > "$out/ferplus.toml"

once() { # FILE COMMAND...: write its JSON without this machine's folder, unless FILE exists
    [ -s "$1" ] && return
    "${@:2}" --json > "$1.part"
    sed -i "s|$(realpath "$out")/||g" "$1.part"
    mv "$1.part" "$1"
}
if [ -f "$out/train/last.json" ]; then
    once "$out/train.json" "${edgefer[@]}" train --resume "$out/train" --data "$out/ferplus.toml" --threads 1 --no-page
else
    once "$out/train.json" "${edgefer[@]}" train edgefer-small --from edgefer-small --data "$out/ferplus.toml" --votes "$votes" \
        --epochs 16 --seed 0 --threads 1 --no-page --out "$out/train"
fi
cp "$out/train/log.csv" "$out/train-log.csv"
once "$out/compress.json" "${edgefer[@]}" compress "$out/train" --ptq --data "$out/ferplus.toml" --threads 1 --out "$out/int8"
once "$out/bench.json" "${edgefer[@]}" bench "$out/int8" --data "$out/ferplus.toml" --threads 1 --out "$out/bench"
