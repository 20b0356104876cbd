"""Small networks, images and bundles with known results: classes only differ in brightness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgefer import bundle
from edgefer.data.dataset import Dataset
from edgefer.labels import LABELS
from edgefer.preprocessing import Preprocessing

SIZE = 12
PREPROCESSING = Preprocessing(size=SIZE, mean=(0.5,), std=(0.25,))


def centres(classes: int = 7) -> NDArray[np.float32]:
    """Return the brightness of each class, 0 to 1."""
    return np.asarray((np.arange(classes) + 0.5) / classes, np.float32)


def network(
    *, classes: int = 7, channels: int = 1, size: int = SIZE, blind: int | None = None, batch: int | str = "N"
) -> bytes:
    """Return an ONNX file that classifies exactly by the mean of its normalized input.

    Logit k is 2 c_k m - c_k^2, largest for the centre c_k that is nearest to the mean m.

    Args:
        blind: a class that it never predicts.
    """
    middle = ((centres(classes) - 0.5) / 0.25).astype(np.float32)
    weights = np.repeat(2 * middle[None] / channels, channels, axis=0).astype(np.float32)
    bias = -(middle**2)
    if blind is not None:
        bias[blind] = -100
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["means"]),
            helper.make_node("Gemm", ["means", "weights", "bias"], ["logits"]),
        ],
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, channels, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    return onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def pictures(labels: NDArray[np.int64], classes: int = 7, seed: int = 0) -> NDArray[np.uint8]:
    """Return an image of SIZE x SIZE for each label, with its class's brightness and a little noise."""
    random = np.random.default_rng(seed)
    noise = random.integers(-10, 11, (len(labels), SIZE, SIZE))
    return (centres(classes)[labels][:, None, None] * 255 + noise).clip(0, 255).astype(np.uint8)


def dataset(each: int = 70, **changes: Any) -> Dataset:
    """Return `each` images for training, validation and test; the first 10 test images also occur in training."""
    labels = np.tile(np.arange(7), 3 * each // 7 + 1)[: 3 * each].astype(np.int64)
    images = pictures(labels)
    images[2 * each : 2 * each + 10] = images[:10]
    labels[2 * each : 2 * each + 10] = labels[:10]
    splits = np.repeat(np.arange(3, dtype=np.uint8), each)
    fields: dict[str, Any] = {"synthetic": True, **changes}
    return Dataset(
        "greys", "made in a test", images, labels, splits, np.arange(3 * each), LABELS, digest="d" * 64, **fields
    )


def description(**changes: Any) -> bundle.Description:
    fields: dict[str, Any] = {
        "name": "grey",
        "labels": LABELS,
        "preprocessing": PREPROCESSING,
        "parameters": 14,
        "macs": 7,
        "data": bundle.DataEntry(name="greys", digest="d" * 64, synthetic=True),
        "calibration": None,
        "scores": [],
        "recipe": {"name": "grey"},
        "compression": {},
        "versions": {},
        "created": "2026-11-21T00:00:00+00:00",
    }
    return bundle.Description(**{**fields, **changes})


def parts() -> dict[str, bundle.NetworkFile]:
    """Return an FP32 network that is always right, and one for INT8 that never predicts ``fear``."""
    return {
        "int8-cpu": bundle.NetworkFile("int8-cpu.onnx", network(blind=2), "int8", "cpu"),
        "fp32": bundle.NetworkFile("fp32.onnx", network(), "fp32", "any"),
        "int8-tensorrt": bundle.NetworkFile("int8-tensorrt.onnx", network(blind=3), "int8", "tensorrt"),
    }


def write(folder: Path, **changes: Any) -> bundle.Bundle:
    return bundle.write(folder, description(**changes), parts())
