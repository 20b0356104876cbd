"""Known files of ImageNet weights, identified by digest, so that a training from one counts as the paper's.

torchvision puts the first digits of a file's SHA-256 into its name; Keras lists MD5 sums next to its networks.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_SHA256 = {
    "7f5810bc": "torchvision's EfficientNet_B0, IMAGENET1K_V1",
    "c35c1473": "torchvision's EfficientNet_B2, IMAGENET1K_V1",
    "dd5fe13b": "torchvision's EfficientNet_V2_S, IMAGENET1K_V1",
    "f37072fd": "torchvision's ResNet18, IMAGENET1K_V1",
}
_MD5 = {
    "902e53a9f72be733fc0bcb005b3ebbac": "Keras' EfficientNetB0",
    "50bc09e76180e00e4465e1a485ddc09d": "Keras' EfficientNetB0 without its top",
    "b15cce36ff4dcbd00b6dd88e7857a6ad": "Keras' EfficientNetB2",
    "111f8e2ac8aa800a7a99e3239f7bfb39": "Keras' EfficientNetB2 without its top",
    "e1d88a8495beba45748fedd0cecbe016": "Keras' EfficientNetV2S",
    "af0682fb74e8c54910f2d4393339c070": "Keras' EfficientNetV2S without its top",
}


def named(path: Path, sha256: str) -> str | None:
    """Return the publisher of a file of ImageNet weights, or None if it is unknown.

    Args:
        path: the file.
        sha256: its SHA-256 as hex digits.
    """
    if sha256[:8] in _SHA256:
        return _SHA256[sha256[:8]]
    if path.suffix != ".h5":
        return None
    with path.open("rb") as file:
        digest = hashlib.md5(usedforsecurity=False)
        while block := file.read(1 << 20):
            digest.update(block)
    return _MD5.get(digest.hexdigest())
