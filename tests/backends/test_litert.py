"""LiteRT, the real one, on files written with the bundle's own scales."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper
from typer.testing import CliRunner

from edgefer import bundle
from edgefer.backends import litert, onnxruntime, registry
from edgefer.backends.base import Options
from edgefer.cli.main import app
from edgefer.data import faces
from edgefer.errors import InputError, MissingExtra
from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.lowering import lower
from edgefer.graph.strip import stripped
from edgefer.graph.weights import fold_weights
from tests.helpers import onnx_networks
from tests.helpers.onnx_networks import Layer

pytest.importorskip("ai_edge_litert")
from ai_edge_litert import schema_py_generated as schema

from edgefer.graph.litert import convert

BACKEND = registry.get("litert")
NETWORKS = ("edgefer-nano", "edgefer-small", "edgefer-base")


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return faces.builtin(seed=3, train=64, val=8, test=8).images[:64]


@pytest.fixture(scope="module")
def batch(drawn: np.ndarray) -> np.ndarray:
    return bundle.load("edgefer-nano").manifest.preprocessing.apply(list(drawn))


def answers(model: ModelProto, images: np.ndarray) -> np.ndarray:
    with BACKEND.open_model(model.SerializeToString()) as session:
        return session.infer(images)


def written(found: bundle.Bundle) -> bytes:
    return litert.convert(found.content("int8-cpu"))


def integer(model: ModelProto) -> ModelProto:
    return stripped(lower(stripped(fold_batchnorm(fold_weights(model))), "cpu").model)


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_those_of_onnx_runtime(name: str, drawn: np.ndarray) -> None:
    found = bundle.load(name)
    batch = found.manifest.preprocessing.apply(list(drawn))
    with (
        BACKEND.open(found, "int8-cpu", Options()) as session,
        onnxruntime.BACKEND.open(found, "int8-cpu", Options()) as right,
    ):
        assert (session.input_shape, session.classes) == (right.input_shape, right.classes)
        logits, wanted = session.infer(batch), right.infer(batch)
    assert (logits.argmax(1) == wanted.argmax(1)).mean() > 0.95
    np.testing.assert_allclose(logits, wanted, atol=0.3)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_convolution_is_int8_in_and_out_and_the_file_is_no_larger_than_a_tenth_more(name: str) -> None:
    found = bundle.load(name)
    content = written(found)
    assert len(content) <= 1.1 * found.manifest.networks["int8-cpu"].bytes
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    types = [
        [graph.tensors[index].type for index in (operator.inputs[0], operator.inputs[1], operator.outputs[0])]
        for operator in graph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CONV_2D
    ]
    assert len(types) >= 10
    assert {kind for each in types for kind in each} == {schema.TensorType.INT8}


@given(st.lists(onnx_networks.layers, min_size=1, max_size=4), st.integers(0, 2**16))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_network_in_floating_point_gives_onnx_runtimes_numbers(body: list[Layer], seed: int) -> None:
    model = stripped(fold_batchnorm(fold_weights(onnx_networks.network(body, seed, quantized=False))))
    images = onnx_networks.pictures(seed)
    wanted = onnx_networks.run(model, images)
    np.testing.assert_allclose(answers(model, images), wanted, atol=1e-3 * max(1.0, float(np.abs(wanted).max())))


@given(st.lists(onnx_networks.layers, min_size=1, max_size=4), st.integers(0, 2**16))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_network_in_int8_differs_by_rounding_alone(body: list[Layer], seed: int) -> None:
    """Each layer may round one step differently; a wrong scale, zero point or padding changes the outputs far more."""
    model = integer(onnx_networks.network(body, seed))
    images = onnx_networks.pictures(seed, count=32)
    wanted, found = onnx_networks.run(model, images), answers(model, images)
    spread = max(float(wanted.std()), 0.05)
    assert float(np.sqrt(((found - wanted) ** 2).mean())) < 0.25 * spread


def test_any_batch_from_any_thread_gives_the_same(batch: np.ndarray) -> None:
    with BACKEND.open(bundle.load("edgefer-nano"), "int8-cpu", Options()) as session:
        alone = np.concatenate([session.infer(batch[number : number + 1]) for number in range(40)])

        def work(size: int) -> bool:
            cut = [session.infer(batch[start : start + size]) for start in range(0, 40, size)]
            return np.allclose(np.concatenate(cut)[:40], alone, atol=1e-4)

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, (1, 3, 7, 40, 1, 2, 33, 5)))
    with pytest.raises(RuntimeError, match="closed"):
        session.infer(batch)


def test_what_cannot_be_written_is_one_line_that_names_the_operator() -> None:
    model = stripped(fold_batchnorm(fold_weights(onnx_networks.network([Layer()], 0, quantized=False))))
    model.graph.node.insert(len(model.graph.node) - 1, helper.make_node("Erf", ["input"], ["bent"], name="bend"))
    with pytest.raises(InputError, match=r"Erf \(bend\) cannot be written for LiteRT yet"):
        convert(model)
    with pytest.raises(InputError, match="is truncated or not ONNX"):
        BACKEND.open_model(b"\xff nothing")


@pytest.mark.parametrize(
    ("kind", "constant"),
    [
        ("Add", np.ones((1, 3, onnx_networks.SIDE, onnx_networks.SIDE), np.float32)),
        ("Mul", np.ones(onnx_networks.SIDE, np.float32)),
    ],
)
def test_what_would_be_written_wrongly_is_refused(kind: str, constant: np.ndarray) -> None:
    """In LiteRT channels come last, so a constant of another shape would be broadcast wrongly."""
    model = stripped(fold_batchnorm(fold_weights(onnx_networks.network([Layer()], 0, quantized=False))))
    for node in model.graph.node:
        node.input[:] = ["shifted" if name == "input" else name for name in node.input]
    model.graph.node.insert(0, helper.make_node(kind, ["input", "constant"], ["shifted"], name="shift"))
    model.graph.initializer.append(numpy_helper.from_array(constant, "constant"))
    with pytest.raises(InputError, match="only per-channel constants"):
        convert(model)


def test_a_bias_that_is_computed_is_refused() -> None:
    model = stripped(fold_batchnorm(fold_weights(onnx_networks.network([Layer(bias=True)], 0, quantized=False))))
    node = next(each for each in model.graph.node if each.op_type == "Conv" and len(each.input) == 3)
    model.graph.node.insert(0, helper.make_node("Relu", [node.input[2]], ["computed"]))
    node.input[2] = "computed"
    with pytest.raises(InputError, match="constant bias"):
        convert(model)


@pytest.mark.parametrize("package", ["ai_edge_litert", "flatbuffers"])
def test_what_is_missing_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package or name == "edgefer.graph.litert"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"is not installed; run: pip install 'edgefer\[litert\]'"):
        BACKEND.check()


def test_export_writes_the_file_that_the_backend_runs(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", "litert", "edgefer-nano", "-o", str(tmp_path / "nano.tflite")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "nano.tflite").read_bytes() == written(bundle.load("edgefer-nano"))
    assert CliRunner().invoke(app, ["export", "litert", "edgefer-nano", "-o", "nano.bin"]).exit_code == 2
