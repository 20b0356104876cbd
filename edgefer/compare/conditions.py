"""Conditions on the change from one result to another, such as ``int8-cpu: latency.p50 > 1.05x``."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgefer.bench.figures import figures_of, is_rail, is_share, summary
from edgefer.bench.result import NetworkEntry
from edgefer.errors import InputError
from edgefer.lines import printable

EXAMPLE = "'latency.p50 > 1.05x', 'quality.accuracy < -0.5points' or 'int8-cpu: file_bytes > 1000000'"

_MOST = 300  # characters; the pattern takes quadratic time
_PATTERN = re.compile(
    r"(?:(?P<network>[^<>=:]+):)?"
    r"(?P<metric>[^<>=:]+)"
    r"(?P<operator><=|>=|<|>)"
    r" *(?P<number>[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r" *(?P<unit>x|%|points)? *"
)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda value, bound: value < bound and not _equal(value, bound),
    "<=": lambda value, bound: value < bound or _equal(value, bound),
    ">": lambda value, bound: value > bound and not _equal(value, bound),
    ">=": lambda value, bound: value > bound or _equal(value, bound),
}

Pairs = Mapping[str, tuple[NetworkEntry, NetworkEntry]]


@dataclass(frozen=True)
class Condition:
    """A condition: a bound on a metric's change.

    Attributes:
        network: the network it applies to; None: all.
        metric: a path in `NetworkEntry`.
        operator: ``<``, ``<=``, ``>`` or ``>=``.
        bound: finite, in `unit`.
        unit: ``x``: B over A; ``%``: B over A, less 1; ``points``: 100 (B - A); empty: B itself.
    """

    network: str | None
    metric: str
    operator: str
    bound: float
    unit: str

    def __str__(self) -> str:
        """Return the condition as typed; `parse` reads it back."""
        about = "" if self.network is None else f"{self.network}: "
        bound = repr(self.bound).removesuffix(".0")
        return f"{about}{self.metric} {self.operator} {bound}{self.unit}"


@dataclass(frozen=True)
class Judged:
    """A condition's outcome for one network.

    Attributes:
        condition: as typed.
        network: the network.
        a: the metric in the reference.
        b: the metric in the new result.
        value: compared with the bound, in the condition's unit.
        unit: the condition's.
        met: whether the condition holds: a regression.
    """

    condition: str
    network: str
    a: float
    b: float
    value: float
    unit: str
    met: bool


def parse(text: str) -> Condition:
    """Read a condition.

    Args:
        text: ``METRIC OPERATOR NUMBER``, with a network's name and a colon before it to select
            that network, and ``x``, ``%`` or ``points`` after it for a change.

    Raises:
        InputError: it is not one.
    """
    found = _PATTERN.fullmatch(text) if len(text) <= _MOST and text.isprintable() else None
    network, metric = (found["network"], found["metric"].strip()) if found else (None, "")
    if found is None or not metric or (network is not None and not network.strip()):
        shown = printable(text[:60])
        raise InputError(f"--fail-if {shown!r} is not a condition; write METRIC OPERATOR NUMBER, e.g. {EXAMPLE}")
    bound, unit = float(found["number"]), found["unit"] or ""
    if not math.isfinite(bound):
        raise InputError(f"--fail-if {printable(text[:60])!r}: the number is out of range")
    wrong = _never_meant(metric, bound, unit)
    if wrong:
        raise InputError(f"--fail-if '{text}': {wrong}")
    return Condition(None if network is None else network.strip(), metric, found["operator"], bound, unit)


def _never_meant(metric: str, bound: float, unit: str) -> str | None:
    """Return what is wrong with a condition that parses but would always pass or fail."""
    share = is_share(metric)
    if unit == "points":
        return None if share else "points are for shares such as quality.accuracy; use x or %"
    if unit == "%":
        return "% of a share is ambiguous; use points (B - A) or x (B / A)" if share else None
    if bound < 0:
        return "without points or % it applies to B or B / A, which are never below 0"
    if share and not unit and bound > 1:
        return f"{metric} is a share from 0 to 1 unless given in points"
    return None


def judge(conditions: Sequence[Condition], pairs: Pairs, gone: Sequence[str] = ()) -> list[Judged]:
    """Evaluate each condition for each network it applies to.

    Args:
        conditions: in the given order.
        pairs: networks in the reference and in the new result, by name.
        gone: networks only in the reference.

    Raises:
        InputError: a network or a metric does not exist, or was not measured, so that a condition cannot be decided.
    """
    for condition in conditions:
        lost = [name for name in gone if condition.network in (None, name, name.rpartition(" ")[2])]
        if lost:
            alone = (
                "" if condition.network else f"; name the networks it applies to: '{next(iter(pairs))}: {condition}'"
            )
            raise InputError(f"--fail-if '{condition}': the new result has no network {', '.join(lost)}{alone}")
    return [
        _judge(condition, name, figures_of(pairs[name][0]), figures_of(pairs[name][1]))
        for condition in conditions
        for name in _about(condition, pairs)
    ]


def _about(condition: Condition, pairs: Pairs) -> list[str]:
    """Return the networks a condition applies to; with several bundles, those with a network of its name."""
    wanted = condition.network
    if wanted is None:
        return list(pairs)
    names = [name for name, (_, b) in pairs.items() if wanted in (name, b.network)]
    if not names:
        raise InputError(f"--fail-if '{condition}': neither has a network {wanted}; they share {', '.join(pairs)}")
    return names


def _judge(
    condition: Condition, network: str, before: Mapping[str, float | None], after: Mapping[str, float | None]
) -> Judged:
    metric = condition.metric
    known = list(dict.fromkeys([*before, *after]))
    if metric not in known and not is_rail(metric):
        near = difflib.get_close_matches(metric, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"--fail-if '{condition}': unknown metric; {hint}Metrics: {summary(known)}")
    a, b = before.get(metric), after.get(metric)
    if a is None or b is None:
        where = "A and B" if a is b else "A" if a is None else "B"
        raise InputError(f"--fail-if '{condition}' cannot be decided: {metric} of {network} is not in {where}")
    value = _value(condition.unit, a, b)
    if value is None:
        raise InputError(f"--fail-if '{condition}' cannot be decided: {metric} of {network} is {a:g} in A")
    met = _OPERATORS[condition.operator](value, condition.bound)
    return Judged(str(condition), network, a, b, value, condition.unit, met)


def _value(unit: str, a: float, b: float) -> float | None:
    if unit == "":
        return b
    if unit == "points":
        return 100 * (b - a)
    over = ratio(a, b)
    return over if over is None or unit == "x" else 100 * (over - 1)


def ratio(a: float, b: float) -> float | None:
    """Return b / a, or None if it is meaningless: a is not above 0, or the quotient is out of range."""
    over = b / a if a > 0 else math.inf
    return over if math.isfinite(over) else None


def _equal(value: float, bound: float) -> bool:
    """0.645 - 0.65 is half a point, though not to the last digit."""
    return math.isclose(value, bound, rel_tol=1e-9, abs_tol=1e-12)
