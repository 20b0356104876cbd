"""Valid space files, and the samples drawn from them."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from edgefer import recipes
from edgefer.errors import InputError
from edgefer.search import space as spaces

SPACE = """
model.args.widths = [[8, 16], [16, 32, 64]]
"augment.flip" = { low = 0.0, high = 0.5 }
phases.0.lr = { low = 0.01, high = 0.2, log = true }

[train]
batch_size = { low = 32, high = 128, step = 32 }
mirror = [true, false]
best = ["accuracy", "loss"]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "space.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_what_is_drawn_is_typed_as_set_takes_it(tmp_path: Path) -> None:
    space = spaces.read(write(tmp_path, SPACE), "quickstart")
    drawn = space.draw(
        optuna.trial.FixedTrial(
            {
                "model.args.widths": "[16, 32, 64]",
                "augment.flip": 0.123456789,
                "phases.0.lr": 0.1,
                "train.batch_size": 96,
                "train.mirror": "false",
                "train.best": '"loss"',
            }
        )
    )
    assert drawn == [
        "model.args.widths=[16, 32, 64]",
        "augment.flip=0.1235",
        "phases.0.lr=0.1",
        "train.batch_size=96",
        "train.mirror=false",
        'train.best="loss"',
    ]
    recipe = recipes.load("quickstart", drawn)
    assert (recipe.model.args["widths"], recipe.train.batch_size, recipe.train.best) == ([16, 32, 64], 96, "loss")


def test_numbers_between_whole_bounds_are_whole(tmp_path: Path) -> None:
    space = spaces.read(write(tmp_path, "train.batch_size = { low = 32, high = 64 }"), "quickstart")
    study = optuna.create_study()
    (drawn,) = space.draw(study.ask())
    assert drawn.removeprefix("train.batch_size=").isdigit()


@pytest.mark.parametrize(
    ("change", "there"), [((), True), (("phases.0.lr=0.5",), False), (("model.args.widths=[16]",), False)]
)
def test_a_recipe_as_it_is_lies_in_the_space_or_not(tmp_path: Path, change: tuple[str, ...], there: bool) -> None:
    space = spaces.read(write(tmp_path, SPACE), "quickstart")
    found = space.of(recipes.load("quickstart", change))
    assert (found is not None) == there
    if found:
        assert (found["model.args.widths"], found["train.batch_size"]) == ("[16, 32, 64]", 64)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no setting"),
        ("train.batchsize = [1, 2]", "train.batchsize: unknown setting"),
        ("phases.3.lr = [1, 2]", "space.toml: phases.3.lr: unknown key"),
        ("train.batch_size = [32, 1]", "train.batch_size: Input should be greater than or equal to 2"),
        ("train.batch_size = [32]", "train.batch_size has fewer than two values; set it with --set instead"),
        ("train.batch_size = 32", "train.batch_size takes a list of values, or { low"),
        ("train.batch_size = { low = 64, high = 32 }", "train.batch_size: low must be less than high"),
        ("phases.0.lr = { low = 0.0, high = 1.0, log = true }", "log takes a low over 0"),
        ("phases.0.lr = { low = 0.0, high = 1.0, stp = 1 }", "phases.0.lr: stp: unknown key"),
        ("phases.0.lr = { low = 0.0, high = nan }", "phases.0.lr: high"),
        ("train = [", "is not valid TOML"),
        ("train.batch_size = []", "train.batch_size has fewer than two values"),
        ("train.batch_size = [8, 16, 8]", "train.batch_size lists 8 twice"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_in_a_line_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        spaces.read(write(tmp_path, text), "quickstart")
    assert str(refused.value).startswith(f"{tmp_path / 'space.toml'}")
    assert said in str(refused.value)
