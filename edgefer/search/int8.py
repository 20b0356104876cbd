"""A network's INT8 file the cheap way: calibrated and not fine-tuned, for the CPU alone, and timed beside FP32.

The steps are those of `edgefer compress --ptq`, by the same functions. What is left out: the files of other targets,
the gate, the bundle.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from onnx import ModelProto

from edgefer import models
from edgefer.bundle import Speed
from edgefer.compression import export, quantization, speed
from edgefer.compression.calibrate import Scheme
from edgefer.graph.lowering import lower
from edgefer.graph.strip import stripped

TARGET = "cpu"
_TIMED_IMAGES = 50


@dataclass(frozen=True)
class CalibratedNetwork:
    """An INT8 network and what it costs.

    Attributes:
        model: lowered for CPUs.
        speed: its latency beside FP32's, batch 1, one thread.
    """

    model: ModelProto
    speed: Speed

    @property
    def bytes(self) -> int:
        """Of its file."""
        return int(self.model.ByteSize())


def calibrated(network: torch.nn.Module, images: torch.Tensor, plan: Scheme, half_range: bool) -> CalibratedNetwork:
    """Return a network in INT8.

    Args:
        network: trained or not.
        images: that activation ranges come from, as the network takes them, float32, (n, C, H, W).
        plan: how they are made.
        half_range: see `quantization.quantize`.

    Raises:
        InputError: the network cannot be exported or quantized.
    """
    example = images[:1]
    network = models.as_exportable(network.eval(), example)
    quantized = quantization.quantize(network, images, plan.observer, half_range)
    model = stripped(lower(export.int8(quantized, example, half_range), TARGET).model)
    timed = images[:_TIMED_IMAGES].numpy()
    return CalibratedNetwork(model, speed.measure(f"int8-{TARGET}", export.fp32(network, example), model, timed))
