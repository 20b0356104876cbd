"""A probe is one file: its measurement appears in the result and in all its views."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from edgefer.bench import probes
from edgefer.bench.figures import figures_of
from edgefer.bench.measurement import bench
from edgefer.bench.probes.base import Column, Context, Probe
from edgefer.bench.result import BenchResult, devices
from edgefer.bench.result_file import read
from edgefer.compare.conditions import parse
from edgefer.compare.pairs import NamedResult, compare
from edgefer.report import markdown, spreadsheet, table
from edgefer.report.table import tables
from tests.helpers import samples


def toy(context: Context) -> Sequence[Mapping[str, float]]:
    """Measure the length of a network's name; nothing for FP32."""
    return [
        {} if each.name == "fp32" else {"length": 1e-3 * len(each.name), "twice": 2.0} for each in context.candidates
    ]


TOY = Probe(
    "toy",
    toy,
    title="Length of a name",
    how="counted letter by letter",
    columns=[Column("length", "length, mm", 1e3, 2), Column("twice", "twice, times")],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the result of a bench that only ran the toy probe."""
    made = tmp_path_factory.mktemp("toy")
    measured = bench([samples.write(made / "made")], samples.dataset(), seconds=0.01, probes=[TOY])
    (made / "result.json").write_text(measured.model_dump_json(), encoding="utf-8")
    return made


@pytest.fixture
def result(folder: Path) -> BenchResult:
    return read(folder)


def test_its_figures_stand_in_the_result_and_nothing_else_was_measured(folder: Path, result: BenchResult) -> None:
    raw = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert [entry["probes"] for entry in raw["networks"]] == [{}, {"toy": {"length": 0.008, "twice": 2.0}}]
    assert [each.how for each in result.probes] == ["counted letter by letter"]
    for entry in result.networks:
        assert (entry.memory, entry.cold_start, entry.energy) == (None, None, None)
        assert entry.quality.images == 70
        assert entry.latency.p50 > 0


def test_it_is_shown_wherever_a_result_is(result: BenchResult, tmp_path: Path) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables(result))
    text = console.export_text()
    assert "Length of a name" in text
    assert "int8-cpu 8.00 2.0" in " ".join(text.partition("Length of a name")[2].split())

    assert "| `int8-cpu` | 8.00 | 2.0 |" in markdown.render_markdown(result)

    spreadsheet.write([result], tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(encoding="utf-8") as file:
        assert [row["probes.toy.length"] for row in csv.DictReader(file)] == ["", "0.008"]

    html = pytest.importorskip("edgefer.report.html")
    page = html.render_html(result)
    assert "Length of a name" in page
    assert "8.00" in page.partition("Length of a name")[2]
    assert "counted letter by letter" in page


def test_a_condition_may_be_about_it(folder: Path, result: BenchResult) -> None:
    assert figures_of(result.networks[1])["probes.toy.twice"] == 2
    side = NamedResult(folder, result)
    held = compare(side, side, [parse("int8-cpu: probes.toy.twice > 1")])
    assert [each.met for each in held.conditions] == [True]


def test_those_in_the_folder_are_found_and_run_in_order_and_what_costs_much_only_if_asked() -> None:
    names = [each.name for each in probes.standard()]
    assert names[:5] == ["fresh_process", "accuracy", "evaluations", "groups", "latency"]
    assert not {"robustness", "throughput"} & set(names)
    assert {each.name for each in probes.standard("robustness", "throughput")} > {"robustness", "throughput"}
    assert [each.name for each in probes.with_needed([TOY])] == ["accuracy", "latency", "toy"]
    assert {each.option for each in probes.known()} - {None} == {*probes.ASKED}


def test_devices_are_timed_in_one_run_and_compared_within_each(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    made = samples.write(tmp_path / "made")
    found = bench([made], samples.dataset(), device=["cpu", "openvino"], seconds=0.01, probes=[])
    assert devices(found) == ["cpu", "openvino"]
    names = [(each.network, each.device) for each in found.networks]
    assert {("fp32", "cpu"), ("int8-cpu", "cpu"), ("fp32", "openvino"), ("int8-cpu", "openvino")} <= set(names)
    against = [(each.network, each.device, each.against) for each in found.comparisons]
    assert against == [(network, device, "fp32") for network, device in names if network != "fp32"]
    assert [each.device for each in found.recommendations] == ["cpu", "openvino"]
    assert "--device cpu --device openvino" in found.repeat
    (tmp_path / "result.json").write_text(found.model_dump_json(), encoding="utf-8")
    again = read(tmp_path)
    assert {"fp32 on cpu", "fp32 on openvino", "int8-cpu on openvino"} <= {table.name(again, e) for e in again.networks}
    side = NamedResult(tmp_path, again)
    assert [each.network for each in compare(side, side).networks][:2] == ["fp32 on cpu", "int8-cpu on cpu"]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables(again))
    assert "int8-cpu on openvino" in console.export_text()
