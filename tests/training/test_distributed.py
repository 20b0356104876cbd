"""Training in several processes, by PyTorch's torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch

from edgefer.learning import state
from tests.helpers import together

ROOT = Path(__file__).parents[2]


def torchrun(*arguments: str, folder: Path, restarts: int = 0) -> subprocess.Popen[str]:
    """Start two processes of a module, in a folder."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", f"--max-restarts={restarts}"]
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(started: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for processes that end well, and return what they printed."""
    out, err = started.communicate(timeout=900)
    assert started.returncode == 0, err
    return out, err


def test_two_processes_learn_what_one_does_and_see_each_image_once(tmp_path: Path) -> None:
    launched = torchrun("tests.helpers.together", str(tmp_path), folder=tmp_path)
    alone = {
        name: together.noted(recipe, together.images(), tmp_path / f"{name}-alone")
        for name, recipe in together.trainings().items()
    }
    ended(launched)
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    for name, one in alone.items():
        both = [each[name] for each in ranks]
        assert (one["world_size"], [each["world_size"] for each in both]) == (1, [2, 2])
        assert len(one["losses"]) == 20
        for each in both:
            assert each["losses"] == pytest.approx(one["losses"], rel=1e-4)
            assert each["val_accuracy"] == one["val_accuracy"]
            assert [line["train_accuracy"] for line in each["history"]] == [
                line["train_accuracy"] for line in one["history"]
            ]
        for whole, *parts in zip(one["rows"], *(each["rows"] for each in both), strict=True):
            assert list(map(len, parts)) == [12, 10]
            assert sorted(chain(*parts)) == sorted(whole)
        for epoch in (one["rows"][:10], one["rows"][10:]):
            assert sorted(chain(*epoch)) == list(range(together.IMAGES))
        saved, expected = (state.read(tmp_path / run / "last.json") for run in (name, f"{name}-alone"))
        for kind in ("model", "selected"):
            torch.testing.assert_close(saved[kind], expected[kind], rtol=1e-3, atol=1e-4)
