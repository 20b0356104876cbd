#!/usr/bin/env bash
# Tests and measures edgefer on real hardware in at most 12 minutes, and writes one folder to send back. Run it on a
# Jetson or NVIDIA GPU, rented for an hour, in an environment with edgefer (docs/devices.md):
#
#     bash benchmarks/runtimes/board.sh [FOLDER]
#
# Settings, from the environment:
#   PYTHON         a Python with edgefer; default: python3
#   DEVICE         jetson, tensorrt or rtx; default: jetson on a Jetson, tensorrt elsewhere
#   DATA           fer2013.zip; without it synthetic faces, and no accuracy
#   VIDEO          a file with faces for the live section; default: a synthetic one
#   BUNDLES        default: edgefer-nano edgefer-small edgefer-base. These have FP16 and INT8; FP32 is measured if
#                  your bundle has it
#   SECONDS_EACH   timing of each network in seconds; default: 2
#   IMAGES         images for the comparison of numerics; default: 3589
#
# summary.txt has a line for each section: ran, stand-in (a test's GPU, no hardware), missing (and what) or failed.
# Exit code: 0 all ran; 3 TensorRT is missing, nothing was measured; 1 a section failed.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
out=${1:-board-$(date +%Y%m%d-%H%M%S)}
python=${PYTHON:-python3}
seconds=${SECONDS_EACH:-2}
read -ra bundles <<<"${BUNDLES:-edgefer-nano edgefer-small edgefer-base}"
data=()
[ -z "${DATA:-}" ] || data=(--data "$DATA")
if [ -n "${DEVICE:-}" ]; then
    device=$DEVICE
elif [ -e /etc/nv_tegra_release ] || grep -qi jetson /proc/device-tree/model 2>/dev/null; then
    device=jetson
else
    device=tensorrt
fi

if [ -e "$out" ]; then
    echo "$out exists already; name another folder" >&2
    exit 2
fi
mkdir -p "$out" || exit 2
ran=ran
failed=0
deadline=$((SECONDS + 720)) # longer commands are stopped

say() { # say SECTION STATE [WHY]
    printf '%-22s %-9s %s\n' "$1" "$2" "${3:-}" | tee -a "$out/summary.txt"
}

section() { # section NAME LIMIT_SECONDS COMMAND...: writes its output to NAME.out and NAME.err
    local name=$1 limit=$2 start=$SECONDS code why
    shift 2
    [ "$limit" -le $((deadline - SECONDS)) ] || limit=$((deadline - SECONDS))
    if [ "$limit" -lt 5 ]; then
        say "$name" failed "the 12 minutes are over" && failed=1
        return 1
    fi
    timeout --kill-after=10 "$limit" "$@" >"$out/$name.out" 2>"$out/$name.err" </dev/null
    code=$?
    # A test's GPU is recognized by its name; all later sections then report stand-in.
    ! grep -q 'Fake GPU' "$out/tensorrt.out" 2>/dev/null || ran=stand-in
    why=$(grep -v '^$' "$out/$name.err" | tail -n 1 | cut -c 1-160)
    case $code in
    0) say "$name" "$ran" "$((SECONDS - start)) s" ;;
    3) say "$name" missing "$why" ;;
    124 | 137) say "$name" failed "it took more than $limit s" && failed=1 ;;
    *) say "$name" failed "exit code $code: $why" && failed=1 ;;
    esac
    return "$code"
}

edgefer() { # edgefer NAME LIMIT_SECONDS WORDS...
    local name=$1 limit=$2
    shift 2
    section "$name" "$limit" "$python" -m edgefer "$@"
}

finish() { # finish EXIT_CODE
    [ -z "${HOME:-}" ] || [ "$HOME" = / ] || find "$out" -type f -exec sed -i "s#$HOME#~#g" {} +
    echo "send back the folder $out"
    exit "$1"
}

# The board's own description comes first: a bug report needs it even if the rest fails.
edgefer doctor 60 doctor --json
if ! section tensorrt 60 "$python" "$root/benchmarks/runtimes/board.py" check "$device"; then
    for name in build numerics predict live bench; do
        say "$name" missing "TensorRT does not run on this machine; see tensorrt.err"
    done
    finish 3
fi

section build 240 "$python" "$root/benchmarks/runtimes/board.py" build "$device" "${bundles[@]}"
section numerics 120 "$python" "$root/benchmarks/runtimes/board.py" numerics "$device" "${bundles[@]}" --images "${IMAGES:-3589}" \
    "${data[@]}" --out "$out/numerics.json"
section picture 60 "$python" "$root/benchmarks/runtimes/board.py" picture "$out/face.png"
edgefer predict 90 predict "$out/face.png" --device auto --faces never --json
if [ -n "${VIDEO:-}" ]; then
    edgefer live 90 live "$VIDEO" --events changes --seconds 20
elif section video 60 "$python" "$root/benchmarks/runtimes/board.py" video "$out/faces.mp4"; then
    edgefer live 90 live "$out/faces.mp4" --events changes --seconds 20
else
    say live missing "no VIDEO, and none could be drawn: pip install 'edgefer[live]'"
fi
for name in "${bundles[@]}"; do # one by one: a timeout only loses its own figures
    edgefer "bench-$(basename "$name")" 300 bench "$name" --device "$device" --device cpu --seconds "$seconds" \
        --measure throughput "${data[@]}" --out "$out/bench/$(basename "$name")"
done
for precision in fp32 fp16 int8; do
    if grep -qs "\"precision\": \"$precision\"" "$out"/bench/*/result.json; then
        say "bench, $precision" "$ran"
    else
        say "bench, $precision" missing "no network of ${bundles[*]} has it, or its bench failed"
    fi
done
finish "$failed"
