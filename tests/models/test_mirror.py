"""Weights that give the same output for a picture and its mirror image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgefer import models
from edgefer.errors import InputError

ARGS = {"widths": [8, 16, 24], "blocks": [1, 2, 1]}


def network(**args: object) -> models.PlainResNet:
    torch.manual_seed(0)
    made = models.create("plain-resnet", 7, 1, ARGS | args).train()
    assert isinstance(made, models.PlainResNet)
    made(torch.randn(64, 1, 45, 45) if "stem_side" not in args else torch.randn(64, 1, 44, 44))  # moves the norms
    return made.eval()


def images(side: int = 45) -> torch.Tensor:
    """Return images that differ from their mirror images: diagonal lines."""
    random = torch.Generator().manual_seed(1)
    across = torch.arange(side) + torch.arange(side)[:, None]
    phases = 6 * torch.rand(16, 1, 1, 1, generator=random)
    return torch.sin(across / 2 + phases) + 0.3 * torch.randn(16, 1, side, side, generator=random)


@pytest.mark.parametrize(("args", "side"), [({}, 45), ({"stem_side": 4}, 44)])
def test_answers_for_a_mirror_image_become_the_pictures_and_stay_so_while_it_learns(
    args: dict[str, object], side: int
) -> None:
    model, x = network(**args), images(side)
    assert (model(x) - model(x.flip(3))).abs().max() > 0.003
    channel_pairs = models.find_channel_pairs(model, x)
    models.mirror(model, channel_pairs)
    torch.testing.assert_close(model(x), model(x.flip(3)), atol=1e-5, rtol=0)
    before = model(x)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(x), torch.arange(16) % 7).backward()
        optimizer.step()
        models.mirror(model, channel_pairs)
    torch.testing.assert_close(model.eval()(x), model(x.flip(3)), atol=1e-5, rtol=0)
    assert (model(x) - before).abs().max() > 0.01


def test_in_an_untrained_network_each_half_of_the_channels_mirrors_the_other() -> None:
    model, x = network(), images()
    channel_pairs = models.pair_halves(model, x)
    assert channel_pairs.keys() == models.find_channel_pairs(model, x).keys()
    assert channel_pairs["stem"] == [4, 5, 6, 7, 0, 1, 2, 3]
    models.mirror(model, channel_pairs)
    torch.testing.assert_close(model(x), model(x.flip(3)), atol=1e-5, rtol=0)


def test_of_an_odd_number_of_channels_the_last_is_its_own_mirror_image() -> None:
    model = models.PlainResNet(7, 1, [5, 9], [1, 1]).eval()
    assert models.pair_halves(model, images())["stem"] == [2, 3, 0, 1, 4]
    models.mirror(model, models.pair_halves(model, images()))
    torch.testing.assert_close(model(images()), model(images().flip(3)), atol=1e-5, rtol=0)


def test_channels_are_partners_of_each_other_and_some_of_themselves() -> None:
    channel_pairs = models.find_channel_pairs(network(), images())
    assert channel_pairs.keys() == {"stem", "stages.1", "stages.3", *(f"stages.{number}.conv1" for number in range(4))}
    assert [len(each) for each in channel_pairs.values()] == [8, 8, 16, 16, 16, 24, 24]
    assert all(
        each[counterpart] == channel for each in channel_pairs.values() for channel, counterpart in enumerate(each)
    )
    assert any(counterpart != channel for channel, counterpart in enumerate(channel_pairs["stem"]))


def test_filters_that_mirror_each_other_are_found_and_stay_as_they_are() -> None:
    model: Any = network()
    stem = model.stem[0]
    assert isinstance(stem, nn.Conv2d)
    with torch.no_grad():
        stem.weight[4:] = stem.weight[:4].flip(3)
        norm = model.stem[1]
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            values[4:] = values[:4]
        for conv in (module for module in model.stages.modules() if isinstance(module, nn.Conv2d)):
            conv.weight.zero_()  # leaves the stem's channels unpaired in the stream
        for bn in (module for module in model.stages.modules() if isinstance(module, nn.BatchNorm2d)):
            bn.bias.zero_()
            bn.running_mean.zero_()
    channel_pairs = models.find_channel_pairs(model, images())
    assert channel_pairs["stem"] == [4, 5, 6, 7, 0, 1, 2, 3]
    before = stem.weight.detach().clone()
    models.mirror(model, channel_pairs)
    torch.testing.assert_close(stem.weight, before, atol=1e-7, rtol=0)


def test_a_symmetric_network_is_found_again_and_not_changed() -> None:
    model, x = network(), images()
    models.mirror(model, models.find_channel_pairs(model, x))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    models.mirror(model, models.find_channel_pairs(model, images() + 0.1))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], atol=1e-6, rtol=0, msg=name)


def test_of_all_symmetric_weights_the_nearest_are_taken() -> None:
    model = network()
    channel_pairs = models.find_channel_pairs(model, images())
    were = [weight.detach().clone() for weight in model.parameters()]
    models.mirror(model, channel_pairs)
    near = [weight.detach().clone() for weight in model.parameters()]
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    models.mirror(model, channel_pairs)  # other symmetric weights
    to_it = sum(((a - b) * (c.detach() - b)).sum() for a, b, c in zip(were, near, model.parameters(), strict=True))
    assert abs(float(to_it)) < 1e-3  # the projection is orthogonal to the symmetric subspace


@pytest.mark.parametrize(
    ("args", "side", "fits"), [({}, 44, 41), ({"stem_side": 4}, 47, 44), ({"stem_stride": 2}, 44, 41)]
)
def test_a_size_whose_halves_are_not_symmetric_is_refused_with_one_that_fits(
    args: dict[str, object], side: int, fits: int
) -> None:
    model = models.create("plain-resnet", 7, 1, ARGS | args)
    with pytest.raises(InputError, match=f"which {side} pixels do not give; use --set preprocessing.size={fits}"):
        models.find_channel_pairs(model, images(side))
    models.find_channel_pairs(model, images(fits))


def test_another_kind_of_network_is_refused() -> None:
    with pytest.raises(InputError, match=r"train.mirror is for plain-resnet"):
        models.find_channel_pairs(models.create("resnet18", 7, 1), images())
