"""Ten thousand frames, far more than can be classified, from a stream that ends and resumes: memory stays constant."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import edgefer
from edgefer.live import pipeline
from edgefer.live.judge import JudgeSettings
from edgefer.live.pipeline import Live
from edgefer.live.sources import FFmpegStream
from tests.helpers import videos

FRAMES, ROUND = 10_000, 500


def resident() -> int:
    """Return this process's memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_and_queue_stay_flat(
    fer2013: Path, yunet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_BACKOFF", (0.0,))
    happy, surprised = videos.two_faces(fer2013)
    file = videos.write(tmp_path / "v.mp4", [happy, surprised] * (ROUND // 2))
    source = FFmpegStream("a stream", f"file:{file}", returns=True)  # read at full speed, and reopened at its end
    with (
        edgefer.load("edgefer-nano", device="cpu", detector=yunet) as predictor,
        Live(source, predictor, JudgeSettings(every=1)) as live,
        live.subscribe() as answers,
    ):
        settled, queues = 0, set()
        while (figures := live.figures()).captured < FRAMES:
            assert answers.get(30)
            queues.add(figures.queue)
            if not settled and figures.captured >= FRAMES // 5:
                settled = resident()
        grown = resident() - settled
    assert queues <= {0, 1}
    assert figures.captured > 5 * figures.judged
    assert figures.reconnects >= FRAMES // ROUND - 1
    assert grown < 32 << 20  # an RGB frame has 0.23 MB: 8,000 of them would be 1.8 GB
