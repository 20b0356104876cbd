"""The forms of INT8 graph that several backends share. A form that one backend alone wants stands in its module."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The form of INT8 graph that a runtime executes fast. `edgefer.graph` makes it and checks it.

    Attributes:
        name: in manifests, and part of a network's name: ``cpu`` gives ``int8-cpu``.
        lowering: ``module:function`` that turns the symmetric QDQ graph into this form; it may need onnx.
        rules: whose rules `edgefer.graph.linter` applies: ``cpu`` or ``tensorrt``.
        file: what its networks' files are called, where another target's graph is the same; else `name`.
        fp16: whether a bundle holds an FP16 network for it.
    """

    name: str
    lowering: str
    rules: str
    file: str = ""
    fp16: bool = False


# ONNX Runtime drops a ReLU only in front of a quantizer whose zero point is its lowest value.
CPU = Target("cpu", lowering="edgefer.graph.lowering:unsigned", rules="cpu")
# TensorRT takes zero point 0 alone, and runs a convolution and the residual Add behind it as one kernel.
TENSORRT = Target("tensorrt", lowering="edgefer.graph.lowering:fused_adds", rules="tensorrt", fp16=True)
RTX = Target("rtx", lowering="edgefer.graph.lowering:fused_adds", rules="tensorrt", file="tensorrt", fp16=True)
