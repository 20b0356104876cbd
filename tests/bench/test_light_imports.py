"""What a device imports is light: none of the big half, and nothing at all with `import edgefer` alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "timm", "nncf", "onnx", "scipy", "sklearn", "torchao", "safetensors"}
CHARTS = {"matplotlib", "jinja2"}


def _imported_by(code: str) -> set[str]:
    program = f"{code}\nimport json, sys; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "module",
    [
        "edgefer.bench.bench",
        "edgefer.bench.table",
        "edgefer.bench.memory",
        "edgefer.runtimes.bundled",
        "edgefer.predictor",
        "edgefer.evaluation.metrics",
        "edgefer.devices.machine",
        "edgefer.cli.bench",
    ],
)
def test_a_device_needs_none_of_the_big_half(module: str) -> None:
    assert not _imported_by(f"import {module}") & (HEAVY | CHARTS)


def test_the_package_itself_imports_next_to_nothing() -> None:
    assert not _imported_by("import edgefer") & (HEAVY | CHARTS | {"numpy", "PIL", "pydantic", "onnxruntime", "rich"})
