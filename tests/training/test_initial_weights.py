"""A run's initial weights, a subset of the classes, frozen layers, and class weights that could diverge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from edgefer import data, models, paths
from edgefer.cli.main import app
from edgefer.errors import Diverged, InputError
from edgefer.learning import checkpoint, loss, optimizer
from edgefer.recipes.schema import Phase
from edgefer.training.trainer import train
from tests.helpers.stripes import small_recipe, stripes

SMALL = {"widths": [8, 16], "blocks": [1, 1], "stem_stride": 2}


def test_a_run_says_which_weights_it_began_with(tmp_path: Path) -> None:
    data = stripes()
    first = train(small_recipe(epochs=1), data, tmp_path / "first")
    assert first.initial_weights == checkpoint.read(first.run).initial_weights == {"kind": "random"}
    file = tmp_path / "weights.safetensors"
    save_file(models.create("plain-resnet", 7, 1, SMALL).state_dict(), file)
    recipe = small_recipe(f"model.weights={file}", epochs=1)
    second = train(recipe, data, tmp_path / "second")
    assert second.initial_weights == {"kind": "file", "name": file.name, "sha256": paths.sha256(file)}
    third = train(small_recipe(f"model.initial_weights={first.run}", epochs=1), data, tmp_path / "third")
    assert third.initial_weights == {
        "kind": "run",
        "name": first.run.name,
        "sha256": paths.sha256(first.run / "best.json"),
    }
    file.unlink()
    longer = recipe.model_copy(update={"phases": (recipe.phases[0].model_copy(update={"epochs": 2}),)})
    assert train(longer, data, tmp_path / "second", resume=True).initial_weights == second.initial_weights


def test_some_of_the_classes_are_a_data_set_of_their_own(tmp_path: Path) -> None:
    whole = stripes()
    some = data.only(whole, ("happy", "angry"))
    assert some.classes == ("angry", "happy")
    assert some.digest == whole.digest
    for name in ("train", "val", "test"):
        part = data.split(some, name)
        names = np.array(some.classes)[part.labels]
        assert (names == np.array(whole.classes)[whole.labels[part.indices]]).all()
        assert set(names) == {"angry", "happy"}
    recipe = small_recipe('data.classes=["happy", "angry"]', "train.class_weights=true", epochs=2)
    result = train(recipe, whole, tmp_path / "run")
    kept = checkpoint.read(result.run)
    assert kept.classes == ("angry", "happy")
    network: Any = checkpoint.build(kept)
    assert network.get_classifier().out_features == 2
    assert data.only(whole, ()) is data.only(whole, whole.classes) is whole


def test_a_network_that_has_learned_what_is_to_select_is_no_start(tmp_path: Path) -> None:
    """The official `val` has no training images; the stratified `val` consists of them, others for other classes."""
    whole = stripes()
    official = train(small_recipe(epochs=1), whole, tmp_path / "official").run
    stratified = train(small_recipe("data.split=stratified", epochs=1), whole, tmp_path / "stratified").run

    def go_on(start: Path, *settings: str) -> None:
        train(small_recipe(f"model.initial_weights={start}", *settings, epochs=1), whole, tmp_path / "run")

    with pytest.raises(InputError, match=r"was trained on 28 of the 28 images that select the checkpoint"):
        go_on(official, "data.split=stratified")
    fewer = 'data.classes=["happy", "sad", "angry"]'
    with pytest.raises(InputError, match=r"was trained on \d+ of the 12 images that select the checkpoint"):
        go_on(stratified, "data.split=stratified", fewer, "train.batch_size=16")
    assert not (tmp_path / "run").exists()
    go_on(stratified)
    shutil.rmtree(tmp_path / "run")
    go_on(stratified, "data.split=stratified")
    shutil.rmtree(tmp_path / "run")
    train(
        small_recipe(f"model.initial_weights={official}", "data.split=stratified", epochs=1),
        stripes(1),
        tmp_path / "run",
    )


def test_a_classifier_goes_along_by_the_names_of_its_classes(tmp_path: Path) -> None:
    still = ("phases.0.lr=1e-30", "train.ema=0.0")  # its initial weights stay

    def head(name: str, classes: str, *settings: str) -> torch.Tensor:
        recipe = small_recipe(f"data.classes={classes}", *settings, epochs=1)
        return checkpoint.read(train(recipe, stripes(), tmp_path / name).run).weights["head.weight"]

    first = head("first", "['angry', 'happy', 'sad']")
    fresh = head("fresh", "['fear', 'happy', 'neutral']", *still)
    begun = head("begun", "['fear', 'happy', 'neutral']", *still, f"model.initial_weights='{tmp_path / 'first'}'")
    assert torch.allclose(begun[1], first[1])  # happy
    assert torch.allclose(begun[[0, 2]], fresh[[0, 2]])  # new to it: initialized as in any new network
    assert not torch.allclose(fresh[1], first[1])


def test_an_interpolation_that_augmentation_does_not_follow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"use --set preprocessing\.interpolation=bilinear"):
        train(small_recipe("preprocessing.interpolation=nearest"), stripes(), tmp_path / "run")


def test_a_class_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="has no class 'joy'"):
        data.only(stripes(), ("angry", "joy"))
    with pytest.raises(InputError, match="single class"):
        data.only(stripes(), ("angry",))


def test_frozen_batchnorm_keeps_statistics_scale_and_shift(tmp_path: Path) -> None:
    recipe = small_recipe("train.ema=0.0", "phases.0.freeze_batchnorm=true", epochs=1)
    run = train(recipe, stripes(), tmp_path / "run").run
    torch.manual_seed(recipe.train.seed)
    fresh = models.create("plain-resnet", 7, 1, recipe.model.args)
    norms = {f"{name}." for name, module in fresh.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    for key, value in checkpoint.read(run).weights.items():
        in_norm = any(key.startswith(norm) for norm in norms)
        assert torch.equal(value, fresh.state_dict()[key]) == in_norm, key


def test_the_phases_of_gradual_unfreezing_learn_more_and_more() -> None:
    from edgefer import recipes

    recipe = recipes.load("b0-mixup")
    model: Any = models.create(recipe.model.name, 4, 3)
    counts = [optimizer.choose_weights(model, phase) for phase in recipe.phases]
    assert counts[0] == 1280 * 4 + 4
    assert counts[0] < counts[1] < counts[2] == sum(each.numel() for each in model.parameters())
    optimizer.choose_weights(model, recipe.phases[1])
    assert not model.blocks[4][0].conv_pw.weight.requires_grad
    assert model.blocks[5][0].conv_pw.weight.requires_grad
    assert not model.blocks[5][0].bn1.weight.requires_grad


def test_weights_of_rare_classes_are_clipped_and_checked() -> None:
    labels = np.repeat([0, 1, 2], [1000, 100, 1])
    assert loss.class_weights(labels, 3, 4.0).max() == 4
    assert torch.isfinite(loss.class_weights(labels, 3, 1e6)).all()
    with pytest.raises(InputError, match="class 3 has no training image"):
        loss.class_weights(labels, 4, 4.0)
    recipe = small_recipe("train.class_weights=true", "train.class_weight_clip=1e-60")
    with pytest.raises(InputError, match=r"finite and above 0.*train.class_weight_clip"):
        loss.cross_entropy(recipe.train, labels, 3)


def test_a_loss_that_diverges_with_class_weights_names_them(tmp_path: Path) -> None:
    wild = small_recipe("phases.0.lr=1e30", "train.class_weights=true", "phases.0.warmup_epochs=0", "train.ema=0.0")
    with pytest.raises(Diverged, match=r"or train.class_weight_clip under the 1.00 of now"):
        train(wild, stripes(), tmp_path / "run")


def _run(*words: str) -> Result:
    return CliRunner().invoke(app, ["train", *words])


def test_the_command_begins_with_a_files_weights_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefer.data.find", lambda data, groups=None, reading=None: stripes())
    file = tmp_path / "w.safetensors"
    save_file(models.create("plain-resnet", 7, 1, SMALL).state_dict(), file)
    args = [word for key, value in SMALL.items() for word in ("--set", f"model.args.{key}={value}")]
    small = [
        "--epochs",
        "1",
        "--set",
        "train.batch_size=32",
        "--out",
        str(tmp_path / "run"),
        "--json",
        "--no-page",
        *args,
    ]
    done = _run("quickstart", "--weights", str(file), *small)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["initial_weights"] == {"kind": "file", "name": file.name, "sha256": paths.sha256(file)}
    assert said["recipe"]["model"]["pretrained"] is False
    assert not list((tmp_path / "run").glob("run.*"))


def test_a_hub_that_is_not_reached_ends_the_command_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefer.data.find", lambda data, groups=None, reading=None: stripes())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    small = ["--set", "model.name=mobilenetv3_small_050", "--set", "preprocessing.size=32"]
    done = _run("b0-mixup", *small, "--out", str(tmp_path / "run"))
    assert done.exit_code == 3
    *checks, last = done.stderr.splitlines()
    assert "use --no-pretrained, or --weights FILE" in last
    assert not any("error" in line for line in checks)  # exactly the messages of the check before a training
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["b0-mixup", "--weights", "x.pt", "--pretrained"], "omit --pretrained"),
        (["--from", "edgefer-base", "--weights", "x.pt"], "--from names the weights"),
        (["--resume", "run", "--no-pretrained"], "--resume uses"),
        (["compact", "--pretrained"], "plain-resnet has no pretrained weights; use --no-pretrained"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgefer.data.find", lambda data, groups=None, reading=None: stripes())
    done = _run(*words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_phase_freezes_what_it_names_no_pattern_for() -> None:
    model = models.create("plain-resnet", 7, 1, SMALL)
    learning = optimizer.choose_weights(model, Phase(epochs=1, lr=0.1, freeze_batchnorm=True))
    norms = sum(each.numel() for module in optimizer.batchnorms(model) for each in module.parameters())
    assert learning == sum(each.numel() for each in model.parameters()) - norms
