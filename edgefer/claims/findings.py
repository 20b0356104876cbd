"""Runs one check: computes the number, and compares the claim with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

from edgefer.claims import arithmetic, checks, images, ledger, spans
from edgefer.claims.checks import Check, TimmNetwork
from edgefer.claims.ledger import Claim
from edgefer.claims.spans import SCALES, Span
from edgefer.data.dataset import Dataset
from edgefer.errors import MissingExtra

By = Literal["arithmetic", "data", "network"]
Lack = Literal["FER2013", "the extra train"]

# Plural names of a check's numbers.
_MANY = {"precision": "precisions", "recall": "recalls", "f1": "F1", "support": "supports"}


@dataclass(frozen=True)
class CheckFinding:
    """Result of a check.

    Attributes:
        agrees: whether the claim agrees with the number; None if something is missing.
        by: the method.
        found: the number as text; "" for none.
        says: the finding as a sentence, without its full stop.
        beside: ids of the other claims that it was compared with.
        lacks: what is missing.
        decides: False if the check was fitted to the claim, so it neither contradicts nor confirms.
    """

    agrees: bool | None
    by: By
    found: str
    says: str
    beside: tuple[str, ...] = ()
    lacks: Lack | None = None
    decides: bool = True


@dataclass(frozen=True)
class Sources:
    """Inputs of the checks.

    Attributes:
        claims: all claims by id.
        dataset: FER2013, or None if not given.
    """

    claims: Mapping[str, Claim]
    dataset: Dataset | None = None


def find(check: Check, claim: Claim, sources: Sources) -> CheckFinding:
    """Run a check on a claim."""
    return _FIND[check.kind](check, claim, sources)


def shown(value: Fraction, claim: Claim) -> str:
    """Return a number in a claim's unit, with one digit more than the claim."""
    if claim.unit == "" and value.denominator == 1 and (claim.reading != "magnitude") and "." not in claim.value:
        return f"{int(value):,}"
    digits = spans.decimals(claim.value) + 1
    number = f"{float(value / Fraction(SCALES[claim.unit])):,.{digits}f}"
    return f"{number} {claim.unit}".rstrip()


def written(claim: Claim) -> str:
    """Return a claim's number with its unit and qualifier: ``over 60 %``."""
    value = " to ".join(f"{int(each):,}" if "." not in each else each for each in (claim.value, claim.to) if each)
    how = {"about": "about ", "over": "over ", "magnitude": "order of "}.get(claim.reading, "")
    return f"{how}{value} {claim.unit}".rstrip()


def _spread(span: Span, claim: Claim) -> str:
    """Return a number, with its rounding bounds if they differ from it."""
    low, mid, high = (shown(value, claim) for value in (span.low, span.mid, span.high))
    return mid if low == high else f"{mid} ({low} to {high} by rounding)"


def _derived(claim: Claim, span: Span, start: str, beside: Sequence[str] = ()) -> CheckFinding:
    return CheckFinding(
        claim.span.meets(span), "arithmetic", shown(span.mid, claim), f"{start} {_spread(span, claim)}", tuple(beside)
    )


def _column(sources: Sources, name: str) -> tuple[list[Span], list[Claim]]:
    claims = list(ledger.matching(sources.claims, name).values())
    return [claim.span for claim in claims], claims


def _counts(sources: Sources, name: str) -> list[int]:
    return [int(claim.value) for claim in ledger.matching(sources.claims, name).values()]


def _plural(name: str) -> str:
    return _MANY.get(name.rpartition(".")[2], "numbers")


def _f1(check: checks.F1, claim: Claim, sources: Sources) -> CheckFinding:
    precision, recall = sources.claims[check.precision], sources.claims[check.recall]
    start = f"precision {precision.value} and recall {recall.value} give"
    return _derived(claim, arithmetic.f1(precision.span, recall.span), start)


def _mean(check: checks.MeanCheck, claim: Claim, sources: Sources) -> CheckFinding:
    values, _ = _column(sources, check.of)
    start = f"the mean of the {len(values)} {_plural(check.of)} is"
    return _derived(claim, arithmetic.mean(values), start)


def _weighted(check: checks.Weighted, claim: Claim, sources: Sources) -> CheckFinding:
    values, _ = _column(sources, check.of)
    supports = _counts(sources, check.supports)
    start = f"the mean of the {len(values)} {_plural(check.of)} over the {sum(supports):,} images is"
    return _derived(claim, arithmetic.mean(values, supports), start)


def _accuracy(check: checks.AccuracyCheck, claim: Claim, sources: Sources) -> CheckFinding:
    recalls, _ = _column(sources, check.recalls)
    supports = _counts(sources, check.supports)
    span = arithmetic.accuracy(recalls, supports)
    if span is None:
        return _impossible(check.recalls)
    start = f"the {len(recalls)} recalls and their supports, {sum(supports):,} images, give"
    return _derived(claim, span, start)


def _predictions(check: checks.Predictions, claim: Claim, sources: Sources) -> CheckFinding:
    precisions, _ = _column(sources, check.precisions)
    recalls, _ = _column(sources, check.recalls)
    supports = _counts(sources, check.supports)
    span = arithmetic.predictions(precisions, recalls, supports)
    if span is None:
        return _impossible(check.recalls)
    low, mid, high = (round(value) for value in (span.low, span.mid, span.high))
    spread = f"{mid:,}" if low == high else f"{low:,} to {high:,}"
    says = f"the precisions and recalls imply {spread} predictions for {sum(supports):,} images"
    return CheckFinding(span.low <= sum(supports) <= span.high, "arithmetic", "", says)


def _micro_precision(check: checks.MicroPrecision, claim: Claim, sources: Sources) -> CheckFinding:
    precisions, _ = _column(sources, check.precisions)
    recalls, _ = _column(sources, check.recalls)
    span = arithmetic.micro_precision(precisions, recalls, _counts(sources, check.supports))
    if span is None:
        return _impossible(check.recalls)
    return _derived(claim, span, "all hits over all predictions, from the precisions, recalls and supports, are")


def _impossible(recalls: str) -> CheckFinding:
    return CheckFinding(False, "arithmetic", "", f"no whole numbers of images give the {_plural(recalls)}")


def _sum(check: checks.Sum, claim: Claim, sources: Sources) -> CheckFinding:
    values = [span for name in check.of for span in _column(sources, name)[0]]
    start = f"its {len(values)} parts add up to"
    single = [name for name in check.of if "*" not in name]
    return _derived(claim, arithmetic.total(values), start, single)


def _part(check: checks.PartCheck, claim: Claim, sources: Sources) -> CheckFinding:
    whole, others = sources.claims[check.whole], [sources.claims[name] for name in check.others]
    rest = arithmetic.total([other.span for other in others])
    found = Span(whole.span.low - rest.high, whole.span.mid - rest.mid, whole.span.high - rest.low)
    start = f"“{whole.quote}” minus {' and '.join(f'“{other.quote}”' for other in others)} is"
    return _derived(claim, found, start, (whole.id, *check.others))


def _agrees(check: checks.Agrees, claim: Claim, sources: Sources) -> CheckFinding:
    other = sources.claims[check.other]
    agrees = claim.span.meets(other.span)
    where = other.place if other.document == claim.document else f"{other.document}, {other.place}"
    says = f"{where} has “{other.quote}” {'too' if agrees else 'instead'}"
    return CheckFinding(agrees, "arithmetic", written(other), says, (other.id,))


def _attainable(check: checks.Attainable, claim: Claim, sources: Sources) -> CheckFinding:
    totals = check.images or (int(sources.claims[str(check.support)].value),)
    fitting = {each: arithmetic.attainable(claim.span, each) for each in totals}
    said = []
    for total, right in fitting.items():
        if right is None:
            said.append(f"no whole number of {total:,} images is {written(claim)}")
        else:
            which = f"{int(right.low):,}" if right.low == right.high else f"{int(right.low):,} to {int(right.high):,}"
            said.append(f"{which} of {total:,} images are {written(claim)}")
    return CheckFinding(any(right is not None for right in fitting.values()), "arithmetic", "", ", ".join(said))


def _least(check: checks.Least, claim: Claim, sources: Sources) -> CheckFinding:
    values, claims = _column(sources, check.of)
    least = min(claims, key=lambda each: each.span.mid)
    agrees = claim.span.low <= min(value.high for value in values)
    says = f"the lowest of the {len(values)} {_plural(check.of)} is {least.quote} ({least.place})"
    return CheckFinding(agrees, "arithmetic", written(least), says, (least.id,))


def _ratio(check: checks.Ratio, claim: Claim, sources: Sources) -> CheckFinding:
    over, under = sources.claims[check.over], sources.claims[check.under]
    found = arithmetic.ratio(over.span, under.span)
    return _derived(claim, found, f"“{over.quote}” divided by “{under.quote}” is", (over.id, under.id))


def _reduction(check: checks.Reduction, claim: Claim, sources: Sources) -> CheckFinding:
    before, after = sources.claims[check.before], sources.claims[check.after]
    found = arithmetic.reduction(before.span, after.span)
    start = f"from “{before.quote}” to “{after.quote}” ({after.place}) it is"
    return _derived(claim, found, start, (before.id, after.id))


def _bytes(check: checks.Bytes, claim: Claim, sources: Sources) -> CheckFinding:
    of = sources.claims[check.of]
    count = int(of.span.mid)
    size = Fraction(count * check.each)
    says = f"{count:,} numbers of {check.each} bytes are {shown(size, claim)}"
    if not _within(claim, size) and check.wide:
        size += check.wide * (8 - check.each)
        says += f", or {shown(size, claim)} if {check.wide} of them has 8"
    return CheckFinding(_within(claim, size), "arithmetic", shown(size, claim), says, (of.id,))


def _images(check: checks.ImagesCheck, claim: Claim, sources: Sources) -> CheckFinding:
    if sources.dataset is None:
        return CheckFinding(None, "data", "", "it needs FER2013", lacks="FER2013")
    dataset = sources.dataset
    if check.what in ("classes", "side"):
        value = images.count(dataset, check, "all")
        what = "classes" if check.what == "classes" else "pixels per image side"
        return CheckFinding(_within(claim, value), "data", f"{int(value)}", f"FER2013 has {int(value)} {what}")
    values = {split: images.count(dataset, check, split) for split in check.splits}
    best = next((split for split, value in values.items() if _within(claim, value)), check.splits[0])
    whose = {"all": "images", "class": f"images of {' and '.join(check.labels)}"}.get(
        check.what, f"mean images per class except {' and '.join(check.labels)}"
    )
    chosen = [best] if _within(claim, values[best]) else list(values)
    says = " and ".join(f"{shown(values[split], claim)} in {images.TITLES[split]}" for split in chosen)
    return CheckFinding(_within(claim, values[best]), "data", shown(values[best], claim), f"counted {whose}: {says}")


def _within(claim: Claim, value: Fraction) -> bool:
    return claim.span.meets(spans.point(value))


def _parameters(check: checks.ParameterCheck, claim: Claim, sources: Sources) -> CheckFinding:
    try:
        from edgefer.claims import networks
    except MissingExtra:
        return _no_extra() if not check.fitted else replace(_no_extra(), lacks=None, decides=False)
    counted = [(network, Fraction(networks.parameters(network))) for network in check.networks]
    agrees = all(_within(claim, value) for _, value in counted)
    said = ", ".join(f"{network.title} has {_exact(value, claim)}" for network, value in counted)
    for network in check.explained:
        value = Fraction(networks.parameters(network))
        if not agrees and _within(claim, value):
            said += f"; {_exact(value, claim)} is {network.title}"
    if check.fitted:
        said += ", with layers chosen to match the figure, so it decides nothing"
    values = [shown(value, claim) for value in sorted({value for _, value in counted})]
    found = values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"
    return CheckFinding(agrees, "network", found, said, decides=not check.fitted)


def _exact(value: Fraction, claim: Claim) -> str:
    return f"{int(value):,}" if claim.unit == "" else f"{shown(value, claim)} ({int(value):,})"


def _parameter_ratio(check: checks.ParameterRatio, claim: Claim, sources: Sources) -> CheckFinding:
    try:
        from edgefer.claims import networks
    except MissingExtra:
        return _no_extra()

    def count(network: TimmNetwork) -> int:
        return networks.parameters(network)

    value = Fraction(count(check.over), count(check.under))
    says = (
        f"counted, {check.over.title} has {shown(value, claim)} times as many parameters as {check.under.title}: "
        f"{count(check.over):,} and {count(check.under):,}"
    )
    return CheckFinding(_within(claim, value), "network", shown(value, claim), says)


def _input(check: checks.Input, claim: Claim, sources: Sources) -> CheckFinding:
    try:
        from edgefer.claims import networks
    except MissingExtra:
        return _no_extra()
    value = networks.side(check.network)
    says = f"the input of timm's {check.network} has {value} x {value} pixels"
    return CheckFinding(_within(claim, Fraction(value)), "network", str(value), says)


def _no_extra() -> CheckFinding:
    return CheckFinding(None, "network", "", "it needs torch and timm to count parameters", lacks="the extra train")


_FIND: dict[str, Callable[[Any, Claim, Sources], CheckFinding]] = {
    "f1": _f1,
    "mean": _mean,
    "weighted": _weighted,
    "accuracy": _accuracy,
    "predictions": _predictions,
    "micro-precision": _micro_precision,
    "sum": _sum,
    "part": _part,
    "agrees": _agrees,
    "attainable": _attainable,
    "least": _least,
    "ratio": _ratio,
    "reduction": _reduction,
    "bytes": _bytes,
    "images": _images,
    "parameters": _parameters,
    "parameter-ratio": _parameter_ratio,
    "input": _input,
}
