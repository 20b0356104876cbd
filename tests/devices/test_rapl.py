"""Readings from RAPL's counters, on a fake root folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgefer.cli.output import EXTRAS
from edgefer.devices import doctor, rapl
from edgefer.devices.line import Line
from tests.helpers import jetsons, powercap

CLASS = "sys/class/powercap"


@contextmanager
def not_root() -> Iterator[None]:
    """Be an ordinary user for a while: root may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def power_sensor(root: Path) -> Line:
    return next(line for line in doctor.examine(EXTRAS, root) if line.name == "power sensor")


def test_domains_have_the_names_that_the_kernel_gives_them_parts_behind_their_package(tmp_path: Path) -> None:
    found = rapl.counters(powercap.laptop(tmp_path, package=5, core=3, uncore=1, dram=7, psys=11))
    assert {name: counter.microjoules for name, counter in found.items()} == {
        "package-0": 5,
        "package-0/core": 3,
        "package-0/uncore": 1,
        "package-0/dram": 7,
        "psys": 11,
    }
    assert {counter.most for counter in found.values()} == {powercap.MOST}


def test_each_domain_has_its_own_energy_and_none_is_added_to_another(tmp_path: Path) -> None:
    before = rapl.counters(powercap.laptop(tmp_path, package=0, core=0, uncore=0, dram=0, psys=0))
    after = rapl.counters(powercap.laptop(tmp_path, package=9_000_000, core=7_000_000, dram=2_000_000, psys=20_000_000))
    used = {"package-0": 9.0, "package-0/core": 7.0, "package-0/uncore": 2.0, "package-0/dram": 2.0, "psys": 20.0}
    assert rapl.joules(before, after) == used


def test_a_counter_that_begins_again_is_counted_on(tmp_path: Path) -> None:
    root = powercap.laptop(tmp_path, package=powercap.MOST - 1_500_000)
    before = rapl.counters(root)
    powercap.count(root, "intel-rapl:0", 500_000)
    others = {"package-0/core": 0.0, "package-0/uncore": 0.0, "package-0/dram": 0.0, "psys": 0.0}
    assert rapl.joules(before, rapl.counters(root)) == {"package-0": 2.0, **others}
    (root / CLASS / "intel-rapl:0" / "max_energy_range_uj").unlink()
    assert rapl.joules(before, rapl.counters(root)) == others  # the counter's start is unknown


def test_what_vanishes_or_says_nothing_is_left_out(tmp_path: Path) -> None:
    root = powercap.laptop(tmp_path)
    before = rapl.counters(root)
    powercap.count(root, "intel-rapl:0:0", "")
    powercap.count(root, "intel-rapl:0:1", "no number")
    shutil.rmtree((root / CLASS / "intel-rapl:0:2").resolve())
    shutil.rmtree((root / CLASS / "intel-rapl:1").resolve())  # its link is broken, as in some containers
    assert rapl.joules(before, rapl.counters(root)) == {"package-0": 0.0}
    powercap.count(root, "intel-rapl:0", 4_000_000)
    assert rapl.joules(before, rapl.counters(root)) == {"package-0": 4.0}


def test_two_domains_of_one_name_stay_apart(tmp_path: Path) -> None:
    root = powercap.laptop(tmp_path)
    (root / CLASS / "intel-rapl:1" / "name").write_text("package-0\n")
    assert {"package-0", "package-0 (intel-rapl:1)"} <= set(rapl.counters(root))


def test_a_machine_without_counters_has_none_and_doctor_says_so_once(tmp_path: Path) -> None:
    for root in (tmp_path / "nothing", jetsons.write(tmp_path / "empty", {f"{CLASS}/intel-rapl/enabled": "1\n"})):
        assert rapl.counters(root) == {}
        assert not rapl.forbidden(root)
        line = power_sensor(root)
        assert (line.state, line.found, line.remedy) == ("ok", "none that edgefer reads (RAPL, INA3221)", "")


def test_counters_that_root_alone_may_read_are_told_from_none_at_all(readable: Path) -> None:
    root = powercap.laptop(readable)
    domains = [*(root / CLASS).glob("intel-rapl:*")]
    for folder in domains:
        (folder / "energy_uj").chmod(0o400)
    with not_root():
        assert rapl.counters(root) == {}
        assert rapl.forbidden(root)
        line = power_sensor(root)
    assert (line.state, line.found) == ("note", "RAPL, readable by root only")
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in line.remedy
    domains[0].joinpath("energy_uj").chmod(0o444)
    with not_root():
        assert not rapl.forbidden(root)
        assert len(rapl.counters(root)) == 1


def test_doctor_names_the_sensors_that_can_be_read(tmp_path: Path) -> None:
    found = "package-0, package-0/core, package-0/uncore, package-0/dram, psys"
    assert power_sensor(powercap.laptop(tmp_path / "laptop")).found == f"RAPL: {found}"
    assert power_sensor(jetsons.orin_nano(tmp_path / "board")).found == "INA3221: VDD_IN, VDD_CPU_GPU_CV"
