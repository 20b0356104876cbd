#!/usr/bin/env bash
# edgefer-nano from FER2013, FER+'s votes and the INT8 network of edgefer-base that comes with edgefer.
#
#     bash benchmarks/training/edgefer-nano.sh fer2013.zip fer2013new.csv FOLDER
#
# Expected: 66.5 % of PublicTest after training (loss 0.9174 at its temperature), 66.2 % in INT8, 68.18 % of PrivateTest.
# About an hour of one CPU core with bf16. Killed and started again, it goes on where it was. The last stage asks PrivateTest; run it once for a candidate that ships.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
data=$1 votes=$2 out=$3
mkdir -p "$out"
edgefer=(python3 -W ignore -m edgefer)

echo "1. teacher's answers, training"
if [ -f "$out/train/last.json" ]; then
    "${edgefer[@]}" train --resume "$out/train" --data "$data" --threads 1 --no-page
else
    "${edgefer[@]}" train edgefer-nano --teacher "$here/edgefer/pretrained/edgefer-base" --votes "$votes" --data "$data" \
        --threads 1 --no-page --seed 0 --set teaching.views=12 --out "$out/train"
fi
echo "2. INT8"
[ -d "$out/int8" ] || "${edgefer[@]}" compress "$out/train" --int8 --data "$data" --threads 1 --out "$out/int8"
echo "3. PrivateTest"
[ -s "$out/bench.json" ] || {
    "${edgefer[@]}" bench "$out/int8" --device cpu --data "$data" --threads 1 --json > "$out/bench.json.part"
    mv "$out/bench.json.part" "$out/bench.json"
}
