"""The papers' recipes match the papers: parameters to the last digit, ablations, and each value's source."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from edgefer import models, recipes
from edgefer.errors import InputError
from edgefer.recipes import Recipe

PAPERS = {
    "b0-attention": 6_438_787,
    "b0-mixup": 4_012_672,
    "b2-two-stage": 7_710_857,
    "cnn-15m": 15_176_135,
    "insideout-v2s": 20_186_455,
    "resnet18-mixup": 11_178_564,
    "vgg16-scratch": 134_289_223,
}


def network(recipe: Recipe, classes: int = 0) -> nn.Module:
    spec, settings = recipe.preprocessing, recipe.model
    with torch.device("meta"):
        return models.create(settings.name, classes or len(recipe.data.classes) or 7, spec.channels, settings.args)


@pytest.mark.parametrize(("name", "parameters"), PAPERS.items())
def test_a_papers_network_has_its_parameters_to_the_last_digit(name: str, parameters: int) -> None:
    assert sum(each.numel() for each in network(recipes.load(name)).parameters()) == parameters


def test_the_network_with_attention_has_what_figure_1_counts() -> None:
    recipe = recipes.load("b0-attention")
    assert models.count_like_keras(network(recipe)) == (6_438_787, 44_583)  # 6,483,370 in all
    without = network(recipes.load("b0-attention", ["model.args.attention=false"]))
    assert sum(models.count_like_keras(without)) == 6_483_370 - (1280 * 1280 + 1280)


def test_the_9_point_2_million_of_b2_are_those_of_a_thousand_classes() -> None:
    recipe = recipes.load("b2-two-stage")
    assert sum(models.count_like_keras(network(recipe, 1000))) == 9_177_569
    assert models.count_like_keras(network(recipe)) == (7_710_857, 7_778_432 - 7_710_857)


def test_the_138_million_of_vgg16_are_those_of_a_thousand_classes() -> None:
    vgg16 = network(recipes.load("vgg16-scratch"), 1000)
    assert models.count_like_keras(vgg16, normalization=False) == (138_357_544, 0)


@pytest.mark.parametrize("name", PAPERS)
def test_every_ablation_of_a_recipe_fits_it_and_changes_it(name: str) -> None:
    whole = recipes.load(name)
    for ablation in whole.ablations:
        changed = recipes.load(name, ablation.set)
        assert changed != whole, ablation.name
        if changed.model != whole.model or len(changed.data.classes) != len(whole.data.classes):
            network(changed)
    assert len({ablation.name for ablation in whole.ablations}) == len(whole.ablations)


def test_section_vii_c_is_a_list_of_ablations() -> None:
    named = {each.name: recipes.load("b2-two-stage", each.set) for each in recipes.load("b2-two-stage").ablations}
    assert named["no-smoothing"].train.label_smoothing == 0
    assert [phase.optimizer for phase in named["adam"].phases] == ["adam", "adam"]
    assert named["longer-cosine"].epochs > 10
    assert named["longer-cosine"].phases[1].schedule == "cosine"
    assert (named["b0"].model.name, named["b3"].model.name) == ("efficientnet_b0", "efficientnet_b3")


def test_two_stages_are_as_the_paper_has_them() -> None:
    recipe = recipes.load("b2-two-stage")
    first, second = recipe.phases
    assert (first.epochs, first.optimizer, first.lr, first.train) == (3, "adam", 1e-3, ("head",))
    assert (second.epochs, second.optimizer, second.lr, second.weight_decay) == (7, "adamw", 3e-5, 1e-4)
    assert second.freeze_batchnorm
    assert (recipe.preprocessing.size, recipe.train.seed, recipe.train.label_smoothing) == (260, 42, 0.06)


@pytest.mark.parametrize("name", PAPERS)
def test_every_value_of_a_papers_recipe_says_where_it_is_from(name: str) -> None:
    silent, covered, section = [], False, False
    for line in recipes.text(name).splitlines():
        if line.startswith("#"):
            covered = covered or bool(re.search(r"are ours|everything below", line))
        elif line.startswith("[[ablations]]"):
            break  # these cite in a separate key
        elif line.startswith("["):
            section = "#" in line or ("[train" not in line and covered)
        elif "=" in line and not line.startswith(("name = ", "description = ")):
            covered = covered or "everything below" in line
            if not (covered or section or "#" in line or re.match(r"(std|color|mean)", line)):
                silent.append(line)
    assert not silent


def test_an_ablation_without_a_setting_is_refused() -> None:
    with pytest.raises(InputError, match="ablations"):
        recipes.load("b2-two-stage", ["ablations.0.set=[]"])
