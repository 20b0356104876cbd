"""A small SVG writer for charts: elements, scales, axes.

Colours and fonts come from the page's style sheet, through classes (``grid``, ``tick``, ``curve``). A shape's ``title``
is its tooltip, without a script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edgefer.errors import MissingExtra

try:
    from markupsafe import Markup, escape
except ModuleNotFoundError as missing:
    raise MissingExtra.of(missing, "report") from None

__all__ = ["Markup", "Scale", "Shape", "axes", "chart", "element", "line", "mark", "number", "text", "width_of"]

_FONT = 11.0
_LETTER = 0.56  # mean width of a letter / font size
Shape: TypeAlias = Literal["circle", "diamond", "square"]


@dataclass(frozen=True)
class Scale:
    """Maps values to positions on an axis.

    Attributes:
        low: value at `start`.
        high: value at `end`; greater than `low`.
        start: position of `low`, in chart units.
        end: position of `high`.
        log: logarithmic; requires `low` > 0.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Return at most about `most` round values between `low` and `high`."""
        if not self.log:
            return _round_values(self.low, self.high, most)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            found = [step * 10.0**power for power in decades for step in steps]
            found = [value for value in found if self.low <= value <= self.high]
            if len(found) <= most:
                break
        return found if len(found) > 1 else _round_values(self.low, self.high, most)


def _round_values(low: float, high: float, most: int) -> list[float]:
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * (1 - 1e-9))
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def element(tag: str, *content: str, **attributes: str | float | None) -> Markup:
    """Return an element. Text is escaped unless it is `Markup`; ``class_`` and ``stroke_width`` are renamed."""
    listed = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _attribute(value))
        for name, value in attributes.items()
        if value is not None
    )
    return Markup("<{}{}>{}</{}>").format(Markup(tag), listed, Markup("").join(map(escape, content)), Markup(tag))


def _attribute(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 2):g}"


def chart(width: float, height: float, alternative: str, *content: Markup) -> Markup:
    """Return a chart, a single image to screen readers.

    Args:
        width: in chart units, about a pixel each on a phone.
        height: in chart units.
        alternative: text for screen readers.
        content: shapes.
    """
    box = f"0 0 {width:g} {height:g}"
    return Markup('<svg role="img" aria-label="{}" viewBox="{}">{}</svg>').format(
        alternative, box, Markup("").join(content)
    )


def text(x: float, y: float, content: str, class_: str = "tick", anchor: str = "middle") -> Markup:
    """Return a line of text with its baseline at `y`."""
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def width_of(content: str) -> float:
    """Return the approximate width of a line of text."""
    return len(content) * _FONT * _LETTER


def axes(x: Scale, y: Scale, x_title: str, y_title: str, x_ticks: Iterable[float] | None = None) -> Markup:
    """Return grid, tick labels and titles of two axes; x runs along `y.start`, the lower end.

    Args:
        x: horizontal.
        y: vertical.
        x_title: below the tick labels; empty for none.
        y_title: above the chart at the left, so that it is horizontal; empty for none.
        x_ticks: replace the round values.
    """
    parts = []
    for value in x.ticks() if x_ticks is None else x_ticks:
        place = x(value)
        parts.append(element("line", x1=place, x2=place, y1=y.start, y2=y.end, class_="grid"))
        parts.append(text(place, y.start + 15, number(value)))
    for value in y.ticks(5):
        place = y(value)
        parts.append(element("line", x1=x.start, x2=x.end, y1=place, y2=place, class_="grid"))
        parts.append(text(x.start - 6, place + 4, number(value), anchor="end"))
    if x_title:
        parts.append(text((x.start + x.end) / 2, y.start + 33, x_title, "axis"))
    if y_title:
        parts.append(text(2, y.end - 9, y_title, "axis", "start"))
    return Markup("").join(parts)


def number(value: float) -> str:
    """Format a tick's value as briefly as possible."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def mark(shape: Shape, x: float, y: float, size: float = 5, class_: str = "") -> Markup:
    """Return a marker.

    Args:
        shape: distinguishes points without colour.
        x: centre.
        y: centre.
        size: half the width.
        class_: classes in addition to ``mark``.
    """
    name = f"mark {class_}".strip()
    if shape == "square":
        return element("rect", x=x - size * 0.9, y=y - size * 0.9, width=size * 1.8, height=size * 1.8, class_=name)
    if shape == "diamond":
        path = f"M{x:.2f},{y - size * 1.2:.2f} l{size * 1.2:g},{size * 1.2:g} -{size * 1.2:g},{size * 1.2:g} "
        return element("path", d=f"{path}-{size * 1.2:g},-{size * 1.2:g}z", class_=name)
    return element("circle", cx=x, cy=y, r=size, class_=name)


def line(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """Return a line through points."""
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=class_)
