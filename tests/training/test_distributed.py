"""Training in several processes with PyTorch's torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed import HashStore  # type: ignore[attr-defined]

from edgefer import bundle
from edgefer.errors import InputError
from edgefer.learning import distributed, state
from tests.helpers import sources, together
from tests.helpers.stripes import stripes

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
    """Wait until the processes succeed; return their output."""
    out, err = started.communicate(timeout=550)
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


@pytest.mark.parametrize("count", [22, 23, 64])
def test_images_that_mixup_mixes_stay_together_whatever_the_number_of_processes(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for processes in (1, 2, 3, 8):
        monkeypatch.setattr(distributed, "world_size", lambda processes=processes: processes)
        parts = []
        for rank in range(processes):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            parts.append(distributed.places(count))
        assert sorted(chain(*parts)) == list(range(count))
        for part in parts:
            assert list(part[::-1]) == list(count - 1 - part)
        assert max(map(len, parts)) - min(map(len, parts)) <= 3


def test_a_batch_that_is_too_small_for_the_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 8)
    with pytest.raises(InputError, match="a batch of 14 is too small for 8 processes"):
        distributed.places(14)


def test_a_run_that_may_be_restarted_needs_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a test")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    with (
        pytest.raises(InputError, match="goes on where the last one stopped; name that folder with --out"),
        distributed.run_folder(None, "train", "compact"),
    ):
        pass


def test_processes_started_again_do_not_meet_those_that_have_ended() -> None:
    kept = HashStore()  # torchrun keeps its store too
    for _ in range(20):
        with ThreadPoolExecutor(3) as processes:
            found = list(processes.map(lambda index: distributed._fresh(kept, index, 3), [2, 1, 0]))
        assert not found[0].check(["address"])  # of the processes before
        found[0].set("address", "mine")
        assert [each.get("address") for each in found] == [b"mine"] * 3


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write easily classified pictures to a file and return it."""
    shown = stripes(train=448, others=140)
    usages = [("Training", "PublicTest", "PrivateTest")[split] for split in shown.splits]
    small = sources.Small(np.asarray(shown.images), np.asarray(shown.labels, np.int64), usages)
    return sources.write_csv(tmp_path_factory.mktemp("faces") / "fer2013.csv", small)


def train(faces: Path) -> list[str]:
    small = ["--set", "train.batch_size=32", "--set", "train.ema=0.8", "--epochs", "6", "--no-page", "--json"]
    return ["train", "quickstart", "--data", str(faces), "--out", "run", *small]


@pytest.fixture(scope="module")
def trained(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return the folder of a training with two processes, and their output."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, *ended(torchrun("edgefer", *train(faces), folder=folder))


@pytest.mark.slow
def test_with_batchnorm_two_processes_learn_about_as_well_as_one(
    trained: tuple[Path, str, str], faces: Path, tmp_path: Path
) -> None:
    folder, out, err = trained
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    alone = subprocess.run(
        [sys.executable, "-m", "edgefer", *train(faces)], cwd=tmp_path, env=settings, capture_output=True, check=True
    )
    two, one = (json.loads(text) for text in (out, alone.stdout))
    assert (two["world_size"], one["world_size"]) == (2, 1)
    assert two["val_accuracy"] == pytest.approx(one["val_accuracy"], abs=0.15)
    assert two["val_accuracy"] > 0.6  # chance is 0.14
    assert err.count("BatchNorm takes its statistics from each process's own images") == 1
    assert "2 processes on cpu" in err
    names = {path.name.partition("-")[0] for path in (folder / "run").iterdir()}
    assert names == {"best", "best.json", "last", "last.json", "log.csv", "private.json", "recipe.json"}


@pytest.mark.slow
def test_a_process_that_was_killed_is_started_again_and_the_training_goes_on_where_it_was(
    trained: tuple[Path, str, str], faces: Path, tmp_path: Path
) -> None:
    out, err = ended(torchrun("tests.helpers.ended", "kill", *train(faces), folder=tmp_path, restarts=1))
    assert "SIGKILL" in err or "exitcode: -9" in err
    assert json.loads(out)["epochs"] == 6
    assert err.count("epoch 1 of 6") == 1  # the first one was saved and not repeated
    saved, undisturbed = (state.read(folder / "run" / "last.json") for folder in (tmp_path, trained[0]))
    for kind in ("model", "selected"):
        torch.testing.assert_close(saved[kind], undisturbed[kind])


@pytest.mark.slow
def test_ctrl_c_saves_what_all_processes_have_done_and_says_how_to_resume(faces: Path, tmp_path: Path) -> None:
    started = torchrun("tests.helpers.ended", "ctrl-c", *train(faces), folder=tmp_path)
    _, err = started.communicate(timeout=550)
    assert "edgefer: interrupted; resume with: torchrun --nproc-per-node 2 -m edgefer train --resume run" in err
    progress = state.plain(tmp_path / "run" / "last.json")["progress"]
    assert (progress["epoch"], progress["step"], progress["seen"]) == (0, 4, 4 * 32)


@pytest.mark.slow
def test_fine_tuning_in_int8_takes_two_processes_too(trained: tuple[Path, str, str], faces: Path) -> None:
    asked = ["--qat-epochs", "1", "--max-drop", "20", "--allow-float", "--json"]
    compress = ["compress", "run", "--int8", "--data", str(faces), "--out", "bundle", *asked]
    found = json.loads(ended(torchrun("edgefer", *compress, folder=trained[0]))[0])
    assert (found["world_size"], found["tuned"]) == (2, 1)
    assert found["accuracy"]["int8-cpu"] > found["accuracy"]["fp32"] - 0.1
    assert bundle.load(trained[0] / "bundle").manifest.compression["fine_tuning"]["epochs"] == 1
