"""A network with quantizers in it, as NNCF places them, every one signed and symmetric."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from edgefer.compression.calibrate import Observer
from edgefer.compression.extension import load_extension, load_nncf, quiet
from edgefer.devices import machine
from edgefer.errors import InputError

_BATCH = 25  # images at a time; ranges are taken from each image on its own whatever this is


class Root(nn.Module):
    """A network inside another module: NNCF refuses `nn.Sequential` as the outermost one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return what the network returns."""
        out: Tensor = self.network(x)
        return out


def _rooted(network: nn.Module) -> nn.Module:
    return Root(network) if isinstance(network, nn.Sequential) else network


def quantize(
    network: nn.Module, images: Tensor, observer: Observer, half_range: bool, ignored: Sequence[str] = ()
) -> nn.Module:
    """Return a copy of `network` that computes as INT8 does and that can be trained.

    Weights: int8, symmetric, one scale for each output channel, -127 to 127. Activations: int8, symmetric, one scale
    for each tensor. Signed everywhere, since TensorRT knows nothing else (`edgefer.graph.lower` makes them unsigned
    where ONNX Runtime wants that).

    Args:
        network: in eval mode; BatchNorm as it is.
        images: calibration images as the network takes them, float32, (n, C, H, W).
        observer: how a range is made of what the images cause.
        half_range: keep weights within -64 to 64, for CPUs that saturate u8 x s8 products (`saturates`).
        ignored: name patterns of layers that stay FP32, from `layers`.

    Raises:
        InputError: NNCF cannot trace the network, or a pattern fits none of its layers.
        MissingExtra: NNCF is not installed.
    """
    nncf = load_nncf()
    from nncf.common.quantization.structs import QuantizationScheme
    from nncf.quantization.advanced_parameters import QuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    from nncf.torch.function_hook.wrapper import get_hook_storage
    from nncf.torch.quantization.layers import SymmetricQuantizer

    load_extension()
    settings = nncf.AdvancedQuantizationParameters(
        overflow_fix=nncf.OverflowFix.ENABLE if half_range else nncf.OverflowFix.DISABLE,
        # It shifts the biases by what it takes the error of INT8 to be. Measured on a FER2013 network, INT8 agreed with
        # FP32 on 89 % of the images with the shift and on 97 % without; fine-tuning corrects biases anyway.
        disable_bias_correction=True,
        # Without per_channel=False depthwise inputs get a scale for each channel, which neither target fuses.
        activations_quantization_params=QuantizationParameters(mode=QuantizationScheme.SYMMETRIC, per_channel=False),
        activations_range_estimator_params=getattr(RangeEstimatorParametersSet, observer.replace("-", "_").upper()),
    )
    root = _rooted(network)
    batches = list(images.split(_BATCH))
    names = _matching(layers(root, images[:1]), ignored) if ignored else []
    try:
        with quiet():
            quantized: nn.Module = nncf.quantize(
                root,
                nncf.Dataset(batches),
                preset=nncf.QuantizationPreset.PERFORMANCE,
                subset_size=len(batches),
                ignored_scope=nncf.IgnoredScope(names=names) if names else None,
                advanced_parameters=settings,
            )
    except (nncf.errors.InternalError, nncf.errors.UnsupportedModelError, nncf.errors.ValidationError) as error:
        raise InputError(f"NNCF cannot quantize this network: {' '.join(str(error).split())}") from None
    found = [module for _, module in get_hook_storage(quantized).named_hooks()]
    strange = {type(module).__name__ for module in found if not isinstance(module, SymmetricQuantizer)}
    if strange:
        raise InputError(f"NNCF placed quantizers that are not symmetric ({', '.join(sorted(strange))})")
    for module in found:
        # The preset makes quantizers behind a ReLU unsigned, and its own switch for that (signedness_to_force) raises.
        module.signed = True
    return quantized


def unquantized(network: nn.Module, quantized: nn.Module) -> nn.Module:
    """Return a copy of `network` with the weights that fine-tuning left in `quantized`, without quantizers.

    Args:
        network: what `quantize` was called with.
        quantized: what it returned, trained since.
    """
    weights = quantized.state_dict()
    root = _rooted(copy.deepcopy(network))
    root.load_state_dict({name: weights[name] for name in root.state_dict()})
    return root


def layers(network: nn.Module, example: Tensor) -> dict[str, str]:
    """Return NNCF's name of each operation of a network, by the name that it has in an exported graph.

    Args:
        network: as `quantize` takes it.
        example: an input, float32, (1, C, H, W).
    """
    load_nncf()
    from nncf.torch.function_hook.nncf_graph.nncf_graph_builder import build_nncf_graph

    with quiet(), torch.no_grad():
        graph = build_nncf_graph(network, example)
    found = {}
    for node in graph.get_all_nodes():
        path = node.node_name.split("/")  # stages/0/conv1/0/conv2d/0: the module, the operation, which of its calls
        operation = _OPERATIONS.get(path[-2].rstrip("_")) if len(path) > 1 else None
        if operation:
            number = "" if path[-1] == "0" else f"_{path[-1]}"
            found[".".join([*path[:-2], operation]).removeprefix("network.") + number] = node.node_name
    return found


# torch's functions and the ONNX operators that they become.
_OPERATIONS = {
    "add": "Add",
    "bmm": "MatMul",
    "conv1d": "Conv",
    "conv2d": "Conv",
    "conv_transpose2d": "ConvTranspose",
    "linear": "Gemm",
    "matmul": "MatMul",
    "mul": "Mul",
}


def _matching(known: dict[str, str], patterns: Sequence[str]) -> list[str]:
    """Return NNCF's names of the layers whose name, or whose module's name, fits a pattern."""
    names = set()
    for pattern in patterns:
        fitting = [
            name for layer, name in known.items() if fnmatchcase(layer, pattern) or fnmatchcase(_module(layer), pattern)
        ]
        if not fitting:
            near = get_close_matches(pattern, [*known, *map(_module, known)], n=3, cutoff=0.0)
            raise InputError(f"--ignore {pattern} fits no layer; there are e.g. {', '.join(near)}")
        names.update(fitting)
    return sorted(names)


def _module(layer: str) -> str:
    return layer.rpartition(".")[0]


def quantizers(quantized: nn.Module) -> dict[str, Any]:
    """Return the number of weight and of activation quantizers, as the manifest has them."""
    from nncf.torch.function_hook.wrapper import get_hook_storage

    weights = [module.per_channel for _, module in get_hook_storage(quantized).named_hooks()]
    return {"weights": sum(weights), "activations": len(weights) - sum(weights)}


def saturates() -> bool:
    """Return whether this CPU's 8-bit products saturate: x86 without VNNI adds two of them up in 16 bits."""
    here = machine.describe()
    return here.architecture.lower() in ("x86_64", "amd64", "i686") and not here.fast_int8


def strip(quantized: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy with torch's own fake quantizers in place of NNCF's, ready for export."""
    nncf = load_nncf()
    with quiet(), torch.no_grad():
        stripped: nn.Module = nncf.torch.strip(quantized, example_input=example)
    return stripped
