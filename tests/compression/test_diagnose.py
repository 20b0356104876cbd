"""Finding the damaging part of an INT8 network, and keeping it in FP32."""

from __future__ import annotations

import csv as tables
import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto
from torch import nn
from typer.testing import CliRunner

from edgefer import bundle, data
from edgefer.cli.main import app
from edgefer.compression import compressor, diagnosis, export, fp32_fallback, gate, quantization, targets
from edgefer.compression.config import CompressConfig
from edgefer.compression.diagnosis import Damage
from edgefer.data.dataset import Split
from edgefer.errors import InputError
from edgefer.graph.graph import Graph
from edgefer.graph.keep_fp32 import QuantizedPart, parts, with_fp32
from edgefer.learning import checkpoint
from edgefer.preprocessing import Preprocessing
from tests.helpers.onnx_networks import run

BROKEN = "stages.1.relu1.Relu"  # an activation in the middle of the network


class Case:
    """A trained network in INT8, one of its activations with a far too small range."""

    def __init__(self, trained: Path, csv: Path) -> None:
        torch.set_num_threads(1)
        found = checkpoint.read(trained)
        dataset = data.load(csv)
        self.spec: Preprocessing = found.recipe.preprocessing
        self.validation: Split = data.split(dataset, "val", found.recipe.data.split)
        training = data.split(dataset, "train", found.recipe.data.split)
        self.inputs = self.spec.apply(training.take(slice(0, 60)))
        images = torch.from_numpy(self.inputs)
        network = checkpoint.build(found)
        quantized = quantization.quantize(network, images, "histogram", False)
        self.whole = export.int8(quantized, images[:1])
        self.floats = export.fp32(quantization.unquantized(network, quantized), images[:1])
        self.qdq = broken(self.whole)
        self.fp32 = {"fp32": gate.predictions(self.floats, self.spec, self.validation, "")}

    def judge(self, model: ModelProto) -> gate.Verdict:
        graphs = {name: graph.model for name, graph in targets.lowered(model).items()}
        return gate.judge(self.validation, 7, self.fp32, graphs, self.spec)

    def diagnose(self, some: list[QuantizedPart] | None = None, left: Sequence[QuantizedPart] = ()) -> list[Damage]:
        return diagnosis.diagnose(self.qdq, self.floats, self.spec, self.validation, self.inputs, some, left)


def broken(qdq: ModelProto) -> ModelProto:
    """Return a graph with one activation clipped at a hundredth of its range."""
    graph = Graph(qdq)
    for node in graph.nodes:
        if node.name in (f"{BROKEN}.Q", f"{BROKEN}.DQ"):
            scale = graph.constant(node, 1)
            assert scale is not None
            graph.set_constant(node, 1, scale / np.float32(100), "tiny")
    return graph.model()


@pytest.fixture(scope="module")
def case(trained: Path, csv: Path) -> Case:
    return Case(trained, csv)


@pytest.fixture(scope="module")
def damages(case: Case) -> list[Damage]:
    return case.diagnose()


def test_every_quantized_tensor_and_layer_has_a_line_and_the_broken_one_stands_first(
    case: Case, damages: list[Damage]
) -> None:
    assert sorted(damage.part.name for damage in damages) == sorted(part.name for part in parts(case.qdq, case.floats))
    worst = next(damage for damage in damages if damage.part.kind == "activation")
    assert worst.part.name == BROKEN
    assert worst in damages[:2]  # the next layer costs as much
    assert worst.loss > 10 * max(damage.loss for damage in damages if damage.part.kind == "weight")
    assert worst.accuracy > 5
    assert (worst.gained - worst.lost) / len(case.validation) * 100 == pytest.approx(worst.accuracy)
    assert worst.snr is not None
    assert worst.snr < 3
    assert all(30 < damage.snr < 60 for damage in damages if damage.part.kind == "weight" and damage.snr is not None)
    assert all((damage.snr is None) == (damage.part.kind == "layer") for damage in damages)


def test_repair_leaves_as_little_as_passes_the_gate(case: Case, damages: list[Damage]) -> None:
    assert case.judge(case.qdq).drop > 5
    allowed = case.judge(case.whole).drop + 0.8  # one image of 140 is 0.71 points
    repaired = fp32_fallback.repair(case.qdq, case.floats, damages, case.diagnose, case.judge, allowed)
    assert repaired is not None
    assert repaired.verdict.drop <= allowed
    assert len(repaired.left) <= 2
    assert any(f"{BROKEN}.DQ" in part.tensors for part in repaired.left)
    assert case.judge(repaired.qdq).drop == repaired.verdict.drop
    for part in repaired.left:  # none of them is superfluous
        fewer = with_fp32(case.qdq, case.floats, set(repaired.left) - {part})
        assert case.judge(fewer).drop > allowed


def needs(wanted: set[str]) -> Callable[[ModelProto], gate.Verdict]:
    """Return a judge that passes a network if certain tensors are FP32."""

    def judge(model: ModelProto) -> gate.Verdict:
        int8 = {name for node in model.graph.node for name in node.input if name.endswith(".DQ")}
        nodes = {node.name for node in model.graph.node}
        done = all(name not in int8 if name.endswith(".DQ") else name not in nodes for name in wanted)
        return gate.Verdict([], [], 0.0 if done else 9.0)

    return judge


def ordered(damages: Sequence[Damage]) -> list[Damage]:
    """Return damages from a diagnosis with these parts in order, all equally expensive."""
    return [dataclasses.replace(each, loss=1 / (number + 1), milliseconds=1) for number, each in enumerate(damages)]


@pytest.mark.parametrize("needed", [{0}, {2}, {0, 3}, {1, 4, 6}])
def test_repair_finds_the_parts_that_are_needed_and_no_other(
    case: Case, damages: list[Damage], needed: set[int]
) -> None:
    worst = ordered(damages)
    wanted = {worst[number].part.tensors[0] for number in needed}

    def again(some: list[QuantizedPart], left: list[QuantizedPart]) -> list[Damage]:
        return [each for each in worst if each.part in some]

    repaired = fp32_fallback.repair(case.qdq, case.floats, worst, again, needs(wanted), 0.5)
    assert repaired is not None
    assert wanted <= {tensor for part in repaired.left for tensor in part.tensors}
    assert len(repaired.left) <= len(needed)
    assert repaired.tried <= 20


def test_repair_measures_again_what_is_left_once_the_worst_part_is_fp32(case: Case, damages: list[Damage]) -> None:
    """The second required part comes last at first: it only shows once the first one is FP32."""
    tensors = [each for each in damages if each.part.kind != "layer"]
    worst = ordered(tensors)[:12]
    first, hidden = worst[0], worst[-1]
    asked = []

    def again(some: list[QuantizedPart], left: list[QuantizedPart]) -> list[Damage]:
        asked.append((some, left))
        return [dataclasses.replace(each, loss=5.0 if each is hidden else 0.0) for each in worst if each.part in some]

    judge = needs({first.part.tensors[0], hidden.part.tensors[0]})
    repaired = fp32_fallback.repair(case.qdq, case.floats, worst, again, judge, 0.5)
    assert repaired is not None
    assert set(repaired.left) == {first.part, hidden.part}
    assert asked == [([each.part for each in worst[1:]], [first.part])]


def test_damage_beyond_what_is_fp32_already_is_of_the_rest_alone(case: Case, damages: list[Damage]) -> None:
    worst, other = damages[0].part, next(each for each in damages if each.part.kind == "weight").part
    again = {each.part: each for each in case.diagnose([worst, other], [worst])}
    assert again[worst].loss == 0  # nothing is left of it
    assert again[other].loss != 0


def test_repair_says_so_where_nothing_helps(case: Case, damages: list[Damage]) -> None:
    assert fp32_fallback.repair(case.qdq, case.floats, damages[:6], case.diagnose, case.judge, -101) is None


class Tokens(nn.Module):
    """Special forms of torch's exporter: linear layers on tokens, attention, a module called twice, +=."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.twice = nn.Conv2d(1, 8, 4, 4), nn.Conv2d(8, 8, 1)
        self.query, self.key, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x)
        x = self.twice(torch.relu(self.twice(x))) + x
        x = x.flatten(2).transpose(1, 2)
        weights = torch.bmm(self.query(x), self.key(x).transpose(1, 2)).softmax(-1)
        y = torch.bmm(weights, x)
        y += x
        answers: torch.Tensor = self.head(y.mean(1))
        return answers


def test_networks_of_tokens_are_diagnosed_and_named_like_any_other() -> None:
    torch.manual_seed(0)
    images = torch.randn(12, 1, 16, 16)
    network = Tokens().eval()
    quantized = quantization.quantize(network, images, "minmax", False)
    qdq = export.int8(quantized, images[:1])
    floats = export.fp32(quantization.unquantized(network, quantized), images[:1])
    found = parts(qdq, floats)
    assert np.allclose(run(with_fp32(qdq, floats, found), images.numpy()), run(floats, images.numpy()), atol=1e-5)
    ratios = diagnosis.snr(qdq, floats, images.numpy())
    assert all(15 < ratio < 120 or math.isinf(ratio) for ratio in ratios.values()), ratios
    assert {"query.MatMul", "key.MatMul"} <= {part.name for part in found if part.kind == "weight"}
    known = quantization.layers(network, images[:1])
    for part in found:
        if part.kind == "layer" and not part.name.startswith("twice"):  # called twice: its name counts the calls
            assert any(layer.fits(part.name) for layer in known), part.name
    some = quantization.quantize(network, images, "minmax", False, ["*Add*", "twice"])
    left = export.int8(some, images[:1])
    assert not [part for part in parts(left, floats) if part.kind == "layer" and "twice" in part.name]


def test_patterns_that_fit_nothing_or_everything_are_refused(case: Case, trained: Path) -> None:
    images = torch.from_numpy(case.inputs[:8])
    network = checkpoint.build(checkpoint.read(trained))
    with pytest.raises(InputError, match=r"--ignore stam matches no layer; examples: .*stem"):
        quantization.quantize(network, images, "minmax", False, ["stam"])
    with pytest.raises(InputError, match="keeps every layer out of INT8"):
        quantization.quantize(network, images, "minmax", False, ["*"])


def test_a_tensor_that_int8_holds_exactly_has_no_noise() -> None:
    torch.manual_seed(0)
    network: Any = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 7))
    with torch.no_grad():
        network[0].weight.fill_(1)
    images = torch.randn(8, 1, 4, 4)
    quantized = quantization.quantize(network.eval(), images, "minmax", False)
    qdq = export.int8(quantized, images[:1])
    floats = export.fp32(quantization.unquantized(network, quantized), images[:1])
    ratios = diagnosis.snr(qdq, floats, images.numpy())
    weight = next(name for name in ratios if "0.Conv." in name and name.endswith("weight"))
    assert ratios[weight] > 100 or math.isinf(ratios[weight])
    assert 20 < ratios["input.DQ"] < 60


def test_a_damage_becomes_json_even_where_its_ratio_is_infinite(damages: list[Damage]) -> None:
    exact = dataclasses.replace(damages[0], snr=math.inf)
    assert json.loads(json.dumps(exact.as_dict(), allow_nan=False))["snr"] is None
    assert damages[0].as_dict()["part"]["name"] == damages[0].part.name


@pytest.mark.slow
def test_the_command_diagnoses_and_repairs_and_leaves_a_table_a_picture_and_a_bundle_that_passes(
    trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = export.int8
    monkeypatch.setattr(export, "int8", lambda *arguments: broken(real(*arguments)))
    out = tmp_path / "bundle"
    command = ["compress", str(trained), "--data", str(csv), "--ptq", "--max-drop", "3", "--threads", "1"]

    refused = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "other")])
    assert refused.exit_code == 1
    assert "--auto-repair" in refused.output

    hopeless = [*command[:5], "--max-drop", "-101", "--threads", "1", "--auto-repair", "--json"]
    failed = CliRunner().invoke(app, [*hopeless, "--out", str(tmp_path / "hopeless")])
    assert failed.exit_code == 1
    said = json.loads(failed.stdout)
    assert "keeping its worst parts in FP32 was not enough" in said["error"]
    assert BROKEN in json.dumps(said["worst"][:2])

    done = CliRunner().invoke(app, [*command, "--out", str(out), "--diagnose", "--auto-repair"])
    assert done.exit_code == 0, done.output
    assert "what costs INT8 most" in done.output
    assert "in FP32" in done.output
    folder = tmp_path / "bundle.diagnosis"
    assert sorted(path.name for path in folder.iterdir()) == ["diagnosis.csv", "diagnosis.png"]
    lines = list(tables.DictReader((folder / "diagnosis.csv").read_text().splitlines()))
    assert BROKEN in [line["name"] for line in lines[:3]]
    assert (folder / "diagnosis.png").read_bytes().startswith(b"\x89PNG")
    how = bundle.load(out).manifest.compression
    assert [BROKEN in json.dumps(part) for part in how["repair"]["kept_in_fp32"]].count(True) >= 1
    assert how["gate"]["drop"] <= 3


def test_layers_that_are_ignored_stay_fp32_and_the_rest_does_not(trained: Path, csv: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    made = compressor.compress(
        trained, data.load(csv), tmp_path / "bundle", CompressConfig(ptq=True, max_drop=100, ignore=("stem.*",))
    )
    manifest = bundle.load(made.bundle).manifest
    assert manifest.compression["config"]["ignore"] == ["stem.*"]
    model = onnx.load(made.bundle / "int8.cpu.onnx")
    made_by = {node.output[0]: node.op_type for node in model.graph.node}
    reads = {node.name: made_by.get(node.input[1], "") for node in model.graph.node if node.op_type == "Conv"}
    assert [name for name, source in reads.items() if source != "DequantizeLinear"] == ["stem.0.Conv"]


def test_layers_are_named_as_in_the_exported_graph_or_as_their_modules(case: Case, trained: Path) -> None:
    images = torch.from_numpy(case.inputs[:8])
    network = checkpoint.build(checkpoint.read(trained))
    every = sum(quantization.quantizers(quantization.quantize(network, images, "minmax", False)).values())
    for pattern in ("*.conv1", "stem", "*.conv1.0.Conv", "stages.0.Add", "head", "pool.GlobalAveragePool"):
        some = quantization.quantize(network, images, "minmax", False, [pattern])
        assert sum(quantization.quantizers(some).values()) < every, pattern
    names = {node.name for node in case.qdq.graph.node}
    assert all(set(layer.names) & names for layer in quantization.layers(network, images[:1]))
