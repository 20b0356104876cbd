"""SiLU and HardSwish are replaced by ReLU, and nothing else changes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from edgefer import bundle, data
from edgefer.compression import compressor, unfinished
from edgefer.compression.activation import with_relu
from edgefer.compression.compressor import compress
from edgefer.compression.config import CompressConfig
from edgefer.errors import InputError
from edgefer.learning import checkpoint as checkpoints
from edgefer.learning import loss
from tests.helpers.onnx_networks import kinds


def network() -> nn.Module:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Hardswish(), nn.Sigmoid())
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.SiLU(inplace=True), block, nn.Dropout()).eval()


def test_a_copy_has_relu_and_batchnorm_statistics_of_its_own() -> None:
    original = network()
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    images = torch.randn(101, 1, 8, 8) + 3
    changed: Any
    changed, count = with_relu(original, images)
    assert count == {"SiLU": 1, "Hardswish": 1}
    assert [type(each).__name__ for each in changed.modules() if not list(each.children())] == [
        *("Conv2d", "BatchNorm2d", "ReLU"),
        *("Conv2d", "BatchNorm2d", "ReLU", "Sigmoid"),
        "Dropout",
    ]
    assert not any(each.training for each in changed.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in original.state_dict().items())
    normalized = changed[1](changed[0](images)).detach()
    assert float(normalized.mean()) == pytest.approx(0, abs=0.05)
    assert float(normalized.std()) == pytest.approx(1, abs=0.1)


def test_a_network_of_timm_is_changed_all_over() -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model("mobilenetv3_small_050", num_classes=7, in_chans=1).eval()
    changed, count = with_relu(model, torch.randn(4, 1, 32, 32))
    assert sum(count.values()) > 10
    assert not [each for each in changed.modules() if "swish" in type(each).__name__.lower()]


def test_a_network_without_them_is_refused() -> None:
    with pytest.raises(InputError, match="neither SiLU nor HardSwish"):
        with_relu(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), torch.randn(4, 1, 8, 8))


@pytest.mark.slow
def test_int8_has_relu_and_fp32_stays_as_it_was_trained(
    trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = checkpoints.build

    def with_silu(checkpoint: checkpoints.Checkpoint) -> nn.Module:
        built = build(checkpoint)
        for each in list(built.modules()):
            for name, child in list(each.named_children()):
                if isinstance(child, nn.ReLU):
                    setattr(each, name, nn.SiLU())
        return built

    monkeypatch.setattr(checkpoints, "build", with_silu)
    monkeypatch.setattr(compressor, "MAX_STEPS", 2)
    monkeypatch.setattr("edgefer.learning.loop.SECONDS_BETWEEN_SAVES", 0.0)
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    steps = 0
    real = loss.distillation

    def interrupted(*arguments: Any, **named: Any) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 20:  # of 28 with ReLU, then 2 in INT8
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(loss, "distillation", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compress(run, data.load(csv), tmp_path / "bundle", CompressConfig(activation="relu", max_drop=100))
    result = compress(dataset=data.load(csv), **unfinished.resumed(tmp_path / "bundle.unfinished"))
    assert steps == 20 + (28 - 19) + 2  # the interrupted step is repeated
    opened = bundle.load(result.bundle)
    history = opened.manifest.compression["activation"]["history"]
    assert [line["epoch"] for line in history] == [0, 1, 2]
    assert history[2]["loss"] < history[1]["loss"]
    assert "Sigmoid" not in kinds(onnx.load(opened.file("fp32-relu")))
    assert [score.network for score in opened.manifest.scores][:2] == ["fp32", "fp32-relu"]
    assert opened.manifest.compression["activation"]["to"] == "relu"
    assert opened.manifest.compression["activation"]["replaced"]["SiLU"] > 1
    assert "Sigmoid" in kinds(onnx.load(opened.file("fp32")))
    small = kinds(onnx.load(opened.file("int8-cpu")))
    assert "Relu" in small
    assert "Sigmoid" not in small
    with pytest.raises(InputError, match="--ignore nothing matches no layer"):
        compress(run, data.load(csv), tmp_path / "other", CompressConfig(activation="relu", ignore=("nothing",)))
    assert not (tmp_path / "other.unfinished").exists()
    with pytest.raises(InputError, match="--ptq"):
        compress(run, data.load(csv), tmp_path / "other", CompressConfig(activation="relu", ptq=True))
