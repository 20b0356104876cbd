"""State of all random generators used in training: torch, numpy (timm's mixup) and Python."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def seed(value: int) -> None:
    """Seed all generators."""
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.manual_seed(value)


def state() -> dict[str, Any]:
    """Return what `restore` needs."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "numpy": np.random.get_state(),
        "python": random.getstate(),
    }


def restore(saved: dict[str, Any]) -> None:
    """Restore all generators to a state from `state`."""
    torch.set_rng_state(saved["torch"])
    if saved["cuda"] and len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])
    np.random.set_state(saved["numpy"])
    random.setstate(saved["python"])
