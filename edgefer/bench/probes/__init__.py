"""What a bench measures: one module per kind of figure. Modules with a `PROBE` are found automatically."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgefer.errors import InputError
from edgefer.lines import one_line

if TYPE_CHECKING:
    from edgefer.bench.probes.base import Probe

# Fresh processes first, while this one is small; then probes that others depend on; then the rest.
_ORDER = ("fresh_process", "accuracy", "evaluations", "groups", "robustness", "latency", "energy", "throughput")
_NEEDED = ("accuracy", "latency")  # in every result
# Values of `edgefer bench --measure`: names of expensive probes, with their help texts.
ASKED = {
    "robustness": "accuracy on blurred, noisy or dark pictures",
    "throughput": "images per second by batch and threads",
}


def known() -> list[Probe]:
    """Return every probe of this folder, in the order in which they run."""
    names = sorted(each.name for each in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return in_order(module.PROBE for module in modules if hasattr(module, "PROBE"))


def standard(*options: str) -> list[Probe]:
    """Return the default probes of a bench, and the named ones of `ASKED`.

    Raises:
        InputError: a name is unknown.
    """
    for name in options:
        if name not in ASKED:
            raise InputError(f"--measure takes {' or '.join(ASKED)}, not {one_line(name, 40)}")
    return [each for each in known() if each.option is None or each.option in options]


def with_needed(chosen: Iterable[Probe], *names: str) -> list[Probe]:
    """Return the standard probes and the named ones, in order."""
    needed = {each.name: each for each in known() if each.name in (*_NEEDED, *names)}
    return in_order({**needed, **{each.name: each for each in chosen}}.values())


def in_order(probes: Iterable[Probe]) -> list[Probe]:
    """Return probes in the order in which they run."""
    return sorted(probes, key=lambda each: _ORDER.index(each.name) if each.name in _ORDER else len(_ORDER))
