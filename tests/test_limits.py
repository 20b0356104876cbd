"""Inputs have size limits, and anything that would block or exhaust a reader is refused in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefer import inputs, limits, recipes
from edgefer.bench import result_file
from edgefer.claims import ledger
from edgefer.compression import calibrate
from edgefer.data import groups, votes
from edgefer.errors import InputError
from edgefer.graph import reading
from edgefer.learning import state
from edgefer.models.creation import create
from tests.helpers import samples


def test_a_file_is_read_up_to_its_bound_and_not_beyond(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert limits.read_bytes(file, 5) == b"12345"
    with pytest.raises(InputError, match=r"is larger than edgefer reads: it has 5 bytes, but at most 4 are possible"):
        limits.read_bytes(file, 4)


def test_a_file_of_holes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sparse"
    with file.open("wb") as made:
        made.truncate(200 * limits.MEGA)
    with pytest.raises(InputError, match="nearly all sparse"):
        limits.check_file(file, limits.GIGA)


def test_json_of_too_many_values_or_levels_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text("[" + "0," * 1000 + "0]")
    assert len(limits.read_json(file, limits.MEGA)) == 1001
    with pytest.raises(InputError, match="more values than edgefer reads"):
        limits.read_json(file, limits.MEGA, values=500)
    file.write_text("[" * 100 + "]" * 100)
    with pytest.raises(InputError, match="nested deeper than 64 levels"):
        limits.read_json(file, limits.MEGA)
    file.write_text("[" * 100_000)
    with pytest.raises(InputError, match="is damaged or not JSON"):
        limits.read_json(file, limits.MEGA)


@pytest.mark.parametrize("text", ["a = " + "9" * 4301, "a = [" * 1000, "a" + ".b" * 2000 + " = 1", "a = "])
def test_toml_that_breaks_a_parser_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match="is not valid TOML") as error:
        limits.toml(text, "file.toml")
    assert "\n" not in str(error.value)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def holes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(30 << 30)


READERS: dict[str, Callable[[Path], object]] = {
    "result.json": result_file.read,
    "recipe.toml": lambda path: recipes.load(str(path)),
    "scheme.toml": lambda path: calibrate.load(str(path)),
    "fer2013new.csv": lambda path: votes.read(path, samples.dataset()),
    "claims.toml": ledger.read,
    "last.json": state.read,
    "groups.csv": lambda path: groups.asked(str(path)),
    "network.onnx": reading.read,
    "face.png": inputs.read,
    "weights.safetensors": lambda path: create("plain-cnn", 7, 1, weights=str(path)),
}


@pytest.mark.parametrize("make", [fifo, loop, device, holes, Path.mkdir])
@pytest.mark.parametrize("name", READERS)
def test_no_reader_waits_for_a_pipe_or_follows_a_device(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / name)
    with pytest.raises(InputError) as error:
        READERS[name](tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_result_of_40_mb_is_refused_by_its_size(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"kind": "edgefer bench", "x": "0" * (17 * limits.MEGA)}))
    with pytest.raises(InputError, match="larger than edgefer reads"):
        result_file.read(file)
