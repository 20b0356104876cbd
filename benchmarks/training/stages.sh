# Sourced by edgefer-base.sh, edgefer-small.sh and edgefer-nano.sh: DATA VOTES FOLDER and their stages.
#
# A stage is a folder in FOLDER. One that is finished is skipped; one that was killed goes on where it was.
set -euo pipefail
data=$1 votes=$2 out=$3
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$out"

# stage NAME EXPECTED TRAIN-ARGUMENTS...: train; the checkpoint has EXPECTED % of PublicTest
stage() {
    local name=$1 expected=$2
    shift 2
    echo "== $name: expected $expected % of PublicTest"
    if [ -f "$out/$name/last.json" ]; then
        python3 -m edgefer train --resume "$out/$name" --data "$data" --threads 1 --no-page
    else
        python3 -m edgefer train "$@" --data "$data" --threads 1 --no-page --out "$out/$name"
    fi
}

# int8 NAME: compress it to NAME-int8
int8() {
    [ -d "$out/$1-int8" ] || python3 -m edgefer compress "$out/$1" --int8 --data "$data" --threads 1 --out "$out/$1-int8"
}

# asked NAME EXPECTED: measure NAME-int8 on PrivateTest, once
asked() {
    echo "== $1: expected $2 % of PrivateTest in INT8"
    [ -s "$out/$1.json" ] && return
    python3 -m edgefer bench "$out/$1-int8" --device cpu --data "$data" --threads 1 --json > "$out/$1.json.part"
    mv "$out/$1.json.part" "$out/$1.json"
}
