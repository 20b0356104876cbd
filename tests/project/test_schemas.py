"""The published schemas match the code, and edgefer's files validate against them."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgefer.bench.result import BenchResult
from tests.helpers import scripts

ROOT = scripts.ROOT
RESULTS = ROOT / "benchmarks" / "results"
BENCHES = sorted(
    [
        *RESULTS.glob("fer2013/b0-attention-64/bench.json"),  # the others are of format 1: figures for a table
        *RESULTS.glob("fer2013/**/report.json"),
        *(file for file in RESULTS.glob("pretrained/*.json") if not file.stem.endswith(("-seeds", "-candidates"))),
    ]
)
PRINTED = (
    "command",
    "result",
    "projection",
    "report",
    "claims",
)  # added by `edgefer bench --json` to the result's own fields
NAMES = ("result", "manifest", "projection")


@pytest.fixture(scope="module")
def schemas() -> ModuleType:
    return scripts.load("schemas", "docs")


def published(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text(encoding="utf-8"))
    return read


def result(path: Path) -> dict[str, Any]:
    printed = json.loads(path.read_text(encoding="utf-8"))
    return {name: value for name, value in printed.items() if name not in PRINTED}


def validator(name: str) -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    schema = published(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_schema_is_that_of_the_code(schemas: ModuleType, name: str) -> None:
    assert set(schemas.FILES) == set(NAMES)
    assert schemas.file(name).read_text(encoding="utf-8") == schemas.text(name), "run: python docs/schemas.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_says_what_it_is_of_and_its_parts_say_what_they_are(name: str) -> None:
    schema = published(name)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["$id"] == f"urn:edgefer:{name}:{schema['properties']['format']['default']}"
    assert schema["title"] == f"edgefer's {name}.json"
    described = {part: content.get("description", "") for part, content in schema["$defs"].items()}
    assert all(described.values()), described
    assert not [part for part, text in described.items() if "Attributes:" in text]


def test_a_figure_s_line_in_a_docstring_is_its_description() -> None:
    parts = published("result")["$defs"]
    assert parts["Latency"]["properties"]["p50"]["description"] == "median."
    assert "bootstrap" in parts["Latency"]["properties"]["p50_low"]["description"]
    assert "VmHWM" in parts["Memory"]["properties"]["peak"]["description"]


@pytest.mark.parametrize("path", BENCHES, ids=lambda path: str(path.relative_to(RESULTS)))
def test_results_of_a_real_bench_validate_as_they_were_written_and_as_they_would_be_now(path: Path) -> None:
    checked = validator("result")
    older = result(path)
    checked.validate(older)
    checked.validate(json.loads(BenchResult.model_validate(older).model_dump_json()))


def test_the_manifest_and_the_projections_that_are_here_validate() -> None:
    manifest = ROOT / "edgefer" / "pretrained" / "edgefer-base" / "manifest.json"
    validator("manifest").validate(json.loads(manifest.read_text(encoding="utf-8")))
    projections = list(RESULTS.glob("projection-*.json"))
    assert len(projections) == 3
    for path in projections:
        validator("projection").validate(result(path))


@pytest.mark.parametrize("spoil", ["a field more", "a field less", "a text for a number", "another kind"])
def test_what_is_no_result_does_not_validate(spoil: str) -> None:
    checked, changed = validator("result"), deepcopy(result(BENCHES[0]))
    if spoil == "a field more":
        changed["networks"][0]["latency_ms"] = 1.0
    elif spoil == "a field less":
        del changed["machine"]
    elif spoil == "a text for a number":
        changed["networks"][0]["latency"]["p50"] = "fast"
    else:
        changed["kind"] = "edgefer projection"
    assert not checked.is_valid(changed)
