"""Convert checkpoints in edgefer's old format to today's: the same weights, other names.

python benchmarks/training/convert_checkpoints.py FOLDER OUT

FOLDER holds a checkpoint (``best.json`` and its tensors), or folders with one each. The tensors are copied unchanged.
Digests of other checkpoints stay: they name the files that were used.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from edgefer import paths
from edgefer.errors import InputError
from edgefer.learning import checkpoint

DROPPED = ("ema_power", "sam")  # removed settings of `train`; they don't affect the weights


def main() -> None:
    """Convert the checkpoints in FOLDER."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    if (arguments.folder / "best.json").is_file():
        convert(arguments.folder, arguments.out)
        return
    for file in sorted(arguments.folder.glob("*/best.json")):
        convert(file.parent, arguments.out / file.parent.name)


def convert(folder: Path, out: Path) -> None:
    """Write the checkpoint of `folder` to `out` in today's format, and read it back.

    Raises:
        InputError: the network has layers that edgefer no longer has, or the written file is no checkpoint.
    """
    content = converted(json.loads((folder / "best.json").read_text(encoding="utf-8")), str(folder))
    out.mkdir(parents=True, exist_ok=True)
    if not (out / content["tensors"]).exists():
        shutil.copyfile(folder / content["tensors"], out / content["tensors"])
    paths.write_json(out / "best.json", content, indent=1)
    checkpoint.read(out)


def converted(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the content of ``best.json`` in today's format; current content stays.

    Args:
        content: a tree as written by `edgefer.learning.state`: a dict is a list of pairs.
        name: for messages.

    Raises:
        InputError: the network weighs spatial positions.
    """
    values = dict(content["values"])
    values["recipe"] = list(_recipe(dict(values["recipe"]), name).items())
    values["data"] = [["synthetic" if key == "drawn" else key, value] for key, value in values["data"]]
    start = values.pop("start", None)
    values.setdefault("initial_weights", start)
    for key in ("epochs", "sources"):
        values.setdefault(key, None)
    found = {**content, "values": [list(pair) for pair in values.items()]}
    found["values"] = [[key, _pairs(value)] for key, value in found["values"]]
    found.pop("digest", None)
    return {**found, "digest": hashlib.sha256(json.dumps(found, separators=(",", ":")).encode()).hexdigest()}


def _recipe(recipe: dict[str, Any], name: str) -> dict[str, Any]:
    model = dict(recipe["model"])
    arguments = dict(model["args"])
    if arguments.pop("places", 0):
        raise InputError(f"{name}: its network weighs spatial positions, a layer that edgefer no longer has")
    start = model.pop("start", None)
    model.setdefault("initial_weights", start)
    train = {key: value for key, value in recipe["train"] if key not in DROPPED}
    return {
        **recipe,
        "model": list({**model, "args": list(arguments.items())}.items()),
        "train": list(train.items()),
    }


def _pairs(value: Any) -> Any:
    """Return tuples of `dict.items` as JSON lists."""
    if isinstance(value, list | tuple):
        return [_pairs(each) for each in value]
    if isinstance(value, dict):
        return {key: _pairs(each) for key, each in value.items()}
    return value


if __name__ == "__main__":
    main()
