"""Results for a missing device: measured accuracy, projected times, and which is which."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from edgefer import bundle
from edgefer.bench import result as bench_result
from edgefer.bench.measurement import bench
from edgefer.devices.specs import devices
from edgefer.errors import InputError
from edgefer.labels import LABELS
from edgefer.projection.estimate import project
from edgefer.projection.result import Projection
from edgefer.projection.table import PROJECTED, tables
from tests.helpers import jetsons, samples
from tests.helpers.projected import FEAR, write


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    return write(tmp_path_factory.mktemp("bundles") / "made")


@pytest.fixture(scope="module")
def projection(made: bundle.Bundle, tmp_path_factory: pytest.TempPathFactory) -> Projection:
    return project([made], samples.dataset(), device="jetson", root=tmp_path_factory.mktemp("nothing"))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Projection:
    return project([bundle.load("edgefer-base")], samples.dataset(), device="jetson")


def test_accuracy_is_what_bench_measures_of_such_networks(made: bundle.Bundle, projection: Projection) -> None:
    measured = bench([made], samples.dataset(), seconds=0.01)
    assert [each.network for each in projection.networks] == ["fp32", "int8-tensorrt"]
    for entry, same in zip(projection.networks, measured.networks, strict=True):
        for field in ("quality", "leak_free", "per_class", "confusion"):
            assert getattr(entry, field) == getattr(same, field)
    assert projection.networks[1].per_class[FEAR].recall == 0
    assert projection.data == measured.data
    assert projection.bundles == measured.bundles
    assert "standing in for TensorRT" in projection.networks[0].runtime


def test_rtx_gets_its_own_networks_and_devices(made: bundle.Bundle) -> None:
    found = project([made], samples.dataset(), device="rtx")
    assert [each.network for each in found.networks] == ["fp32", "int8-rtx"]
    assert {each.family for each in found.devices} == {"rtx"}
    assert "--device rtx --host user@machine" in found.measure
    assert any("TensorRT for RTX documents INT8" in each for each in found.warnings)


def test_it_says_that_nothing_was_measured(made: bundle.Bundle, projection: Projection, tmp_path: Path) -> None:
    assert projection.statement == "This is not a Jetson: nothing below was measured on one."
    here = project([made], samples.dataset(), device="jetson", root=jetsons.orin_nano(tmp_path))
    assert "no Jetson" not in here.statement
    assert "Nothing below was measured" in here.statement


def test_every_device_has_a_time_for_every_workload_and_its_inputs(shipped: Projection) -> None:
    assert [(each.precision, each.as_filed) for each in shipped.workloads] == [("fp16", True), ("int8", True)]
    assert all(each.macs == shipped.bundles[0].macs for each in shipped.workloads)
    assert len(shipped.projected) == 2 * len(devices("jetson"))
    rates = {device.name: device for device in shipped.devices}
    for each in shipped.projected:
        device = rates[each.device]
        if each.precision == "int8" and device.int8 is None:
            assert each.projected_milliseconds is None
            continue
        assert each.projected_milliseconds is not None
        assert each.arithmetic_milliseconds is not None
        assert each.memory_milliseconds is not None
        rate = device.int8 if each.precision == "int8" else device.fp16
        assert rate is not None
        (work,) = [work for work in shipped.workloads if work.precision == each.precision]
        assert each.arithmetic_milliseconds == pytest.approx(2e3 * (work.padded_macs or 0) / (rate * 1e12))
        assert each.memory_milliseconds == pytest.approx(1e3 * work.moved_bytes / (device.bandwidth * 1e9))
        larger = max(each.arithmetic_milliseconds, each.memory_milliseconds)
        assert larger <= each.projected_milliseconds <= each.arithmetic_milliseconds + each.memory_milliseconds


def test_int8_for_rtx_has_no_time_before_one_is_measured_and_a_note_says_why(made: bundle.Bundle) -> None:
    found = project([made], samples.dataset(), device="rtx")
    times = {each.precision: each.projected_milliseconds for each in found.projected}
    assert times["int8"] is None
    assert times["fp16"] is not None
    assert any("--device tensorrt" in each for each in found.warnings)


def test_boards_that_edgefer_does_not_run_on_are_marked(projection: Projection) -> None:
    marked = {each.name for each in projection.devices if each.not_runnable}
    assert marked == {"Jetson Nano", "Jetson Xavier NX"}


def test_an_fp16_network_of_the_bundle_is_taken_as_it_is(made: bundle.Bundle, tmp_path: Path) -> None:
    parts = {
        "fp32": bundle.NetworkFile("fp32.onnx", samples.network(), "fp32", "any"),
        "fp16-tensorrt": bundle.NetworkFile("fp16.onnx", samples.network(), "fp16", "tensorrt"),
    }
    mine = bundle.write(tmp_path / "mine", samples.description(), parts)
    (work,) = project([mine], samples.dataset(), device="jetson").workloads
    assert (work.network, work.precision, work.as_filed) == ("fp16-tensorrt", "fp16", True)


def test_without_an_fp16_network_the_layers_of_another_are_taken_and_that_is_said(projection: Projection) -> None:
    (work,) = [each for each in projection.workloads if each.precision == "fp16"]
    assert not work.as_filed
    assert f"from the layers of {work.network}, as the bundle has no FP16 file" in " ".join(_text(projection).split())


def test_the_commands_name_what_was_asked_for(projection: Projection, made: bundle.Bundle, shipped: Projection) -> None:
    assert projection.measure == f"edgefer bench {made.path.name} --device jetson --host user@orin"
    assert projection.repeat.startswith(f"edgefer project {made.path.name} --device jetson --split test")
    assert shipped.measure == "edgefer bench edgefer-base --device jetson --host user@orin"


def test_no_field_for_a_time_is_one_that_a_measurement_has(projection: Projection) -> None:
    assert Projection.model_validate_json(projection.model_dump_json()) == projection
    times = [name for name in type(projection.projected[0]).model_fields if name.endswith("milliseconds")]
    assert times
    assert not {*times, "projected"} & {*bench_result.NetworkEntry.model_fields, *bench_result.BenchResult.model_fields}
    assert "latency" not in projection.model_dump_json()


def test_other_labels_and_a_bundle_without_a_network_for_it_are_errors(tmp_path: Path, made: bundle.Bundle) -> None:
    labels = ("happy", *LABELS[:3], *LABELS[4:])
    other = write(tmp_path / "other", labels=labels)
    with pytest.raises(InputError, match="has the classes happy"):
        project([other], samples.dataset(), device="jetson")
    parts = {"int8-cpu": samples.parts()["int8-cpu"]}
    cpu = bundle.write(tmp_path / "cpu", samples.description(), parts)
    with pytest.raises(InputError, match="no network for jetson; it has int8-cpu"):
        project([cpu], samples.dataset(), device="jetson")
    with pytest.raises(InputError, match="no bundle"):
        project([], samples.dataset(), device="jetson")


def _text(projection: Projection, width: int = 80) -> str:
    console = Console(width=width, highlight=False, record=True, file=io.StringIO())
    console.print(tables(projection))
    return console.export_text()


def test_the_terminal_shows_all_of_it_and_last_how_to_measure(shipped: Projection) -> None:
    text = _text(shipped)
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines[-1].endswith("--host user@orin")
    assert max(map(len, text.splitlines())) <= 80
    assert PROJECTED in text
    assert "(synthetic faces)" in text
    assert all(device.name in text for device in devices("jetson"))
    words = " ".join(text.split())
    assert all(device.source in words for device in devices("jetson"))
    assert "21 kernels" in words
    assert "Jetson Nano: its GPU has no 8-bit arithmetic" in words


def test_projected_times_stand_in_columns_that_say_so(shipped: Projection) -> None:
    lines = _text(shipped).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(PROJECTED))
    head = lines[start + 1]
    assert head.split().count("projected") == 2
    orin = next(line for line in lines if line.startswith("Jetson Orin Nano"))
    shown = [float(word) for word in orin.split()[-2:]]
    kept = [each.projected_milliseconds for each in shipped.projected if each.device == "Jetson Orin Nano 8GB"]
    assert shown == pytest.approx([1000 * time for time in kept if time is not None], abs=0.05)


def test_several_bundles_have_a_table_each(made: bundle.Bundle) -> None:
    text = _text(project([made, made], samples.dataset(), device="jetson"), width=120)
    assert f"{PROJECTED}: grey" in text
    assert f"{PROJECTED}: grey #2" in text
    assert "grey #2 int8-tensorrt" in text
