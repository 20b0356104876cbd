"""Measurements of a bundle's networks on a device: accuracy, latency, memory; as JSON, table and report.

This package is called too, as `edgefer.bench(...)`: see `edgefer.bench.from_paths.bench`. Python puts a package that is
imported into its parent under its own name, so the function of that name can't be elsewhere.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Called(ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from edgefer.bench.from_paths import bench

        return bench(*arguments, **named)


sys.modules[__name__].__class__ = _Called
