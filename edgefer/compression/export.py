"""Exports torch networks to ONNX."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from edgefer import paths
from edgefer.compression.extension import quiet
from edgefer.compression.quantization import Root, strip
from edgefer.compression.tracing import batch_for, known_shapes
from edgefer.errors import InputError
from edgefer.graph.bias import hold_bias
from edgefer.graph.fold import fold_batchnorm
from edgefer.graph.padding import fold_padding
from edgefer.graph.requantization import requantize
from edgefer.graph.strip import stripped
from edgefer.graph.weights import fold_weights, limit_weights
from edgefer.lines import one_line

INPUT, OUTPUT = "input", "logits"
HALF = 64  # largest weight at half range
OPSETS = (17, 20)  # the first that supports the network; TensorRT 10 reads both
_LINE = 200


def fp32(network: nn.Module, example: Tensor) -> ModelProto:
    """Return a network as ONNX, with BatchNorm folded and a dynamic batch axis.

    Args:
        network: in eval mode.
        example: an input, float32, (1, C, H, W).
    """
    return stripped(fold_batchnorm(fold_padding(_export(network, example))))


def int8(quantized: nn.Module, example: Tensor, half_range: bool = False) -> ModelProto:
    """Return a network from `quantize` as one signed symmetric graph: int8 weights, BatchNorm folded, biases FP32.

    Args:
        quantized: in eval mode.
        example: an input, float32, (1, C, H, W).
        half_range: see `quantize`.
    """
    model = fold_padding(fold_weights(_export(strip(quantized, example), example)))
    if half_range:
        model = limit_weights(model, HALF)
    return stripped(hold_bias(requantize(fold_batchnorm(model))))


def _export(network: nn.Module, example: Tensor) -> ModelProto:
    """Export a network with torch; later opsets have operators that the first one lacks.

    Raises:
        InputError: none of them supports the network.
    """
    failed: Exception | None = None
    for opset in OPSETS:
        try:
            return _traced(network, example, opset)
        except (MemoryError, OSError):  # a machine error: no other opset helps
            raise
        except Exception as error:  # from the exporter, or from a network that cannot be traced
            failed = failed or error
    # After its first sentence the exporter prints the whole graph.
    said = one_line(str(failed).partition("  [Caused by")[0].partition("Please feel free")[0], _LINE).rstrip(".")
    raise InputError(f"this network cannot be exported to ONNX: {said or type(failed).__name__}") from failed


def _traced(network: nn.Module, example: Tensor, opset: int) -> ModelProto:
    batch = batch_for(example)
    if len(inspect.signature(network.forward).parameters) > 1:
        network = Root(network)  # the exporter would make inputs of a forward's other arguments
    with (
        quiet(),
        _no_graphs(),
        torch.no_grad(),
        known_shapes(batch),
        paths.temporary_folder() as folder,
    ):
        file = folder / "network.onnx"
        # dynamo=True fails on the FakeQuantize modules that NNCF's strip leaves.
        torch.onnx.export(
            network,
            (batch,),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        )
        return onnx.load(file)


@contextmanager
def _no_graphs() -> Iterator[None]:
    """Keep the exporter from printing a failed network's graph, a thousand lines on stdout."""
    log = torch._C._jit_onnx_log
    torch._C._jit_onnx_log = lambda *_: None
    try:
        yield
    finally:
        torch._C._jit_onnx_log = log
