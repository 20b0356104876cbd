"""From a torch network to one symmetric QDQ graph, with the real NNCF."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from edgefer import models
from edgefer.compression import export, quantization
from edgefer.compression.calibrate import Observer
from edgefer.graph.linter import check
from edgefer.graph.lowering import lower
from edgefer.graph.strip import stripped
from tests.helpers.onnx_networks import kinds, run, session

ROOT = Path(__file__).parents[2]


def pictures(count: int = 30, side: int = 44) -> torch.Tensor:
    return torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(0))


def awkward(network: nn.Module) -> nn.Module:
    """Give BatchNorms values like after training: negative and zero gamma, varied means and variances."""
    random = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, random)
            with torch.no_grad():
                module.weight[::3] *= -1
                module.weight[1] = 0
            nn.init.uniform_(module.bias, -0.3, 0.3, random)
            nn.init.uniform_(module.running_mean, -0.3, 0.3, random)
            nn.init.uniform_(module.running_var, 0.5, 2, random)
    return network.eval()


@pytest.fixture(scope="module")
def compact() -> nn.Module:
    torch.manual_seed(0)
    return awkward(models.create("plain-resnet", 7, 1))


class Depthwise(nn.Module):
    """A small inverted residual; by default NNCF would give its depthwise input a scale for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(1, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 3, groups=16, padding=1), nn.BatchNorm2d(16), nn.ReLU6())
        self.project = nn.Sequential(nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8))
        self.again = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return self.head((y + self.again(y)).mean((2, 3)))


def test_a_real_network_becomes_a_quarter_in_size_and_all_of_it_int8(compact: nn.Module, tmp_path: Path) -> None:
    x = pictures()
    quantized = quantization.quantize(compact, x, "mean-minmax", half_range=False)
    full, qdq = export.fp32(compact, x[:1]), export.int8(quantized, x[:1])
    cpu = stripped(lower(qdq, "cpu").model)
    assert cpu.ByteSize() < full.ByteSize() / 3
    assert "BatchNormalization" not in kinds(full) + kinds(qdq)
    session(cpu, written_to=str(tmp_path / "fused.onnx"))
    fused = kinds(onnx.load(tmp_path / "fused.onnx"))
    assert fused.count("QLinearConv") == 20
    assert fused.count("QLinearAdd") == 8
    assert not {"Conv", "Relu", "Add", "BatchNormalization"} & set(fused)
    with torch.no_grad():
        wanted = compact(x).numpy()
        trained = quantized(x).numpy()
    np.testing.assert_allclose(run(full, x.numpy()), wanted, atol=1e-4 * np.abs(wanted).max())
    # The graph computes the trained network; a value between two steps may round to the other side, and in a
    # random network such a step grows from layer to layer.
    answers = run(qdq, x.numpy())
    assert np.isclose(answers, trained, atol=1e-5).all(axis=1).any()
    assert np.abs(answers - trained).mean() < np.abs(trained - wanted).mean() / 2
    error = np.abs(run(cpu, x.numpy(), optimize=True) - wanted)
    assert error.mean() < 0.05 * np.abs(wanted).mean()


@pytest.mark.parametrize("target", ["cpu", "tensorrt", "rtx"])
def test_depthwise_networks_get_one_scale_for_each_activation(target: str) -> None:
    torch.manual_seed(0)
    network, x = awkward(Depthwise()), pictures(side=12)
    qdq = export.int8(quantization.quantize(network, x, "mean-minmax", half_range=False), x[:1])
    lowered = lower(qdq, target)
    check(lowered.model, target)
    run(lowered.model, x.numpy(), optimize=True)


def test_calibration_changes_no_weight_and_leaves_the_fp32_network_as_it_is(compact: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in compact.state_dict().items()}
    calibrated = quantization.quantize(compact, pictures(5), "mean-minmax", half_range=False)
    for network in (compact, calibrated):
        tensors = network.state_dict()
        assert all(torch.equal(tensors[name], tensor) for name, tensor in before.items())
    assert not set(calibrated.parameters()) & set(compact.parameters())


def test_a_sequential_network_is_no_problem() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 100, 7))
    x = pictures(side=12)
    quantized = quantization.quantize(network.eval(), x, "mean-minmax", half_range=False)
    qdq = export.int8(quantized, x[:1])
    with torch.no_grad():
        np.testing.assert_allclose(run(qdq, x.numpy()), quantized(x).numpy(), atol=0.05)


def test_half_range_keeps_weights_within_64_after_training_too() -> None:
    torch.manual_seed(0)
    network, x = awkward(Depthwise()), pictures(side=12)
    quantized = quantization.quantize(network, x, "mean-minmax", half_range=True)
    with torch.no_grad():
        for parameter in quantized.parameters():
            if parameter.ndim > 1 and parameter.numel() > 50:
                parameter.mul_(1.1)  # as after an unlucky fine-tuning
    qdq = export.int8(quantized, x[:1], half_range=True)
    stored = [numpy_helper.to_array(each) for each in qdq.graph.initializer if each.data_type == onnx.TensorProto.INT8]
    weights = [np.abs(each.astype(int)).max() for each in stored if each.ndim > 1]
    assert len(weights) == 5
    assert max(weights) == 64


OBSERVERS: tuple[Observer, ...] = ("minmax", "mean-minmax", "median-minmax", "mean-quantile", "histogram")


def input_scale(network: nn.Module, x: torch.Tensor, observer: Observer) -> float:
    qdq = export.int8(quantization.quantize(network, x, observer, half_range=False), x[:1])
    return next(float(numpy_helper.to_array(each)) for each in qdq.graph.initializer if each.name == "input.Q.scale")


@pytest.mark.parametrize("observer", [each for each in OBSERVERS if each != "histogram"])  # histogram pools all images
def test_ranges_are_made_of_each_images_own_range_however_many_are_seen_at_a_time(
    monkeypatch: pytest.MonkeyPatch, observer: Observer
) -> None:
    torch.manual_seed(0)
    network = awkward(Depthwise())
    x = pictures(side=12) * torch.linspace(0.1, 3, 30).view(-1, 1, 1, 1)  # dim pictures and bright ones
    together = input_scale(network, x, observer)
    monkeypatch.setattr(quantization, "_BATCH", 1)
    assert together == pytest.approx(input_scale(network, x, observer), rel=0.01)


def test_observers_give_different_ranges() -> None:
    torch.manual_seed(0)
    network, x = awkward(Depthwise()), pictures(side=12)
    scales = {observer: input_scale(network, x, observer) for observer in OBSERVERS}
    assert scales["minmax"] > scales["mean-minmax"] > scales["mean-quantile"]
    assert len(set(scales.values())) >= 4


_SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from torch import nn
from edgefer import console
from edgefer.compression import export, extension
from edgefer.compression import quantization as quantize
console.enable()
if len(sys.argv) > 1:
    assert extension.start_extension_build().wait() == 0
network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 100, 7)).eval()
x = torch.randn(8, 1, 12, 12)
quantized = quantize.quantize(network, x, "mean-minmax", half_range=False)
quantized(x).sum().backward()
qdq = export.int8(quantized, x[:1])
from nncf.telemetry import telemetry
said = {"telemetry": type(telemetry).__name__, "compiled": extension.load_extension(), "bytes": qdq.ByteSize()}
Path("said.json").write_text(json.dumps(said))
"""


def in_a_new_process(folder: Path, *arguments: str, **environment: str) -> tuple[dict[str, object], str, str]:
    """Quantize and export in another process; return its log, stdout and stderr."""
    home = folder / "home"
    home.mkdir()
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(home), "TORCHINDUCTOR_CACHE_DIR": str(folder)}
    variables.pop("CI", None)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *arguments],
        cwd=folder,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "said.json").read_text()), done.stdout, done.stderr


def test_nothing_is_printed_no_telemetry_is_sent_and_nothing_is_written_to_the_home_folder(tmp_path: Path) -> None:
    from edgefer.compression.extension import load_extension

    load_extension()
    from torch.utils.cpp_extension import _get_build_directory

    built = Path(_get_build_directory("nncf", verbose=False)).parent
    said, out, err = in_a_new_process(tmp_path, TORCH_EXTENSIONS_DIR=str(built))
    assert said["telemetry"] == "MagicMock"
    assert (out, err) == ("", "")
    assert list((tmp_path / "home").rglob("*")) == []


@pytest.mark.slow
def test_from_a_cold_cache_the_extension_is_compiled_in_the_background(tmp_path: Path) -> None:
    said, out, err = in_a_new_process(tmp_path, "background", TORCH_EXTENSIONS_DIR=str(tmp_path / "cold"))
    assert said["compiled"] is True
    assert (out, err) == ("", "")
    assert list((tmp_path / "cold").rglob("*.so"))


@pytest.mark.slow
def test_without_a_compiler_everything_works_and_one_line_says_so(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    said, out, err = in_a_new_process(tmp_path, TORCH_EXTENSIONS_DIR=str(tmp_path / "cold"), PATH=str(tools))
    assert said["compiled"] is False
    assert out == ""
    assert [line for line in err.splitlines() if "compiling" not in line] == [
        "NNCF's C++ extension cannot be compiled (is g++ installed?); INT8 training is slower without"
    ]


def test_what_fine_tuning_changed_is_in_the_network_without_quantizers(compact: nn.Module) -> None:
    quantized = quantization.quantize(compact, pictures(5), "mean-minmax", half_range=False)
    with torch.no_grad():
        next(parameter for name, parameter in quantized.named_parameters() if name.endswith("head.weight")).add_(1)
    found = dict(quantization.unquantized(compact, quantized).named_parameters())
    before = dict(compact.named_parameters())
    head = next(name for name in found if name.endswith("head.weight"))
    assert torch.equal(found[head], before["head.weight"] + 1)
