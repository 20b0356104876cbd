"""What somebody else wrote is opened in one way: pipes, devices and what is too large are one line, not a wait."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefer import data, inputs, recipes
from edgefer.bench import read as results
from edgefer.claims import ledger
from edgefer.compression import calibrate
from edgefer.data import groups, votes
from edgefer.errors import InputError
from edgefer.graph import read as graphs
from edgefer.models.create import create

READERS: dict[str, Callable[[Path], Any]] = {
    "recipe.toml": lambda path: recipes.load(str(path)),
    "scheme.toml": lambda path: calibrate.load(str(path)),
    "claims.toml": ledger.read,
    "result.json": results.read,
    "fer2013new.csv": lambda path: votes.read(path, data.builtin(train=10, val=1, test=1)),
    "groups.csv": lambda path: groups.asked(str(path)),
    "network.onnx": graphs.read,
    "face.png": inputs.read,
    "weights.safetensors": lambda path: create("plain-cnn", 7, 1, weights=path),
}


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def holes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(30 << 30)


@pytest.mark.parametrize("harm", [os.mkfifo, endless, holes, os.mkdir], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("name", READERS)
def test_what_would_be_waited_for_or_fill_the_memory_is_refused(tmp_path: Path, name: str, harm: Any) -> None:
    harm(tmp_path / name)
    with pytest.raises(InputError) as refused:
        READERS[name](tmp_path / name)
    assert "\n" not in str(refused.value)
