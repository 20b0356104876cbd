"""`edgefer export onnx` compared with edgefer in Python: label differences and file sizes.

python benchmarks/runtimes/export.py --data fer2013.zip

Each pretrained network is exported and given pictures as another program has them, uint8 RGB: all of PrivateTest at
48 x 48, and 400 of these faces at other sizes (24 to 400 pixels a side, oblong ones too, resized with Pillow). The
same pictures go through `edgefer.load(...).predict`. No accuracy is asked, labels are compared alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import edgefer
from benchmarks.common import protocol
from edgefer import bundle, console, data, paths, versions
from edgefer.backends import registry
from edgefer.devices import machine
from edgefer.export import onnx_file

NETWORKS = ("edgefer-nano", "edgefer-small", "edgefer-base")
DEVICES = ("cpu", "openvino")
CROPS = 400
SIDES = (24, 400)  # crop size in pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "export.json")
    arguments = parser.parse_args()
    console.enable()
    dataset = data.load(arguments.data)
    images = dataset.images[data.split(dataset, "test").rows]
    sets = {"private_test": [rgb(image) for image in images], "crops": crops(images)}
    rows = [row(name, device, sets) for name in NETWORKS for device in DEVICES]
    tree = {
        "kind": "edgefer export",
        "networks": rows,
        "protocol": {"says": protocol(__doc__), "images": {name: len(each) for name, each in sets.items()}},
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed("onnx", "onnxruntime", "openvino", "numpy", "pillow"),
    }
    paths.write_json(arguments.out, tree, indent=1)


def row(name: str, device: str, sets: dict[str, list[NDArray[np.uint8]]]) -> dict[str, Any]:
    """Compare one exported network with Python on one runtime."""
    opened = bundle.load(name)
    backend = registry.get(device)
    with edgefer.load(name, "int8-cpu", device=device) as predictor:
        content = onnx_file.export(opened, "int8-cpu").SerializeToString()
        found: dict[str, Any] = {"network": name, "device": device, "bytes": len(content)}
        for title, images in sets.items():
            expected = [each.label for each in predictor.predict(images)]
            answers = backend.run(content, [{"image": image} for image in images])
            labels = [predictor.labels[int(answer.argmax())] for answer in answers]
            found[f"{title}_differ"] = sum(a != b for a, b in zip(expected, labels, strict=True))
            console.say(f"{name} on {device}, {title}: {found[f'{title}_differ']} of {len(images)} differ")
    return found


def rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image[:, :, None], 3, axis=2)


def crops(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return 400 faces at other sizes, chosen with seed 0."""
    random = np.random.default_rng(0)
    rows = random.choice(len(images), CROPS, replace=False)
    sizes = random.integers(*SIDES, (CROPS, 2), endpoint=True)
    sizes[: CROPS // 2, 1] = sizes[: CROPS // 2, 0]  # half are square
    return [
        rgb(np.asarray(Image.fromarray(images[row]).resize((int(wide), int(high)), Image.Resampling.BICUBIC)))
        for row, (high, wide) in zip(rows, sizes, strict=True)
    ]


if __name__ == "__main__":
    main()
