"""Training from recipe to checkpoint, on a small data set with the real loop."""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgefer import console
from edgefer.data.dataset import Dataset
from edgefer.errors import Diverged, InputError
from edgefer.learning import checkpoint, evaluate, images, state
from edgefer.training.trainer import train
from edgefer.training.unfinished import check_new, resumed_recipe
from tests.helpers.stripes import small_recipe, stripes


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Return the trained weights, their average, and the saved ones."""
    saved = state.read(run / "last.json")
    kinds = {"model": saved["model"], "selected": saved["selected"], "kept": checkpoint.read(run).weights}
    return {f"{kind} {name}": value for kind, values in kinds.items() for name, value in values.items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_network_learns_and_its_checkpoint_gives_the_accuracy_that_was_reported(tmp_path: Path) -> None:
    data = stripes()
    result = train(small_recipe("phases.0.lr=0.1", "train.ema=0.8", epochs=10), data, tmp_path / "run")
    assert result.val_accuracy > 0.8  # chance is 0.14
    kept = checkpoint.read(result.run)
    split = np.flatnonzero(data.splits == 1)
    network, validation, spec = checkpoint.build(kept), _split(data, split), kept.recipe.preprocessing
    answers = evaluate.logits(network, validation, spec)
    assert (answers.argmax(1) == data.labels[split]).mean() == pytest.approx(result.val_accuracy, abs=1e-4)
    assert evaluate.accuracy(network, validation, spec) == pytest.approx(result.val_accuracy, abs=1e-4)


def _split(data: Dataset, indices: np.ndarray):  # type: ignore[no-untyped-def]
    from edgefer.data.dataset import Split

    return Split("val", data.images, indices, data.labels[indices], data.rows[indices])


def test_shuffled_labels_end_at_chance(tmp_path: Path) -> None:
    data = stripes()
    shuffled = dataclasses.replace(data, labels=np.random.default_rng(1).permutation(data.labels))
    assert train(small_recipe(epochs=3), shuffled, tmp_path / "run").val_accuracy < 0.35


def test_what_is_kept_are_the_weights_of_the_best_epoch_and_of_equal_ones_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = iter((0.3, 0.9, 0.5, 0.9))
    seen: list[dict[str, torch.Tensor]] = []

    def validate(network: torch.nn.Module, *_: object) -> tuple[float, float]:
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return 1.0, next(scores)

    monkeypatch.setattr("edgefer.training.trainer._validate", validate)
    result = train(small_recipe(epochs=4), stripes(), tmp_path / "run")
    kept = checkpoint.read(result.run)
    assert (result.best_epoch, result.val_accuracy, kept.epoch, kept.val_accuracy) == (2, 0.9, 2, 0.9)
    assert same(kept.weights, {name: seen[1][name] for name in kept.weights})
    assert not torch.equal(kept.weights["head.weight"], seen[3]["head.weight"])


def test_weights_may_be_kept_by_the_loss_and_patience_goes_by_it_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = iter(((0.9, 0.5), (0.7, 0.3), (0.8, 0.6), (0.7, 0.7), (0.6, 0.1)))
    monkeypatch.setattr("edgefer.training.trainer._validate", lambda *_: next(scores))
    recipe = small_recipe("train.best=loss", "train.early_stopping=2", epochs=5)
    result = train(recipe, stripes(), tmp_path / "run")
    assert (result.epochs, result.best_epoch, result.val_accuracy) == (4, 2, 0.3)
    assert checkpoint.read(result.run).epoch == 2


def test_gradients_are_cut_to_the_length_that_is_asked_for(tmp_path: Path) -> None:
    still = ("train.ema=0.0", "phases.0.weight_decay=0.0", "phases.0.warmup_epochs=0", "phases.0.lr=0.1")
    heads = []
    for clip in ("1e-9", "1e-8", "0"):
        run = train(small_recipe(*still, f"train.clip_gradient={clip}", epochs=1), stripes(), tmp_path / clip).run
        heads.append(checkpoint.read(run).weights["head.weight"])
    assert (heads[0] - heads[1]).abs().max() < 1e-6
    assert (heads[0] - heads[2]).abs().max() > 1e-3


def test_each_epoch_has_an_order_of_its_own_and_always_the_same() -> None:
    first, second, again = (images.order(100, 0, epoch) for epoch in (0, 1, 0))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, images.order(100, 1, 0))


def test_a_run_that_goes_on_keeps_its_precision_though_the_other_were_faster_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    auto = small_recipe("train.precision=auto", epochs=2)
    train(small_recipe("train.precision=auto", epochs=1), stripes(), tmp_path / "run")
    saved = state.read(tmp_path / "run" / "last.json")["precision"]
    monkeypatch.setattr("edgefer.training.setup._precision", lambda *_: {"bf16": "fp32", "fp32": "bf16"}[saved])
    assert train(auto, stripes(), tmp_path / "run", resume=True).precision == saved


def test_a_class_without_a_validation_image_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = stripes()
    kept = (data.splits != 1) | (data.labels != 3)
    console.enable(True)
    try:
        train(
            small_recipe(epochs=1),
            dataclasses.replace(
                data, **{name: getattr(data, name)[kept] for name in ("images", "labels", "splits", "rows")}
            ),
            tmp_path / "run",
        )
    finally:
        console.enable(False)
    assert f"warning: no validation image is {data.classes[3]}," in capsys.readouterr().err


def test_the_log_has_one_line_for_each_epoch(tmp_path: Path) -> None:
    train(small_recipe(epochs=3), stripes(), tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["epoch"] for line in lines] == ["1", "2", "3"]
    assert all(float(line["val_loss"]) > 0 for line in lines)


def test_the_log_has_the_rate_of_the_epoch_itself_not_of_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    losses = iter((1.0, 2.0, 3.0, 4.0))  # after the second epoch the plateau's patience is exhausted
    monkeypatch.setattr("edgefer.training.trainer._validate", lambda *_: (next(losses), 0.5))
    plateau = ("schedule=plateau", "warmup_epochs=0", "plateau_patience=0", "plateau_factor=0.1", "lr=0.01")
    train(small_recipe(*(f"phases.0.{each}" for each in plateau), epochs=4), stripes(), tmp_path)
    rates = [float(line["lr"]) for line in csv.DictReader((tmp_path / "log.csv").open())]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.0001])


def test_a_run_that_goes_on_with_other_threads_says_that_its_last_bits_will_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console.enable()
    train(small_recipe(epochs=1), stripes(), tmp_path)
    train(small_recipe(epochs=1), stripes(), tmp_path, resume=True)
    assert "CPU threads" not in capsys.readouterr().err
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        for _ in range(2):  # the initial weights are recorded
            train(small_recipe(epochs=1), stripes(), tmp_path, resume=True)
            assert f"began with {threads} CPU threads and continues with {threads + 1}" in capsys.readouterr().err
    finally:
        torch.set_num_threads(threads)
        console.enable(False)


def test_training_never_opens_the_test_split(tmp_path: Path) -> None:
    opened: set[int] = set()

    class Guarded(np.ndarray):
        """Pixels that record which rows were read."""

        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            if isinstance(key, np.ndarray):
                opened.update(key.tolist())
            return super().__getitem__(key)

    data = stripes()
    train(small_recipe(), dataclasses.replace(data, images=data.images.view(Guarded)), tmp_path / "run")
    assert set(np.flatnonzero(data.splits == 0)) <= opened
    assert not set(np.flatnonzero(data.splits == 2)) & opened


_KILLED = """
import os, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, {root!r})
from PIL import Image
from tests.helpers.stripes import stripes, small_recipe
from edgefer.learning import loop
from edgefer.training import setup, trainer

torch.set_num_threads(1)
step_of_death = int(sys.argv[2])
if step_of_death:
    loop.SECONDS_BETWEEN_SAVES = 0.0  # every step, so that the kill falls between two saves inside an epoch
    real, count = setup.states.save, 0
    def save(*args):
        global count
        count += 1
        if count == step_of_death:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)
    setup.states.save = save
recipe = small_recipe({settings}, epochs=3)
trainer.train(recipe, stripes(), Path(sys.argv[1]), resume=len(sys.argv) > 3)
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    # mixup uses numpy's generator, erasing torch's, and plateau has its own state
    settings = """
        "augment.mixup=0.4", "augment.erase=0.5", "train.precision=bf16",
        "phases.0.schedule=plateau", "phases.0.warmup_epochs=0"
    """
    script = _KILLED.format(root=str(Path(__file__).parents[2]), settings=settings)

    def run(folder: str, step_of_death: int = 0, *resume: str) -> int:
        command = [sys.executable, "-c", script, str(tmp_path / folder), str(step_of_death), *resume]
        return subprocess.run(command, check=False).returncode

    assert run("whole") == 0
    assert run("killed", 11) == -signal.SIGKILL  # 7 steps an epoch: dies in the second
    assert state.read(tmp_path / "killed" / "last.json")["progress"]["epoch"] == 1
    assert run("killed", 0, "resume") == 0
    ends = [weights(tmp_path / folder) for folder in ("whole", "killed")]
    assert same(*ends)
    assert not torch.equal(ends[0]["model head.weight"], ends[0]["selected head.weight"])
    logs = [
        [line["train_loss"] for line in csv.DictReader((tmp_path / folder / "log.csv").open())]
        for folder in ("whole", "killed")
    ]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("order", ["the head first", "the head last"])
def test_a_run_goes_on_across_the_border_of_two_phases(tmp_path: Path, order: str) -> None:
    """Frozen parameters don't affect the gradient norm, trained earlier in this process or not."""
    two = small_recipe("train.clip_gradient=0.1", epochs=2)
    head = two.phases[0].model_copy(update={"name": "head", "train": ("head",), "freeze_batchnorm": True, "epochs": 1})
    phases = (head, two.phases[0].model_copy(update={"epochs": 1}))
    recipe = two.model_copy(update={"phases": phases if order == "the head first" else phases[::-1]})
    torch.set_num_threads(1)
    train(recipe, stripes(), tmp_path / "whole")
    first = recipe.model_copy(update={"phases": recipe.phases[:1]})
    train(first, stripes(), tmp_path / "parts")
    train(recipe, stripes(), tmp_path / "parts", resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_a_frozen_phase_changes_the_head_alone(tmp_path: Path) -> None:
    recipe = small_recipe("train.ema=0.0", epochs=1)
    phase = recipe.phases[0].model_copy(update={"train": ("head",), "freeze_batchnorm": True})
    train(recipe.model_copy(update={"phases": (phase,)}), stripes(), tmp_path / "frozen")
    torch.manual_seed(recipe.train.seed)
    from edgefer import models

    fresh = models.create("plain-resnet", 7, 1, recipe.model.args).state_dict()
    trained = state.read(tmp_path / "frozen" / "last.json")["model"]
    changed = {key for key, value in trained.items() if not torch.equal(value, fresh[key])}
    assert changed == {"head.weight", "head.bias"}


def test_a_loss_that_is_not_finite_names_epoch_step_and_rows_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    train(small_recipe(epochs=1), stripes(), tmp_path / "run")
    before = checkpoint.read(tmp_path / "run")
    wild = small_recipe("phases.0.lr=1e30", "train.ema=0.0", "phases.0.warmup_epochs=0", epochs=2)
    with pytest.raises(Diverged, match=r"epoch 1, step \d+ \(batch of rows \d+"):
        train(wild, stripes(), tmp_path / "other")
    longer = small_recipe("phases.0.lr=1e30", epochs=2)
    with pytest.raises(Diverged, match="the best checkpoint, of epoch 1, stays"):
        train(longer, stripes(), tmp_path / "run", resume=True)
    assert same(checkpoint.read(tmp_path / "run").weights, before.weights)


def test_ctrl_c_saves_says_how_to_go_on_and_exits_130(tmp_path: Path) -> None:
    small = [word for key in _SMALL for word in ("--set", key)]
    command = ["train", "quickstart", "--out", "my run", "--threads", "1", "--data", "faces", *small]
    _write_folders(stripes(), tmp_path / "faces")
    start = [sys.executable, "-c", "from edgefer.cli.main import run_command; run_command()"]
    process = subprocess.Popen(
        [*start, *command, "--epochs", "400"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    while "epoch 1 of" not in (line := process.stderr.readline()):
        assert line, "training ended before its first epoch"
    os.kill(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130
    assert "resume with: edgefer train --resume 'my run'" in rest
    assert state.read(tmp_path / "my run" / "last.json")["progress"]["epoch"] >= 1
    assert checkpoint.read(tmp_path / "my run").epochs is None  # not finished, in any case


_SMALL = ("model.args.widths=[8]", "model.args.blocks=[1]", "train.batch_size=32", "train.precision=fp32")


def _write_folders(data: Dataset, folder: Path) -> None:
    for row, (image, label, split) in enumerate(zip(data.images, data.labels, data.splits, strict=True)):
        place = folder / ("train", "val", "test")[split] / data.classes[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{row}.png")


def test_weights_that_are_not_finite_never_become_the_best(tmp_path: Path) -> None:
    # One step an epoch: its loss is finite, but the resulting weights are not.
    wild = small_recipe("phases.0.lr=1e38", "train.ema=0.0", "phases.0.warmup_epochs=0", epochs=2)
    with pytest.raises(Diverged, match="epoch 1"):
        train(wild, stripes(train=35), tmp_path / "run")
    assert not (tmp_path / "run" / "best.json").exists()


def test_a_run_that_died_before_its_first_epoch_ended_is_resumed_all_the_same(tmp_path: Path) -> None:
    script = _KILLED.format(root=str(Path(__file__).parents[2]), settings='"train.seed=1"')
    command = [sys.executable, "-c", script, str(tmp_path / "run"), "2"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert train(resumed_recipe(tmp_path / "run"), stripes(), tmp_path / "run", resume=True).epochs == 3


def test_a_run_that_was_killed_before_its_first_state_can_be_begun_again_and_resume_says_so(tmp_path: Path) -> None:
    for name in ("recipe.json", "last-0123abcd.safetensors", ".last.json.0123abcd.edgefer-part"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"start it again: edgefer train RECIPE --out .*" + tmp_path.name):
        resumed_recipe(tmp_path)
    check_new(tmp_path)
    train(small_recipe(epochs=1), stripes(), tmp_path)
    assert len(list(tmp_path.glob("last-*"))) == 1
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(InputError, match="continue with --resume"):
        check_new(tmp_path)


def test_a_folder_with_something_of_ones_own_is_not_trained_into(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="is not empty"):
        check_new(tmp_path)


def test_a_folder_of_something_else_is_not_resumed(tmp_path: Path) -> None:
    state.save(tmp_path, "last", {"notes": {}})
    with pytest.raises(InputError, match="contains no training"):
        resumed_recipe(tmp_path)


def test_too_few_images_for_a_batch_is_said_with_a_batch_size_that_fits(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--set train.batch_size=\d+"):
        train(small_recipe(), stripes(train=28), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_resumed_on_other_data(tmp_path: Path) -> None:
    train(small_recipe(epochs=1), stripes(), tmp_path / "run")
    with pytest.raises(InputError, match="other data"):
        train(small_recipe(), stripes(seed=1), tmp_path / "run", resume=True)


def test_early_stopping_ends_a_run_that_does_not_get_better(tmp_path: Path) -> None:
    recipe = small_recipe("phases.0.lr=1e-12", "train.ema=0.0", "train.early_stopping=2", epochs=9)
    epochs = train(recipe, stripes(), tmp_path / "run").epochs
    assert epochs < 9
    assert checkpoint.read(tmp_path / "run").epochs == epochs  # the checkpoint knows that training is complete


def test_a_mistake_in_a_later_phase_is_said_before_the_first_one_runs(tmp_path: Path) -> None:
    recipe = small_recipe()
    wrong = recipe.phases[0].model_copy(update={"name": "second", "train": ("blocks.*",)})
    with pytest.raises(InputError, match=r"phase second: no weight matches 'blocks\.\*'"):
        train(recipe.model_copy(update={"phases": (*recipe.phases, wrong)}), stripes(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", ["a figure that this version does not know", "a layer of another name"])
def test_a_state_of_another_version_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    run = train(small_recipe(epochs=1), stripes(), tmp_path / "run").run
    saved = state.read(run / "last.json")
    if damage.startswith("a figure"):
        saved["progress"]["minutes"] = 3
    else:
        saved["model"] = {f"new.{name}": value for name, value in saved["model"].items()}
    state.save(run, "last", saved)
    with pytest.raises(InputError, match="another version of edgefer") as caught:
        train(small_recipe(epochs=2), stripes(), run, resume=True)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(small_recipe(epochs=1), stripes(), tmp_path_factory.mktemp("left") / "run").run


@pytest.mark.parametrize("value", [None, "x", -1, {}, [["a"]]], ids=str)
@pytest.mark.parametrize(
    "key",
    [
        *(
            "data",
            "initial_weights",
            "threads",
            "precision",
            "phase",
            "progress",
            "model",
            "selected",
            "optimizer",
            "random",
        ),
        *("progress.step", "progress.phase", "progress.history", "progress.best_accuracy", "data.digest"),
        *("recipe", "teachers", "votes", "channel_pairs", "schedule"),
    ],
)
def test_a_state_with_a_damaged_part_is_refused_or_does_not_matter(
    tmp_path: Path, left: Path, key: str, value: object
) -> None:
    """Damage to a state without a digest, or with a recomputed one."""
    run = tmp_path / "run"
    shutil.copytree(left, run)
    saved = state.read(run / "last.json")
    *parents, last = key.split(".")
    node = saved[parents[0]] if parents else saved
    node[last] = value
    state.save(run, "last", saved)
    with suppress(InputError):
        train(resumed_recipe(run), stripes(), run, resume=True)


def test_a_validation_loss_that_is_not_finite_is_said_of_the_epoch(tmp_path: Path) -> None:
    """A state saved between an epoch's last step and its validation: no step runs after the resume."""
    train(small_recipe(epochs=1), stripes(), tmp_path / "run")
    saved = state.read(tmp_path / "run" / "last.json")
    saved["progress"] |= {
        "epoch": 0,
        "step": 224 // 32,
        "history": [],
        "seen": 1,
        "best_epoch": 0,
        "best_accuracy": -1.0,
    }
    for weights in (saved["model"], saved["selected"]):
        weights["head.bias"].fill_(float("nan"))
    state.save(tmp_path / "run", "last", saved)
    with pytest.raises(Diverged, match="the validation loss is not finite after epoch 1; try"):
        train(small_recipe(epochs=1), stripes(), tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "damage",
    [
        {"weights": None},
        {"weights": [1, 2]},
        {"weights": {"head.weight": 3}},
        {"data": "x"},
        {"data": {"name": "x", "digest": None, "synthetic": False}},
        {"classes": [1, 2]},
        {"epoch": "last"},
        {"initial_weights": "here"},
        {"more": 1},
    ],
)
def test_a_checkpoint_with_other_types_in_it_is_refused(tmp_path: Path, damage: dict[str, object]) -> None:
    run = train(small_recipe(epochs=1), stripes(), tmp_path / "run").run
    state.save(run, "best", {**state.read(run / "best.json"), **damage})
    with pytest.raises(InputError, match=r"best\.json is not an edgefer checkpoint"):
        checkpoint.read(run)


def test_a_mirrored_network_answers_alike_and_goes_on_after_a_stop_as_if_there_was_none(tmp_path: Path) -> None:
    once = small_recipe("train.mirror=true", "preprocessing.size=45", "train.ema=0.9", epochs=1)
    twice = once.model_copy(update={"phases": once.phases * 2})
    torch.set_num_threads(1)
    train(twice, stripes(), tmp_path / "whole")
    train(once, stripes(), tmp_path / "parts")
    train(twice, stripes(), tmp_path / "parts", resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    network, x = checkpoint.build(checkpoint.read(tmp_path / "parts")).eval(), torch.randn(4, 1, 45, 45)
    torch.testing.assert_close(network(x), network(x.flip(3)), atol=1e-5, rtol=0)


def test_a_run_that_began_without_mirroring_does_not_go_on_with_it(tmp_path: Path) -> None:
    train(small_recipe("preprocessing.size=45", epochs=1), stripes(), tmp_path / "run")
    with pytest.raises(InputError, match=r"began without train.mirror; start over with --from"):
        train(small_recipe("train.mirror=true", "preprocessing.size=45"), stripes(), tmp_path / "run", resume=True)
