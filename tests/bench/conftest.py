"""Every bench starts processes to time their first answers; here one start is enough of that."""

from __future__ import annotations

import pytest

from edgefer.bench import cold_start


@pytest.fixture(autouse=True, scope="module")
def _one_start(request: pytest.FixtureRequest) -> object:
    starts = cold_start._STARTS
    if "cold_start" not in request.node.name:
        cold_start._STARTS = 1
    yield
    cold_start._STARTS = starts
