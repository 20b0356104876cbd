"""Which of timm's networks go through edgefer: 60 of them, one from each of 60 of timm's model modules.

python benchmarks/any_network.py --choose

The list is benchmarks/any_network.json, by this rule, which looks at no result of edgefer's: of each module of
timm.models the classifier with the fewest parameters, but for `test_...`, which timm has for its own tests. Modules
whose smallest has more than 32 million parameters are left out: edgefer is for compact networks. Of the others, in the
order of the SHA-256 of their names, the first 60. Each gets the smallest of eight sizes, from 64 pixels on, that timm's
network takes.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import list_modules

from edgefer import console, paths, versions

LIST = Path(__file__).with_suffix(".json")
COUNT = 60
MAX_PARAMETERS = 32_000_000
SIZES = (64, 96, 128, 160, 192, 224, 240, 256)  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choose", action="store_true", help="write the list anew")
    arguments = parser.parse_args()
    console.enable()
    if arguments.choose:
        choose()


def choose() -> None:
    """Write the list: 60 networks, each with its module, parameters (1,000 classes) and size."""
    smallest = [found for module in list_modules() if (found := smallest_of(module))]
    smallest = [entry for entry in smallest if entry["parameters"] <= MAX_PARAMETERS]
    chosen = sorted(smallest, key=lambda entry: hashlib.sha256(entry["module"].encode()).hexdigest())[:COUNT]
    chosen.sort(key=lambda entry: str(entry["module"]))
    for entry in chosen:
        entry["size"] = size_of(entry["network"])
        console.say(f"{entry['module']}: {entry['network']} at {entry['size']} px")
    rule = " ".join((__doc__ or "").split("\n\n")[2].split())
    tree = {"rule": rule, "of_modules": len(smallest), "versions": versions.installed("timm"), "networks": chosen}
    paths.write_json(LIST, tree, indent=1)


def smallest_of(module: str) -> dict[str, Any] | None:
    """Return the smallest classifier of one of timm's modules; None where it has none but for tests."""
    sizes = {}
    for name in timm.list_models(module=module):
        if not name.startswith("test_"):
            with torch.device("meta"):
                sizes[name] = sum(weight.numel() for weight in timm.create_model(name).parameters())
    if not sizes:
        return None
    network = min(sizes, key=lambda name: (sizes[name], name))
    return {"module": module, "network": network, "parameters": sizes[network]}


def size_of(name: str) -> int:
    """Return the first of `SIZES` that a network takes; its own if it takes none of them."""
    network = timm.create_model(name, num_classes=7).eval()
    for size in SIZES:
        try:
            with torch.no_grad():
                network(torch.zeros(1, 3, size, size))
        except (AssertionError, RuntimeError, ValueError):
            continue
        return size
    config: Any = network.pretrained_cfg
    return int(config["input_size"][-1])


if __name__ == "__main__":
    main()
