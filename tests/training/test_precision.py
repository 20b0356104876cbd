"""bf16 or fp32, whichever is faster here; the test for it changes nothing."""

from __future__ import annotations

import time

import pytest
import torch

from edgefer import models
from edgefer.training import precision


def test_choosing_a_precision_leaves_model_and_random_state_alone() -> None:
    model = models.create("plain-resnet", 7, 1, {"widths": [8], "blocks": [1]})
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images = torch.rand(4, 1, 16, 16)
    random_state = torch.get_rng_state()
    assert precision.choose(model, images, torch.zeros(4, dtype=torch.long)) in ("bf16", "fp32")
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_disturbed_start_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    now, disturbed, real = [0.0], [0.9] * 4, precision.autocast

    def autocast(device: str, which: precision.Precision) -> torch.autocast:
        now[0] += disturbed.pop() if which == "bf16" and disturbed else {"bf16": 0.1, "fp32": 0.2}[which]
        return real(device, which)

    monkeypatch.setattr(precision, "autocast", autocast)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    model = models.create("plain-resnet", 7, 1, {"widths": [8], "blocks": [1]})
    assert precision.choose(model, torch.rand(4, 1, 16, 16), torch.zeros(4, dtype=torch.long)) == "bf16"
    assert not disturbed
