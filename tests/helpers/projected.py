"""A bundle with different outputs on two devices."""

from __future__ import annotations

from pathlib import Path

from edgefer import bundle
from edgefer.labels import LABELS
from tests.helpers import samples

FEAR = LABELS.index("fear")


def write(folder: Path, **changes: object) -> bundle.Bundle:
    """Write a bundle with an FP32 network that is always right, and TensorRT's that never predicts ``fear``."""
    blind = samples.network(blind=FEAR)
    parts = {
        "fp32": bundle.NetworkFile("fp32.onnx", samples.network(), "fp32", "any"),
        "int8-cpu": bundle.NetworkFile("int8.cpu.onnx", blind, "int8", "cpu"),
        "int8-tensorrt": bundle.NetworkFile("int8.tensorrt.onnx", blind, "int8", "tensorrt"),
        "int8-rtx": bundle.NetworkFile("int8.tensorrt.onnx", blind, "int8", "rtx"),
    }
    return bundle.write(folder, samples.description(**changes), parts)
