"""States on disk: what is read is what was saved; anything damaged is refused in one line."""

from __future__ import annotations

import json
import random
import resource
import signal
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch

from edgefer import paths
from edgefer.errors import InputError
from edgefer.learning import interrupt, randomness, state


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
    state.save(tmp_path, "last", {"a": x, "b": x[1:], "c": [(1, "two", None, 3.5)], 7: "seven"})
    tree = state.read(tmp_path / "last.json")
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
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing past the limit is an OSError, as on a full disk
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


@pytest.mark.parametrize(
    "harm",
    [damage_tensors, truncate_tensors, remove_tensors, truncate_json, point_outside, other_json, odd_values],
    ids=lambda harm: harm.__name__,
)
def test_damage_is_refused_with_the_files_name(tmp_path: Path, harm) -> None:  # type: ignore[no-untyped-def]
    state.save(tmp_path, "last", {"x": torch.zeros(8)})
    harm(tmp_path)
    with pytest.raises(InputError, match="last"):
        state.read(tmp_path / "last.json")
