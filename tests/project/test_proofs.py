"""The benchmarks of the timing harness pair the right inferences, and README shows those that were run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgefer.evaluation import timing
from tests.helpers import samples, scripts


def test_a_fake_network_takes_its_times_in_order_and_knows_which_were_timed() -> None:
    clock = scripts.load("harness_clock")
    known = np.arange(1, 12) * 10_000
    fake = clock.Fake(known, asleep=0.0)
    (times,) = timing.in_turn([fake.infer], [[clock.INPUT]], percentile=50, seconds=0, warmup_seconds=0)
    asked, taken = fake.of_samples(times.shape)
    assert fake.asked[: len(known)] == known.tolist()
    # A turn's inferences come one after another; the first ones are not timed.
    first = timing.TURN + timing.UNTIMED  # the warm-up's came before
    assert asked[0].tolist() == fake.asked[first : first + timing.TURN]
    assert (taken >= asked).all()
    assert (times * 1e9 + 1 >= taken).all()  # one lies within the other, on the same clock


def test_truths_are_the_medians_that_the_names_say() -> None:
    clock = scripts.load("harness_clock")
    for kind, milliseconds in (("0.2 ms", 0.2), ("5 ms", 5.0), ("1 ms, half asleep", 1.0)):
        assert np.median(clock.durations(kind, 0)) * 1e-6 == pytest.approx(milliseconds, rel=0.01)
    two = clock.durations("1 ms, of every ten three 3 ms", 0) * 1e-6
    assert (two > 2).mean() == pytest.approx(0.3)
    assert 1 < np.median(two) < 1.1


def test_an_inference_in_the_profile_is_the_one_that_was_timed(tmp_path: Path) -> None:
    """Each profile duration lies within ours; shifted by one it would not."""
    script = scripts.load("ort_profile")
    model = tmp_path / "model.onnx"
    model.write_bytes(samples.network())
    session, inner = script.activate(model, tmp_path / "profile")
    sizes = [np.zeros((batch, 1, samples.SIZE, samples.SIZE), dtype=np.float32) for batch in (1, 4000, 1, 1, 1, 1, 1)]
    (times,) = timing.in_turn([session.infer], [sizes], percentile=50, seconds=0, warmup_seconds=0)
    own = script.profiled(inner, times.shape)
    assert own.shape == times.shape
    assert (own <= times + 2e-6).all()  # the profile has whole microseconds


def test_memory_an_image_is_what_more_images_took() -> None:
    script = scripts.load("streaming_memory")
    runs = [
        {"images": 100, "own_before": 1000, "own_streaming": 5000},
        {"images": 1000, "own_before": 1100, "own_streaming": 5100 + 28 * 900},
    ]
    assert script.per_image(runs, "own_streaming") == 28


def test_all_images_ten_times_are_the_same_images_ten_times() -> None:
    script = scripts.load("streaming_memory")
    dataset = samples.dataset()
    rows = script.repeated(dataset, 10)
    assert len(rows) == 10 * len(dataset)
    np.testing.assert_array_equal(rows.take(np.arange(len(rows) - 5, len(rows))), dataset.images[-5:])
    np.testing.assert_array_equal(rows.labels, np.tile(dataset.labels, 10))


def test_readme_has_a_row_for_each_proof_that_has_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = scripts.load("readme")
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    assert "|" not in readme.trust()
    run = {"images": 100, "peak": 90_000_000}
    result = {
        "runs": [run, {**run, "images": 1000}],
        "bytes_per_image": {"logits": 28, "streaming": 28.04, "judging": 28.1},
    }
    (tmp_path / "streaming_memory.json").write_text(json.dumps(result))
    (row,) = [line for line in readme.trust().splitlines() if line.startswith("| Memory")]
    assert "100 -> 1,000 images: 28.0 bytes more for each, 28 of them its logits" in row
