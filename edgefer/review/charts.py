"""Training curves: loss, accuracy and learning rate over epochs, with the recipe's phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from edgefer.pages import svg
from edgefer.pages.svg import Markup, Scale
from edgefer.review.result import Epoch

_WIDTH, _HEIGHT = 440, 250
_LEFT, _RIGHT, _TOP, _FLOOR = 46, 428, 38, 208
_DECADES = 1e4  # largest / smallest learning rate on the axis: a cosine ends near 0, which would stretch it
_DENSE = 60  # beyond this many epochs, points appear only under the pointer


@dataclass(frozen=True)
class Curve:
    """A line in a chart.

    Attributes:
        name: ``training`` and ``validation`` have their own colour and shape.
        class_: CSS class.
        shape: of the points.
        values: one per epoch; None: not in the log.
    """

    name: str
    class_: str
    shape: svg.Shape
    values: Sequence[float | None]


def losses(history: Sequence[Epoch], best: int | None) -> Markup:
    """Plot training and validation loss."""
    curves = [
        Curve("training", "train", "circle", [each.train_loss for each in history]),
        Curve("validation", "val", "square", [each.val_loss for each in history]),
    ]
    return _chart("Loss", "loss", history, curves, best, "{:.3f}")


def accuracies(history: Sequence[Epoch], best: int | None) -> Markup:
    """Plot training and validation accuracy in percent; older logs lack training accuracy."""
    trained = [None if each.train_accuracy is None else 100 * each.train_accuracy for each in history]
    curves = [Curve("validation", "val", "square", [100 * each.val_accuracy for each in history])]
    if any(value is not None for value in trained):
        curves.insert(0, Curve("training", "train", "circle", trained))
    return _chart("Accuracy", "accuracy, %", history, curves, best, "{:.2f} %")


def rates(history: Sequence[Epoch]) -> Markup:
    """Plot the learning rate of each epoch's last step on a logarithmic axis, omitting values near 0."""
    least = max(each.lr for each in history) / _DECADES
    values = [each.lr if each.lr > least else None for each in history]
    curves = [Curve("learning rate", "rate", "diamond", values)]
    return _chart("Learning rate", "learning rate, logarithmic", history, curves, None, "{:.3g}", log=True)


def phases(history: Sequence[Epoch]) -> list[tuple[str, int, int]]:
    """Return each phase's name with its first and last epoch."""
    found = []
    for name, group in groupby(history, key=lambda each: each.phase):
        epochs = [each.epoch for each in group]
        found.append((name, epochs[0], epochs[-1]))
    return found


def _chart(
    title: str,
    unit: str,
    history: Sequence[Epoch],
    curves: Sequence[Curve],
    best: int | None,
    form: str,
    log: bool = False,
) -> Markup:
    x = Scale(0.5, len(history) + 0.5, _LEFT, _RIGHT)
    y = _scale([value for curve in curves for value in curve.values if value is not None], log)
    ticks = [value for value in x.ticks() if value == int(value) >= 1] or [1]
    shapes = [svg.axes(x, y, "epoch", "", ticks), svg.text(2, 11, unit, "axis", "start"), *_phases(history, x)]
    said = []
    for curve in curves:
        points = [(each, value) for each, value in zip(history, curve.values, strict=True) if value is not None]
        if not points:
            continue
        shapes.append(svg.line([(x(each.epoch), y(value)) for each, value in points], f"curve {curve.class_}"))
        for each, value in points:
            words = f"{curve.name}, epoch {each.epoch}, {each.phase}: {form.format(value)}"
            kept = each.epoch == best and curve.class_ == "val"
            class_ = f"{curve.class_}{' kept' if kept else ' quiet' if len(history) > _DENSE else ''}"
            point = svg.mark("diamond" if kept else curve.shape, x(each.epoch), y(value), 5 if kept else 2.8, class_)
            also = ", the kept epoch" if kept else ""
            shapes.append(svg.element("g", svg.element("title", words + also), point, class_="tip"))
        first, last = points[0], points[-1]
        said.append(
            f"{curve.name}: from {form.format(first[1])} in epoch {first[0].epoch} "
            f"to {form.format(last[1])} in epoch {last[0].epoch}"
        )
    if best is not None and best <= len(history):
        kept_value = next(curve.values[best - 1] for curve in curves if curve.class_ == "val")
        said.append(f"validation {form.format(kept_value)} in epoch {best}, whose weights are kept")
    parts = ", ".join(f"{name}: epochs {first} to {last}" for name, first, last in phases(history))
    words = f"{title} by epoch. {'; '.join(said)}. Phases: {parts}"
    return svg.chart(_WIDTH, _HEIGHT, words, *shapes)


def _scale(values: Sequence[float], log: bool) -> Scale:
    low, high = (min(values), max(values)) if values else (0.1, 1.0)
    if log:
        return Scale(low / 1.6, high * 1.6, _FLOOR, _TOP, log=True)
    room = max(0.06 * (high - low), 0.01 * abs(high), 1e-6)
    return Scale(max(0.0, low - room) if low >= 0 else low - room, high + room, _FLOOR, _TOP)


def _phases(history: Sequence[Epoch], x: Scale) -> list[Markup]:
    """Return a line at the start of each phase but the first, and the phase names above the chart."""
    shapes = []
    found = phases(history)
    for name, first, last in found:
        start, end = x(first - 0.5), x(last + 0.5)
        if first > 1:
            shapes.append(svg.element("line", x1=start, x2=start, y1=_TOP - 12, y2=_FLOOR, class_="phase"))
        if len(found) > 1:
            letters = int((end - start - 6) / svg.width_of("x"))
            shown = name if len(name) <= letters else f"{name[: letters - 1]}…" if letters > 2 else ""
            shapes.append(svg.text(start + 4, _TOP - 5, shown, "tick", "start"))
    return shapes
