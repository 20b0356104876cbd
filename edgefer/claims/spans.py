"""Intervals of the values that a written number can stand for, as exact fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Reading = Literal["rounded", "exact", "about", "over", "magnitude", "range"]
Unit = Literal["", "%", "M", "KiB", "MiB"]

SCALES: dict[str, int | Fraction] = {"": 1, "%": Fraction(1, 100), "M": 10**6, "KiB": 2**10, "MiB": 2**20}
ABOUT = Fraction(5, 100)  # relative: "about 100" is 95 to 105

_ENDLESS = Fraction(10) ** 30  # stands for "no upper bound"
_ROOT_OF_TEN = Fraction(3162278, 1000000)


@dataclass(frozen=True)
class Span:
    """A number with its bounds, a closed interval.

    Attributes:
        low: lower bound.
        mid: the number as written, or computed from the numbers as written.
        high: upper bound.
    """

    low: Fraction
    mid: Fraction
    high: Fraction

    def meets(self, other: Span) -> bool:
        """Return whether the intervals overlap."""
        return self.low <= other.high and other.low <= self.high


def point(value: int | Fraction) -> Span:
    """Return the span of an exact number."""
    exact = Fraction(value)
    return Span(exact, exact, exact)


def decimals(value: str) -> int:
    """Return the number of decimals: 3 for ``0.590``."""
    return len(value.partition(".")[2])


def read(value: str, reading: Reading = "rounded", unit: Unit = "", to: str | None = None) -> Span:
    """Return the span of a number as written in a document.

    A rounded number stands for half a unit of its last digit to either side. Both ends are included,
    since halves may be rounded either way; so rounding never causes a contradiction.

    Args:
        value: digits with at most one point: ``0.590``, ``138``.
        reading: how to read it:

            - ``rounded``: to its digits,
            - ``exact``: a count,
            - ``about``: within 5 % or its rounding, whichever is larger,
            - ``over``: this value or more,
            - ``magnitude``: within a factor of sqrt(10),
            - ``range``: up to `to`, both rounded.
        unit: its unit.
        to: the end of a range.
    """
    scale = Fraction(SCALES[unit])
    mid = Fraction(value)
    half = Fraction(1, 2 * 10 ** decimals(value))
    if reading == "exact":
        found = point(mid)
    elif reading == "about":
        slack = max(half, mid * ABOUT)
        found = Span(mid - slack, mid, mid + slack)
    elif reading == "over":
        found = Span(mid, mid, _ENDLESS)
    elif reading == "magnitude":
        found = Span(mid / _ROOT_OF_TEN, mid, mid * _ROOT_OF_TEN)
    elif reading == "range":
        assert to is not None  # the ledger's schema sees to that
        found = Span(mid - half, mid, Fraction(to) + Fraction(1, 2 * 10 ** decimals(to)))
    else:
        found = Span(mid - half, mid, mid + half)
    return Span(found.low * scale, found.mid * scale, found.high * scale)
