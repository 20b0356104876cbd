"""INT8 fine-tuning on a small data set with the real loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from edgefer import data
from edgefer.compression import fine_tuning
from edgefer.compression.fine_tuning import FineTuneSettings
from edgefer.compression.quantization import quantize
from edgefer.errors import Diverged
from edgefer.learning import checkpoint, evaluate, state
from edgefer.learning.checkpoint import Checkpoint
from edgefer.learning.loop import Progress
from tests.helpers.stripes import stripes

ROOT = Path(__file__).parents[2]


def prepared(run: Path) -> tuple[Checkpoint, nn.Module, nn.Module]:
    """Return the checkpoint, its network, and that network calibrated."""
    torch.set_num_threads(1)
    trained = checkpoint.read(run)
    network = checkpoint.build(trained)
    inputs = trained.recipe.preprocessing.apply(data.split(stripes(train=448, others=140), "train").take(slice(0, 50)))
    return trained, network, quantize(network, torch.from_numpy(inputs), "mean-minmax", half_range=False)


def tune(run: Path, work: Path, epochs: int = 1, lr: float = 1e-3) -> tuple[Progress, nn.Module, nn.Module]:
    trained, network, quantized = prepared(run)
    splits = [data.split(stripes(train=448, others=140), name) for name in ("train", "val")]
    plan = FineTuneSettings("int8", epochs=epochs, steps=14, lr=lr, seed=0)
    progress = fine_tuning.finetune(quantized, network, splits[0], splits[1], trained.recipe, plan, work, {})
    return progress, quantized, network


def test_fine_tuning_brings_int8_closer_to_the_teacher(trained: Path, tmp_path: Path) -> None:
    read, network, calibrated = prepared(trained)
    # Ranges that clip, as after a bad calibration, so that there is something to learn.
    with torch.no_grad():
        for name, parameter in calibrated.named_parameters():
            if "_scale_param_storage" in name and parameter.numel() == 1:
                parameter.mul_(0.5)
    spec, images = read.recipe.preprocessing, data.split(stripes(train=448, others=140), "val")

    def distance(student: nn.Module) -> float:
        answers, wanted = (evaluate.logits(model, images, spec) for model in (student, network))
        return float(((answers - wanted) ** 2).mean())

    before = distance(calibrated)
    splits = [data.split(stripes(train=448, others=140), name) for name in ("train", "val")]
    plan = FineTuneSettings("int8", epochs=3, steps=14, lr=1e-3, seed=0)
    progress = fine_tuning.finetune(calibrated, network, splits[0], splits[1], read.recipe, plan, tmp_path, {})
    assert [line["epoch"] for line in progress.history] == [0, 1, 2, 3]
    assert progress.history[3]["loss"] < progress.history[1]["loss"]
    assert progress.best_epoch > 0
    assert distance(calibrated) < before


def test_batchnorms_statistics_and_the_teacher_stay_as_they_are(trained: Path, tmp_path: Path) -> None:
    before = checkpoint.read(trained).weights
    _, quantized, network = tune(trained, tmp_path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    running = {name: value for name, value in quantized.state_dict().items() if "running" in name}
    assert running
    assert all(torch.equal(value, before[name]) for name, value in running.items())
    assert not quantized.training


def test_the_best_epoch_is_kept_and_that_may_be_the_calibrated_network(trained: Path, tmp_path: Path) -> None:
    progress, quantized, _ = tune(trained, tmp_path, lr=3.0)  # far too fast: worse than calibration alone
    _, _, calibrated = prepared(trained)
    assert progress.best_epoch == 0
    assert progress.best_accuracy == progress.history[0]["val_accuracy"] > progress.history[1]["val_accuracy"]
    wanted = calibrated.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in quantized.state_dict().items())


def test_a_loss_that_is_not_finite_names_epoch_step_and_rows(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"epoch 1, step \d+ \(batch of rows \d+, .*--ptq"):
        tune(trained, tmp_path, lr=1e30)


def test_the_default_is_one_epoch_and_never_more_steps_than_asked(trained: Path) -> None:
    recipe, training = checkpoint.read(trained).recipe, data.split(stripes(train=448, others=140), "train")
    assert fine_tuning.settings("int8", recipe, training, None, 300, 0) == FineTuneSettings("int8", 1, 14, 0.001, 0)
    assert fine_tuning.settings("int8", recipe, training, None, 5, 0) == FineTuneSettings("int8", 1, 5, 0.001, 0)
    assert fine_tuning.settings("relu", recipe, training, 2, 5, 0) == FineTuneSettings("relu", 2, 14, 0.025, 0)
    assert fine_tuning.settings("int8", recipe, training, 3, 5, 0) == FineTuneSettings("int8", 3, 14, 0.001, 0)


_SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.compression import test_finetune
from edgefer import console
from edgefer.compression import fine_tuning
from edgefer.learning import loop

run, work, step_of_death, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
if step_of_death:
    loop.SECONDS_BETWEEN_SAVES = 0.0  # every step, so that the kill falls between two saves inside an epoch
    real, count = fine_tuning.state.save, 0
    def save(*args):
        global count
        count += 1
        if count == step_of_death:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)
    fine_tuning.state.save = save
else:
    console.enable()
test_finetune.tune(run, work, epochs=epochs)
"""


def start(*arguments: object) -> subprocess.Popen[str]:
    script = _SCRIPT.format(root=str(ROOT))
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_fine_tuning_that_was_killed_goes_on_to_the_same_weights_bit_for_bit(trained: Path, tmp_path: Path) -> None:
    whole, killed = start(trained, tmp_path / "whole", 0, 2), start(trained, tmp_path / "killed", 19, 2)
    assert killed.wait() == -signal.SIGKILL  # saves at the start, 14 steps, the end of the epoch, then 2 steps
    saved = state.read(tmp_path / "killed" / "int8.json")["progress"]
    assert (saved["epoch"], saved["step"]) == (1, 2)
    assert start(trained, tmp_path / "killed", 0, 2).wait() == 0
    assert whole.wait() == 0
    one, other = (state.read(tmp_path / name / "int8.json") for name in ("whole", "killed"))
    for part in ("network", "best"):
        assert one[part].keys() == other[part].keys()
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items())
    losses = [[line.get("loss") for line in tree["progress"]["history"]] for tree in (one, other)]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(trained: Path, tmp_path: Path) -> None:
    process = start(trained, tmp_path / "work", 0, 400)
    assert process.stderr is not None
    while "epoch 1 of" not in (line := process.stderr.readline()):
        assert line, "fine-tuning ended before its first epoch"
    os.kill(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() != 0
    assert f"edgefer compress --resume {tmp_path / 'work'}" in rest
    assert state.read(tmp_path / "work" / "int8.json")["progress"]["epoch"] >= 1
