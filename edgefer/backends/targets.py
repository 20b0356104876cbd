"""The forms of INT8 graph that several backends share. A form for a single backend is in its module."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The form of INT8 graph that a runtime executes fast. `edgefer.graph` makes it and checks it.

    Attributes:
        name: used in manifests and in a network's name: ``cpu`` gives ``int8-cpu``.
        lowering: ``module:function`` that turns the symmetric QDQ graph into this form; it may need onnx.
        rules: rules that `edgefer.graph.linter` applies: ``cpu`` or ``tensorrt``.
        file: file name of its networks if shared with another target; otherwise `name`.
        fp16: whether a bundle holds an FP16 network for it.
    """

    name: str
    lowering: str
    rules: str
    file: str = ""
    fp16: bool = False


# ONNX Runtime drops a ReLU only before a quantizer with the lowest zero point.
CPU = Target("cpu", lowering="edgefer.graph.lowering:unsigned", rules="cpu")
# TensorRT accepts only zero point 0, and fuses a convolution with the residual Add after it.
TENSORRT = Target("tensorrt", lowering="edgefer.graph.lowering:fused_adds", rules="tensorrt", fp16=True)
RTX = Target("rtx", lowering="edgefer.graph.lowering:fused_adds", rules="tensorrt", file="tensorrt", fp16=True)
