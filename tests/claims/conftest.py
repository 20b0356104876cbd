"""Shared by the ledger tests."""

from __future__ import annotations

import sys

import pytest

from edgefer.bench.measurement import bench
from edgefer.bench.result import BenchResult
from tests.helpers import samples


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the modules that count parameters."""
    monkeypatch.delitem(sys.modules, "edgefer.claims.networks", raising=False)
    monkeypatch.delattr("edgefer.claims.networks", raising=False)
    monkeypatch.setitem(sys.modules, "timm", None)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> BenchResult:
    """Return a real bench of a small bundle with FP32 and INT8."""
    return bench([samples.write(tmp_path_factory.mktemp("small") / "b", name="b")], samples.dataset(35), seconds=0.01)
