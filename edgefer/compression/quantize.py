"""A network with quantizers in it, as NNCF places them, every one signed and symmetric."""

from __future__ import annotations

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


def quantize(network: nn.Module, images: Tensor, observer: Observer, half_range: bool) -> nn.Module:
    """Return a copy of `network` that computes as INT8 does and that can be trained.

    Weights: int8, symmetric, one scale for each output channel, -127 to 127. Activations: int8, symmetric, one scale
    for each tensor. Signed everywhere, since TensorRT knows nothing else (`edgefer.graph.lower` makes them unsigned
    where ONNX Runtime wants that).

    Args:
        network: in eval mode; BatchNorm as it is.
        images: calibration images as the network takes them, float32, (n, C, H, W).
        observer: how a range is made of what the images cause.
        half_range: keep weights within -64 to 64, for CPUs that saturate u8 x s8 products (`saturates`).

    Raises:
        InputError: NNCF cannot trace the network.
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
    root = Root(network) if isinstance(network, nn.Sequential) else network
    batches = list(images.split(_BATCH))
    try:
        with quiet():
            quantized: nn.Module = nncf.quantize(
                root,
                nncf.Dataset(batches),
                preset=nncf.QuantizationPreset.PERFORMANCE,
                subset_size=len(batches),
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
