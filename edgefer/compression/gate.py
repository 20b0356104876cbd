"""Compares INT8 with FP32, by image: changes and their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from edgefer import bundle
from edgefer.backends import onnxruntime, registry
from edgefer.data.dataset import Split
from edgefer.evaluation import metrics, predict
from edgefer.evaluation.timing import Interval
from edgefer.preprocessing import Preprocessing


@dataclass(frozen=True)
class Verdict:
    """Results of the INT8 networks on a split.

    Attributes:
        scores: of the FP32 networks, then of each INT8 network.
        changes: of each INT8 network against FP32.
        drop: accuracy lost by the worst of them, in points; negative if all gained.
    """

    scores: list[bundle.Score]
    changes: list[bundle.AnswerChange]
    drop: float


def judge(
    split: Split,
    classes: int,
    full: Mapping[str, NDArray[np.int64]],
    models: Mapping[str, ModelProto],
    spec: Preprocessing,
) -> Verdict:
    """Evaluate INT8 networks on a split and compare them with FP32.

    Args:
        split: the validation split.
        classes: number of classes.
        full: (n,), `predictions` of ``fp32``, the reference, and of other FP32 networks.
        models: the INT8 networks by name; equal ones are run once.
        spec: of the networks' input.
    """
    known: dict[bytes, NDArray[np.int64]] = {}
    scores, changes = [score(name, split, found, classes) for name, found in full.items()], []
    for name, model in models.items():
        content = model.SerializeToString()
        if content not in known:
            known[content] = predictions(model, spec, split, f"checking {name}")
        scores.append(score(name, split, known[content], classes))
        changes.append(change(name, split.labels, full["fp32"], known[content], classes, _run_by(name)))
    return Verdict(scores, changes, 100 * max(0.0 - each.accuracy for each in changes))


def _run_by(name: str) -> str:
    """Return the runtime that ran an INT8 network: ONNX Runtime also runs graphs for other runtimes."""
    runtime, here = registry.runtime_of(name.removeprefix("int8-")), onnxruntime.BACKEND.title
    return here if runtime == here else f"{here}, standing in for {runtime}"


def predictions(model: ModelProto, spec: Preprocessing, split: Split, description: str) -> NDArray[np.int64]:
    """Return a network's prediction for each image of a split, (n,), by ONNX Runtime with all optimizations.

    Args:
        model: float32 (N, C, H, W) in, logits out.
        spec: of its input.
        split: the images.
        description: label of the progress bar.
    """
    return np.asarray(logits(model, spec, split, description).argmax(1), np.int64)


def logits(model: ModelProto, spec: Preprocessing, split: Split, description: str) -> NDArray[np.float32]:
    """Return the logits behind `predictions`, float32, (n, classes)."""
    with onnxruntime.open_model(model.SerializeToString(), torch.get_num_threads()) as session:
        return predict.logits(session.infer, spec, split, description=description)


def score(name: str, split: Split, predictions: NDArray[np.int64], classes: int) -> bundle.Score:
    """Return the manifest's score of one network's predictions, (n,), on a split."""
    matrix = metrics.confusion(split.labels, predictions, classes)
    return bundle.Score(
        network=name,
        split=split.name,
        images=len(split),
        accuracy=metrics.accuracy(matrix),
        macro_f1=metrics.macro_f1(matrix),
    )


def change(
    name: str, labels: NDArray[np.int64], full: NDArray[np.int64], small: NDArray[np.int64], classes: int, runtime: str
) -> bundle.AnswerChange:
    """Return the changes from FP32 to an INT8 network.

    Args:
        name: of the INT8 network.
        labels: (n,), true classes.
        full: (n,), the FP32 network's predictions.
        small: (n,), the INT8 network's predictions for the same images.
        classes: number of classes.
        runtime: what ran the INT8 network.
    """
    before, after = (metrics.confusion(labels, predictions, classes) for predictions in (full, small))
    recalls = [metrics.per_class(matrix) for matrix in (before, after)]
    gained = int(((small == labels) & (full != labels)).sum())
    lost = int(((full == labels) & (small != labels)).sum())
    difference = interval(gained, lost, len(labels))
    return bundle.AnswerChange(
        network=name,
        accuracy=difference.estimate,
        low=difference.low,
        high=difference.high,
        gained=gained,
        lost=lost,
        p_value=exact_mcnemar(gained, lost),
        macro_f1=metrics.macro_f1(after) - metrics.macro_f1(before),
        recall=[
            float(new - old) if support else None
            for old, new, support in zip(recalls[0].recall, recalls[1].recall, recalls[0].support, strict=True)
        ],
        agreement=float((full == small).mean()),
        runtime=runtime,
    )


def exact_mcnemar(gained: int, lost: int) -> float:
    """Return the p-value of McNemar's exact test on images that only one of two networks gets right."""
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def interval(gained: int, lost: int, images: int) -> Interval:
    """Return the difference of two accuracies on the same images, (gained - lost) / images: a 95 % score interval.

    The interval holds every difference that McNemar's test, widened from no difference to any, does not reject:
    T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17, 1998. Unlike a bootstrap over images it needs no seed, and it has a width
    even if no image changed.

    Args:
        gained: images that only the second network gets right.
        lost: images that only the first gets right.
        images: total number of images.
    """
    z = float(norm.ppf(0.975))
    estimate = (gained - lost) / images

    def statistic(difference: float) -> float:
        # Most likely share of lost images if the accuracies differ by `difference`: a root of a q^2 + b q + c.
        a = 2 * images
        b = (2 * images - gained + lost) * difference - gained - lost
        c = -lost * difference * (1 - difference)
        share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = images * (2 * share + difference * (1 - difference))
        distance = gained - lost - images * difference
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance) if distance else 0

    def end(sign: int) -> float:
        """The statistic falls from its value at -1 to that at 1; it is 0 at the estimate."""
        if estimate == sign:
            return float(sign)
        far = sign * (1 - 1e-12)
        near = estimate + sign * 1e-12
        return float(brentq(lambda value: max(min(statistic(value), 1e9), -1e9) + sign * z, near, far, xtol=1e-10))

    return Interval(estimate, end(-1), end(1))
