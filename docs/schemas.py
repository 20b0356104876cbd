"""Write the JSON Schemas of what edgefer writes for others to read, from the models that it reads and writes with.

python docs/schemas.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from edgefer import paths
from edgefer.bench.result import BenchResult
from edgefer.bundle.manifest import Manifest
from edgefer.projection.result import Projection

HERE = Path(__file__).parent
# Each file: its model, title and description.
FILES: dict[str, tuple[type[BaseModel], str, str]] = {
    "result": (
        BenchResult,
        "edgefer's result.json",
        "What `edgefer bench` measured: machine, protocol, data, and every network with its figures. `edgefer bench "
        "--json` prints the same with fields more: command, and the files that were written.",
    ),
    "manifest": (
        Manifest,
        "edgefer's manifest.json",
        "What a bundle of `edgefer compress` says of itself: its networks with hashes, what they expect of a picture, "
        "and how they were made.",
    ),
    "projection": (
        Projection,
        "edgefer's projection.json",
        "What `edgefer project` knows of a device that was not there. None of its times was measured. "
        "With `--json` it prints the same with fields more: command, projection, and how it ended.",
    ),
}
_ATTRIBUTES = "\n\nAttributes:\n"


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a file.

    Args:
        name: a key of `FILES`.
    """
    model, title, description = FILES[name]
    made = model.model_json_schema()
    for part in made["$defs"].values():
        _describe(part)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:edgefer:{name}:{model.model_fields['format'].default}",
        **made,
        "title": title,
        "description": description,
    }


def _describe(part: dict[str, Any]) -> None:
    """Give each property of a dataclass its own line of the docstring's list of attributes."""
    text, found, attributes = part.get("description", "").partition(_ATTRIBUTES)
    if not found:
        return
    part["description"] = text
    for name, said in re.findall(r"^ +(\w+): (.*(?:\n {8,}.*)*)", attributes, flags=re.MULTILINE):
        part["properties"][name].setdefault("description", " ".join(said.split()))


def text(name: str) -> str:
    return json.dumps(schema(name), indent=2) + "\n"


def file(name: str) -> Path:
    return HERE / f"{name}.schema.json"


if __name__ == "__main__":
    for each in FILES:
        with paths.write_atomically(file(each)) as part:
            part.write_text(text(each), encoding="utf-8")
        print(file(each))
