"""Comparison with other packages: a worker's results equal edgefer's, and the figures come with their protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgefer
from benchmarks.peers.measure import cut

ROOT = Path(__file__).parents[2]
PEERS = json.loads((ROOT / "benchmarks" / "results" / "peers.json").read_text(encoding="utf-8"))["peers"]


def test_a_worker_gives_the_probabilities_that_edgefer_gives(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    worker = ROOT / "benchmarks" / "peers" / "worker.py"
    said = subprocess.run(
        [sys.executable, worker, "edgefer", "edgefer-nano#int8-cpu", tmp_path / "images.npy"],
        input="evaluate\ntime 1 2\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    _, probabilities, seconds = (json.loads(line) for line in said)
    expected = [
        list(each.probabilities.values()) for each in edgefer.load("edgefer-nano", device="cpu").predict(list(images))
    ]
    assert np.array(probabilities) == pytest.approx(np.array(expected), abs=1e-5)
    assert len(seconds) == 2


def test_the_middle_of_pictures_is_taken_and_their_last_pixels_go_on() -> None:
    images = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    assert (cut(images, 4) == images).all()
    assert (cut(images, 2) == [[[5, 6], [9, 10]]]).all()
    assert cut(images, 7).shape == (1, 7, 7)
    assert (cut(images, 6)[0, 0] == [0, 0, 1, 2, 3, 3]).all()


def test_each_peer_has_its_figures_or_why_not_and_its_protocol() -> None:
    for title, peer in PEERS.items():
        assert all(peer["protocol"][key] for key in ("takes", "labels")), title
        assert ("test" in peer) == (peer["protocol"]["training"] is not None and "error" not in peer), title
        assert "error" in peer or peer["bytes_to_install"] > peer["file_bytes"] > 0, title


def test_peers_get_the_part_of_the_picture_that_suits_them_best() -> None:
    measured = {title: peer["protocol"] for title, peer in PEERS.items() if "public_test_by_pixels" in peer["protocol"]}
    assert len(measured) >= 3
    for title, protocol in measured.items():
        by_pixels = protocol["public_test_by_pixels"]
        assert by_pixels[str(protocol["pixels"])] == max(by_pixels.values()), title
