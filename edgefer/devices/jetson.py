"""A Jetson's description from its files: board, JetPack, power mode, clocks, temperatures and power rails.

Formats: NVIDIA Jetson Linux Developer Guide, "Platform Power and Performance" (nvpmodel, INA3221, thermal zones) and
"Clocks"; the release file's is that of Jetson Linux R32 to R38.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from edgefer.devices import jetpack
from edgefer.devices.files import text

# Outside of a container the model's file names the board. Docker masks `/sys/firmware`, to which `/proc/device-tree`
# leads, so that other signs count too: the release file, the file that jetson-containers' run.sh mounts, and the device
# of NVIDIA's memory manager, which NVIDIA's container runtime passes on.
_MODEL_FILES = ("proc/device-tree/model", "sys/firmware/devicetree/base/model", "tmp/nv_jetson_model")
_NVMAP = "dev/nvmap"
_GPU_DEVICES = re.compile(r"gpu|ga10b|gv11b|gp10b")


class Jetson(BaseModel):
    """A snapshot of a Jetson."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="NVIDIA Jetson Orin Nano Developer Kit")
    linux: str | None = Field(description="Jetson Linux: 36.4.3")
    jetpack: str | None = Field(description="JetPack version; None: unknown to this edgefer")
    power_mode: str | None = Field(description="nvpmodel's: 15W; None: nvpmodel never ran")
    strongest_mode: int | None = Field(None, description="number of nvpmodel's fastest mode (MAXN...)")
    clocks_locked: bool | None = Field(
        description="whether CPU and GPU clocks are fixed at their maximum (jetson_clocks)"
    )
    temperatures: dict[str, float] = Field(description="by thermal zone, in degrees Celsius")
    gpu_megahertz: float | None = Field(None, description="current GPU clock")
    cooling: dict[str, int] = Field(default_factory=dict, description="active throttling states, by the kernel's name")
    watts: dict[str, float] = Field(description="current power by rail; empty without sensors")
    throttled: int | None = Field(description="over-current events since boot")


def describe(root: Path = Path("/")) -> Jetson | None:
    """Describe the Jetson, or return None on other machines.

    Args:
        root: where `proc`, `etc`, `sys` and `var` are; another folder in tests.
    """
    model, linux = _model(root), _linux(root)
    if not _is_jetson(model) and linux is None and not (root / _NVMAP).exists():
        return None
    known = jetpack.of(linux)
    return Jetson(
        model=model or "an unknown Jetson",
        linux=linux,
        jetpack=known.name if known else None,
        power_mode=_power_mode(root),
        strongest_mode=_strongest_mode(root),
        clocks_locked=_clocks_locked(root),
        temperatures=temperatures(root),
        gpu_megahertz=gpu_megahertz(root),
        cooling=cooling(root),
        watts=watts(root),
        throttled=_throttled(root),
    )


def named(board: Jetson | None) -> str | None:
    """Return what an engine is tuned to besides the GPU's name, shared by a family of boards; None elsewhere."""
    return None if board is None else f"{board.model}, {board.power_mode or 'unknown power mode'}"


def temperatures(root: Path = Path("/")) -> dict[str, float]:
    """Return the thermal zones' temperatures in degrees Celsius; inactive zones are omitted."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = _number(zone / "temp")
        name = text(zone / "type").strip()
        if name and value is not None and value > -40_000:  # -256,000 says that the sensor has no power
            found[name.removesuffix("-thermal")] = value / 1000
    return found


def gpu_megahertz(root: Path = Path("/")) -> float | None:
    """Return the GPU's current clock in MHz, or None; on an idle GPU it is the lowest."""
    for device in _gpus(root):
        hertz = _number(device / "cur_freq")
        if hertz:
            return hertz / 1e6
    return None


def cooling(root: Path = Path("/")) -> dict[str, int]:
    """Return the active throttling devices: name, and state (0 is omitted).

    Linux, Documentation/driver-api/thermal/sysfs-api.rst: `type` and `cur_state` of each `cooling_device*`. A fan cools
    too, and slows nothing down.
    """
    found: dict[str, int] = {}
    for device in sorted((root / "sys/class/thermal").glob("cooling_device*")):
        name, state = text(device / "type").strip(), _number(device / "cur_state")
        if name and state and "fan" not in name:
            found[name] = max(state, found.get(name, 0))
    return found


def watts(root: Path = Path("/")) -> dict[str, float]:
    """Return the current power of each rail in watts.

    Of an INA3221, volts times amperes of each channel that has a label. Of an INA238, which Thor may have, the one
    figure that it gives, by the sensor's label or place (Linux, Documentation/hwmon/ina238.rst: power1_input in
    microwatts).
    """
    found = {}
    drivers = root / "sys/bus/i2c/drivers"
    for sensor in sorted((drivers / "ina3221").glob("*/hwmon/hwmon*")):
        for label in sorted(sensor.glob("in*_label")):
            channel = label.name[2:].removesuffix("_label")
            millivolts, milliamperes = (_number(sensor / f"{kind}{channel}_input") for kind in ("in", "curr"))
            name = text(label).strip()
            if name and millivolts is not None and milliamperes is not None and name.lower() != "nc":
                found[name] = millivolts * milliamperes / 1e6
    for sensor in sorted((drivers / "ina238").glob("*/hwmon/hwmon*")):
        microwatts = _number(sensor / "power1_input")
        if microwatts is not None:
            place = sensor.parent.parent.name
            found[text(sensor / "label").strip() or f"INA238 {place}"] = microwatts / 1e6
    return found


def _model(root: Path) -> str:
    return next((found for name in _MODEL_FILES if (found := text(root / name).strip("\0\n "))), "")


def _is_jetson(model: str) -> bool:
    """JetPack 5 calls a board ``NVIDIA Orin Nano Developer Kit``."""
    return "jetson" in model.lower() or ("nvidia" in model.lower() and jetpack.module(model) is not None)


def _gpus(root: Path) -> list[Path]:
    """Return the GPU's devices among those whose clock changes."""
    found = sorted((root / "sys/class/devfreq").glob("*"))
    return [device for device in found if _GPU_DEVICES.search(device.name)]


def _linux(root: Path) -> str | None:
    """``# R36 (release), REVISION: 4.3, ...`` is 36.4.3."""
    found = re.match(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)", text(root / "etc/nv_tegra_release"))
    return f"{found[1]}.{found[2]}" if found else None


def _power_mode(root: Path) -> str | None:
    """The mode's number is in nvpmodel's status, its name in the configuration that status was made with.

    Where nvpmodel has written no status yet, the board is in the mode that its configuration calls the default one.
    """
    status = re.search(r"pmode:(\d+)", text(root / "var/lib/nvpmodel/status"))
    status = status or re.search(r"<\s*PM_CONFIG\s+DEFAULT=(\d+)", text(root / "etc/nvpmodel.conf"))
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
    """Return the command for the fastest power mode."""
    number = board.strongest_mode
    return "sudo nvpmodel -p --verbose lists the modes" if number is None else f"sudo nvpmodel -m {number}"


def _clocks_locked(root: Path) -> bool | None:
    """jetson_clocks raises every least frequency to the greatest that the power mode allows."""
    cores = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    pairs = [(_number(core / "scaling_min_freq"), _number(core / "scaling_max_freq")) for core in cores]
    pairs += [(_number(device / "min_freq"), _number(device / "max_freq")) for device in _gpus(root)]
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
