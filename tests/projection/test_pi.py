"""Projection for a Raspberry Pi: FP32 and INT8 on its CPU, by threads; and that a Pi is recognized."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from edgefer import bundle
from edgefer.cli.main import app
from edgefer.devices import present
from edgefer.devices.specs import DeviceSpec, devices
from edgefer.projection.estimate import project
from edgefer.projection.result import Projection
from edgefer.projection.table import PROJECTED, tables
from tests.helpers import samples

FOUR, FIVE = devices("pi")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Projection:
    nothing = tmp_path_factory.mktemp("nothing")
    return project([bundle.load("edgefer-nano")], samples.dataset(), device="pi", root=nothing)


def times(projection: Projection) -> dict[tuple[str, str], float]:
    return {(each.device, each.precision): each.projected_milliseconds or 0 for each in projection.projected}


def test_both_boards_have_a_time_in_fp32_and_in_int8(shipped: Projection) -> None:
    assert shipped.statement.startswith("This is not a Raspberry Pi")
    found = times(shipped)
    assert set(found) == {(board.name, precision) for board in (FOUR, FIVE) for precision in ("fp32", "int8")}
    assert [(each.precision, each.as_filed) for each in shipped.workloads] == [("fp32", False), ("int8", True)]
    assert found[FIVE.name, "int8"] < found[FOUR.name, "int8"] < found[FOUR.name, "fp32"]
    assert found[FOUR.name, "fp32"] < 2.5 * found[FOUR.name, "int8"], "without a dot product INT8 gains a factor of two"
    assert found[FIVE.name, "fp32"] > 2.5 * found[FIVE.name, "int8"], "with it a factor of four"


def test_arithmetic_in_fp32_is_the_core_s_peak_rate(shipped: Projection) -> None:
    (work,) = (each for each in shipped.workloads if each.precision == "fp32")
    (pi,) = (each for each in shipped.projected if (each.device, each.precision) == (FOUR.name, "fp32"))
    assert pi.arithmetic_milliseconds == pytest.approx(2e3 * work.macs / (1.8e9 * 4 * 2))


def test_int8_on_a_cpu_pads_no_channels(shipped: Projection) -> None:
    (work,) = (each for each in shipped.workloads if each.precision == "int8")
    (pi,) = (each for each in shipped.projected if (each.device, each.precision) == (FIVE.name, "int8"))
    integer, floating = work.macs - work.fp32_macs, work.fp32_macs
    assert pi.arithmetic_milliseconds == pytest.approx(2e3 * (integer / 0.1536e12 + floating / 0.0384e12))


def test_threads_are_cores_as_many_as_there_are(shipped: Projection) -> None:
    four, eight = (
        project([bundle.load("edgefer-nano")], samples.dataset(), device="pi", threads=threads) for threads in (4, 8)
    )
    arithmetic = [[each.arithmetic_milliseconds for each in found.projected] for found in (shipped, four, eight)]
    assert arithmetic[1] == pytest.approx([(each or 0) / 4 for each in arithmetic[0]])
    assert arithmetic[2] == arithmetic[1]
    assert four.threads == 4


def test_it_says_how_to_measure_and_that_int8_may_lose(shipped: Projection) -> None:
    assert shipped.measure == "edgefer bench edgefer-nano --device cpu --host user@raspberrypi"
    assert any("no dot product" in each for each in shipped.warnings)
    assert [each.network for each in shipped.networks] == ["int8-cpu"]
    assert shipped.networks[0].runtime.endswith("on the CPU")


def test_the_terminal_shows_rates_of_a_core_and_milliseconds(shipped: Projection) -> None:
    screen = Console(width=80, highlight=False, record=True, file=io.StringIO())
    screen.print(tables(shipped))
    lines = screen.export_text().splitlines()
    assert any(line.startswith(f"{PROJECTED}, 1 thread") for line in lines)
    row = next(line for line in lines if line.startswith(FIVE.name)).removeprefix(FIVE.name).split()
    found = times(shipped)
    assert [float(word) for word in row[:3]] == pytest.approx([17.07, 38.4, 154], rel=0.01)
    assert [float(word) for word in row[3:]] == pytest.approx(
        [found[FIVE.name, "fp32"], found[FIVE.name, "int8"]], abs=0.005
    )


def test_bench_has_no_device_of_that_name_for_a_pi_is_measured_as_a_cpu() -> None:
    done = CliRunner().invoke(app, ["bench", "edgefer-nano", "--device", "pi"])
    assert done.exit_code == 2
    assert "cpu" in done.stderr


@pytest.mark.parametrize("board", ["Raspberry Pi 4 Model B Rev 1.5", "Raspberry Pi 5 Model B Rev 1.0"])
def test_a_pi_is_known_by_its_device_tree(tmp_path: Path, board: str) -> None:
    tree = tmp_path / "proc" / "device-tree"
    tree.mkdir(parents=True)
    assert not present.here("pi", tmp_path)
    (tree / "model").write_bytes(board.encode() + b"\0")
    assert present.here("pi", tmp_path)
    assert not present.here("jetson", tmp_path)


def test_rates_follow_from_clock_and_lanes() -> None:
    for board, gigahertz, pipes in ((FOUR, 1.8, 1), (FIVE, 2.4, 2)):
        assert board.fp32 == pytest.approx(gigahertz * pipes * 4 * 2 / 1000)
        assert board.compute is None
    assert FOUR.int8 == pytest.approx(2 * (FOUR.fp32 or 0))
    assert FIVE.int8 == pytest.approx(4 * (FIVE.fp32 or 0))


def test_a_device_is_a_gpu_or_a_cpu() -> None:
    with pytest.raises(ValueError, match="a GPU has compute"):
        DeviceSpec(**{**FOUR.model_dump(), "fp16": 1.0})
