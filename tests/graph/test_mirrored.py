"""Weights of which half follows from the other half, and a file that stores them once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import nn

from edgefer import models
from edgefer.backends import registry
from edgefer.compression import export, quantization, targets
from edgefer.graph import mirrored
from edgefer.graph.graph import Graph
from edgefer.graph.linter import check
from tests.helpers.onnx_networks import run


def images(count: int = 24) -> torch.Tensor:
    return torch.randn(count, 1, 36, 36, generator=torch.Generator().manual_seed(0))


def symmetric() -> nn.Module:
    torch.manual_seed(0)
    network = models.PlainResNet(7, 1, [8, 16], [1, 1], stem_side=4)
    network.train()(images())
    network.eval()
    models.mirror(network, models.pair_halves(network, images()))
    return network


def int8(network: nn.Module) -> ModelProto:
    quantized = quantization.quantize(network, images(), "minmax", half_range=False)
    return targets.lowered(export.int8(quantized, images(1)))["int8-cpu"].model


def filters(model: ModelProto) -> list[TensorProto]:
    return [each for each in model.graph.initializer if len(each.dims) == 4]


@pytest.fixture(scope="module")
def whole() -> ModelProto:
    return int8(symmetric())


@pytest.fixture(scope="module")
def packed(whole: ModelProto) -> ModelProto:
    return mirrored.packed(whole)


def test_a_file_with_half_of_the_weights_gives_the_same_logits_bit_for_bit(
    whole: ModelProto, packed: ModelProto
) -> None:
    assert np.array_equal(run(packed, images().numpy()), run(whole, images().numpy()))
    stored, were = (sum(int(np.prod(each.dims)) for each in filters(model)) for model in (packed, whole))
    assert 2 * stored == were


def test_every_constant_is_read_as_if_it_were_stored_whole(whole: ModelProto, packed: ModelProto) -> None:
    one, other = Graph(whole), Graph(packed)
    assert [node.op_type for node in one.nodes] == [node.op_type for node in other.nodes]
    assert one.constants.keys() <= other.constants.keys()
    assert all(np.array_equal(array, other.constants[name]) for name, array in one.constants.items())
    check(packed, "cpu")


@pytest.mark.parametrize("device", ["cpu", "openvino", "litert"])
def test_each_runtime_answers_as_it_does_with_whole_weights(device: str, whole: ModelProto, packed: ModelProto) -> None:
    for package in {"cpu": (), "openvino": ("openvino",), "litert": ("ai_edge_litert", "flatbuffers")}[device]:
        pytest.importorskip(package)
    backend, x = registry.get(device), images().numpy()
    with (
        backend.open_model(whole.SerializeToString()) as one,
        backend.open_model(packed.SerializeToString()) as other,
    ):
        assert np.array_equal(one.infer(x), other.infer(x))


def test_weights_without_that_symmetry_are_stored_whole() -> None:
    torch.manual_seed(0)
    model = int8(models.PlainResNet(7, 1, [8, 16], [1, 1], stem_side=4).eval())
    assert mirrored.packed(model) == model


def test_one_layer_that_lost_its_symmetry_does_not_keep_the_others_whole(whole: ModelProto) -> None:
    model = ModelProto()
    model.CopyFrom(whole)
    weight = next(each for each in filters(model) if each.name.startswith("stages.1.conv2"))
    changed = numpy_helper.to_array(weight).copy()
    changed[0, 0, 0, 0] ^= 1
    weight.CopyFrom(numpy_helper.from_array(changed, weight.name))
    found = mirrored.packed(model)
    names = {each.name for each in filters(found)}
    assert weight.name in names
    assert f"{weight.name.replace('conv2', 'conv1')}.half" in names
    assert np.array_equal(run(found, images().numpy()), run(model, images().numpy()))


def test_an_order_that_names_places_twice_stays_an_operator(packed: ModelProto) -> None:
    model = ModelProto()
    model.CopyFrom(packed)
    for each in model.graph.initializer:
        if each.name.startswith("mirrored.order"):
            each.CopyFrom(numpy_helper.from_array(np.zeros(each.dims[0], np.int32), each.name))
    assert sum(node.op_type == "Gather" for node in Graph(model).nodes) == sum(
        node.op_type == "Gather" for node in model.graph.node
    )


def test_a_whole_that_is_an_output_of_the_graph_stays_one(packed: ModelProto) -> None:
    model = ModelProto()
    model.CopyFrom(packed)
    made = next(node.output[0] for node in model.graph.node if node.op_type == "Concat")
    model.graph.output.append(helper.make_tensor_value_info(made, 3, None))
    assert made in {name for node in Graph(model).nodes for name in node.output}


def test_a_small_file_cannot_ask_for_any_amount_of_memory() -> None:
    nodes, last = [], "half"
    for number in range(40):  # each doubles what the one before made
        nodes.append(helper.make_node("Gather", [last, "order"], [f"other{number}"], axis=3))
        nodes.append(helper.make_node("Concat", [last, f"other{number}"], [f"whole{number}"], axis=0))
        last = f"whole{number}"
    constants = {"half": np.zeros((8, 8, 3, 3), np.int8), "order": np.array([2, 1, 0])}
    readers = Counter(name for node in nodes for name in node.input)
    left = mirrored.unpacked(nodes, constants, readers)
    assert len(left) == 2 * 39
    assert constants.keys() == {"half", "order", "whole0"}


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs", "domain"),
    [
        ("Gather", ["half", "order"], [], "ours"),
        ("Gather", ["half"], ["y"], "ours"),
        ("Gather", [], ["y"], "ours"),
        ("Concat", ["half", "half"], [], "ours"),
        ("Concat", ["half"], ["y"], ""),
    ],
)
def test_operators_of_other_shapes_and_origins_stay(
    kind: str, inputs: list[str], outputs: list[str], domain: str
) -> None:
    node = helper.make_node(kind, inputs, outputs, domain=domain, axis=0)
    constants = {"half": np.zeros((8, 8, 3, 3), np.int8), "order": np.array([2, 1, 0])}
    assert mirrored.unpacked([node], constants, Counter(inputs)) == [node]


def test_what_a_body_of_if_reads_stays(packed: ModelProto) -> None:
    model = ModelProto()
    model.CopyFrom(packed)
    made = next(node.output[0] for node in model.graph.node if node.op_type == "Gather")
    value = helper.make_tensor_value_info("inside", TensorProto.INT8, None)
    body = helper.make_graph([helper.make_node("Identity", [made], ["inside"])], "body", [], [value])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("If", ["yes"], ["also"], then_branch=body, else_branch=body))
    assert made in {name for node in Graph(model).nodes for name in node.output}


def test_fine_tuning_keeps_an_image_and_its_mirror_image_alike() -> None:
    network = symmetric()
    pairs = models.find_channel_pairs(network, images())
    student = quantization.quantize(network, images(), "minmax", half_range=False)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.01, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(student(images()), torch.arange(24) % 7).backward()
        optimizer.step()
        quantization.mirror(student, pairs)
    model = targets.lowered(export.int8(student, images(1)))["int8-cpu"].model
    assert all(each.name.endswith(".half") for each in filters(mirrored.packed(model)))
    x = images().numpy()
    np.testing.assert_allclose(run(model, x), run(model, np.ascontiguousarray(x[..., ::-1])), atol=1e-5)


def test_the_bundles_file_for_the_cpu_is_the_small_one_and_tensorrts_is_not(whole: ModelProto) -> None:
    parts = {name: targets.part(f"int8-{name}", whole).content for name in ("cpu", "tensorrt")}
    assert parts == {
        "cpu": mirrored.packed(whole).SerializeToString(),
        "tensorrt": whole.SerializeToString(),
    }
