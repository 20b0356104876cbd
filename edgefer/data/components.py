"""Connected components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def joined(numbers: Numbers, a: Numbers, b: Numbers) -> Numbers:
    """Add links to components; return the first item of each item's component.

    Args:
        numbers: int64, (count,): from this function, or 0, 1, ... without links.
        a: int64, (n,): one end of each new link.
        b: int64, (n,): the other end.
    """
    numbers = numbers.copy()
    while True:
        left, right = numbers[a], numbers[b]
        apart = left != right
        if not apart.any():
            return numbers
        a, b, left, right = a[apart], b[apart], left[apart], right[apart]
        np.minimum.at(numbers, np.maximum(left, right), np.minimum(left, right))
        while True:  # each points to the first of its component
            first = numbers[numbers]
            if (first == numbers).all():
                break
            numbers = first


def of_both(one: Numbers, other: Numbers) -> Numbers:
    """Return the components of items connected by either of two numberings."""
    found = np.arange(len(one))
    for numbers in (one, other):
        _, firsts, places = np.unique(numbers, return_index=True, return_inverse=True)
        found = joined(found, np.arange(len(one)), firsts[places].astype(np.int64))
    return found
