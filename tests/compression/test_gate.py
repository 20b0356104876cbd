"""Image-by-image effect of INT8, and its confidence interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import GraphProto, ModelProto
from scipy.stats import bootstrap

from edgefer.compression import gate
from edgefer.data.dataset import Split
from edgefer.preprocessing import Preprocessing


def test_the_interval_is_that_of_a_published_example() -> None:
    # Airway hyper-responsiveness before and after stem cell transplantation, 21 children: Fagerland, Lydersen, Laake,
    # "Recommended tests and confidence intervals for paired binomial proportions", Statistics in Medicine 33, 2014.
    found = gate.interval(gained=1, lost=7, images=21)
    assert (round(found.estimate, 3), round(found.low, 3), round(found.high, 3)) == (-0.286, -0.517, -0.026)


@pytest.mark.parametrize(("gained", "lost"), [(60, 75), (10, 60), (200, 190)])
def test_with_many_images_the_interval_is_the_bootstraps(gained: int, lost: int) -> None:
    images = 3589
    each = np.repeat([1.0, -1.0, 0.0], [gained, lost, images - gained - lost])
    drawn = bootstrap(
        (each,), np.mean, n_resamples=2000, method="percentile", batch=100, rng=np.random.default_rng(0)
    ).confidence_interval
    found = gate.interval(gained, lost, images)
    assert found.low == pytest.approx(drawn.low, abs=1e-3)
    assert found.high == pytest.approx(drawn.high, abs=1e-3)


def test_networks_that_never_differ_still_leave_a_doubt() -> None:
    found = gate.interval(0, 0, 1000)
    assert found.estimate == 0
    assert found.high == pytest.approx(1.96**2 / (1000 + 1.96**2), rel=1e-3)  # Tango 1998, section 4
    assert found.low == pytest.approx(-found.high)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 200))
def test_the_interval_holds_the_estimate_and_turns_round_with_the_networks(gained: int, lost: int, same: int) -> None:
    images = max(1, gained + lost + same)
    found, turned = gate.interval(gained, lost, images), gate.interval(lost, gained, images)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low), abs=1e-6)


def test_a_change_counts_images_that_only_one_network_gets_right() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    full = np.array([0, 0, 0, 1, 1, 0])
    small = np.array([0, 1, 1, 0, 1, 0])
    found = gate.change("int8-cpu", labels, full, small, classes=3, runtime="ONNX Runtime")
    assert (found.gained, found.lost) == (1, 2)
    assert found.accuracy == pytest.approx(-1 / 6)
    assert found.recall == [pytest.approx(-0.25), 0, None]
    assert found.agreement == pytest.approx(0.5)
    assert found.p_value == 1  # one of three: as even as possible
    assert found.macro_f1 < 0


def test_what_a_bundle_loses_is_what_its_worst_network_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(20)
    labels = rows % 2
    split = Split("val", np.zeros((20, 1, 1), np.uint8), rows, labels, rows)
    answers = {"int8-cpu": labels, "int8-tensorrt": np.where(rows < 4, 1 - labels, labels), "int8-rtx": labels}
    monkeypatch.setattr(gate, "predictions", lambda model, *_: answers[model.graph.name])
    models = {name: ModelProto(graph=GraphProto(name=name)) for name in answers}
    found = gate.judge(split, 2, {"fp32": labels}, models, Preprocessing(size=12))
    assert [change.accuracy for change in found.changes] == pytest.approx([0, -0.2, 0])
    assert found.drop == pytest.approx(20)


def test_ten_images_lost_and_none_gained_are_no_chance() -> None:
    right, wrong = np.zeros(20, np.int64), np.arange(20) // 10
    found = gate.change("int8-cpu", right, right, wrong, classes=2, runtime="ONNX Runtime")
    assert found.p_value == pytest.approx(2 / 2**10)
