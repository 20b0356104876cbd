"""The scripts in benchmarks/ and docs/, as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def load(name: str, folder: str = "benchmarks") -> ModuleType:
    """Return <name>.py of a folder or its subfolders as a module."""
    (path,) = (ROOT / folder).rglob(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name := f"script_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module here
    spec.loader.exec_module(module)
    return module
