"""Random graphs from ONNX's schemas: lint's own rules pass none that a runtime refuses (lint_graphs.py)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tests.helpers import scripts

FIRST = 1_000_000  # as in the committed run


@pytest.fixture(scope="module")
def graphs() -> ModuleType:
    return scripts.load("lint_graphs")


def hold(counts: dict[str, Any]) -> None:
    """Check the counts against lint's promises."""
    assert counts["crashed_rules"] == 0
    for target in ("cpu", "rtx"):
        found = counts[target]
        assert found["seeds_missed"] == []
        assert found["refused"] >= 0.3 * counts["graphs"]
        assert found["false_alarms"] <= 0.05 * found["taken"] + 3  # of 100, one is 2 %


def test_the_rules_alone_pass_no_drawn_graph_that_a_runtime_refuses(graphs: ModuleType) -> None:
    pytest.importorskip("tensorrt_rtx")
    hold(graphs.count(FIRST, 100))


@pytest.mark.slow
def test_nor_any_of_two_thousand(graphs: ModuleType) -> None:
    pytest.importorskip("tensorrt_rtx")
    hold(graphs.count(FIRST, 2000))
