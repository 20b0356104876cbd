"""Invalid keywords of a network's builder, and unsupported image sizes: one line, before any training."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edgefer import models
from edgefer.errors import InputError

SMALL = {"widths": [8, 16], "blocks": [1, 1]}


def checked(name: str, args: dict[str, Any], size: int = 32, channels: int = 1) -> torch.nn.Module:
    model = models.create(name, 7, channels, args)
    models.check(model, name, args, 7, channels, size)
    return model


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("plain-resnet", {"widths": 3}, "widths = 3"),
        ("plain-resnet", {**SMALL, "stem_stride": "2"}, "stem_stride = '2'"),
        ("plain-resnet", {"widths": [8.5, 16], "blocks": [1, 1]}, "8.5"),
        ("plain-resnet", {"widths": [10**6] * 2, "blocks": [1, 1]}, "more than 1,000,000,000 weights"),
        ("plain-cnn", {"dense": ["x"]}, "dense"),
        ("plain-cnn", {"widths": [8] * 6}, "use --set preprocessing.size=64"),
        ("attention-net", {"backbone": 3}, "must be text, not 3"),
        ("attention-net", {"backbone": "resnet10t", "dropout": "a"}, "dropout = 'a'"),
        ("resnet10t", {"num_classes": 3}, "the data set sets"),
        ("resnet10t", {"features_only": True}, "edgefer trains classifiers"),
        ("resnet10t", {"layers": 3}, "layers = 3"),
        ("resnet10t", {"layers": [1, 1]}, "layer3"),
        ("resnet10t", {"act_layer": "nosuch"}, "KeyError 'nosuch'; see model.args"),
        ("resnet10t", {"global_pool": ""}, "global_pool = ''"),
        ("resnet10t", {"drop_rate": 2}, "dropout probability"),
        ("resnet10t", {"drop_path_rate": 5}, "cannot be trained"),
        ("resnet10t", {"block_args": 3}, "must be a mapping"),
        ("vit_tiny_patch16_224", {"patch_size": 0}, "patch_size = 0"),
        ("vit_tiny_patch16_224", {"img_size": "a"}, "img_size = 'a'"),
        ("vit_tiny_patch16_224", {"img_size": 10**6}, "more than"),
        ("efficientnet_b0", {"bn_eps": "a"}, "bn_eps = 'a'"),
    ],
)
def test_keywords_that_are_wrong_are_said_in_one_line(name: str, args: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(name, args)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 450


def test_a_network_of_one_size_names_it_and_the_keyword_for_another() -> None:
    with pytest.raises(
        InputError, match=r"images of 64 x 64 pixels; use --set preprocessing.size=224, or --set model.args.img_size=64"
    ):
        checked("vit_tiny_patch16_224", {}, 64)
    checked("vit_tiny_patch16_224", {"img_size": 64}, 64)


def test_a_network_for_colour_images_says_so() -> None:
    with pytest.raises(InputError, match=r"use --set preprocessing.color=rgb"):
        checked("csatv2", {}, 64)


def test_what_is_checked_stays_as_it_was() -> None:
    torch.manual_seed(0)
    model = models.create("plain-resnet", 7, 1, SMALL).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    models.check(model, "plain-resnet", SMALL, 7, 1, 20)
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert all(weight.grad is None for weight in model.parameters())


def test_keywords_do_not_change_which_weights_a_seed_gives() -> None:
    torch.manual_seed(0)
    plain = models.create("resnet10t", 7, 1)
    torch.manual_seed(0)
    same = models.create("resnet10t", 7, 1, {"drop_rate": 0.0})
    torch.testing.assert_close(dict(plain.state_dict()), dict(same.state_dict()), rtol=0, atol=0)
