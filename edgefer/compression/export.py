"""From torch to ONNX."""

from __future__ import annotations

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from edgefer import paths
from edgefer.compression.extension import quiet
from edgefer.compression.quantize import strip
from edgefer.graph.bias import hold_bias
from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.padding import fold_padding
from edgefer.graph.requantize import requantize
from edgefer.graph.slim import slim
from edgefer.graph.weights import fold_weights, limit_weights

INPUT, OUTPUT = "input", "logits"
HALF = 64  # largest weight at half range
OPSET = 17  # what TensorRT 10 reads


def fp32(network: nn.Module, example: Tensor) -> ModelProto:
    """Return a network as ONNX, BatchNorm folded, the batch axis open.

    Args:
        network: in eval mode.
        example: an input, float32, (1, C, H, W).
    """
    return slim(fold_batchnorm(fold_padding(_export(network, example))))


def int8(quantized: nn.Module, example: Tensor, half_range: bool = False) -> ModelProto:
    """Return what `quantize` made as one signed symmetric graph: int8 weights, BatchNorm folded, biases FP32.

    Args:
        quantized: in eval mode.
        example: an input, float32, (1, C, H, W).
        half_range: see `quantize`.
    """
    model = fold_padding(fold_weights(_export(strip(quantized, example), example)))
    if half_range:
        model = limit_weights(model, HALF)
    return slim(hold_bias(requantize(fold_batchnorm(model))))


def _export(network: nn.Module, example: Tensor) -> ModelProto:
    with quiet(), torch.no_grad(), paths.temporary_folder() as folder:
        file = folder / "network.onnx"
        # dynamo=True fails on the FakeQuantize modules that NNCF's strip leaves.
        torch.onnx.export(
            network,
            (example,),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        )
        return onnx.load(file)
