"""Two results side by side: changes from a reference to a new one, with their uncertainty.

A result has no predictions or samples, only aggregates. So differences in accuracy are unpaired,
and a latency's interval covers one run only. Changes without a valid interval have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgefer.bench.figures import figures_of
from edgefer.bench.result import BenchResult, Comparison, NetworkEntry, devices
from edgefer.compare import conditions as judging
from edgefer.compare.conditions import Condition, Judged, Pairs, parse, ratio
from edgefer.compare.differences import Difference, forbidding, only_in_one, software
from edgefer.errors import InputError
from edgefer.evaluation.timing import Interval, Latency
from edgefer.frozen import Frozen
from edgefer.lines import counted

FORMAT: Literal[2] = 2

_LARGEST_LOG = 700.0  # its exponential still fits a float
_NAMED = 3  # differences in one line


class Side(Frozen):
    """Origin of one of the two results."""

    path: str
    created: str
    repeat: str = Field(description="the command to repeat it")
    host: str | None


class FigureChange(Frozen):
    """One figure of a network in both results."""

    metric: str = Field(description="its path in an entry of `networks` of result.json")
    a: int | float | None
    b: int | float | None
    ratio: float | None = Field(description="b / a; None: one is missing, or a is 0")
    difference: int | float | None = Field(description="b - a")
    interval: Interval | None = Field(None, description="95 %, of `interval_of`; None: unknown")
    interval_of: Literal["ratio", "difference"] | None = None
    may_be_noise: bool | None = Field(
        None,
        description="there is a change, but the interval includes none, or p50 changed as much for "
        "a network that is the same file in both; None: no interval",
    )


class RelativeChange(Frozen):
    """The change of a network's latency relative to another network with the same file in both results."""

    network: str = Field(description="the other network, timed in turn: it was slowed by the same load")
    latency: Interval = Field(description="ratio of B's ratio of medians to A's, 95 %")


class NetworkPair(Frozen):
    """One network that is in both results."""

    network: str = Field(description="its name, with its bundle's if there are several")
    same_file: bool = Field(description="its file is the same in both")
    changes: list[FigureChange]
    beside: RelativeChange | None


class Compared(Frozen):
    """A result compared with a reference."""

    kind: Literal["edgefer comparison"] = "edgefer comparison"
    format: Literal[2] = FORMAT
    a: Side = Field(description="the reference")
    b: Side = Field(description="the new one")
    synthetic: bool = Field(description="the accuracy of A or B is from synthetic faces")
    differences: list[Difference] = Field(description="why the two are not comparable; compared anyway")
    software: list[Difference]
    only_in_a: list[str]
    only_in_b: list[str]
    networks: list[NetworkPair]
    conditions: list[Judged]
    notes: list[str] = Field(description="what the intervals include and exclude")

    @property
    def verdict(self) -> str | None:
        """Number of conditions met, in one line; None: no conditions."""
        met, total = sum(each.met for each in self.conditions), len(self.conditions)
        if not total:
            return None
        return f"failed: {met} of {total} conditions met" if met else f"passed: none of {total} conditions met"

    @property
    def failure(self) -> str | None:
        """The first condition met and the number of others, in one line; None: none met."""
        met = [each for each in self.conditions if each.met]
        if not met:
            return None
        first = met[0]
        about = "" if first.condition.startswith(f"{first.network}: ") else f" for {first.network}"
        value = "" if not first.unit else f", {first.value:.5g}{' ' if first.unit == 'points' else ''}{first.unit}"
        noise = ", which may be noise" if first.unit and self._may_be_noise(first) else ""
        more = f"; {len(met) - 1} more hold{'s' if len(met) == 2 else ''}" if len(met) > 1 else ""
        return f"{first.condition} holds{about}: {first.a:.6g} -> {first.b:.6g}{value}{noise}{more}"

    def _may_be_noise(self, judged: Judged) -> bool:
        metric = parse(judged.condition).metric
        changes = next(network.changes for network in self.networks if network.network == judged.network)
        return any(change.metric == metric and change.may_be_noise for change in changes)


@dataclass(frozen=True)
class NamedResult:
    """A result and its origin."""

    path: Path
    result: BenchResult


def compare(
    a: NamedResult, b: NamedResult, conditions: Sequence[Condition] = (), *, allow_different: bool = False
) -> Compared:
    """Compare a new result with a reference.

    Args:
        a: the reference.
        b: the new one.
        conditions: each is evaluated for each network it applies to.
        allow_different: also compare across protocols, devices, hardware or data.

    Raises:
        InputError: the two are not comparable or have no network in common, or a condition cannot be decided.
    """
    differences = forbidding(a.result, b.result)
    if differences and not allow_different:
        more = f" (and {len(differences) - _NAMED} more)" if len(differences) > _NAMED else ""
        raise InputError(
            f"{a.path} and {b.path} are not comparable; they differ in "
            f"{'; '.join(map(str, differences[:_NAMED]))}{more}; --allow-different compares them anyway"
        )
    before, after = _by_name(a.result, b.result), _by_name(b.result, a.result)
    pairs = {name: (before[name], after[name]) for name in before if name in after}
    gone = [name for name in before if name not in after]
    if not pairs:
        raise InputError(
            f"{a.path} and {b.path} have no network in common: {', '.join(before)}; and {', '.join(after)}"
        )
    beside = {name: _beside(a.result, b.result, pairs, name) for name in pairs}
    apart = max((abs(_change(pair)) for pair in pairs.values() if _same_run(pair)), default=0.0)
    return Compared(
        a=_side(a),
        b=_side(b),
        synthetic=a.result.data.synthetic or b.result.data.synthetic,
        differences=differences,
        software=software(a.result, b.result),
        only_in_a=gone,
        only_in_b=[name for name in after if name not in before],
        networks=[
            NetworkPair(
                network=name,
                same_file=old.sha256 == new.sha256,
                changes=list(_changes(old, new, a.result, b.result, apart)),
                beside=beside[name],
            )
            for name, (old, new) in pairs.items()
        ],
        conditions=judging.judge(conditions, pairs, gone),
        notes=list(_notes(a.result, b.result, pairs, beside)),
    )


def _side(named: NamedResult) -> Side:
    result = named.result
    return Side(path=str(named.path), created=result.created, repeat=result.repeat, host=result.host)


def _by_name(result: BenchResult, other: BenchResult) -> dict[str, NetworkEntry]:
    """Return a result's networks by identity: if both have one bundle, its title may differ."""
    alone = len(result.bundles) == len(other.bundles) == 1
    several = max(len(devices(result)), len(devices(other))) > 1
    return {
        f"{'' if alone else f'{entry.bundle} '}{entry.network}{f' on {entry.device}' if several else ''}": entry
        for entry in result.networks
    }


def _changes(
    old: NetworkEntry, new: NetworkEntry, a: BenchResult, b: BenchResult, apart: float
) -> Iterator[FigureChange]:
    """Return the changes of a network's figures; `apart` is the log change of p50 for unchanged files."""
    before, after = figures_of(old), figures_of(new)
    for metric in dict.fromkeys([*before, *after]):
        first, second = before.get(metric), after.get(metric)
        interval: Interval | None = None
        of: Literal["ratio", "difference"] | None = None
        if metric == "latency.p50":
            interval, of = (
                _medians(old.latency, new.latency),
                "ratio",
            )
        elif metric in ("quality.accuracy", "leak_free.accuracy"):
            interval, of = _accuracies(old, new, metric.partition(".")[0]), "difference"
        elif metric.startswith("evaluations.") and metric.endswith(".accuracy"):
            interval, of = _evaluated(before, after, metric), "difference"
        noise = None
        if interval:
            unchanged = interval.low <= (1 if of == "ratio" else 0) <= interval.high
            as_apart = metric == "latency.p50" and abs(_change((old, new))) <= apart
            noise = first != second and (unchanged or as_apart)
        yield FigureChange(
            metric=metric,
            a=first,
            b=second,
            ratio=None if first is None or second is None else ratio(first, second),
            difference=None if first is None or second is None else second - first,
            interval=interval,
            interval_of=of if interval else None,
            may_be_noise=noise,
        )


def _accuracies(old: NetworkEntry, new: NetworkEntry, group: str) -> Interval | None:
    before, after = getattr(old, group), getattr(new, group)
    if before is None or after is None:
        return None
    return difference(
        Interval(before.accuracy, before.low, before.high), Interval(after.accuracy, after.low, after.high)
    )


def _evaluated(before: Mapping[str, float | None], after: Mapping[str, float | None], metric: str) -> Interval | None:
    """Return the difference of an accuracy with bounds; None if one result has none."""
    start = metric.removesuffix("accuracy")
    ends = []
    for each in (before, after):
        values = [each.get(f"{start}{name}") for name in ("accuracy", "low", "high")]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        ends.append(Interval(*known))
    return difference(*ends)


def difference(a: Interval, b: Interval) -> Interval:
    """Return b - a of two independent estimates with an interval from theirs, adding squared distances.

    For Wilson's intervals of two proportions it is method 10 of R. G. Newcombe, "Interval estimation for the difference
    between independent proportions", Statistics in Medicine 17, 1998; for others G. Y. Zou and A. Donner,
    "Construction of confidence limits about effect measures: a general approach", Statistics in Medicine 27, 2008.
    """
    estimate = b.estimate - a.estimate
    low = estimate - math.hypot(b.estimate - b.low, a.high - a.estimate)
    high = estimate + math.hypot(b.high - b.estimate, a.estimate - a.low)
    return Interval(estimate, low, high)


def _medians(a: Latency, b: Latency) -> Interval | None:
    """Return the ratio of two medians with an interval from the noise within each run."""
    logs = []
    for latency in (a, b):
        if not 0 < latency.p50_low <= latency.p50 <= latency.p50_high:
            return None
        logs.append(_log(Interval(latency.p50, latency.p50_low, latency.p50_high)))
    change = difference(*logs)
    return _each(math.exp, change) if change.high < _LARGEST_LOG else None


def _change(pair: tuple[NetworkEntry, NetworkEntry]) -> float:
    """Return the logarithm of the ratio of medians."""
    old, new = pair
    return math.log(new.latency.p50) - math.log(old.latency.p50)


def _same_run(pair: tuple[NetworkEntry, NetworkEntry]) -> bool:
    """Return whether the same runtime ran the same file: then only the machine changed."""
    old, new = pair
    return old.sha256 == new.sha256 and old.runtime == new.runtime


def _beside(a: BenchResult, b: BenchResult, pairs: Pairs, name: str) -> RelativeChange | None:
    """Compare a network's latency over FP32's, from the results' own intervals, if FP32 is the same in both."""
    old, new = pairs[name]
    first, second = _over(a, old), _over(b, new)
    if first is None or second is None:
        return None
    for other, (before, after) in pairs.items():
        is_it = _is(before, first, first.against) and _is(after, second, second.against)
        if is_it and _same_run((before, after)):
            change = difference(_log(first.latency), _log(second.latency))
            if change.high < _LARGEST_LOG:
                return RelativeChange(network=other, latency=_each(math.exp, change))
    return None


def _over(result: BenchResult, entry: NetworkEntry) -> Comparison | None:
    """Return a result's comparison of a network with FP32."""
    for each in result.comparisons:
        latency = each.latency
        if _is(entry, each, each.network) and 0 < latency.low <= latency.estimate <= latency.high:
            return each
    return None


def _is(entry: NetworkEntry, compared: Comparison, network: str) -> bool:
    return (entry.bundle, entry.device, entry.network) == (compared.bundle, compared.device, network)


def _log(interval: Interval) -> Interval:
    return _each(math.log, interval)


def _each(function: Callable[[float], float], interval: Interval) -> Interval:
    return Interval(function(interval.estimate), function(interval.low), function(interval.high))


def _notes(a: BenchResult, b: BenchResult, pairs: Pairs, beside: dict[str, RelativeChange | None]) -> Iterator[str]:
    if b.created < a.created:
        yield "B is older than A; the reference comes first"
    for result, letter in ((a, "A"), (b, "B")):
        load = result.conditions.load_before
        if load is not None and load > result.machine.cores:
            yield f"{letter} was measured with {load:.1f} processes running on {counted(result.machine.cores, 'core')}"
    yield from only_in_one(a, b)
    same_images = (a.data.digest, a.data.split) == (b.data.digest, b.data.split)
    paired = (
        "both saw the same images, but a result does not record which were right, so there "
        "is no paired interval (usually narrower)"
        if same_images
        else "and they have"
    )
    yield f"accuracy: 95 % interval from both networks' intervals, as for different images; {paired}"
    yield (
        "p50: 95 % interval from the noise within each run. Runs differ by more than that, so a "
        "change beyond it calls for another measurement and proves nothing"
    )
    yield "p90 to p99, F1, memory, energy: one figure per run, no interval"
    if not any(map(_same_run, pairs.values())):
        yield "no network is the same file on the same runtime in both, so run-to-run variation is unknown"
    for name, (old, new) in pairs.items():
        if _same_run((old, new)):
            yield (
                f"{name} is the same file on the same runtime in both: its p50 at "
                f"{new.latency.p50 / old.latency.p50:.2f}x comes from machine and run, not from the network"
            )
        each = beside[name]
        if each:
            yield (
                f"{name} beside {each.network}, timed in turn with it: its latency over that of {each.network} went to "
                f"{each.latency.estimate:.2f}x ({each.latency.low:.2f} to {each.latency.high:.2f})"
            )
    for name, (old, new) in pairs.items():
        if (old.precision, old.target) != (new.precision, new.target):
            yield f"{name} is {old.precision} for {old.target} in A and {new.precision} for {new.target} in B"
        sizes = [
            f"{each.preprocessing.size} px {each.preprocessing.color}"
            for result, entry in ((a, old), (b, new))
            for each in result.bundles
            if each.title == entry.bundle
        ]
        if len(set(sizes)) > 1:
            yield f"{name} takes {sizes[0]} in A and {sizes[1]} in B"
