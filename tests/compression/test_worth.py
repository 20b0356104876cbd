"""An INT8 network that saves neither bytes nor arithmetic, and the warning about it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from edgefer import bundle, data
from edgefer.cli.main import app
from edgefer.compression import compressor, export, quantization, targets, worth
from edgefer.compression.compressor import compress
from edgefer.compression.config import CompressConfig
from edgefer.compression.result import Rejected
from edgefer.errors import InputError


def judged(network: nn.Module, side: int = 16) -> worth.Worth:
    x = torch.randn(4, 3, side, side)
    quantized = quantization.quantize(network.eval(), x, "minmax", half_range=False)
    return worth.judge(export.fp32(network, x[:1]), targets.lowered(export.int8(quantized, x[:1])))


def network(layer: type[nn.Module], between: nn.Module, width: int = 64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, width, 3), nn.ReLU(), layer(width, width, 3, padding=1), between,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 7),
    )  # fmt: skip


def test_what_runs_in_integers_and_is_smaller_passes() -> None:
    found = judged(network(nn.Conv2d, nn.ReLU()))
    assert found.integer > 0.99
    assert found.complaint == ""


@pytest.mark.parametrize(
    ("layer", "between", "cause"),
    [
        (nn.Conv2d, nn.SiLU(), "SiLU: .*--activation relu"),
        (nn.Conv2d, nn.GELU(), "GELU: .*a network with ReLU"),
    ],
    ids=["silu", "gelu"],
)
def test_what_stays_in_fp32_names_its_cause_and_the_option(
    layer: type[nn.Module], between: nn.Module, cause: str
) -> None:
    found = judged(network(layer, between))
    assert found.integer < 0.1
    assert "% of the multiply-accumulates in 8-bit kernels, less than half" in found.complaint
    assert re.search(cause, found.complaint), found.complaint
    assert ("SiLU" in found.complaint) is isinstance(between, nn.SiLU)
    assert found.complaint.endswith("accept it with --allow-float")
    assert "\n" not in found.complaint


def test_a_file_that_is_not_smaller_is_said_with_both_sizes() -> None:
    found = judged(network(nn.Conv2d, nn.ReLU(), width=4))
    assert found.integer > 0.9
    assert "int8-cpu has" in found.complaint
    assert "bytes, FP32" in found.complaint


def test_such_a_bundle_is_rejected_without_fine_tuning_unless_it_is_allowed(
    trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressor, "MAX_STEPS", 1)
    with pytest.raises(
        Rejected, match=r"less than half .*not quantized.*--allow-float; the bundle is in .*bundle\.rejected$"
    ) as it:
        compress(trained, data.load(csv), tmp_path / "bundle", CompressConfig(max_drop=100, ignore=("stages.*",)))
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.rejected"]
    assert (it.value.result.method, it.value.result.tuned) == ("ptq", 0)
    assert bundle.load(tmp_path / "bundle.rejected").manifest.compression["gate"]["passed"] is False

    command = ["compress", str(trained), "--data", str(csv), "--max-drop", "100", "--ignore", "stages.*", "--json"]
    done = CliRunner().invoke(app, [*command, "--threads", "1", "--allow-float", "--out", str(tmp_path / "allowed")])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["integer_share"] < 0.5
    gate = bundle.load(tmp_path / "allowed").manifest.compression["gate"]
    assert (gate["passed"], gate["allow_float"]) == (True, True)
    assert gate["integer_share"] == json.loads(done.stdout)["integer_share"]
    assert bundle.load(tmp_path / "allowed").manifest.compression["fine_tuning"]["epochs"] == 1


@pytest.mark.parametrize("refusing", ["cpu", "tensorrt", "rtx"])
def test_lint_looks_at_every_targets_file_before_any_work(
    trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusing: str
) -> None:
    def check(model: object, target: str) -> None:
        if target == refusing:
            raise InputError(f"{target} refuses it")

    monkeypatch.setattr(targets, "check", check)
    with pytest.raises(InputError, match=f"{refusing} refuses it"):
        compress(trained, data.load(csv), tmp_path / "bundle")
    assert not list(tmp_path.iterdir())
