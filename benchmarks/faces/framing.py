"""What each step from a photograph to a network's input costs in accuracy, on faces whose place is known.

python benchmarks/faces/framing.py [--data FER2013.zip] [--skimage FOLDER] [--faces N] [--out FILE.json]

FER2013's PublicTest faces are laid onto photographs without faces as in `faces.py`. Each face that is found and listed
first is cut out in several ways: at its true place and angle, with the detected one in place of each, and on squares
of other sides. `right` is the share with the data set's label, `loss` the mean cross-entropy. `against` compares both
with the crop that is shipped on the same faces: faces that only one of the two gets right, the exact McNemar test of
those, and the difference in loss with its standard error.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgefer
from benchmarks.common import FER2013, command, protocol
from benchmarks.faces.composites import Composite, composites, photographs
from benchmarks.faces.faces import HERE, YUNET, found
from edgefer import bundle, console, data, paths
from edgefer.compression import gate
from edgefer.devices import machine
from edgefer.faces import crop, search
from edgefer.faces.face import Face
from edgefer.faces.yunet import YuNet

OUT = HERE / "results" / "framing.json"
SHIPPED = "shipped"

Cut = Callable[[Composite, Face], NDArray[np.uint8]]


def _side(side: Callable[[Face], float]) -> Cut:
    return lambda each, face: crop.square(each.picture, face.x, face.y, side(face), crop.turn(face))


CUTS: dict[str, Cut] = {
    SHIPPED: lambda each, face: crop.of(each.picture, face),
    "true place and angle": lambda each, face: crop.square(each.picture, *each.square, each.roll),
    "true place, not turned": lambda each, face: crop.square(each.picture, *each.square),
    "true place, detected angle": lambda each, face: crop.square(each.picture, *each.square, crop.turn(face)),
    "true centre and angle, detected side": lambda each, face: crop.square(
        each.picture, *each.square[:2], face.side, each.roll
    ),
    "true side and angle, detected centre": lambda each, face: crop.square(
        each.picture, face.x, face.y, each.square[2], each.roll
    ),
    "longer side": _side(lambda face: face.side),
    "mean of both sides": _side(lambda face: (face.width + face.height) / 2),
}


def compare(one: NDArray[np.float64], other: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return how the predictions `one` differ from `other` on the same faces.

    Args:
        one, other: probabilities, (N, classes).
        labels: (N).
    """
    first, second = one.argmax(1) == labels, other.argmax(1) == labels
    won, lost = int((first & ~second).sum()), int((second & ~first).sum())
    rows = np.arange(len(labels))
    loss = np.log(other[rows, labels]) - np.log(one[rows, labels])
    return {
        "only_this_right": won,
        "only_shipped_right": lost,
        "p": gate.exact_mcnemar(won, lost),
        "loss": float(loss.mean()),
        "loss_error": float(loss.std() / np.sqrt(len(loss))),
    }


def figures(said: dict[str, NDArray[np.float64]], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return each cut's accuracy and loss, and how it compares with the shipped one."""
    rows = np.arange(len(labels))
    return {
        name: {
            "right": float((each.argmax(1) == labels).mean()),
            "loss": float(-np.log(each[rows, labels]).mean()),
            **({} if name == SHIPPED else {"against": compare(each, said[SHIPPED], labels)}),
        }
        for name, each in said.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--skimage", type=Path, help="where scikit-image's wheel is unpacked, if it is not installed")
    parser.add_argument("--detector", type=Path, default=YUNET)
    parser.add_argument("--faces", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    console.enable()
    dataset = data.load(arguments.data)
    split = data.split(dataset, "val")
    rows = np.random.default_rng(1).permutation(len(split))[: arguments.faces]
    faces, labels = split.take(rows), split.labels[rows]
    networks = {name: edgefer.load(name, device="cpu") for name in bundle.pretrained()}
    detector = search.Search(YuNet(arguments.detector), "YuNet")
    said: dict[str, dict[str, list[list[float]]]] = {name: {} for name in networks}
    kept: list[int] = []
    ratios: list[float] = []
    pictures = composites(faces, list(photographs(arguments.skimage).values()), 31)
    with console.progress("pictures", len(faces)) as advance:
        while part := list(islice(pictures, 100)):
            seen = [detector.find(each.picture) for each in part]
            there = [(each, at[0]) for each, at in zip(part, seen, strict=True) if at and found(at[0], each.square)]
            kept += [each.row for each, _ in there]
            ratios += [face.side / each.square[2] for each, face in there]
            cuts = {name: [cut(*both) for both in there] for name, cut in CUTS.items()}
            cuts["data set's own picture"] = [faces[each.row] for each, _ in there]
            for network, predictor in networks.items():
                for name, crops in cuts.items():
                    answers = predictor.predict(crops)
                    said[network].setdefault(name, []).extend(list(a.probabilities.values()) for a in answers)
            advance(len(part))
    result = {
        "kind": "edgefer framing",
        "command": command(),
        "protocol": protocol(__doc__),
        "machine": machine.describe().model_dump(mode="json"),
        "data": {"digest": dataset.digest, "split": "val", "faces": len(faces)},
        "found": len(kept),
        "longer_side_to_true": dict(
            zip(("p10", "p50", "p90"), np.quantile(ratios, (0.1, 0.5, 0.9)).tolist(), strict=True)
        ),
        "networks": {
            network: {
                "sha256": predictor.bundle.manifest.networks[predictor.network].sha256,
                "cuts": figures({name: np.array(each) for name, each in said[network].items()}, labels[kept]),
            }
            for network, predictor in networks.items()
        },
    }
    paths.write_json(arguments.out, result, indent=2)


if __name__ == "__main__":
    main()
