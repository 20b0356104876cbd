"""A name has one meaning: no two classes share one, and no module has its function's name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "edgefer"
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")).body for path in sorted(PACKAGE.rglob("*.py"))}


def test_a_class_name_has_one_meaning() -> None:
    places = defaultdict(list)
    for path, statements in MODULES.items():
        for each in statements:
            if isinstance(each, ast.ClassDef):
                places[each.name].append(path.relative_to(PACKAGE).as_posix())
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_module_shares_its_function_s_name() -> None:
    shared = [
        path.relative_to(PACKAGE).as_posix()
        for path, statements in MODULES.items()
        for each in statements
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and each.name == (path.parent.name if path.name == "__init__.py" else path.stem)
    ]
    assert shared == []
