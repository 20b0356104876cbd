"""How long an inference takes, all networks timed in turn, without and with preprocessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefer.bench import state
from edgefer.bench.probes.base import Candidate, Context, Probe
from edgefer.data.dataset import Split, spread
from edgefer.evaluation import timing
from edgefer.preprocessing import Preprocessing

IMAGES = 64


def inputs(preprocessing: Preprocessing, rows: Split) -> list[NDArray[np.float32]]:
    """Return images spread over the split as inputs of batch 1."""
    batch = preprocessing.apply(rows.take(spread(len(rows), IMAGES)))
    return [np.ascontiguousarray(batch[number : number + 1]) for number in range(len(batch))]


def _measure(context: Context) -> Sequence[Mapping[str, Any]]:
    candidates, protocol = context.candidates, context.protocol
    before = state.now(context.gpu_bus)
    context.samples = timing.in_turn(
        [each.session.infer for each in candidates],
        context.inputs,
        percentile=protocol.percentile,
        seconds=protocol.min_seconds,
        max_seconds=protocol.max_seconds,
        warmup_seconds=protocol.warmup_seconds,
    )
    whole = timing.in_turn(
        [_from_pixels(each) for each in candidates],
        [_pictures(context.rows)] * len(candidates),
        percentile=95,
        seconds=protocol.with_preprocessing_seconds or 0,
        max_seconds=protocol.max_seconds,
        warmup_seconds=protocol.warmup_seconds,
    )
    busy = partial(candidates[-1].session.infer, context.inputs[-1][0])
    after = state.now(context.gpu_bus, busy)
    context.conditions = state.between(before, after, timing.drift(context.samples))
    return [
        {
            "latency": timing.latency(times),
            "quantiles": timing.quantiles(times),
            "with_preprocessing": timing.latency(from_pixels),
        }
        for times, from_pixels in zip(context.samples, whole, strict=True)
    ]


def _pictures(rows: Split) -> list[NDArray[np.uint8]]:
    """Return the same images as `inputs`, unprocessed, one by one."""
    return [rows.take(position[None]) for position in spread(len(rows), IMAGES)]


def _from_pixels(candidate: Candidate) -> timing.Work:
    prepare, infer = candidate.preprocessing.apply, candidate.session.infer
    return lambda pictures: infer(prepare(pictures))


PROBE = Probe("latency", _measure)
