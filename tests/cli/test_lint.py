"""`edgefer lint` on our own files, on others', and on files that are not ONNX."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

from edgefer import console
from edgefer.cli.main import app
from edgefer.errors import InputError
from edgefer.graph import linter
from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.lowering import lower
from edgefer.graph.reading import read
from edgefer.graph.strip import stripped
from edgefer.graph.weights import fold_weights
from tests.helpers.onnx_networks import Layer, network, reader_of


def type_in(*arguments: str | Path) -> Result:
    try:
        return CliRunner().invoke(app, ["lint", *map(str, arguments)])
    finally:
        console.enable(False)


@cache
def bytes_for(target: str) -> bytes:
    body = [Layer(4, 3), Layer(4, 3, skip="identity")]
    model = stripped(lower(stripped(fold_batchnorm(fold_weights(network(body, 0)))), target).model)
    return model.SerializeToString()


def made_for(target: str) -> ModelProto:
    return ModelProto.FromString(bytes_for(target))


@pytest.fixture(params=["tensorrt", "cpu"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.onnx"
    onnx.save(made_for(request.param), path)
    return path


def test_a_file_is_fine_for_the_target_it_was_lowered_to(file: Path) -> None:
    done = type_in(file, "--target", file.stem)
    assert done.exit_code == 0, done.output
    assert "nothing found" in done.output


def test_a_file_for_cpus_is_refused_for_tensorrt_node_by_node(tmp_path: Path) -> None:
    onnx.save(made_for("cpu"), tmp_path / "cpu.onnx")
    done = type_in(tmp_path / "cpu.onnx", "--target", "tensorrt")
    assert done.exit_code == 1
    assert "input.Q " in done.output
    assert "unsigned" in done.output
    told = type_in(tmp_path / "cpu.onnx", "--target", "tensorrt", "--json")
    assert told.exit_code == 1
    said = json.loads(told.stdout)  # exactly one object
    assert said["exit_code"] == 1
    nodes = {node.name for node in made_for("cpu").graph.node} | {said["asked"]}
    assert {finding["node"] for finding in said["findings"]} <= nodes
    assert f"{len(said['findings'])} findings" in said["error"]


def test_an_export_that_keeps_its_weights_in_float_is_no_finding(tmp_path: Path) -> None:
    # NNCF's default: Q and DQ, one scale for each channel, after float32 weights.
    onnx.save(network([Layer(4, 3), Layer(4, 3)], 0), tmp_path / "foreign.onnx")
    assert type_in(tmp_path / "foreign.onnx", "--target", "tensorrt").exit_code == 0


def per_channel(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.full(3, 0.1, np.float32), "scales"))
    reader_of(model, "QuantizeLinear").input[1] = "scales"


def nan_in_weights(model: ModelProto) -> None:
    made_by = {node.output[0]: node for node in model.graph.node}
    weights = made_by[reader_of(model, "Conv").input[1]]
    for index, each in enumerate(model.graph.initializer):
        if each.name == weights.input[1]:
            array = numpy_helper.to_array(each).copy()
            array[1] = np.nan
            model.graph.initializer[index].CopyFrom(numpy_helper.from_array(array, each.name))


def shifted(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(7, np.int8), "seven"))
    reader_of(model, "QuantizeLinear").input[2] = "seven"


def dynamic(model: ModelProto) -> None:
    quantizer = reader_of(model, "QuantizeLinear")
    model.graph.node.insert(0, helper.make_node("DynamicQuantizeLinear", ["input"], ["q", "s", "z"], name="dynamic"))
    quantizer.input[1] = "s"


def with_a_wild_name(model: ModelProto) -> None:
    shifted(model)
    reader_of(model, "QuantizeLinear").name = "\x1b[2Jwild"


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (per_channel, "shape (3,)"),
        (nan_in_weights, "the scale is nan"),
        (shifted, "the zero point is 7"),
        (dynamic, "DynamicQuantizeLinear is unknown to TensorRT"),
        (with_a_wild_name, r"\x1b[2Jwild"),
    ],
)
def test_a_graph_that_is_broken_on_purpose_is_found_out(tmp_path: Path, harm: object, message: str) -> None:
    model = made_for("tensorrt")
    harm(model)  # type: ignore[operator]
    onnx.save(model, tmp_path / "broken.onnx")
    done = type_in(tmp_path / "broken.onnx", "--target", "tensorrt")
    assert done.exit_code == 1, done.output
    assert message in done.output
    assert "\x1b" not in done.output


def test_what_is_no_onnx_file_ends_in_one_line_with_exit_code_2(tmp_path: Path) -> None:
    whole = bytes_for("cpu")
    bad = {
        "text": b"this is no model\n",
        "empty": b"",
        "zeros": b"\0" * 1000,
        "cut": whole[: len(whole) // 2],
        "cut-at-the-end": whole[:-1],
        "onnx-without-nodes": ModelProto(ir_version=8).SerializeToString(),
    }
    for name, content in bad.items():
        path = tmp_path / name
        path.write_bytes(content)
        done = type_in(path, "--target", "cpu")
        assert done.exit_code == 2, (name, done.output)
        assert name in done.stderr
        assert done.stderr.count("\n") == 1
    assert type_in(tmp_path / "none.onnx", "--target", "cpu").exit_code == 2
    assert type_in(tmp_path, "--target", "cpu").exit_code == 2
    assert type_in(tmp_path / "cut", "--target", "npu").exit_code == 2


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as sparse:
        os.truncate(sparse.fileno(), 3 << 30)
    done = type_in(path, "--target", "cpu")
    assert done.exit_code == 2
    assert "larger than edgefer reads" in done.stderr


def test_weights_in_a_file_beside_are_read_and_those_elsewhere_are_not(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "model.onnx"
    onnx.save(made_for("cpu"), path, save_as_external_data=True, location="weights", size_threshold=0)
    assert type_in(path, "--target", "cpu").exit_code == 0
    (tmp_path / "in" / "weights").rename(tmp_path / "weights")
    assert type_in(path, "--target", "cpu").exit_code == 2
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../weights" if entry.key == "location" else entry.value
    path.write_bytes(model.SerializeToString())
    done = type_in(path, "--target", "cpu")
    assert done.exit_code == 2
    assert "next to it" in done.stderr


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_never_a_bug(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(bytes_for("cpu"))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        linter.lint(read(path), "tensorrt")


def test_without_onnx_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnx" or name.startswith("edgefer.graph")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("edgefer.graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = type_in(file, "--target", "cpu")
    assert done.exit_code == 3, done.output
    assert "pip install 'edgefer[compress]'" in done.stderr


def test_integer_operators_of_onnx_runtime_are_fine_on_cpus(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("DynamicQuantizeLinear", ["input"], ["q", "s", "z"], name="dynamic")],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("q", TensorProto.UINT8, [1, 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "dynamic.onnx")
    assert type_in(tmp_path / "dynamic.onnx", "--target", "cpu").exit_code == 0
    assert type_in(tmp_path / "dynamic.onnx", "--target", "rtx").exit_code == 1


def test_a_constant_without_a_value_ends_in_one_line(tmp_path: Path) -> None:
    model = made_for("cpu")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["nothing"]))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    for target in ("cpu", "tensorrt"):
        done = type_in(tmp_path / "m.onnx", "--target", target)
        assert done.exit_code == 2, done.output
        assert done.stderr.count("\n") == 1
        assert "is empty" in done.stderr


def test_a_constant_in_a_file_beside_is_refused_before_that_file_is_opened(tmp_path: Path) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="beside.bin")
    (tmp_path / "beside.bin").write_bytes(b"\0" * 64)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xy"]
    nodes = [
        helper.make_node("Constant", [], ["w"], value=tensor),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:]), ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    done = type_in(tmp_path / "m.onnx", "--target", "cpu")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "in the file itself" in done.stderr


def test_a_pass_says_which_runtime_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(made_for("cpu"), tmp_path / "cpu.onnx")
    assert "ONNX Runtime" in type_in(tmp_path / "cpu.onnx", "--target", "cpu").output
    monkeypatch.setattr("edgefer.graph.linter.asking.ask_in_subprocess", lambda *_: None)  # as if it were not installed
    done = type_in(tmp_path / "cpu.onnx", "--target", "cpu")
    assert done.exit_code == 0
    assert "nothing found" in done.output
