"""Interval arithmetic on rounded numbers: each function returns the span of possible exact results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

from edgefer.claims.spans import Span


def f1(precision: Span, recall: Span) -> Span:
    """Return the harmonic mean of precision and recall, which grows with both."""
    low, mid, high = (
        2 * p * r / (p + r) if p + r > 0 else Fraction(0)
        for p, r in ((precision.low, recall.low), (precision.mid, recall.mid), (precision.high, recall.high))
    )
    return Span(low, mid, high)


def total(parts: Sequence[Span]) -> Span:
    """Return the sum."""
    return Span(
        sum((part.low for part in parts), Fraction(0)),
        sum((part.mid for part in parts), Fraction(0)),
        sum((part.high for part in parts), Fraction(0)),
    )


def mean(values: Sequence[Span], weights: Sequence[int] | None = None) -> Span:
    """Return the weighted mean: with supports a weighted average, without weights a macro average."""
    chosen = weights or [1] * len(values)
    scaled = [
        Span(value.low * weight, value.mid * weight, value.high * weight)
        for value, weight in zip(values, chosen, strict=True)
    ]
    added, share = total(scaled), Fraction(1, sum(chosen))
    return Span(added.low * share, added.mid * share, added.high * share)


def attainable(share: Span, images: int) -> Span | None:
    """Return how many of `images` a share can stand for, or None if no whole number fits.

    This is the GRIM test: N. J. L. Brown and J. A. J. Heathers, "The GRIM test", Social Psychological and Personality
    Science 8, 2017.
    """
    least, most = math.ceil(share.low * images), math.floor(share.high * images)
    if least > most:
        return None
    middle = min(max(round(share.mid * images), least), most)
    return Span(Fraction(least), Fraction(middle), Fraction(most))


def hits(recalls: Sequence[Span], supports: Sequence[int]) -> list[Span] | None:
    """Return the number of correct images per class, or None if no whole number fits a recall."""
    found = [attainable(recall, support) for recall, support in zip(recalls, supports, strict=True)]
    return None if None in found else [each for each in found if each is not None]


def accuracy(recalls: Sequence[Span], supports: Sequence[int]) -> Span | None:
    """Return the overall accuracy, or None as for `hits`."""
    right = hits(recalls, supports)
    return None if right is None else _over(total(right), sum(supports))


def predictions(precisions: Sequence[Span], recalls: Sequence[Span], supports: Sequence[int]) -> Span | None:
    """Return the number of predictions that a report implies: that of the images, if the report is consistent.

    A class was predicted hits / precision times. None as for `hits`.
    """
    right = hits(recalls, supports)
    if right is None or any(precision.low <= 0 for precision in precisions):
        return None
    return total(
        [
            Span(hit.low / precision.high, hit.mid / precision.mid, hit.high / precision.low)
            for hit, precision in zip(right, precisions, strict=True)
        ]
    )


def micro_precision(precisions: Sequence[Span], recalls: Sequence[Span], supports: Sequence[int]) -> Span | None:
    """Return all hits over all predictions: the accuracy, if each image has one prediction.

    It is monotonic in each precision and in each class's hits, so its extremes are at corners.
    None as for `predictions`.
    """
    right = hits(recalls, supports)
    if right is None or any(precision.low <= 0 for precision in precisions):
        return None

    def share(counts: Sequence[Fraction], of: Sequence[Fraction]) -> Fraction:
        predicted = sum((count / precision for count, precision in zip(counts, of, strict=True)), Fraction(0))
        return sum(counts, Fraction(0)) / predicted if predicted else Fraction(0)

    corners = list(product(*({each.low, each.high} for each in right)))
    return Span(
        min(share(corner, [precision.low for precision in precisions]) for corner in corners),
        share([each.mid for each in right], [precision.mid for precision in precisions]),
        max(share(corner, [precision.high for precision in precisions]) for corner in corners),
    )


def ratio(over: Span, under: Span) -> Span:
    """Return `over` / `under`; `under` is above 0."""
    return Span(over.low / under.high, over.mid / under.mid, over.high / under.low)


def reduction(before: Span, after: Span) -> Span:
    """Return the relative reduction, 1 - after / before; `before` is above 0."""
    left = ratio(after, before)
    return Span(1 - left.high, 1 - left.mid, 1 - left.low)


def _over(count: Span, images: int) -> Span:
    return Span(count.low / images, count.mid / images, count.high / images)
