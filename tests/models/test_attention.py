"""The network with attention, the conventional CNN, and padding from TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from edgefer import models
from edgefer.errors import InputError, MissingRequirement
from edgefer.models.attention_net import SpatialAttention

SMALL = {"backbone": "mobilenetv3_small_050", "widths": [16]}


def test_attention_weighs_each_place_by_the_sigmoid_of_a_1x1_convolution() -> None:
    attention, x = SpatialAttention(3), torch.randn(2, 3, 4, 5)
    weight, bias = attention.conv.weight[:, :, 0, 0], attention.conv.bias
    gate = torch.einsum("oc,nchw->nohw", weight, x) + bias[:, None, None]
    assert torch.allclose(attention(x), x / (1 + torch.exp(-gate)), atol=1e-6)


def test_the_networks_weights_may_be_timms_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source: Any = timm.create_model("mobilenetv3_small_050", num_classes=11)
    save_file(source.state_dict(), tmp_path / "timm.safetensors")
    model: Any = models.create(
        "attention-net", 7, 3, SMALL, pretrained=True, weights=str(tmp_path / "timm.safetensors")
    )
    assert torch.equal(model.backbone.conv_stem.weight, source.conv_stem.weight)
    save_file(model.state_dict(), tmp_path / "whole.safetensors")
    again: Any = models.create("attention-net", 3, 3, SMALL, weights=str(tmp_path / "whole.safetensors"))
    assert torch.equal(again.attention.conv.weight, model.attention.conv.weight)
    assert again.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_the_conventional_cnn_takes_any_size_and_has_its_own_at_48_pixels() -> None:
    small = {"widths": [4, 4, 4, 4], "dense": [8]}
    model: Any = models.create("plain-cnn", 7, 1, small)
    assert [model(torch.zeros(2, 1, side, side)).shape for side in (48, 64)] == [(2, 7), (2, 7)]
    with pytest.raises(InputError, match="positive"):
        models.create("plain-cnn", 7, 1, {"widths": [0]})


@pytest.mark.parametrize("side", [64, 75])
def test_padding_from_tensorflow_is_the_same_when_it_is_constant(side: int) -> None:
    torch.manual_seed(0)
    model: Any = models.create("tf_efficientnetv2_b0", 7, 3).eval()
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        before = model(x)
        models.fix_padding(model, x[:1])
        assert torch.equal(model(x), before)
    assert not any(type(module).__name__ == "Conv2dSame" for module in model.modules())


def test_a_network_without_pretrained_weights_is_said_and_not_looked_for() -> None:
    with pytest.raises(InputError, match="timm has no pretrained weights of efficientnetv2_s; use --no-pretrained"):
        models.create("efficientnetv2_s", 7, 3, pretrained=True)


def test_a_hub_that_does_not_answer_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MissingRequirement, match=r"ConnectError\); use --no-pretrained, or --weights FILE"):
        models.create("attention-net", 7, 3, SMALL, pretrained=True)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "attention-net"])
def test_an_earlier_download_needs_no_hub(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    source: Any = timm.create_model("mobilenetv3_small_050", num_classes=1000)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    here = str(tmp_path / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *arguments: here)
    model: Any = models.create(name, 7, 3, SMALL if name == "attention-net" else None, pretrained=True)
    assert torch.equal(getattr(model, "backbone", model).conv_stem.weight, source.conv_stem.weight)
    assert models.hub_id(model) == "timm/mobilenetv3_small_050.lamb_in1k"
