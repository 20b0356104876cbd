"""Engines built by the real TensorRT for RTX: its builder needs no GPU. None is run: that needs one."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, numpy_helper
from torch import nn
from typer.testing import CliRunner

from edgefer import bundle, console, models
from edgefer.backends import onnxruntime
from edgefer.backends.tensorrt import builder
from edgefer.cli.main import app
from edgefer.compression import export, quantization, targets
from edgefer.errors import InputError, MissingExtra, MissingRequirement
from edgefer.graph.fp16 import to_fp16
from edgefer.graph.graph import Graph
from edgefer.graph.linter import check
from tests.helpers import samples

trt = pytest.importorskip("tensorrt_rtx")
GPUS = ["86", "89", "120"]
TIMM = ("resnet18", "repvgg_a0", "mobilenetv4_conv_small")
NETWORKS = ("ours", *(pytest.param(name, marks=pytest.mark.slow) for name in TIMM))


def network(name: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    if name == "ours":
        return models.create("plain-resnet", 7, 1, {"widths": [8, 16], "blocks": [1, 1]}).eval(), torch.randn(
            8, 1, 24, 24
        )
    return models.merged(models.create(name, 7, 1).eval()), torch.randn(8, 1, 64, 64)


@pytest.fixture(scope="module")
def graphs() -> Callable[[str], dict[str, ModelProto]]:
    """Return a function that returns a network's INT8 and FP16 graphs, each made once."""
    made: dict[str, dict[str, ModelProto]] = {}

    def graphs(name: str) -> dict[str, ModelProto]:
        if name not in made:
            float32, images = network(name)
            qdq = export.int8(quantization.quantize(float32, images, "minmax", False), images[:1])
            int8 = targets.lowered(qdq)["int8-rtx"].model
            made[name] = {"int8": int8, "fp16": to_fp16(export.fp32(float32, images[:1]))}
        return made[name]

    return graphs


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_engines_are_built_for_each_gpu_and_for_all_without_a_warning(
    graphs: Callable[[str], dict[str, ModelProto]], name: str, precision: str
) -> None:
    content = graphs(name)[precision].SerializeToString()
    for compute in (*([gpu] for gpu in GPUS), GPUS):
        built = builder.build(content, "tensorrt_rtx", compute)
        assert len(built.engine) > 10_000
        # If layers stay FP16 (`edgefer.graph.leftovers`), so do scales; TensorRT for RTX widens some.
        assert not [warning for warning in built.warnings if not warning.endswith("scales to fp32.")]
        assert built.version == trt.__version__


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parser_hands_back_each_quantizer_with_its_scale(
    graphs: Callable[[str], dict[str, ModelProto]], name: str
) -> None:
    model = graphs(name)["int8"]
    _, parsed, _parser = builder.parse(model.SerializeToString(), "tensorrt_rtx")
    layers = [parsed.get_layer(number) for number in range(parsed.num_layers)]
    constants = {}
    for layer in layers:
        if layer.type == trt.LayerType.CONSTANT:
            layer.__class__ = trt.IConstantLayer
            constants[layer.get_output(0).name] = np.asarray(layer.weights)
    wanted = {}
    graph = Graph(model)
    for node in graph.nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale = graph.constant(node, 1)
            assert scale is not None
            wanted[node.output[0]] = (node.op_type, np.atleast_1d(scale))
    kinds = {trt.LayerType.QUANTIZE: "QuantizeLinear", trt.LayerType.DEQUANTIZE: "DequantizeLinear"}
    found = {}
    for layer in layers:
        if layer.type in kinds:
            output = layer.get_output(0)
            found[output.name] = (kinds[layer.type], np.atleast_1d(constants[layer.get_input(1).name]))
            floats = (trt.float32, trt.float16)  # FP16 in a graph with FP16 leftovers
            assert output.dtype in ((trt.int8,) if layer.type == trt.LayerType.QUANTIZE else floats)
    assert found.keys() == wanted.keys()
    assert len(found) > 10
    for output, (kind, scale) in wanted.items():
        assert found[output][0] == kind
        np.testing.assert_array_equal(found[output][1].ravel(), scale.ravel())


def test_half_precision_answers_as_full_precision_does(graphs: Callable[[str], dict[str, ModelProto]]) -> None:
    float32, images = network("ours")
    fp16_model = graphs("ours")["fp16"]
    weights = [numpy_helper.to_array(each) for each in fp16_model.graph.initializer]
    assert {each.dtype for each in weights if each.size > 100} == {np.dtype(np.float16)}
    with onnxruntime.open_model(fp16_model.SerializeToString()) as session, torch.inference_mode():
        np.testing.assert_allclose(session.infer(images.numpy()), float32(images).numpy(), atol=0.02)


def test_graphs_that_are_known_to_be_bad_never_reach_the_builder(
    graphs: Callable[[str], dict[str, ModelProto]],
) -> None:
    graph = Graph(graphs("ours")["int8"])
    node = next(node for node in graph.nodes if node.op_type == "QuantizeLinear")
    scale = graph.constant(node, 1)
    assert scale is not None
    graph.set_constant(node, 2, np.array(128, np.uint8), "unsigned")
    with pytest.raises(InputError, match=node.name.replace(".", r"\.")):
        check(graph.model(), "rtx")


def test_what_cannot_be_built_is_said_in_one_line(graphs: Callable[[str], dict[str, ModelProto]]) -> None:
    content = graphs("ours")["int8"].SerializeToString()
    for wrong, compute, said in (
        (content, ["87"], "unknown compute capability 87; TensorRT for RTX builds for 75, 80, 86"),
        (content, [], "no compute capability given"),
        (content, ["75", "86"], "75 needs its own engine"),
        (content, ["75"], "cannot build the network: .*SM75"),
        (b"no network", GPUS, "parser rejects the network"),
        (content[:2000], GPUS, "parser rejects the network"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            builder.build(wrong, "tensorrt_rtx", compute)
        assert "\n" not in str(caught.value)


def test_a_tensorrt_that_is_not_there_or_does_not_load_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(MissingRequirement, match="comes with JetPack"):
        builder.api("tensorrt")
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingRequirement, match=r"tensorrt is installed but does not load: libnvinfer"):
        builder.api("tensorrt")
    (tmp_path / "tensorrt.py").write_text("__version__ = '8.5.2.2'")
    importlib.invalidate_caches()
    with pytest.raises(MissingRequirement, match=r"TensorRT 8\.5\.2\.2 has no strongly typed networks; JetPack 6\.1"):
        builder.api("tensorrt")
    del sys.modules["tensorrt"]  # not with monkeypatch, which would restore it
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(MissingExtra, match=r"edgefer\[rtx\]"):
        builder.api("tensorrt_rtx")


@pytest.fixture
def made(tmp_path: Path, graphs: Callable[[str], dict[str, ModelProto]]) -> bundle.Bundle:
    content = graphs("ours")["int8"].SerializeToString()
    parts = {**samples.parts(), "int8-rtx": bundle.NetworkFile("int8.rtx.onnx", content, "int8", "rtx")}
    return bundle.write(tmp_path / "bundle", samples.description(), parts)


def test_the_command_puts_an_engine_with_a_sidecar_into_the_bundle(made: bundle.Bundle) -> None:
    done = CliRunner().invoke(app, ["build", str(made.path), "--sm", "8.6,SM89", "--json"])
    assert done.exit_code == 0, done.output
    [said] = json.loads(done.stdout)["engines"]
    [entry] = bundle.load(made.path).manifest.engines
    assert (entry.network, entry.compute, entry.version) == ("int8-rtx", ["86", "89"], trt.__version__)
    assert said["sha256"] == entry.sha256
    assert json.loads((made.path / "int8-rtx.engine.json").read_text()) == entry.model_dump(mode="json")
    again = CliRunner().invoke(app, ["build", str(made.path)])
    assert again.exit_code == 0
    assert "not run here" in again.output
    assert [engine.compute for engine in bundle.load(made.path).manifest.engines] == [GPUS]


def test_an_engine_that_was_changed_is_refused_and_a_build_that_fails_changes_nothing(made: bundle.Bundle) -> None:
    refused = CliRunner().invoke(app, ["build", str(made.path), "--sm", "999"])
    assert refused.exit_code == 2
    assert sorted(path.name for path in made.path.iterdir()) == sorted(
        ["manifest.json", "fp32.onnx", "int8-cpu.onnx", "int8-tensorrt.onnx", "int8.rtx.onnx"]
    )
    assert CliRunner().invoke(app, ["build", str(made.path)]).exit_code == 0
    file = made.path / "int8-rtx.engine"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"int8-rtx\.engine differs from its manifest"):
        bundle.load(made.path)


def test_the_command_refuses_a_graph_that_tensorrt_would_misread_whoever_made_the_bundle(
    tmp_path: Path, graphs: Callable[[str], dict[str, ModelProto]]
) -> None:
    graph = Graph(graphs("ours")["int8"])
    node = next(node for node in graph.nodes if node.op_type == "QuantizeLinear")
    graph.set_constant(node, 2, np.array(128, np.uint8), "unsigned")
    part = bundle.NetworkFile("int8.rtx.onnx", graph.model().SerializeToString(), "int8", "rtx")
    made = bundle.write(tmp_path / "made", samples.description(), {**samples.parts(), "int8-rtx": part})
    done = CliRunner().invoke(app, ["build", str(made.path)])
    assert done.exit_code == 2
    assert node.name in done.output
    assert not bundle.load(made.path).manifest.engines


def test_a_bundle_that_comes_with_edgefer_is_left_as_it_is() -> None:
    for name in bundle.pretrained():
        with pytest.raises(InputError, match="comes with edgefer; copy"):
            bundle.add_engine(bundle.load(name), b"", network="int8-rtx")


def test_engines_are_plain_files_for_tensorrts_own_tools(made: bundle.Bundle) -> None:
    assert CliRunner().invoke(app, ["build", str(made.path)]).exit_code == 0
    [entry] = bundle.load(made.path).manifest.engines
    content = onnx.load(made.file("int8-rtx")).SerializeToString()
    alone = builder.build(content, "tensorrt_rtx", GPUS).engine
    assert (made.path / entry.file).read_bytes()[:4] == alone[:4]  # TensorRT's own first bytes, not a header of ours


def test_ctrl_c_ends_a_build_as_it_ends_anything_else(
    graphs: Callable[[str], dict[str, ModelProto]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised in a callback, it would end inside TensorRT, which continues or reports a failed build."""

    @contextmanager
    def interrupted(*_: object) -> Iterator[Callable[[int], None]]:
        def advance(steps: int) -> None:
            raise KeyboardInterrupt

        yield advance

    monkeypatch.setattr(console, "progress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        builder.build(graphs("ours")["int8"].SerializeToString(), "tensorrt_rtx", ["89"])


def test_ctrl_c_that_tensorrt_keeps_to_itself_ends_a_build_too(
    graphs: Callable[[str], dict[str, ModelProto]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = builder._monitor

    def monitor(trt: Any, advance: Callable[..., None]) -> Any:
        found = made(trt, advance)

        def step(self: object, name: str, number: int) -> bool:
            raise KeyboardInterrupt  # before the first line that would catch it

        monkeypatch.setattr(type(found), "step_complete", step)
        return found

    monkeypatch.setattr(builder, "_monitor", monitor)
    with pytest.raises(KeyboardInterrupt):
        builder.build(graphs("ours")["int8"].SerializeToString(), "tensorrt_rtx", ["89"])


def test_too_little_memory_to_build_is_what_the_machine_lacks(
    graphs: Callable[[str], dict[str, ModelProto]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "last_error", lambda runtime: "[virtualMemoryBuffer.cpp] OutOfMemory (no further)")
    with pytest.raises(MissingRequirement, match="not enough memory to build the engine"):
        builder.build(graphs("ours")["int8"].SerializeToString(), "tensorrt_rtx", ["75"])
