"""States on disk: they are read back as saved; anything damaged is refused in one line."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgefer import limits, paths
from edgefer.errors import InputError
from edgefer.learning import interrupt, randomness, state
from edgefer.models import building


def test_optimizer_and_generators_come_back_exactly(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    randomness.seed(5)
    state.save(tmp_path, "last", {"optimizer": optimizer.state_dict(), "random": randomness.state(), "empty": {}})
    drawn = torch.rand(3), np.random.rand(3), random.random()
    tree = state.read(tmp_path / "last.json")
    randomness.restore(tree["random"])
    again = torch.rand(3), np.random.rand(3), random.random()
    assert torch.equal(drawn[0], again[0])
    assert (drawn[1] == again[1]).all()
    assert drawn[2] == again[2]
    other = torch.optim.AdamW(model.parameters())
    other.load_state_dict(tree["optimizer"])
    for key, value in optimizer.state_dict()["state"][0].items():
        assert torch.equal(value, other.state_dict()["state"][0][key])
    assert tree["empty"] == {}


def test_shared_tensors_and_lists_of_tuples_survive(tmp_path: Path) -> None:
    x = torch.arange(4.0)
    some: dict[Any, Any] = {"a": x, "b": x[1:], "c": [(1, "two", None, 3.5)], 7: "seven"}  # as in optimizers
    state.save(tmp_path, "last", some)
    tree: dict[Any, Any] = state.read(tmp_path / "last.json")
    assert torch.equal(tree["b"], x[1:])
    assert tree["c"] == [(1, "two", None, 3.5)]
    assert tree[7] == "seven"


def test_a_new_state_replaces_the_old_one_and_leaves_no_files(tmp_path: Path) -> None:
    for value in range(3):
        state.save(tmp_path, "last", {"x": torch.full((2,), value)})
    assert len(list(tmp_path.iterdir())) == 2
    assert state.read(tmp_path / "last.json")["x"][0] == 2


def test_a_disk_that_fills_up_while_saving_leaves_the_old_state_readable(tmp_path: Path) -> None:
    state.save(tmp_path, "last", {"x": torch.zeros(2)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing past the limit is an OSError, like a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            state.save(tmp_path, "last", {"x": torch.ones(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert torch.equal(state.read(tmp_path / "last.json")["x"], torch.zeros(2))
    assert len(list(tmp_path.iterdir())) == 2


def test_an_end_between_the_two_files_of_a_state_leaves_the_old_one_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.save(tmp_path, "last", {"x": torch.zeros(2)})
    writing = paths.write_atomically

    def until_the_head(path: Path) -> AbstractContextManager[Path]:
        if path.suffix == ".json":
            raise KeyboardInterrupt
        return writing(path)

    monkeypatch.setattr(paths, "write_atomically", until_the_head)
    with pytest.raises(KeyboardInterrupt):
        state.save(tmp_path, "last", {"x": torch.ones(2)})
    assert torch.equal(state.read(tmp_path / "last.json")["x"], torch.zeros(2))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_wish_that_the_next_step_hears(number: int) -> None:
    with interrupt.wish_to_stop() as asked:
        assert not asked()
        signal.raise_signal(number)
        assert asked()


def damage_tensors(folder: Path) -> None:
    file = next(folder.glob("last-*.safetensors"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def truncate_tensors(folder: Path) -> None:
    file = next(folder.glob("last-*.safetensors"))
    file.write_bytes(file.read_bytes()[:-3])


def remove_tensors(folder: Path) -> None:
    next(folder.glob("last-*.safetensors")).unlink()


def truncate_json(folder: Path) -> None:
    file = folder / "last.json"
    file.write_bytes(file.read_bytes()[:-9])


def point_outside(folder: Path) -> None:
    file = folder / "last.json"
    card = json.loads(file.read_text())
    card["tensors"] = "../elsewhere.safetensors"
    file.write_text(json.dumps(card))


def other_json(folder: Path) -> None:
    (folder / "last.json").write_text("[1, 2]")


def odd_values(folder: Path) -> None:
    file = folder / "last.json"
    card = json.loads(file.read_text())
    card["values"] = [["x", {"__tensor__": "/nowhere"}]]
    file.write_text(json.dumps(card))


def edit_a_value(folder: Path) -> None:
    file = folder / "last.json"
    file.write_text(file.read_text().replace("0.25", "0.26"))


def nest_deep(folder: Path) -> None:
    file = folder / "last.json"
    card = json.loads(file.read_text())
    del card["digest"]
    text = json.dumps({**card, "values": None})
    file.write_text(text.replace("null", "[" * 500 + "]" * 500))


def many_digits(folder: Path) -> None:
    file = folder / "last.json"
    file.write_text(file.read_text().replace("0.25", "1" * 4301))


def pipe(folder: Path) -> None:
    (folder / "last.json").unlink()
    os.mkfifo(folder / "last.json")


def pipe_of_tensors(folder: Path) -> None:
    file = next(folder.glob("last-*.safetensors"))
    file.unlink()
    os.mkfifo(file)


def endless(folder: Path) -> None:
    (folder / "last.json").unlink()
    (folder / "last.json").symlink_to("/dev/zero")


def holes(folder: Path) -> None:
    with (folder / "last.json").open("r+b") as file:
        file.truncate(20 << 30)


def holes_of_tensors(folder: Path) -> None:
    with next(folder.glob("last-*.safetensors")).open("r+b") as file:
        file.truncate(2 << 30)


@pytest.mark.parametrize(
    "harm",
    [
        *(damage_tensors, truncate_tensors, remove_tensors, truncate_json, point_outside, other_json, odd_values),
        *(edit_a_value, nest_deep, many_digits, pipe, pipe_of_tensors, endless, holes, holes_of_tensors),
    ],
    ids=lambda harm: harm.__name__,
)
def test_damage_is_refused_with_the_files_name(tmp_path: Path, harm) -> None:  # type: ignore[no-untyped-def]
    state.save(tmp_path, "last", {"x": torch.zeros(8), "y": 0.25})
    harm(tmp_path)
    with pytest.raises(InputError, match="last"):
        state.read(tmp_path / "last.json")
    with pytest.raises(InputError, match="last"):
        state.plain(tmp_path / "last.json") if "tensors" not in harm.__name__ else state.read(tmp_path / "last.json")


def test_no_change_of_one_character_is_taken_up(tmp_path: Path) -> None:
    """Either it is refused, or it differs only in blanks and case and means the same."""
    tree: dict[Any, Any] = {
        "progress": {"epoch": 3, "history": [(1, "two", None, 3.5)]},
        7: "seven",
        "x": torch.ones(2),
    }
    head = state.save(tmp_path, "last", tree)
    text, before = head.read_text(), state.plain(head)
    for place in range(len(text)):
        head.write_text(text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :])
        try:
            assert state.plain(head) == before
        except InputError:
            continue


def test_a_state_without_a_digest_is_refused(tmp_path: Path) -> None:
    head = state.save(tmp_path, "last", {"x": torch.ones(2)})
    card = json.loads(head.read_text())
    del card["digest"]
    head.write_text(json.dumps(card))
    with pytest.raises(InputError, match="is damaged or was edited"):
        state.read(head)


def test_the_largest_network_that_can_be_built_can_be_resumed_and_started_from() -> None:
    weights = 4 * building.MAX_PARAMETERS  # bytes
    assert 5 * weights <= limits.TENSORS  # with the weight average, the best weights, and Adam's two moments
