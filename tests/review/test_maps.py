"""Attention maps: Grad-CAM against its definition, the chosen layer, attention, and means by class."""

from __future__ import annotations

import io
import sys
from base64 import b64decode
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from edgefer import data, models
from edgefer.errors import MissingExtra
from edgefer.pages import picture
from edgefer.preprocessing import Preprocessing
from edgefer.review import maps
from edgefer.review.maps import ImageMaps
from tests.helpers.stripes import stripes

GREY = Preprocessing(size=40, mean=(0.5,), std=(0.25,))
RGB = Preprocessing(size=64, color="rgb", mean=(0.5,) * 3, std=(0.25,) * 3)


def nothing(n: int = 1) -> None:
    pass


def plain_resnet() -> nn.Module:
    torch.manual_seed(0)
    return models.create("plain-resnet", 7, 1, {"widths": [8, 16], "blocks": [1, 1]}).eval()


def test_grad_cam_is_what_its_paper_says() -> None:
    """relu(sum over channels of map x spatial mean of d logit / d map), divided by its maximum."""
    network: Any = plain_resnet()
    rows = data.split(stripes(), "val").subset(np.arange(5))
    found = maps.grad_cam(network, rows, GREY, nothing)
    assert found
    assert found.layer == "stages"
    x = torch.from_numpy(GREY.apply(rows.take(slice(None))))
    features = network.stages(network.stem(x)).detach().requires_grad_()
    logits = network.head(torch.flatten(network.pool(features), 1))
    logits[torch.arange(5), torch.from_numpy(rows.labels)].sum().backward()
    assert features.grad is not None
    heat = torch.relu((features * features.grad.mean(dim=(2, 3), keepdim=True)).sum(1)).detach()
    largest = heat.amax(dim=(1, 2), keepdim=True)
    assert (largest > 0).any()
    assert np.allclose(found.maps, heat / largest.clamp_min(1e-12), atol=1e-4)


class Bright(nn.Module):
    """Class 1 responds to bright positions, class 0 to dark ones."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)
        self.conv.weight.data[0, 0, 1, 1], self.conv.weight.data[1, 0, 1, 1] = -1, 1
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.act(self.conv(x)).mean(dim=(2, 3))
        return out


@pytest.mark.parametrize(("label", "corner"), [(1, (0, 0)), (0, (1, 1))])
def test_grad_cam_is_where_the_evidence_is(label: int, corner: tuple[int, int]) -> None:
    image = np.full((1, 40, 40), 128, np.uint8)
    image[0, :8, :8], image[0, -8:, -8:] = 255, 0
    rows = data.Split("val", image, np.array([0]), np.array([label]), np.array([0]))
    found = maps.grad_cam(Bright().eval(), rows, GREY, nothing)
    assert found
    hot = found.maps[0] > 0.5
    place = tuple(slice(-8, None) if at else slice(0, 8) for at in corner)
    assert hot.sum() == hot[place].sum() == 64


@pytest.mark.parametrize(
    ("name", "args", "size", "layer"),
    [
        ("plain-resnet", {}, 44, "stages"),
        ("plain-cnn", {}, 48, "convolutions.18"),  # a pool to 3 x 3 follows
        pytest.param("resnet18", {}, 128, "layer4", marks=pytest.mark.slow),
        ("attention-net", {}, 128, "attention"),
        pytest.param("efficientnet_b0", {}, 128, "bn2", marks=pytest.mark.slow),
        pytest.param("mobilenetv4_conv_small", {}, 128, "blocks", marks=pytest.mark.slow),
    ],
)
def test_the_layer_is_the_last_that_has_a_map(name: str, args: dict[str, object], size: int, layer: str) -> None:
    network = models.create(name, 7, 3, args).eval()
    found = maps.last_map(network, torch.zeros(1, 3, size, size))
    assert found == layer
    shapes: list[torch.Size] = []
    network.get_submodule(found).register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    network(torch.zeros(1, 3, size, size))
    assert min(shapes[0][2:]) >= 4


def test_a_small_input_is_looked_at_where_there_are_places_enough() -> None:
    network = models.create("attention-net", 7, 3).eval()  # 2 x 2 positions at its end
    torch.manual_seed(0)
    rows = data.split(stripes(), "val").subset(np.arange(3))
    found = maps.grad_cam(network, rows, RGB, nothing)
    assert found
    assert found.layer.startswith("backbone.blocks.")
    assert found.maps.shape == (3, 4, 4)
    assert 0 <= found.maps.min() <= found.maps.max() <= 1


def test_a_network_without_maps_has_none() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(1600, 7)).eval()
    assert maps.grad_cam(network, data.split(stripes(), "val").subset(np.arange(2)), GREY, nothing) is None


def test_attention_is_the_mean_of_what_places_are_multiplied_with() -> None:
    rows = data.split(stripes(), "val").subset(np.arange(4))
    network: Any = models.create("attention-net", 7, 3).eval()
    nn.init.zeros_(network.attention.conv.weight)
    nn.init.constant_(network.attention.conv.bias, 1.5)
    found = maps.attention(network, rows, RGB)
    assert found
    assert found.layer == "attention"
    assert np.allclose(found.maps, 1 / (1 + np.exp(-1.5)))
    assert found.maps.shape == (4, 2, 2)
    assert maps.attention(models.create("attention-net", 7, 3, {"attention": False}).eval(), rows, RGB) is None


def test_means_are_by_class_and_empty_for_one_without_images() -> None:
    heat = np.stack([np.full((2, 2), value, np.float32) for value in (0.2, 0.4, 1.0)])
    means = maps.mean_by_class(ImageMaps("x", heat), [np.array([7, 9]), np.array([], np.int64), np.array([3])])
    assert np.allclose(means[:, 0, 0], [0.3, 0, 1])


def test_images_are_right_ones_spread_over_the_split() -> None:
    labels = np.repeat([0, 1, 2], [100, 10, 10])
    predicted = labels.copy()
    predicted[110:] = 0
    predicted[0] = 1
    groups = maps.right_ones(predicted, labels, 3)
    assert [len(group) for group in groups] == [maps.IMAGES, 10, 0]
    assert (groups[0][0], groups[0][-1]) == (1, 99)


def test_a_map_has_one_colour_and_its_heat_as_opacity() -> None:
    heat = np.array([[0.0, 0.0], [0.0, 1.0]], np.float32)
    drawn = Image.open(io.BytesIO(b64decode(picture.address(maps.picture(heat)).partition(",")[2])))
    pixels = np.array(drawn)
    assert pixels.shape == (96, 96, 4)
    assert (pixels[0, 0, 3], pixels[-1, -1, 3]) == (0, 255)
    face = np.full((48, 48), 100, np.uint8)
    over = maps.over(face, heat)
    assert (over[0, 0] == 100).all()
    assert over[-1, -1, 0] > 150 > over[-1, -1, 2]


def test_without_captum_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtra, match=r"captum is not installed; run: pip install 'edgefer\[train\]'"):
        maps.grad_cam(plain_resnet(), data.split(stripes(), "val"), GREY, nothing)
