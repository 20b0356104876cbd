"""The edge siblings of the papers' recipes: like the paper except for a sibling's changes, and one step of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.common import SIBLINGS
from edgefer import recipes
from edgefer.models import lite
from edgefer.training.trainer import train
from tests.helpers import samples


def _settings(name: str) -> dict[str, Any]:
    """Return a recipe without a sibling's changes."""
    tree = recipes.load(name).model_dump(exclude={"name", "description", "ablations"})
    tree["model"].pop("name")
    tree["model"]["args"].pop("backbone", None)
    for key in ("size", "mean", "std"):
        tree["preprocessing"].pop(key)
    return tree


@pytest.mark.parametrize(("sibling", "paper"), SIBLINGS.items())
def test_a_sibling_is_its_paper_s_recipe_on_another_network_and_smaller(sibling: str, paper: str) -> None:
    assert _settings(sibling) == _settings(paper)
    small, whole = recipes.load(sibling), recipes.load(paper)
    network = small.model.args.get("backbone", small.model.name)
    assert lite.PACKAGES[network]
    assert 80 <= small.preprocessing.size <= 128
    assert f"{small.preprocessing.size} px instead of {whole.preprocessing.size}" in recipes.text(sibling)


@pytest.mark.parametrize(
    "sibling",
    [each if each == "b0-mixup-lite" else pytest.param(each, marks=pytest.mark.slow) for each in SIBLINGS],
)
def test_a_sibling_takes_a_step_from_the_weights_of_the_package(sibling: str, tmp_path: Path) -> None:
    network = "tf_efficientnet_lite2" if sibling.startswith(("b2", "inside")) else "tf_efficientnet_lite0"
    if lite.find(network) is None:
        pytest.skip("the extra lite is not installed")
    torch.set_num_threads(1)
    recipe = recipes.load(
        sibling,
        ["train.batch_size=4", "train.precision=fp32", "preprocessing.size=32", "phases=[{ epochs = 1, lr = 1e-9 }]"],
    )
    images = samples.dataset(28)
    trained = train(recipe, images, tmp_path / "run")
    assert trained.epochs == 1
    begun = trained.initial_weights
    assert begun is not None
    assert (begun["kind"], begun["name"]) == ("package", f"{lite.PACKAGES[network]} 0.1.0")
    assert len(begun["sha256"]) == 64
