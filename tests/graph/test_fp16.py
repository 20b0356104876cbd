"""The FP16 network as a file: valid, with its nodes in topological order."""

from __future__ import annotations

import random

import onnx
import torch

from edgefer import models
from edgefer.graph.fp16 import to_fp16
from edgefer.graph.graph import in_order
from tests.helpers.torch_networks import export

FLOAT = export(models.create("plain-resnet", 7, 1).eval(), torch.zeros(1, 1, 44, 44))


def test_the_file_is_valid_onnx() -> None:
    onnx.checker.check_model(to_fp16(FLOAT), full_check=True)


def test_nodes_in_any_order_are_put_into_one_that_runs() -> None:
    known = {"input", *(each.name for each in FLOAT.graph.initializer)}
    for seed in range(20):
        nodes = list(FLOAT.graph.node)
        random.Random(seed).shuffle(nodes)
        made = set(known)
        for node in in_order(nodes):
            assert set(node.input) <= made
            made.update(node.output)
        assert made == known | {name for node in nodes for name in node.output}


def test_nodes_that_stand_right_stay_where_they_are() -> None:
    nodes = list(FLOAT.graph.node)
    assert [node.name for node in in_order(nodes)] == [node.name for node in nodes]
