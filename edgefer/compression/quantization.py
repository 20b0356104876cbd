"""Inserts quantizers with NNCF, all signed and symmetric."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from edgefer import models
from edgefer.compression.calibrate import Observer
from edgefer.compression.extension import load_extension, load_nncf, quiet
from edgefer.errors import InputError
from edgefer.lines import one_line
from edgefer.models.mirroring import ChannelPairs

_BATCH = 25  # images at a time


class Root(nn.Module):
    """A network inside another module: NNCF rejects an outermost `nn.Sequential`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Run the network."""
        out: Tensor = self.network(x)
        return out


def _rooted(network: nn.Module) -> nn.Module:
    return Root(network) if isinstance(network, nn.Sequential) else network


def quantize(
    network: nn.Module, images: Tensor, observer: Observer, half_range: bool, ignored: Sequence[str] = ()
) -> nn.Module:
    """Return a trainable copy of `network` with simulated INT8.

    Weights: int8, symmetric, one scale per output channel, -127 to 127. Activations: int8, symmetric, one
    scale per tensor. Signed everywhere, as TensorRT requires (`edgefer.graph.lowering` makes them unsigned
    where ONNX Runtime wants that).

    Args:
        network: in eval mode, with BatchNorm.
        images: calibration images, network inputs, float32, (n, C, H, W).
        observer: how ranges are computed.
        half_range: keep weights within -64 to 64, for CPUs that saturate u8 x s8 products (`machine.saturates`).
        ignored: name patterns of layers to keep in FP32, from `layers`.

    Raises:
        InputError: NNCF cannot trace the network, or `ignored` matches no layer or all of them.
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
        batchwise_statistics=True,  # each image has its own range, for any _BATCH
        overflow_fix=nncf.OverflowFix.ENABLE if half_range else nncf.OverflowFix.DISABLE,
        # Bias correction hurts: on a FER2013 network, INT8 agreed with FP32 on 89 % of the images with it and
        # on 97 % without. Fine-tuning corrects biases anyway.
        disable_bias_correction=True,
        # Without per_channel=False depthwise inputs get a scale for each channel, which neither target fuses.
        activations_quantization_params=QuantizationParameters(mode=QuantizationScheme.SYMMETRIC, per_channel=False),
        activations_range_estimator_params=getattr(RangeEstimatorParametersSet, observer.replace("-", "_").upper()),
    )
    root = _rooted(network)
    batches = list(images.split(_BATCH))
    names = _matching(layers(network, images[:1]), ignored) if ignored else []
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
    except MemoryError:
        raise
    except Exception as error:  # NNCF's errors, and others raised while it traces the network
        raise InputError(f"NNCF cannot quantize this network: {one_line(error, 200)}") from error
    found = [module for _, module in get_hook_storage(quantized).named_hooks()]
    if ignored and not any(module.per_channel for module in found):
        raise InputError("--ignore keeps every layer out of INT8; name fewer")
    strange = {type(module).__name__ for module in found if not isinstance(module, SymmetricQuantizer)}
    if strange:
        raise InputError(f"NNCF placed quantizers that are not symmetric ({', '.join(sorted(strange))})")
    for module in found:
        # The preset makes quantizers after a ReLU unsigned, and its switch for that (signedness_to_force) raises.
        module.signed = True
    return quantized


def mirror(quantized: nn.Module, channel_pairs: ChannelPairs) -> None:
    """Make a network's weights and their scales symmetric in place, as `edgefer.models.mirror` does without INT8.

    Args:
        quantized: a ``plain-resnet`` from `quantize`.
        channel_pairs: of the network that it was made of.
    """
    from nncf.torch.function_hook.wrapper import get_hook_storage

    models.mirror(quantized, channel_pairs)
    assert isinstance(quantized, models.PlainResNet)
    names = {id(module): name for name, module in quantized.named_modules()}
    writes = {names[id(layer.convolution)]: layer.writes for layer in models.mirroring.layers(quantized)}
    for name, quantizer in get_hook_storage(quantized).named_hooks():
        operation = name.removeprefix("pre_hooks.").partition("/conv2d")[0].replace("/", ".")
        if quantizer.per_channel and operation in writes:
            scale = quantizer.get_parameter("_scale_param_storage")
            scale.data = (scale.data + scale.data[channel_pairs[writes[operation]]]) / 2


def unquantized(network: nn.Module, quantized: nn.Module) -> nn.Module:
    """Return a copy of `network` with the fine-tuned weights of `quantized`, without quantizers.

    Args:
        network: the argument of `quantize`.
        quantized: its result, after training.
    """
    weights = quantized.state_dict()
    root = _rooted(copy.deepcopy(network))
    root.load_state_dict({name: weights[name] for name in root.state_dict()})
    return root


@dataclass(frozen=True)
class Layer:
    """An operation that can be quantized.

    Attributes:
        nncf: its name in NNCF.
        module: path of its module, ``stages.0.conv1.0``; empty for the network itself.
        names: possible names in an exported graph, ``stages.0.conv1.0.Conv``.
    """

    nncf: str
    module: str
    names: tuple[str, ...]

    def fits(self, pattern: str) -> bool:
        """Return whether a pattern matches the operation or a module that contains it."""
        parts = self.module.split(".")
        around = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
        return any(fnmatchcase(name, pattern) for name in (*self.names, *around) if name)


def layers(network: nn.Module, example: Tensor) -> list[Layer]:
    """Return the operations of a network that can be quantized, in the order in which they run.

    Args:
        network: as for `quantize`.
        example: an input, float32, (1, C, H, W).
    """
    load_nncf()
    from nncf.torch.function_hook.nncf_graph.nncf_graph_builder import build_nncf_graph

    with quiet(), torch.no_grad():
        graph = build_nncf_graph(_rooted(network), example)
    found = []
    calls: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for node in graph.get_all_nodes():
        path: list[str] = node.node_name.split("/")  # stages/0/conv1/0/conv2d/0: modules, operation, which call of it
        operators = _OPERATIONS.get(path[-2].rstrip("_")) if len(path) > 1 else None
        if operators:
            module = ".".join(path[:-2])
            number = calls[module, operators]
            calls[module, operators] += 1
            ending = f"_{number}" if number else ""
            names = [".".join(filter(None, (module, operator))) + ending for operator in operators]
            names += [name.removeprefix("network.") for name in names]
            found.append(Layer(node.node_name, module, tuple(dict.fromkeys(names))))
    return found


# torch functions and their ONNX operators.
_OPERATIONS = {
    "adaptive_avg_pool2d": ("GlobalAveragePool", "AveragePool"),
    "add": ("Add",),
    "avg_pool2d": ("AveragePool",),
    "bmm": ("MatMul",),
    "cat": ("Concat",),
    "conv1d": ("Conv",),
    "conv2d": ("Conv",),
    "conv_transpose2d": ("ConvTranspose",),
    "linear": ("Gemm", "MatMul"),
    "matmul": ("MatMul",),
    "mean": ("ReduceMean", "GlobalAveragePool"),
    "mul": ("Mul",),
}


def _matching(known: Sequence[Layer], patterns: Sequence[str]) -> list[str]:
    """Return NNCF's names of the layers that match a pattern.

    Raises:
        InputError: a pattern matches none.
    """
    names = set()
    for pattern in patterns:
        fitting = {layer.nncf for layer in known if layer.fits(pattern)}
        if not fitting:
            every = dict.fromkeys(name for layer in known for name in (layer.module, layer.names[-1]) if name)
            near = ", ".join(get_close_matches(pattern, every, n=3, cutoff=0.0))
            raise InputError(f"--ignore {pattern} matches no layer; examples: {near}")
        names |= fitting
    return sorted(names)


def quantizers(quantized: nn.Module) -> dict[str, Any]:
    """Return the numbers of weight and activation quantizers, for the manifest."""
    from nncf.torch.function_hook.wrapper import get_hook_storage

    weights = [module.per_channel for _, module in get_hook_storage(quantized).named_hooks()]
    return {"weights": sum(weights), "activations": len(weights) - sum(weights)}


def strip(quantized: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy with torch's own fake quantizers in place of NNCF's, ready for export.

    Raises:
        InputError: NNCF left one of its own quantizers, which no runtime supports.
    """
    nncf = load_nncf()
    from nncf.torch.function_hook.wrapper import get_hook_storage
    from nncf.torch.quantization.layers import BaseQuantizer

    stripped: nn.Module = copy.deepcopy(quantized)
    hooks = get_hook_storage(stripped)
    seen: set[nn.Module] = set()
    for name, quantizer in list(hooks.named_hooks(remove_duplicate=False)):
        # The inputs of a Concat share one quantizer. NNCF replaces it in only one place.
        if quantizer in seen:
            hooks.set_submodule(name, copy.deepcopy(quantizer))
        seen.add(quantizer)
    for _, quantizer in hooks.named_hooks():
        if quantizer.per_channel and quantizer.scale.numel() == 1:
            # NNCF assumes axis 0 for the only channel, which may be wrong.
            quantizer._scale_shape = (1,)
    with quiet(), torch.no_grad():
        stripped = nncf.torch.strip(stripped, do_copy=False, example_input=example)
    left = [name for name, hook in get_hook_storage(stripped).named_hooks() if isinstance(hook, BaseQuantizer)]
    if left:
        raise InputError(f"NNCF cannot export the quantizer {left[0]}")
    return stripped
