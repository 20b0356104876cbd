#!/usr/bin/env bash
# edgefer-small from FER2013, FER+'s votes and edgefer-base's teachers.
#
#     bash benchmarks/training/edgefer-small.sh fer2013.zip fer2013new.csv FOLDER
#
# Two hours of one CPU core with bf16 once FOLDER has edgefer-base.sh's teachers; without them they are trained first.
# The last stage asks PrivateTest; run it once for a candidate that ships.
bash "$(dirname "$0")/edgefer-base.sh" "$1" "$2" "$3" teachers
. "$(dirname "$0")/stages.sh"

unmirrored=(--set train.mirror=false --set 'model.args={ widths = [24, 48, 80, 96], blocks = [1, 2, 2, 1] }')
stage small-1 67.09 edgefer-small --teacher "$out/first-0-int8" --votes "$votes" "${unmirrored[@]}" --epochs 20 --seed 1
stage small-2 69.43 edgefer-small --from "$out/small-1" --teacher "$out/first-0-int8" --votes "$votes" "${unmirrored[@]}" \
    --set phases.0.lr=0.035 --set augment.mixup=0.0 --epochs 24 --seed 1
stage small 70.19 edgefer-small --from "$out/small-2" --votes "$votes" \
    --teacher "$out/mirror-0-int8" --teacher "$out/mirror-1" --teacher "$out/lite2" \
    --set teaching.views=12 --set teaching.share=0.5 --set augment.mixup=0.0 --set phases.0.lr=0.05 --set train.best=loss --epochs 60
int8 small
asked small 71.11
