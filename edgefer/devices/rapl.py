"""A processor's energy, from the counters of Linux's powercap (RAPL, Intel's; AMD's by the same driver).

Format: the kernel's Documentation/power/powercap/powercap.rst. Each domain is a folder, ``intel-rapl:0`` a package or
``psys``, ``intel-rapl:0:1`` a part of package 0. The counter in ``energy_uj`` wraps around after `max_energy_range_uj`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgefer.devices.files import text

_CLASS = "sys/class/powercap"
_FOLDER = re.compile(r"intel-rapl:\d+(:\d+)?")
_COUNTER = "energy_uj"
REMEDY = f"sudo chmod a+r /{_CLASS}/intel-rapl:*/{_COUNTER}"


@dataclass(frozen=True)
class Counter:
    """A snapshot of a domain's counter.

    Attributes:
        microjoules: used since some time.
        most: where it wraps around; None: unknown.
    """

    microjoules: int
    most: int | None


def counters(root: Path = Path("/")) -> dict[str, Counter]:
    """Return the counters that can be read, by domain: ``package-0``, ``package-0/dram``, ``psys``.

    A package includes core and uncore, psys includes packages: overlapping domains must not be summed.

    Args:
        root: where `sys` is; another folder in tests.
    """
    found: dict[str, Counter] = {}
    for folder in _folders(root):
        try:
            value = int((folder / _COUNTER).read_text())
        except (OSError, ValueError):  # a counter may vanish or become unreadable at any time
            continue
        most = text(folder / "max_energy_range_uj").strip()
        found[_unique(_name(folder), folder, found)] = Counter(value, int(most) if most.isdigit() else None)
    return found


def forbidden(root: Path = Path("/")) -> bool:
    """Return whether counters exist but none is readable: since Linux 5.10 only root may read them."""
    refused = False
    for folder in _folders(root):
        try:
            (folder / _COUNTER).read_text()
        except PermissionError:
            refused = True
        except OSError:
            pass
        else:
            return False
    return refused


def joules(before: Mapping[str, Counter], after: Mapping[str, Counter]) -> dict[str, float]:
    """Return each domain's energy between two snapshots less than a counter's range apart.

    Domains missing in one, or wrapped around at an unknown range, are omitted.
    """
    found = {}
    for name in before.keys() & after.keys():
        used = after[name].microjoules - before[name].microjoules
        if used < 0:
            used += after[name].most or 0
        if used >= 0:
            found[name] = used / 1e6
    return {name: found[name] for name in before if name in found}


def _folders(root: Path) -> list[Path]:
    try:
        names = [folder.name for folder in (root / _CLASS).iterdir() if _FOLDER.fullmatch(folder.name)]
    except OSError:
        return []
    return [root / _CLASS / name for name in sorted(names, key=lambda name: [int(n) for n in name.split(":")[1:]])]


def _name(folder: Path) -> str:
    """``intel-rapl:0:1`` of ``intel-rapl:0``, package-0, is ``package-0/dram``."""
    own = text(folder / "name").strip() or folder.name
    above = folder.name.rpartition(":")[0]
    return f"{_name(folder.with_name(above))}/{own}" if ":" in above else own


def _unique(name: str, folder: Path, taken: Mapping[str, Counter]) -> str:
    return f"{name} ({folder.name})" if name in taken else name
