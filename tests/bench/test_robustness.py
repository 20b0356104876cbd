"""`bench --measure robustness`: accuracy of all networks under corruptions."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edgefer import data
from edgefer.backends import onnxruntime
from edgefer.bench.measurement import bench
from edgefer.bench.probes import robustness
from edgefer.bench.result import BenchResult
from edgefer.evaluation.corruptions import KINDS, corrupt
from edgefer.report import html as report
from edgefer.report import table
from edgefer.report.table import tables
from tests.helpers import samples


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> BenchResult:
    made = samples.write(tmp_path_factory.mktemp("bundles") / "made")
    return bench([made], samples.dataset(), seconds=0.05, probes=[robustness.PROBE])


def test_each_network_is_run_on_the_same_pictures(result: BenchResult) -> None:
    rows = data.split(samples.dataset(), "test")
    for entry, blind in zip(result.networks, (None, 2), strict=True):
        worse = entry.robustness
        assert worse is not None
        assert list(worse.accuracy) == list(KINDS)
        assert worse.images == 70
        assert worse.clean == entry.quality.accuracy
        with onnxruntime.open_model(samples.network(blind=blind)) as session:
            right = 0
            for number, (images, labels) in enumerate(rows.batches(50)):
                dark = corrupt(images, "low light", 5, worse.seed + number)
                right += int((session.infer(samples.PREPROCESSING.apply(dark)).argmax(1) == labels).sum())
        assert worse.accuracy["low light"][4] == right / 70
        assert worse.accuracy["blur"][0] > worse.accuracy["low light"][4]  # these classes only differ in brightness
    assert result.repeat.endswith("--measure robustness")
    assert BenchResult.model_validate_json(result.model_dump_json()) == result


def test_no_more_than_a_thousand_images_are_used() -> None:
    rows = data.split(samples.dataset(1400), "test")
    (worse,) = robustness.measure(
        [lambda batch: np.eye(7, dtype=np.float32)[np.zeros(len(batch), int)]], [samples.PREPROCESSING], rows
    )
    assert worse.images == 1000
    assert worse.mean == pytest.approx(worse.clean)  # ignores its input


def test_the_table_fits_80_columns_and_the_page_has_curves(result: BenchResult) -> None:
    console = Console(width=80, highlight=False, record=True, file=io.StringIO())
    console.print(tables(result))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "Accuracy under corruptions" in text
    fp32, int8 = (entry.robustness for entry in result.networks)
    assert fp32 is not None
    assert int8 is not None
    lost = min((int8.accuracy[kind][at] - fp32.accuracy[kind][at], kind, at + 1) for kind in KINDS for at in range(5))
    said = f"{100 * (int8.mean - fp32.mean):+.2f} points on average of 35, {100 * lost[0]:+.1f} at worst"
    assert said in " ".join(text.split())
    assert table.robustness_line(result, result.networks[0]) == ""
    page = report.render_html(result)
    assert ">Under corruptions" in page
    for kind in KINDS:
        assert page.count(f'role="img" aria-label="Accuracy with {kind}, strength 0 to 5, in percent. ') == 1


def test_without_being_asked_for_it_is_not_there(tmp_path: Path) -> None:
    result = bench([samples.write(tmp_path / "made")], samples.dataset(), seconds=0.01)
    assert result.networks[0].robustness is None
    page = report.render_html(result)
    assert ">Under corruptions" not in page
    assert "accuracy under corruptions (--measure robustness)" in page  # missing measurements are reported
