"""A checkpoint in the old format becomes one in today's, with the same weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from edgefer import bundle
from edgefer.errors import InputError
from edgefer.learning import checkpoint
from tests.helpers import scripts


def test_a_checkpoint_of_before_is_read_once_converted(tmp_path: Path) -> None:
    ours = bundle.shipped("edgefer-nano")
    assert ours is not None
    shutil.copytree(ours / "checkpoint", tmp_path / "old")
    file = tmp_path / "old" / "best.json"
    text = file.read_text().replace('"initial_weights"', '"start"').replace('"synthetic"', '"drawn"')
    content = json.loads(text)
    del content["digest"]
    train = dict(dict(content["values"])["recipe"])["train"]
    train += [["sam", 0.0], ["ema_power", 0.5]]
    file.write_text(json.dumps(content))
    with pytest.raises(InputError):
        checkpoint.read(tmp_path / "old")
    scripts.load("convert_checkpoints", "benchmarks/training").convert(tmp_path / "old", tmp_path / "new")
    made, shipped = checkpoint.read(tmp_path / "new"), checkpoint.read(Path("edgefer-nano"))
    assert (made.recipe, made.initial_weights, made.data) == (shipped.recipe, shipped.initial_weights, shipped.data)
    assert all(torch.equal(made.weights[name], weight) for name, weight in shipped.weights.items())
