"""A machine's properties that affect measurements."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgefer import versions
from edgefer.devices.files import text

# Names as /proc/cpuinfo has them, x86 then aarch64: what decides the speed of 8-bit and 16-bit arithmetic.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "fphp", "sve")


class Machine(BaseModel):
    """A description of the machine that a result was measured on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    architecture: str
    cores: int
    flags: list[str]
    virtual: bool | None
    memory_bytes: int | None
    os: str
    kernel: str
    versions: dict[str, str]

    @property
    def fast_int8(self) -> bool:
        """Whether the CPU multiplies and adds 8-bit numbers in one instruction (VNNI; on ARM: dot product)."""
        return bool({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"} & set(self.flags))

    @property
    def saturates(self) -> bool:
        """Whether products of 8-bit numbers saturate: x86 without VNNI adds two in 16 bits."""
        return self.architecture.lower() in ("x86_64", "amd64", "i686") and not self.fast_int8


def describe(root: Path = Path("/")) -> Machine:
    """Describe the machine.

    Args:
        root: where `proc` and `etc` are; another folder in tests.
    """
    cpuinfo = _cpuinfo(root)
    flags = cpuinfo.get("flags", cpuinfo.get("Features", "")).split()
    return Machine(
        cpu=_cpu(root, cpuinfo),
        architecture=platform.machine(),
        cores=cores(),
        flags=[flag for flag in _FLAGS if flag in flags],
        virtual="hypervisor" in flags if "flags" in cpuinfo else None,
        memory_bytes=memory(root),
        os=_os_name(root),
        kernel=platform.release(),
        versions=versions.installed("onnxruntime", "numpy"),
    )


def load_average() -> float | None:
    """Return the mean number of running processes over the last minute, or None if unknown."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # AttributeError: Windows
        return None


def stolen(root: Path = Path("/")) -> tuple[int, int] | None:
    """Return the time taken by the host from this virtual machine, and the total time, in ticks since boot.

    The eighth number of /proc/stat's first line (proc(5)); None where that is not there.
    """
    words = text(root / "proc/stat").partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu" or not all(word.isdigit() for word in words[1:9]):
        return None
    ticks = [int(word) for word in words[1:9]]
    return ticks[7], sum(ticks)


def waited(root: Path = Path("/")) -> tuple[int, int] | None:
    """Return how long this program's first thread was ready but other programs ran, and how long it ran.

    Nanoseconds, the second and the first number of /proc/self/schedstat (Linux's sched-stats); None where that is not
    there.
    """
    words = text(root / "proc/self/schedstat").split()
    if len(words) < 2 or not all(word.isdigit() for word in words[:2]):
        return None
    return int(words[1]), int(words[0])


def frequencies(root: Path = Path("/")) -> list[float]:
    """Return the clock of each core in MHz, or an empty list if unknown."""
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    return [int(value) / 1000 for value in (text(file).strip() for file in files) if value.isdigit()]


def cores() -> int:
    """Return the cores this process may use: possibly fewer in a container or under taskset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpuinfo(root: Path) -> dict[str, str]:
    """Return the fields of the first processor with them."""
    fields: dict[str, str] = {}
    for line in text(root / "proc/cpuinfo").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    return fields


def _cpu(root: Path, cpuinfo: dict[str, str]) -> str:
    board = text(root / "proc/device-tree/model").rstrip("\0\n")  # a Jetson, a Raspberry Pi
    name = cpuinfo.get("model name") or platform.processor() or platform.machine()
    return f"{board} ({name})" if board else name


def memory(root: Path, field: str = "MemTotal") -> int | None:
    """Return a field of /proc/meminfo in bytes, or None where it is not there."""
    for line in text(root / "proc/meminfo").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None


def _os_name(root: Path) -> str:
    for line in text(root / "etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return f"{platform.system()} {platform.release()}"
