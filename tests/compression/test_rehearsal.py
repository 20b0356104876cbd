"""Networks that cannot be exported, and shapes computed at run time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from edgefer import limits, models, recipes
from edgefer.backends import onnxruntime
from edgefer.compression import export, quantization, rehearsal, targets
from edgefer.errors import InputError


class Windows(nn.Module):
    """Windows of 4 x 4 as in Swin, and a product of sizes, which NNCF would take for one of the network's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.gate = nn.Linear(8, 8)
        self.head = nn.Linear(8, 7)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        x = self.conv(x).relu()
        batch, channels, height, width = x.shape
        x = x.view(batch, channels, height // 4, 4, width // 4, 4).permute(0, 2, 4, 3, 5, 1)
        x = x.reshape(batch * (height // 4) * (width // 4), 16, channels)
        x = x * self.gate(x).sigmoid() * scale
        return self.head(x.reshape(batch, height * width, channels).mean(1))


def test_sizes_that_a_network_computes_move_no_quantizer_and_leave_the_batch_open() -> None:
    torch.manual_seed(0)
    network, images = Windows().eval(), torch.randn(3, 1, 20, 20)
    quantized = quantization.quantize(network, images, "minmax", False)
    floats = export.fp32(network, images[:1])
    int8 = targets.lowered(export.int8(quantized, images[:1]))["int8-cpu"].model
    with torch.no_grad():
        wanted = {"fp32": network(images).numpy(), "int8": quantized(images).numpy()}
    for model, expected in ((floats, wanted["fp32"]), (int8, wanted["int8"])):
        with onnxruntime.open_model(model.SerializeToString()) as session:
            found = session.infer(images.numpy())
        # An INT8 level more or less: ONNX Runtime rounds differently. A misplaced quantizer would change tenths.
        assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()
    assert "Shape" not in {node.op_type for node in floats.graph.node} or _reads_the_batch_alone(floats)


def _reads_the_batch_alone(model: onnx.ModelProto) -> bool:
    """Return whether no size but the first is computed at run time."""
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    shapes = {node.output[0] for node in model.graph.node if node.op_type == "Shape"}
    gathers = [node for node in model.graph.node if node.op_type == "Gather" and node.input[0] in shapes]
    return all(int(constants[node.input[1]]) == 0 for node in gathers)


class Unknown(nn.Module):
    """An operator outside every opset: the determinant's sign."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.linalg.slogdet(x[:, 0]).logabsdet[:, None])


def test_an_operator_that_onnx_lacks_is_said_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"cannot be exported to ONNX: .*slogdet") as caught:
        export.fp32(Unknown().eval(), torch.randn(1, 1, 8, 8))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert capfd.readouterr() == ("", "")


def test_an_operator_of_a_later_opset_is_exported_with_that() -> None:
    class Folds(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            columns = nn.functional.unfold(x, 2, stride=2)
            return nn.functional.fold(columns, (8, 8), 2, stride=2).mean(1).flatten(1)[:, :7]

    x = torch.randn(2, 3, 8, 8)
    model = export.fp32(Folds().eval(), x[:1])
    assert model.opset_import[0].version == 20
    with onnxruntime.open_model(model.SerializeToString()) as session:
        np.testing.assert_allclose(session.infer(x.numpy()), Folds()(x).numpy(), atol=1e-5)


def recipe(name: str, size: int = 64) -> recipes.Recipe:
    return recipes.load("resnet18", [f"model.name={name}", f"preprocessing.size={size}", "model.args={}"])


def test_a_network_that_can_be_compressed_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path))
    monkeypatch.setattr("edgefer.console._enabled", True)
    for _ in range(2):
        rehearsal.rehearse(recipe("mobilenetv3_small_050", 32), 7)
    assert capsys.readouterr().err.count("checking that mobilenetv3_small_050 can be exported and quantized") == 1
    with pytest.raises(InputError, match=r"images of 48 x 48 pixels; use"):
        rehearsal.rehearse(recipe("vit_tiny_patch16_224", 48), 7)


def test_a_network_that_cannot_be_compressed_is_refused_before_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path))
    monkeypatch.setattr(models, "create", lambda *_: Unknown())
    with pytest.raises(InputError, match=r"can be trained but not compressed: .*slogdet.*--no-export-check") as caught:
        rehearsal.rehearse(recipe("resnet10t", 16), 7)
    assert "\n" not in str(caught.value)


def test_a_full_disk_or_memory_is_not_taken_for_the_network_s_fault() -> None:
    class Lacking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise MemoryError

    with pytest.raises(MemoryError):
        export.fp32(Lacking(), torch.zeros(1, 1, 8, 8))


def test_a_file_that_would_not_be_read_again_is_refused_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7)).eval()
    model = export.fp32(network, torch.zeros(1, 1, 8, 8))
    targets.check_float("fp32", model)
    monkeypatch.setattr(limits, "NETWORK", model.ByteSize() - 1)
    with pytest.raises(InputError, match="fp32 network is larger than edgefer reads"):
        targets.check_float("fp32", model)
