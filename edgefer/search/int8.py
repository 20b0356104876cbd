"""Make an INT8 file cheaply: calibrated without fine-tuning, only for the CPU, and timed against FP32.

The steps and functions are those of `edgefer compress --ptq`, without files for other targets, the gate and the
bundle.
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
    """An INT8 network with its cost.

    Attributes:
        model: lowered for CPUs.
        speed: latency of INT8 and FP32, batch 1, one thread.
    """

    model: ModelProto
    speed: Speed

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return int(self.model.ByteSize())


def calibrated(network: torch.nn.Module, images: torch.Tensor, plan: Scheme, half_range: bool) -> CalibratedNetwork:
    """Convert a network to INT8.

    Args:
        network: trained or not.
        images: calibration inputs, preprocessed, float32, (n, C, H, W).
        plan: calibration settings.
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
