"""The scripts that repeat the shipped networks' trainings, their commands recorded instead of run for 30 hours."""

from __future__ import annotations

import os
import subprocess
from argparse import ArgumentParser
from pathlib import Path

import pytest

from edgefer import recipes

TRAINING = Path(__file__).parents[2] / "benchmarks" / "training"

PYTHON = r"""#!/usr/bin/env bash
printf '%s\x1f' "$@" >> "$COMMANDS"
echo >> "$COMMANDS"
out=
[ "$2" = benchmarks.training.prune ] && out=$4
while [ $# -gt 0 ]; do
    [ "$1" = --out ] && out=$2
    shift
done
[ -n "$out" ] || exec echo '{}'
mkdir "$out" # which must be new
touch "$out/last.json" "$out/best.json"
"""


def commands(name: str, folder: Path) -> list[list[str]]:
    """Run a script with a Python that only records its commands; return them."""
    python = folder / "bin" / "python3"
    if not python.exists():
        python.parent.mkdir(parents=True)
        python.write_text(PYTHON)
        python.chmod(0o755)
    recorded = folder / "commands"
    recorded.write_text("")
    settings = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "COMMANDS": str(recorded)}
    script = ["bash", f"{TRAINING}/{name}.sh", "fer2013.zip", "votes.csv", f"{folder}/stages"]
    subprocess.run(script, check=True, env=settings, capture_output=True)
    return [line.split("\x1f")[:-1] for line in recorded.read_text().splitlines()]


@pytest.mark.parametrize("name", ["edgefer-base", "edgefer-small", "edgefer-nano"])
def test_each_stage_has_valid_settings_and_uses_what_earlier_stages_made(name: str, tmp_path: Path) -> None:
    parser = ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--from", dest="start")
    parser.add_argument("--teacher", action="append", default=[])
    parser.add_argument("--votes")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--out")
    made = set()
    for _, module, *arguments in commands(name, tmp_path):
        if module == "benchmarks.training.prune":
            assert arguments[0] in made
            made.add(arguments[1])
        elif arguments[0] == "train":
            stage, _ = parser.parse_known_args(arguments[1:])
            votes = [f'teaching.votes="{stage.votes}"'] if stage.votes else []
            taught = [*stage.set, f"teaching.teachers={stage.teacher}", *votes]
            recipe = recipes.load(stage.recipe, taught, stage.epochs, stage.seed)
            assert {stage.start, *stage.teacher} - {None} <= made
            assert recipe.train.mirror or recipe.model.args.get("stem_side", 3) == 3
            made.add(stage.out)
        else:
            assert arguments[1] in made
            made.add(arguments[-1])
        last = arguments
    assert last[0] == "bench"  # of PrivateTest


def test_started_again_it_goes_on_and_asks_private_test_no_second_time(tmp_path: Path) -> None:
    first = commands("edgefer-nano", tmp_path)
    again = commands("edgefer-nano", tmp_path)
    trained = [each[each.index("--out") + 1] for each in first if "train" in each]
    assert [each[each.index("--resume") + 1] for each in again] == trained
    assert [each[2] for each in again] == ["train"] * len(trained)
    assert [each[2] for each in first].count("bench") == 1
