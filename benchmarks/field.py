"""Results of published FER systems on FER2013, measured here, for the ledger; collected from other benchmarks.

python benchmarks/field.py

fer's figures are those of peers.json, and so are Mini-Xception's: fer's author names its code as the source.
edgefer-base stands in it by each of the protocols that the field uses, from protocols.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import common
from edgefer import paths
from edgefer.claims.field import OURS
from edgefer.evaluation import metrics

RESULTS = Path(__file__).parent / "results"
CROPS = {"one-crop": "one crop", "flip": "one, and its mirror image", "ten-crop": "ten crops"}


def row(system: str, network: str, crops: str, images: int, accuracy: float, source: str) -> dict[str, Any]:
    low, high = metrics.wilson(round(accuracy * images), images)
    return {
        "system": system,
        "network": network,
        "crops": crops,
        "tested_on": "PrivateTest",
        "images": images,
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "source": f"benchmarks/results/{source}",
    }


def main() -> None:
    """Write the file."""
    peers, protocols = (
        json.loads((RESULTS / name).read_text(encoding="utf-8")) for name in ("peers.json", "protocols.json")
    )
    rows = []
    for title, each in peers["peers"].items():
        if title.startswith("fer, "):
            for system in ("fer", "mini-xception"):
                named = title if system == "fer" else f"the copy in {title}"
                figures = (peers["data"]["images"], each["test"]["accuracy"])
                rows.append(row(system, named, CROPS["one-crop"], *figures, "peers.json"))
    small = next(each for each in protocols["networks"] if each["network"] == "int8-cpu")
    for protocol, quality in (
        ("one-crop", small["quality"]),
        *((each["protocol"], each["quality"]) for each in small["evaluations"]),
    ):
        figures = (quality["images"], quality["accuracy"])
        rows.append(row(OURS, f"{OURS}, INT8", CROPS[protocol], *figures, "protocols.json"))
    result = {
        "kind": "edgefer field",
        "repeat": common.command(),
        "data": peers["data"]["digest"],
        "systems": rows,
    }
    with paths.write_atomically(RESULTS / "field.json") as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
