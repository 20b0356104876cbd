"""Times INT8 against FP32, and explains why it is not faster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgefer import bundle
from edgefer.backends import onnxruntime
from edgefer.devices import machine
from edgefer.evaluation import timing
from edgefer.graph import fusions

SECONDS, MAX_SECONDS = 0.5, 5.0  # of each network; `edgefer bench` takes longer
THREADS = 1
_PERCENTILE = 90  # for its 100 samples: fewer rounds would give a wide interval


def measure(name: str, fp32: ModelProto, int8: ModelProto, inputs: NDArray[np.float32]) -> bundle.Speed:
    """Time FP32 and INT8 in turn, batch 1, one thread, all of ONNX Runtime's optimizations.

    Args:
        name: of the INT8 network.
        fp32: with BatchNorm folded.
        int8: lowered for CPUs.
        inputs: (n, C, H, W), used one by one, repeatedly.
    """
    before, after = in_turn(fp32, int8, inputs, percentile=_PERCENTILE, seconds=SECONDS, max_seconds=MAX_SECONDS)
    ratio = timing.ratio(after, before)
    here = machine.describe()
    slow = [] if ratio.high < 1 else fusions.slow(int8, here.fast_int8)
    return bundle.Speed(
        network=name,
        cpu=here.cpu,
        fast_int8=here.fast_int8,
        threads=THREADS,
        samples=after.size,
        fp32_ms=float(np.median(before) * 1e3),
        int8_ms=float(np.median(after) * 1e3),
        ratio=ratio.estimate,
        low=ratio.low,
        high=ratio.high,
        slow=[
            bundle.SlowReason(reason=each.reason, remedy=each.remedy, macs=each.macs, nodes=list(each.nodes))
            for each in slow
        ],
    )


def in_turn(
    one: ModelProto, other: ModelProto, inputs: NDArray[np.float32], **settings: float
) -> list[NDArray[np.float64]]:
    """Time two networks against each other, batch 1, one thread, all of ONNX Runtime's optimizations.

    Args:
        one: a network.
        other: another one.
        inputs: (n, C, H, W), used one by one, repeatedly.
        settings: of `timing.in_turn`.
    """
    stream = [np.ascontiguousarray(inputs[number : number + 1]) for number in range(len(inputs))]
    with (
        onnxruntime.open_model(one.SerializeToString(), THREADS) as first,
        onnxruntime.open_model(other.SerializeToString(), THREADS) as second,
    ):
        return timing.in_turn([first.infer, second.infer], [stream, stream], **settings)
