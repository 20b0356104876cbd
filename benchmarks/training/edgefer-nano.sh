#!/usr/bin/env bash
# edgefer-nano from FER2013, FER+'s votes and a teacher of edgefer-base.sh.
#
#     bash benchmarks/training/edgefer-nano.sh fer2013.zip fer2013new.csv FOLDER
#
# An hour of one CPU core with bf16 once FOLDER has edgefer-base.sh's teachers; without them they are trained first.
# 66.2 % of PublicTest in INT8. The last stage asks PrivateTest; run it once for a candidate that ships.
bash "$(dirname "$0")/edgefer-base.sh" "$1" "$2" "$3" teachers
. "$(dirname "$0")/stages.sh"

stage nano 66.48 edgefer-nano --teacher "$out/mirror-0-int8" --votes "$votes" --set teaching.views=12
int8 nano
asked nano 68.18
