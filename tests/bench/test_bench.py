"""`bench` from bundle to result, on networks and images with known results."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edgefer import bundle
from edgefer.bench import measurement
from edgefer.bench.inputs import data_warnings
from edgefer.bench.measurement import bench
from edgefer.bench.result import BenchResult, Comparison, NetworkEntry
from edgefer.devices.machine import Machine
from edgefer.errors import InputError
from edgefer.evaluation import timing
from edgefer.labels import LABELS
from edgefer.preprocessing import Preprocessing
from edgefer.report.table import tables
from tests.helpers import samples

FEAR = LABELS.index("fear")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    return samples.write(tmp_path_factory.mktemp("bundles") / "made")


@pytest.fixture(scope="module")
def result(made: bundle.Bundle) -> BenchResult:
    return bench([made], samples.dataset(), seconds=0.05)


def test_the_networks_for_this_device_are_measured_fp32_first(result: BenchResult) -> None:
    assert [entry.network for entry in result.networks] == ["fp32", "int8-cpu"]


def test_accuracy_is_that_of_networks_with_known_mistakes(result: BenchResult) -> None:
    fp32, int8 = result.networks
    labels = samples.dataset().labels[140:]
    fears = int((labels == FEAR).sum())
    assert fp32.quality.accuracy == 1
    assert fp32.quality.macro_f1 == 1
    assert int8.quality.accuracy == pytest.approx(1 - fears / 70)
    assert int8.per_class[FEAR].recall == 0
    assert int8.per_class[FEAR].images == fears
    assert np.diag(int8.confusion).sum() == 70 - fears
    assert sum(int8.confusion[FEAR]) == fears
    assert int8.quality.low < int8.quality.accuracy < int8.quality.high


def test_images_that_stand_in_training_are_left_out_of_the_leak_free_figure(result: BenchResult) -> None:
    labels = samples.dataset().labels[150:]
    assert result.data.leak_free_images == 60
    leak_free = result.networks[1].leak_free
    assert leak_free is not None
    assert leak_free.images == 60
    assert leak_free.accuracy == pytest.approx((labels != FEAR).mean())


def test_int8_is_compared_with_fp32(result: BenchResult) -> None:
    (comparison,) = result.comparisons
    fp32, int8 = result.networks
    assert (comparison.network, comparison.against) == ("int8-cpu", "fp32")
    assert comparison.accuracy == pytest.approx(int8.quality.accuracy - fp32.quality.accuracy)
    assert comparison.agreement == pytest.approx(int8.quality.accuracy)  # FP32 is always right
    assert comparison.latency.low <= comparison.latency.estimate <= comparison.latency.high
    assert comparison.latency.estimate == pytest.approx(int8.latency.p50 / fp32.latency.p50)
    assert comparison.file_bytes == int8.file_bytes / fp32.file_bytes


def test_a_second_fp32_network_is_compared_with_the_first_as_int8_is(tmp_path: Path) -> None:
    parts = {
        **samples.parts(),
        "fp32-relu": bundle.NetworkFile("fp32.relu.onnx", samples.network(blind=2), "fp32", "any"),
    }
    made = bundle.write(tmp_path / "made", samples.description(), parts)
    compared = bench([made], samples.dataset(), seconds=0.05).comparisons
    assert [(each.network, each.against) for each in compared] == [("fp32-relu", "fp32"), ("int8-cpu", "fp32")]
    assert compared[0].accuracy < 0


def test_what_decides_the_figures_is_in_the_result(made: bundle.Bundle, result: BenchResult) -> None:
    assert result.protocol.threads == 1
    assert result.machine.versions["onnxruntime"]
    assert result.data.digest == "d" * 64
    assert result.data.synthetic
    for entry in result.networks:
        assert entry.sha256 == made.manifest.networks[entry.network].sha256
        assert entry.latency.samples >= timing.samples_for(99)
        assert entry.latency.p99 is not None
        assert entry.latency.fastest <= entry.latency.p50 <= entry.latency.p99 <= entry.latency.slowest
    assert (result.bundles[0].parameters, result.bundles[0].macs) == (14, 7)


def test_the_result_survives_json(result: BenchResult) -> None:
    assert BenchResult.model_validate_json(result.model_dump_json()) == result


def test_other_data_than_the_training_s_is_named(made: bundle.Bundle, result: BenchResult) -> None:
    assert not any("was trained on" in warning for warning in result.warnings)
    other = samples.write(
        made.path.parent / "other", data=bundle.DataEntry(name="FER2013", digest="f" * 64, synthetic=False)
    )
    warnings = bench([other], samples.dataset(), seconds=0.01).warnings
    assert "grey was trained on FER2013 (ffffffff), but is evaluated on greys (dddddddd)" in warnings


def test_bundles_of_one_name_are_told_apart(made: bundle.Bundle) -> None:
    result = bench([made, made], samples.dataset(), seconds=0.01)
    assert [entry.title for entry in result.bundles] == ["grey", "grey #2"]
    assert [(entry.bundle, entry.network) for entry in result.networks] == [
        (title, network) for title in ("grey", "grey #2") for network in ("fp32", "int8-cpu")
    ]
    assert [comparison.bundle for comparison in result.comparisons] == ["grey", "grey #2"]


def test_another_split_has_no_leak_free_figure(made: bundle.Bundle) -> None:
    result = bench([made], samples.dataset(), split="public+private", seconds=0.01)
    assert result.data.images == 140
    assert result.data.leak_free_images is None
    assert result.networks[0].leak_free is None


@pytest.mark.parametrize(("split", "role"), [("train", "trained"), ("val", "selected"), ("public+private", "selected")])
def test_images_that_made_the_network_what_it_is_are_warned_of(made: bundle.Bundle, split: str, role: str) -> None:
    (warning,) = [w for w in bench([made], samples.dataset(), split=split, seconds=0.01).warnings if "is too high" in w]
    assert f"{split} {role} this network" in warning
    assert not [w for w in bench([made], samples.dataset(), seconds=0.01).warnings if "is too high" in w]


def test_a_test_split_that_is_all_in_training_is_still_measured(made: bundle.Bundle) -> None:
    dataset = samples.dataset()
    dataset.images[140:] = dataset.images[:70]
    result = bench([made], dataset, seconds=0.01)
    assert result.data.leak_free_images == 0
    assert result.networks[0].leak_free is None
    assert result.networks[0].quality.images == 70


def test_other_labels_than_the_data_s_are_an_error(made: bundle.Bundle) -> None:
    renamed = replace(samples.dataset(), classes=("happy", *LABELS[:3], *LABELS[4:]))
    with pytest.raises(InputError, match=r"has the classes angry, .*, but greys has the classes happy"):
        bench([made], renamed)


def test_a_network_for_some_of_the_classes_is_judged_on_these(tmp_path: Path) -> None:
    about = samples.description(labels=LABELS[:4], recipe={"name": "grey", "data": {"classes": LABELS[:4]}})
    parts = {"fp32": bundle.NetworkFile("fp32.onnx", samples.network(classes=4), "fp32", "any")}
    dataset = samples.dataset()
    result = bench([bundle.write(tmp_path / "made", about, parts)], dataset, seconds=0.01)
    wanted = int(((dataset.labels < 4) & (dataset.splits == 2)).sum())
    assert result.data.images == result.networks[0].quality.images == wanted < 70
    assert result.data.classes == LABELS[:4]
    assert any("has 4 classes" in warning for warning in result.warnings)


def test_a_bundle_without_a_network_for_this_device_is_an_error(tmp_path: Path) -> None:
    parts = {"int8-tensorrt": samples.parts()["int8-tensorrt"]}
    made = bundle.write(tmp_path / "made", samples.description(), parts)
    with pytest.raises(InputError, match="no network for cpu; it has int8-tensorrt"):
        bench([made], samples.dataset())


def test_a_device_that_edgefer_does_not_know_is_an_error(made: bundle.Bundle) -> None:
    with pytest.raises(InputError, match="unknown device 'tpu'"):
        bench([made], samples.dataset(), device="tpu")


def test_tables_fit_80_columns_and_hold_the_figures(result: BenchResult) -> None:
    console = Console(width=80, highlight=False, record=True, file=io.StringIO())
    console.print(tables(result))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert f"{result.networks[0].latency.p50:.3f}" in text
    assert "Accuracy (synthetic faces)" in text
    assert all(label in text for label in LABELS)
    unwrapped = " ".join(text.split())  # a title may need two lines
    of_each = (f"{name}: % of each class (row) predicted as (column)" for name in ("fp32", "int8-cpu"))
    for title in ("Accuracy", "Per class", *of_each):
        assert f"{title} (synthetic faces)" in unwrapped


def test_labels_are_not_read_as_markup(result: BenchResult) -> None:
    hostile = "[red]sad[/red]"
    data = result.data.model_copy(update={"classes": (hostile, *LABELS[1:])})
    console = Console(width=160, highlight=False, record=True, file=io.StringIO())
    console.print(tables(result.model_copy(update={"data": data})))
    assert hostile in console.export_text()


def test_what_concerns_many_bundles_is_one_note(made: bundle.Bundle) -> None:
    other = samples.write(
        made.path.parent / "others", data=bundle.DataEntry(name="FER2013", digest="f" * 64, synthetic=False)
    )
    rows = data_warnings(["a", "b", "c", "d", "e", "f"], [other] * 6, samples.dataset(), "test")
    assert rows == ["a, b, c, d and 2 more were trained on FER2013 (ffffffff), but are evaluated on greys (dddddddd)"]


@pytest.mark.parametrize(
    ("split", "protocol", "carved", "flattered"),
    [
        ("val", "official", (), True),
        ("val", "stratified", (), False),  # PublicTest, which selected nothing
        ("val", "stratified", ("val",), True),  # the same images as in the official protocol
        ("public+private", "official", (), True),
        ("public+private", "stratified", (), False),
        ("public+private", "official", ("val",), False),  # only test
        ("test", "official", (), False),
        ("train", "stratified", (), True),
    ],
)
def test_a_split_that_chose_the_checkpoint_is_said_to_flatter(
    split: str, protocol: str, carved: tuple[str, ...], flattered: bool, tmp_path: Path
) -> None:
    chosen = samples.write(tmp_path / "a", recipe={"name": "grey", "data": {"split": protocol}})
    rows = data_warnings(["a"], [chosen], samples.dataset(carved=carved), split)
    assert bool(rows) == flattered


def test_what_speaks_against_a_figure_is_a_warning(result: BenchResult) -> None:
    """INT8 that is no faster, noise, and a CPU with saturating fast products."""
    quiet = [
        entry.model_copy(update={"latency": replace(entry.latency, coefficient_of_variation=0.01)})
        for entry in result.networks
    ]
    faster = [each.model_copy(update={"latency": timing.Interval(0.4, 0.3, 0.5)}) for each in result.comparisons]
    plain = result.machine.model_copy(update={"architecture": "x86_64", "flags": ["avx2", "avx512_vnni"]})

    def said(
        this_machine: Machine = plain,
        networks: Sequence[NetworkEntry] = quiet,
        comparisons: Sequence[Comparison] = faster,
    ) -> list[str]:
        return measurement._warnings(this_machine, networks, comparisons)

    assert said() == []
    [line] = said(plain.model_copy(update={"flags": ["avx2"]}))
    assert "this CPU has no VNNI" in line
    noisy = quiet[0].model_copy(update={"latency": replace(quiet[0].latency, coefficient_of_variation=0.5)})
    [line] = said(networks=[noisy, *quiet[1:]])
    assert f"latency of {noisy.bundle} {noisy.network} is noisy (coefficient of variation 0.50)" in line
    slow = faster[0].model_copy(update={"latency": timing.Interval(0.99, 0.9, 1.1)})
    [line] = said(comparisons=[slow, *faster[1:]])
    assert f"{slow.network} is not faster than fp32 on this machine: 0.99x its latency (0.90 to 1.10)" in line


def test_latency_from_pixels_has_preprocessing_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call takes a millisecond longer."""
    apply = Preprocessing.apply

    def slow(self: Preprocessing, images: np.ndarray) -> np.ndarray:
        time.sleep(0.001)
        return apply(self, images)

    monkeypatch.setattr(Preprocessing, "apply", slow)
    result = bench([samples.write(tmp_path / "slow")], samples.dataset(), seconds=0.01)
    assert all(entry.with_preprocessing and entry.with_preprocessing.fastest >= 1 for entry in result.networks)
    assert result.protocol.with_preprocessing_seconds == 0.01
