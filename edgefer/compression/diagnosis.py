"""Which quantized tensors and layers cost most: runs the network with each one in FP32."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgefer import console, paths
from edgefer.compression import gate, speed
from edgefer.data.dataset import Split, spread
from edgefer.evaluation import metrics
from edgefer.graph.graph import Graph
from edgefer.graph.keep_fp32 import QuantizedPart, parts, reads, weight, with_fp32
from edgefer.graph.lowering import lower
from edgefer.graph.observation import observe
from edgefer.lines import cell
from edgefer.preprocessing import Preprocessing

IMAGES = 1000  # of the validation split: paired runs need fewer images than independent ones
_SNR_IMAGES = 32
_TIMED_IMAGES = 8
# For each of hundreds of networks.
_TIMING = {"percentile": 50, "seconds": 0.05, "max_seconds": 0.5, "warmup_seconds": 0.02}


@dataclass(frozen=True)
class Damage:
    """The loss of the INT8 CPU network due to one of its parts.

    Attributes:
        part: kept in FP32, all else unchanged.
        loss: cross-entropy lost in INT8, on the validation images' labels: the ranking. Accuracy moves only
            by whole images, and does not show tensors that are close to changing one.
        gained: images correct only with the part in FP32.
        lost: images correct only with the part in INT8.
        accuracy: their difference, in points.
        snr: of a tensor, power of the values over power of the rounding and clipping, in dB; None for a layer.
        milliseconds: added latency with the part in FP32, batch 1, one thread.
    """

    part: QuantizedPart
    loss: float
    gained: int
    lost: int
    accuracy: float
    snr: float | None
    milliseconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values; JSON has no infinity."""
        return {**asdict(self), "snr": self.snr if self.snr is not None and math.isfinite(self.snr) else None}


def diagnose(
    qdq: ModelProto,
    floats: ModelProto,
    spec: Preprocessing,
    validation: Split,
    inputs: NDArray[np.float32],
    some: Sequence[QuantizedPart] | None = None,
    left: Sequence[QuantizedPart] = (),
) -> list[Damage]:
    """Return the damage of every part, worst first.

    After fine-tuning a damage may be far below zero: the other layers compensate
    for this one's rounding (RepVGG-A0 on FER2013: up to 18 points for the weights of one layer, although rounding
    moved none by more than half a step).

    Args:
        qdq: the INT8 graph before it is lowered.
        floats: the same network before it was quantized (`edgefer.graph.keep_fp32.with_fp32`).
        spec: of the networks' input.
        validation: labelled; at most 1,000 images, evenly spaced.
        inputs: calibration images, float32, (n, C, H, W), for SNR and latency.
        some: only these parts.
        left: parts already in FP32; damages are relative to that.
    """
    found = parts(qdq, floats) if some is None else some
    images = validation.subset(spread(len(validation), IMAGES))
    whole = lower(with_fp32(qdq, floats, left), "cpu").model
    logits = gate.logits(whole, spec, images, "before diagnosing")
    loss = metrics.cross_entropy(logits, images.labels)
    ratios = snr(qdq, floats, inputs[:_SNR_IMAGES])
    damages = []
    with console.progress("diagnosing", len(found)) as advance:
        for part in found:
            without = lower(with_fp32(qdq, floats, [*left, part]), "cpu").model
            better = gate.logits(without, spec, images, part.title)
            right, wrong_before = better.argmax(1) == images.labels, logits.argmax(1) != images.labels
            gained, lost = int((right & wrong_before).sum()), int((~right & ~wrong_before).sum())
            damages.append(
                Damage(
                    part=part,
                    loss=loss - metrics.cross_entropy(better, images.labels),
                    gained=gained,
                    lost=lost,
                    accuracy=100 * (gained - lost) / len(images),
                    snr=None if part.kind == "layer" else ratios[part.tensors[0]],
                    milliseconds=_slower(whole, without, inputs),
                )
            )
            advance(1, part.name)
    return sorted(damages, key=lambda damage: -damage.loss)


def snr(qdq: ModelProto, floats: ModelProto, inputs: NDArray[np.float32]) -> dict[str, float]:
    """Return the signal-to-noise ratio of each quantized tensor in dB, by the name of its DequantizeLinear.

    10 log10(sum(x^2) / sum((x - Q(x))^2)), of an activation over `inputs` as the INT8 network meets them; infinite for
    a tensor that INT8 holds exactly.
    """
    graph, originals = Graph(qdq), Graph(floats)
    first = {read.dequantizer.name: read for read in reversed(reads(graph))}
    made_by = {name: graph.producer(read.dequantizer.input[0]) for name, read in first.items()}
    wanted = [quantizer.input[0] for quantizer in made_by.values() if quantizer is not None]
    # For weights, what their operator reads: possibly after a Transpose.
    after = {
        name: read.dequantizer.output[0] if made_by[name] is not None else read.operator.input[read.index]
        for name, read in first.items()
    }
    values = observe(qdq, [*wanted, *after.values()], inputs)
    ratios = {}
    for name, read in first.items():
        quantizer = made_by[name]
        before = weight(originals, read) if quantizer is None else values[quantizer.input[0]]
        if before is not None:
            signal = np.square(before, dtype=np.float64).sum()
            noise = np.square(before - values[after[name]], dtype=np.float64).sum()
            ratios[name] = float(10 * np.log10(signal / noise)) if noise and signal else math.inf
    return ratios


def write_table(file: Path, damages: Sequence[Damage]) -> None:
    """Write the damages as CSV, worst first."""
    with paths.write_atomically(file) as part, part.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["kind", "name", "loss", "accuracy_points", "gained", "lost", "snr_db", "milliseconds"])
        for each in damages:
            figures = [f"{each.loss:.6f}", f"{each.accuracy:.3f}", each.gained, each.lost]
            ratio = "" if each.snr is None else f"{each.snr:.2f}"
            table.writerow([each.part.kind, cell(each.part.name), *figures, ratio, f"{each.milliseconds:.4f}"])


def _slower(whole: ModelProto, without: ModelProto, inputs: NDArray[np.float32]) -> float:
    before, after = speed.in_turn(whole, without, inputs[:_TIMED_IMAGES], **_TIMING)
    return float(np.median(after) - np.median(before)) * 1e3
