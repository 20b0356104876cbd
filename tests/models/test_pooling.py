"""Dense layers over positions at other sizes than built for: one layer without pooling, and the same logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgefer import models
from edgefer.errors import InputError

pytest.importorskip("onnx")
from edgefer.compression import export

VGG = {"mlp_ratio": 1 / 256}  # only its first dense layer matters; thin, so that it is quick to make
CNN = {"widths": [4, 6], "dense": [8]}
ARGS: dict[str, dict[str, Any]] = {"vgg11": VGG, "plain-cnn": CNN}


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return models.create(name, 7, 1, ARGS[name]).eval()


@pytest.mark.parametrize(("name", "size"), [("vgg11", 32), ("vgg11", 100), ("plain-cnn", 8), ("plain-cnn", 20)])
def test_a_network_at_another_size_says_the_same_and_can_be_exported(name: str, size: int) -> None:
    whole, fixed = network(name), network(name)
    images = torch.rand(3, 1, size, size, generator=torch.manual_seed(1))
    with torch.no_grad():
        before = whole(images)
        models.fix_pooling(fixed, images[:1])
        torch.testing.assert_close(fixed(images), before, rtol=1e-4, atol=1e-6)
    assert export.fp32(fixed, images[:1]).graph.node


@pytest.mark.parametrize(("name", "size"), [("vgg11", 224), ("plain-cnn", 12), ("plain-cnn", 24), ("plain-resnet", 20)])
def test_where_the_places_fit_nothing_changes(name: str, size: int) -> None:
    torch.manual_seed(0)
    model = models.create(name, 7, 1, ARGS.get(name)).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    models.fix_pooling(model, torch.zeros(1, 1, size, size))
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


def test_images_that_are_too_small_are_refused_in_one_line() -> None:
    model = network("vgg11").train()
    models.check(model, "vgg11", VGG, 7, 1, 32)
    assert model.training
    with pytest.raises(InputError, match=r"cannot take images of 31 x 31 pixels.*preprocessing\.size"):
        models.check(model, "vgg11", VGG, 7, 1, 31)
