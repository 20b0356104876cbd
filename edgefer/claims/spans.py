"""What a number as written can stand for: a span of values, kept exactly as fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Reading = Literal["rounded", "exact", "about", "over", "magnitude", "range"]
Unit = Literal["", "%", "M", "KiB", "MiB"]

SCALES: dict[str, int | Fraction] = {"": 1, "%": Fraction(1, 100), "M": 10**6, "KiB": 2**10, "MiB": 2**20}
ABOUT = Fraction(5, 100)  # how far from "about" 100 a number may be: 95 to 105

_ENDLESS = Fraction(10) ** 30  # stands for "no upper bound": more than anything that is counted here
_ROOT_OF_TEN = Fraction(3162278, 1000000)


@dataclass(frozen=True)
class Span:
    """A number with the least and the greatest that it can be; both belong to it.

    Attributes:
        low: the least.
        mid: the number as written, or what follows from the numbers as written.
        high: the greatest.
    """

    low: Fraction
    mid: Fraction
    high: Fraction

    def meets(self, other: Span) -> bool:
        """Return whether there is a number that both can be."""
        return self.low <= other.high and other.low <= self.high


def point(value: int | Fraction) -> Span:
    """Return the span of a number that is known exactly."""
    exact = Fraction(value)
    return Span(exact, exact, exact)


def decimals(value: str) -> int:
    """Return how many digits stand behind the point: 3 for ``0.590``."""
    return len(value.partition(".")[2])


def read(value: str, reading: Reading = "rounded", unit: Unit = "", to: str | None = None) -> Span:
    """Return what a number as a document writes it can stand for.

    A rounded number stands for all that round to it, half a unit of its last digit to either side. Both ends belong to
    it, since nobody says which way a half was rounded; so nothing is called a contradiction that rounding explains.

    Args:
        value: digits with at most one point: ``0.590``, ``138``.
        reading: how it is meant:

            - ``rounded``: to the digits that are there,
            - ``exact``: a count,
            - ``about``: within 5 %, or what rounds to it where that is more,
            - ``over``: anything from there,
            - ``magnitude``: within a factor of the square root of ten, which is nearer to it than to the next power,
            - ``range``: from there to `to`, both rounded.
        unit: what it counts.
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
