"""What a Jetson says of itself: board, JetPack, power mode, clocks, temperatures and power rails, from its files.

Formats: NVIDIA Jetson Linux Developer Guide, "Platform Power and Performance" (nvpmodel, INA3221, thermal zones) and
"Clocks"; the release file's is that of Jetson Linux R32 to R38.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from edgefer.devices.files import text

# Jetson Linux, or its first numbers: which JetPack brought it (NVIDIA's JetPack archive).
_JETPACKS = {
    "38.4": "7.1",
    "38.2": "7.0",
    "36.4.4": "6.2.1",
    "36.4.3": "6.2",
    "36.4.0": "6.1",
    "36.3": "6.0",
    "35.5": "5.1.3",
    "35.4": "5.1.2",
    "35.3": "5.1.1",
    "35.2": "5.1",
    "35.1": "5.0.2",
    "32.7": "4.6.1 or later",
    "32.6": "4.6",
}


class Jetson(BaseModel):
    """A Jetson as it is at one moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="NVIDIA Jetson Orin Nano Developer Kit")
    linux: str | None = Field(description="Jetson Linux: 36.4.3")
    jetpack: str | None = Field(description="that brought it; None for one that this edgefer does not know")
    power_mode: str | None = Field(description="nvpmodel's: 15W; None where nvpmodel never ran")
    strongest_mode: int | None = Field(None, description="number of nvpmodel's mode that holds nothing back (MAXN...)")
    clocks_locked: bool | None = Field(description="whether CPU and GPU stay at their highest clock (jetson_clocks)")
    temperatures: dict[str, float] = Field(description="by thermal zone, in degrees Celsius")
    watts: dict[str, float] = Field(description="by power rail, at this moment; empty without sensors")
    throttled: int | None = Field(description="over-current events since the start")


def describe(root: Path = Path("/")) -> Jetson | None:
    """Describe the Jetson, or return None where this is none.

    Args:
        root: where `proc`, `etc`, `sys` and `var` are; another folder in tests.
    """
    model = text(root / "proc/device-tree/model").rstrip("\0\n")
    linux = _linux(root)
    if "jetson" not in model.lower() and linux is None:
        return None
    return Jetson(
        model=model or "a Jetson that does not say which",
        linux=linux,
        jetpack=next((name for prefix, name in _JETPACKS.items() if _begins(linux, prefix)), None),
        power_mode=_power_mode(root),
        strongest_mode=_strongest_mode(root),
        clocks_locked=_clocks_locked(root),
        temperatures=temperatures(root),
        watts=watts(root),
        throttled=_throttled(root),
    )


def temperatures(root: Path = Path("/")) -> dict[str, float]:
    """Return the thermal zones' temperatures in degrees Celsius; a zone that is switched off is left out."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = _number(zone / "temp")
        name = text(zone / "type").strip()
        if name and value is not None and value > -40_000:  # -256,000 says that the sensor has no power
            found[name.removesuffix("-thermal")] = value / 1000
    return found


def watts(root: Path = Path("/")) -> dict[str, float]:
    """Return the power on each rail of the INA3221 sensors in watts: volts times amperes at this moment."""
    found = {}
    for sensor in sorted((root / "sys/bus/i2c/drivers/ina3221").glob("*/hwmon/hwmon*")):
        for label in sorted(sensor.glob("in*_label")):
            channel = label.name[2:].removesuffix("_label")
            millivolts, milliamperes = (_number(sensor / f"{kind}{channel}_input") for kind in ("in", "curr"))
            name = text(label).strip()
            if name and millivolts is not None and milliamperes is not None and name.lower() != "nc":
                found[name] = millivolts * milliamperes / 1e6
    return found


def _linux(root: Path) -> str | None:
    """``# R36 (release), REVISION: 4.3, ...`` is 36.4.3."""
    found = re.match(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)", text(root / "etc/nv_tegra_release"))
    return f"{found[1]}.{found[2]}" if found else None


def _begins(version: str | None, prefix: str) -> bool:
    return version is not None and f"{version}.".startswith(f"{prefix}.")


def _power_mode(root: Path) -> str | None:
    """The mode's number is in nvpmodel's status, its name in the configuration that status was made with."""
    status = re.search(r"pmode:(\d+)", text(root / "var/lib/nvpmodel/status"))
    return None if not status else _modes(root).get(int(status[1]), f"mode {int(status[1])}")


def _modes(root: Path) -> dict[int, str]:
    found = {}
    for mode in re.findall(r"<\s*POWER_MODEL\s+([^>]*)>", text(root / "etc/nvpmodel.conf")):
        fields = dict(re.findall(r"(\w+)=(\S+)", mode))
        if fields.get("ID", "").isdigit() and "NAME" in fields:
            found[int(fields["ID"])] = str(fields["NAME"])
    return found


def _strongest_mode(root: Path) -> int | None:
    """Return the mode named MAXN or MAXN_SUPER: which number that is differs from board to board."""
    strong = [(name, number) for number, name in _modes(root).items() if name.upper().startswith("MAXN")]
    return max(strong, key=lambda each: len(each[0]))[1] if strong else None


def stronger(board: Jetson) -> str:
    """Return what a user types for the mode that holds nothing back."""
    number = board.strongest_mode
    return "sudo nvpmodel -p --verbose lists the modes" if number is None else f"sudo nvpmodel -m {number}"


def _clocks_locked(root: Path) -> bool | None:
    """jetson_clocks raises every least frequency to the greatest that the power mode allows."""
    cores = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    pairs = [(_number(core / "scaling_min_freq"), _number(core / "scaling_max_freq")) for core in cores]
    for device in sorted((root / "sys/class/devfreq").glob("*")):
        if re.search(r"gpu|ga10b|gv11b|gp10b", device.name):
            pairs.append((_number(device / "min_freq"), _number(device / "max_freq")))
    known = [(least, most) for least, most in pairs if least is not None and most is not None]
    return all(least >= most for least, most in known) if known else None


def _throttled(root: Path) -> int | None:
    counts = [_number(file) for file in (root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _number(path: Path) -> int | None:
    try:
        return int(text(path))
    except ValueError:
        return None
