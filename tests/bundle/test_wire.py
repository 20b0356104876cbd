"""A network's file is checked completely: external data and hidden large computations are refused."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgefer import bundle
from edgefer.bundle import wire
from edgefer.errors import InputError
from tests.helpers import samples

FLOATS = TensorProto.FLOAT


def elsewhere() -> TensorProto:
    tensor = TensorProto(name="w", data_type=FLOATS, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def without_the_mark() -> TensorProto:
    """It gives the location, without saying that it is external."""
    tensor = elsewhere()
    tensor.ClearField("data_location")
    return tensor


def model(nodes: list[onnx.NodeProto] | None = None, tensors: list[TensorProto] | None = None) -> ModelProto:
    x, y = (helper.make_tensor_value_info(name, FLOATS, ["N", 2]) for name in "xy")
    graph = helper.make_graph(nodes or [helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y], tensors or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def in_a_branch(inner: onnx.NodeProto | None = None, tensors: list[TensorProto] | None = None) -> ModelProto:
    y = helper.make_tensor_value_info("z", FLOATS, ["N", 2])
    branch = helper.make_graph([inner or helper.make_node("Identity", ["x"], ["z"])], "b", [], [y], tensors or [])
    return model([helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)])


def in_a_function() -> ModelProto:
    made = model()
    node = helper.make_node("Constant", [], ["a"], value=elsewhere())
    made.functions.append(helper.make_function("own", "f", [], ["a"], [node], [helper.make_opsetid("", 17)]))
    return made


def in_a_training() -> ModelProto:
    made = model()
    made.training_info.add().initialization.initializer.append(elsewhere())
    return made


def sparse() -> ModelProto:
    made = model()
    values, indices = numpy_helper.from_array(np.ones(1, np.float32), "s"), numpy_helper.from_array(np.zeros(1, int))
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [5_000_000_000]))
    return made


def loop() -> ModelProto:
    body = model().graph
    many = numpy_helper.from_array(np.array(10**12), "many")
    return model([helper.make_node("Loop", ["many", "", "x"], ["y"], body=body)], [many])


def sized(op: str, place: int = 1) -> ModelProto:
    shape = numpy_helper.from_array(np.array([100_000, 100_000]), "shape")
    inputs = ["x"] * place + ["shape"]
    return model([helper.make_node(op, inputs, ["y"])], [shape])


def sized_by_a_constant() -> ModelProto:
    constant = helper.make_node("Constant", [], ["shape"], value_ints=[100_000, 100_000])
    return model([constant, helper.make_node("ConstantOfShape", ["shape"], ["y"])])


def claims_more() -> ModelProto:
    return model(tensors=[TensorProto(name="w", data_type=FLOATS, dims=[1 << 20, 1 << 20], raw_data=b"1234")])


def deep() -> ModelProto:
    graph = model().graph
    for _ in range(25):
        node = helper.make_node("If", ["x"], ["y"], then_branch=graph, else_branch=model().graph)
        graph = model([node]).graph
    return helper.make_model(graph)


FOUND: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "a weight": (lambda: model(tensors=[elsewhere()]), "keeps weights in a separate file"),
    "a weight without the mark": (lambda: model(tensors=[without_the_mark()]), "keeps weights in a separate file"),
    "a constant": (
        lambda: model([helper.make_node("Constant", [], ["y"], value=elsewhere())]),
        "keeps weights in a separate file",
    ),
    "a list of tensors": (
        lambda: model([helper.make_node("Own", ["x"], ["y"], values=[elsewhere()])]),
        "keeps weights in a separate file",
    ),
    "a weight in a branch": (lambda: in_a_branch(tensors=[elsewhere()]), "keeps weights in a separate file"),
    "a constant in a branch": (
        lambda: in_a_branch(helper.make_node("Constant", [], ["z"], value=elsewhere())),
        "keeps weights in a separate file",
    ),
    "a function": (in_a_function, "local functions"),
    "a training": (in_a_training, "a training"),
    "sparse weights": (sparse, "sparse weights"),
    "a sparse constant": (
        lambda: model([helper.make_node("Constant", [], ["y"], sparse_value=sparse().graph.sparse_initializer[0])]),
        "sparse weights",
    ),
    "a loop": (loop, "Loop, which may loop forever"),
    "a loop in a branch": (lambda: in_a_branch(loop().graph.node[0]), "Loop, which may loop forever"),
    "a huge Expand": (lambda: sized("Expand"), "too large"),
    "a huge Tile": (lambda: sized("Tile"), "too large"),
    "a huge ConstantOfShape": (sized_by_a_constant, "too large"),
    "huge pads": (lambda: model([helper.make_node("MaxPool", ["x"], ["y"], pads=[0, 1 << 40])]), "too large"),
    "more than it has": (claims_more, "fewer values than its shape"),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_a_bundle_must_not_hold_is_found_wherever_it_stands(what: str) -> None:
    make, said = FOUND[what]
    with pytest.raises(InputError, match=said):
        wire.check(make().SerializeToString(), "it")


def varint(value: int, longer: int = 0) -> bytes:
    """Return a varint with extra bytes."""
    found = bytearray()
    while value > 127 or not found:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    if len(found) == 2 and found[1] == 0:
        found = bytearray([found[0] & 127])
    for _ in range(longer):
        found[-1] |= 128
        found.append(0)
    return bytes(found)


def fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and value of a message's fields; it may only have kinds 0 and 2."""
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = content[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(content):
        tag = number()
        if tag & 7 == 0:
            yield tag, varint(number())
        else:
            length = number()
            yield tag, content[place : place + length]
            place += length


def written_longer(content: bytes, path: tuple[int, ...], longer: int) -> bytes:
    """Return a message with lengths along `path`, and tags in the last field, of more bytes than needed."""
    parts = []
    for tag, value in fields(content):
        inside = path and tag >> 3 == path[0]
        if tag & 7 == 0:
            parts.append(varint(tag) + value)
        else:
            value = written_longer(value, path[1:], longer) if inside else value
            parts.append(varint(tag, longer * (not path)) + varint(len(value), longer) + value)
    return b"".join(parts)


@pytest.mark.parametrize("longer", [1, 2, 3])
def test_numbers_of_more_bytes_than_need_be_hide_nothing(longer: int) -> None:
    content = written_longer(model(tensors=[elsewhere()]).SerializeToString(), (7, 5, 13), longer)
    assert onnx.load_from_string(content).graph.initializer[0].external_data  # protobuf accepts it
    assert b"\x0a\x08location" not in content
    with pytest.raises(InputError, match="keeps weights in a separate file"):
        wire.check(content, "it")


def test_two_messages_that_a_parser_makes_one_of_are_refused() -> None:
    one = model().SerializeToString()
    with pytest.raises(InputError, match="not ONNX as written by any known program"):
        wire.check(one + one, "it")


def test_a_file_in_onnx_runtimes_own_format_is_refused() -> None:
    with pytest.raises(InputError, match="own format"):
        wire.check(b"\x18\x00\x00\x00ORTM" + bytes(100), "it")


def test_what_nests_too_deep_is_refused() -> None:
    with pytest.raises(InputError, match="nested deeper"):
        wire.check(deep().SerializeToString(), "it")


@pytest.mark.parametrize("name", bundle.pretrained())
def test_networks_that_come_with_edgefer_pass(name: str) -> None:
    found = bundle.load(name)
    for network in found.manifest.networks:
        wire.check(found.content(network), network)


def test_damage_anywhere_is_an_error_of_one_line_or_none() -> None:
    whole, rng = samples.network(), random.Random(0)
    for _ in range(3000):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        del content[rng.randrange(len(content), 2 * len(content)) :]
        try:
            wire.check(bytes(content), "it")
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_a_file_that_is_replaced_after_loading_is_not_run(tmp_path: Path) -> None:
    made = samples.write(tmp_path / "b")
    opened = bundle.load(made.path)
    opened.file("fp32").write_bytes(samples.network(blind=1))
    with pytest.raises(InputError, match=r"differs from its manifest|bytes instead of"):
        opened.content("fp32")


def test_constants_are_read_whose_numbers_take_different_numbers_of_bytes() -> None:
    table = helper.make_tensor("table", TensorProto.INT64, [199], [3] * 159 + [300] * 40)  # not raw: packed varints
    wire.check(model(tensors=[table]).SerializeToString(), "n.onnx")


def test_sizes_of_millions_of_factors_are_refused_at_once() -> None:
    tensor = TensorProto(name="w", data_type=FLOATS, dims=[2**40] * 100_000)
    with pytest.raises(InputError, match="dimensions"):
        wire.check(model(tensors=[tensor]).SerializeToString(), "n.onnx")
    node = helper.make_node("Reshape", ["x"], ["y"], shape=[2**20] * 300_000)
    with pytest.raises(InputError, match="too large a shape"):
        wire.check(model([node]).SerializeToString(), "n.onnx")
