"""File trees of Jetsons, in the formats of NVIDIA's documentation. None was recorded on a board of ours."""

from __future__ import annotations

from pathlib import Path


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def orin_nano(root: Path) -> Path:
    """Return an Orin Nano with JetPack 6.2 in its 15 W mode, with default clocks."""
    files = {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd fphp asimdhp asimddp\n",
        "proc/meminfo": "MemTotal:        7802900 kB\nMemFree:  300000 kB\nMemAvailable:    5120000 kB\n",
        "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
        "etc/nv_tegra_release": (
            "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 2025\n"
            "# KERNEL_VARIANT: oot\n"
        ),
        "etc/nvpmodel.conf": (
            "< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_0 /sys/devices/system/cpu/cpu0/online\n"
            "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n"
            "< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< PM_CONFIG DEFAULT=1 >\n"
        ),
        "var/lib/nvpmodel/status": "pmode:0000 fmode:cool\n",
        "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
        "sys/class/devfreq/17000000.gpu/max_freq": "624750000\n",
        "sys/class/devfreq/17000000.gpu/available_frequencies": "306000000 408000000 624750000 1020000000\n",
        "sys/class/devfreq/17000000.gpu/cur_freq": "305000000\n",
        "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
        "sys/class/thermal/cooling_device0/cur_state": "2\n",
        "sys/class/thermal/cooling_device1/type": "gpu-throttle-alert\n",
        "sys/class/thermal/cooling_device1/cur_state": "0\n",
        "usr/local/cuda/version.json": '{"cuda" : {"name" : "CUDA SDK", "version" : "12.6.11"}}\n',
        "sys/class/hwmon/hwmon3/oc1_event_cnt": "2\n",
        "sys/class/hwmon/hwmon3/oc2_event_cnt": "1\n",
    }
    for core in range(2):
        files[f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_min_freq"] = "729600\n"
        files[f"sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq"] = "1728000\n"
        files[f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_max_freq"] = (
            "1510400\n"  # the mode's, below the core's
        )
    zones = [("cpu-thermal", "48250"), ("gpu-thermal", "46906"), ("cv0-thermal", "-256000"), ("tj-thermal", "48250")]
    for number, (name, value) in enumerate(zones):
        files[f"sys/class/thermal/thermal_zone{number}/type"] = f"{name}\n"
        files[f"sys/class/thermal/thermal_zone{number}/temp"] = f"{value}\n"
    rails = [("VDD_IN", 5072, 912), ("VDD_CPU_GPU_CV", 5072, 128), ("NC", 0, 0)]
    for number, (name, millivolts, milliamperes) in enumerate(rails, 1):
        sensor = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
        files[f"{sensor}/in{number}_label"] = f"{name}\n"
        files[f"{sensor}/in{number}_input"] = f"{millivolts}\n"
        files[f"{sensor}/curr{number}_input"] = f"{milliamperes}\n"
    return write(root, files)


def lock_clocks(root: Path) -> Path:
    """Do the same as jetson_clocks."""
    files = {f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_min_freq": "1510400\n" for core in range(2)}
    return write(root, {**files, "sys/class/devfreq/17000000.gpu/min_freq": "624750000\n"})


def in_container(root: Path) -> Path:
    """Return the files in a plain container on such a board: device-tree and releases exist only on the host."""
    return write(root, {".dockerenv": "", "dev/nvmap": "", "proc/meminfo": "MemAvailable:    5120000 kB\n"})


def thor(root: Path) -> Path:
    """Return a Thor with JetPack 7.0; an INA238 measures its power."""
    sensor = "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon5"
    files = {
        "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
        "etc/nv_tegra_release": "# R38 (release), REVISION: 2.0, GCID: 1, BOARD: generic\n",
        f"{sensor}/in1_input": "20012\n",
        f"{sensor}/curr1_input": "1510\n",
        f"{sensor}/power1_input": "30250000\n",
    }
    return write(root, files)
