"""Recipes: the shipped ones are valid, and every mistake in one is reported with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer import recipes
from edgefer.errors import InputError


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_that_comes_with_edgefer_loads_under_its_own_name(name: str) -> None:
    assert recipes.load(name).name == name


def test_settings_from_the_command_line_reach_their_key() -> None:
    recipe = recipes.load(
        "compact", ["train.batch_size=64", "phases.0.lr=0.05", "model.args.widths=[8, 16]", "data.split=stratified"]
    )
    assert recipe.train.batch_size == 64
    assert recipe.phases[0].lr == 0.05
    assert recipe.model.args["widths"] == [8, 16]
    assert recipe.model.args["blocks"] == recipes.load("compact").model.args["blocks"]
    assert recipe.data.split == "stratified"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.batch_sise=64", "train.batch_sise: unknown setting"),
        ("train.batch_size=many", "train.batch_size"),
        ("train.batch_size=0", "train.batch_size"),
        ("phases.3.lr=1", "phases.3.lr"),
        ("phases.0.lr=-1", "phases.0.lr"),
        ("preprocessing.std=[0.0]", "std must be positive"),
        ("preprocessing.color=rgb", "3 values"),
        ("augment.flip=2", "augment.flip"),
        ("augment.scale=[1.2, 0.8]", "smallest zoom"),
        ("augment.erase_area=[0.0, 0.2]", "smallest share"),
        ("phases.0.warmup_epochs=50", r"phases\.0\.warmup_epochs = 50 is more than its 12 epochs"),
        ("train.batch_size=" + "[" * 5000, "train.batch_size"),
        ("name=../../x", "name"),
        ("name.first=x", "name.first"),
        ("train.batch_size", "key=value"),
        ("=3", "key=value"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        recipes.load("compact", [setting])
    assert "\n" not in str(caught.value)


def test_a_seed_for_a_recipe_whose_train_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"train\.seed"):
        recipes.load("compact", ["train=5"], seed=1)


@pytest.mark.parametrize("names", [("one", "one"), ("one", "whole")])
def test_ablations_that_would_share_a_folder_are_refused(names: tuple[str, str]) -> None:
    ablations = ", ".join(f'{{ name = "{name}", cites = "us", set = ["train.seed=1"] }}' for name in names)
    with pytest.raises(InputError, match=f"cannot be called '{names[1]}'"):
        recipes.load("compact", [f"ablations=[{ablations}]"])


def test_a_name_that_is_nearly_right_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean compact"):
        recipes.load("compcat")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe\x00", b"[model]\nname = 3", b"name = " + b"[" * 5000])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"mine.toml"):
        recipes.load(str(file))


def test_a_recipe_of_ones_own_is_loaded_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(recipes.text("compact").replace('name = "compact"', 'name = "mine"'))
    assert recipes.load(str(file)).name == "mine"


def test_epochs_keep_the_proportions_of_the_phases(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    second = '\n[[phases]]\nname = "fine"\nepochs = 48\nlr = 0.01\n'
    file.write_text(recipes.text("compact") + second)
    assert [phase.epochs for phase in recipes.load(str(file), epochs=8).phases] == [2, 6]
    assert recipes.load(str(file), epochs=2).epochs == 2
    file.write_text(recipes.text("compact") + second.replace("48", "1") + second.replace("48", "1"))
    assert [phase.epochs for phase in recipes.load(str(file), epochs=3).phases] == [1, 1, 1]
    file.write_text(recipes.text("compact") + second)
    with pytest.raises(InputError, match="2 phases"):
        recipes.load(str(file), epochs=1)


def test_a_seed_from_the_command_line_counts() -> None:
    assert recipes.load("compact", seed=7).train.seed == 7


def test_going_on_with_other_images_takes_all_of_their_classes() -> None:
    recipe = recipes.going_on(recipes.load("b0-mixup"), "a run")
    assert recipe.data.classes == recipe.ablations == ()
    assert recipe.model.initial_weights == "a run"
    assert not recipe.model.pretrained
