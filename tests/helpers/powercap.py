"""A fake root folder with RAPL's counters, in the format of the kernel's powercap documentation: none of our CPUs
has readable ones.
"""

from __future__ import annotations

from pathlib import Path

from tests.helpers import jetsons

MOST = 262_143_328_850  # of a 32-bit counter, in units of 61 microjoules
_CLASS = "sys/class/powercap"


def laptop(root: Path, **microjoules: int) -> Path:
    """Return a machine with one package, its parts, memory and the whole platform.

    Args:
        root: the fake root.
        microjoules: counter values by these names: ``package``, ``core``, ``uncore``, ``dram``, ``psys``.
    """
    domains = {
        "package": ("intel-rapl:0", "package-0"),
        "core": ("intel-rapl:0:0", "core"),
        "uncore": ("intel-rapl:0:1", "uncore"),
        "dram": ("intel-rapl:0:2", "dram"),
        "psys": ("intel-rapl:1", "psys"),
    }
    # The same counter on another path, and folders of the class that are not domains.
    files = {
        f"{_CLASS}/intel-rapl-mmio:0/name": "package-0\n",
        f"{_CLASS}/intel-rapl-mmio:0/energy_uj": "1\n",
        f"{_CLASS}/intel-rapl/enabled": "1\n",
        f"{_CLASS}/dtpm/enabled": "0\n",
    }
    for number, (key, (folder, name)) in enumerate(domains.items()):
        # As in the kernel, the class links to nested folders.
        above = "intel-rapl:0/" if folder.count(":") == 2 else ""
        real = f"sys/devices/virtual/powercap/intel-rapl/{above}{folder}"
        jetsons.write(
            root,
            {
                f"{real}/name": f"{name}\n",
                f"{real}/energy_uj": f"{microjoules.get(key, 1_000_000 * number)}\n",
                f"{real}/max_energy_range_uj": f"{MOST}\n",
                f"{real}/enabled": "1\n",
            },
        )
        link = root / _CLASS / folder
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(root / real, target_is_directory=True)
    return jetsons.write(root, files)


def count(root: Path, folder: str, microjoules: int | str) -> None:
    """Set the value of a counter."""
    (root / _CLASS / folder / "energy_uj").write_text(f"{microjoules}\n")
