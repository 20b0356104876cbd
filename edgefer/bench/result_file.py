"""Reads a bench's result from an untrusted file, with checks before any figure is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from edgefer import limits
from edgefer.bench.result import FORMAT, BenchResult, Evaluation, NetworkEntry, Quality
from edgefer.errors import InputError
from edgefer.evaluation.by_group import ColumnFigures
from edgefer.lines import complaint, one_line, printable

RESULT, PROJECTION = "result.json", "projection.json"

_MOST = 1 << 63  # of a number: larger ones would overflow in divisions
_SAID = 200  # characters quoted from a file in an error
_PRINTED = (
    "command",
    "result",
    "report",
    "submission",
    "csv",
    "claims",
)  # fields that `bench --json` adds to the result


def read(path: Path) -> BenchResult:
    """Read a result.

    Args:
        path: a `result.json`, what `edgefer bench --json` printed, or the folder of a bench.

    Returns:
        The result; control characters in its texts are escaped for terminals.

    Raises:
        InputError: it is missing, or not one that a bench could have written.
    """
    file = _file(path)
    return checked(values(file), file)


def values(file: Path) -> Any:
    """Return the JSON values of a file of at most a result's size.

    Raises:
        InputError: it is too large, nested too deeply, or not JSON.
    """
    content = limits.read_bytes(file, limits.RESULT)
    limits.check_json(content, str(file))
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise InputError(f"{file} is not valid JSON: {one_line(error, 200)}; was it copied completely?") from error


def checked(raw: Any, file: Path) -> BenchResult:
    """Parse a result from JSON values.

    Raises:
        InputError: a bench could not have written them.
    """
    _check_kind(file, raw)
    try:
        cleaned = _clean({name: value for name, value in raw.items() if name not in _PRINTED})
        result = BenchResult.model_validate_json(to_json(cleaned), strict=True)
    except ValidationError as error:
        said = _short(complaint(error))
        raise InputError(f"{file} is not a result of this edgefer: {said}; run edgefer bench again") from error
    except ValueError as error:
        raise InputError(f"{file} is not a result of edgefer bench: {error}") from error
    _check(file, result)
    return result


def _file(path: Path) -> Path:
    if path.is_dir():
        if not (path / RESULT).exists() and (path / PROJECTION).exists():
            raise _nothing_measured(path / PROJECTION)
        path = path / RESULT
    if not path.exists():
        raise InputError(f"{path} is not there; name a {RESULT}, or the folder of a bench")
    return path


def _nothing_measured(path: Path) -> InputError:
    return InputError(f"{path} is a projection: it contains no measurement to compare")


def _check_kind(file: Path, raw: Any) -> None:
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if kind == "edgefer projection":
        raise _nothing_measured(file)
    if kind != "edgefer bench":
        if isinstance(raw, dict) and isinstance(raw.get("error"), str):
            raise InputError(f"{file} has an error instead of a result: {_short(raw['error'])}")
        raise InputError(f"{file} is not a result of edgefer bench; name the {RESULT} that it wrote")
    if raw.get("format") != FORMAT:
        stated = _short(repr(raw.get("format")))
        raise InputError(f"{file} has format {stated}, this edgefer reads {FORMAT}; install the edgefer that wrote it")


def _clean(value: Any) -> Any:
    """Return JSON with printable texts; the parser has bounded its depth.

    Raises:
        ValueError: a number is out of range.
    """
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {printable(name): _clean(each) for name, each in value.items()}
    if isinstance(value, (int, float)) and not abs(value) < _MOST:  # nor is NaN
        raise ValueError("a number is out of range")
    return value


def _check(file: Path, result: BenchResult) -> None:
    """Refuse values that the schema allows but no bench writes.

    Raises:
        InputError: there are some.
    """
    if not result.networks:
        raise InputError(f"{file} has no networks")
    titles = [bundle.title for bundle in result.bundles]
    names = [f"{entry.bundle} {entry.network} on {entry.device}" for entry in result.networks]
    for entry, name in zip(result.networks, names, strict=True):
        if names.count(name) > 1 or titles.count(entry.bundle) != 1:
            raise InputError(f"{file} lists {_short(name)} more than once, or without its bundle")
        if not _possible(entry) or not _fits(entry, len(result.data.classes)):
            raise InputError(f"{file}: the figures of {_short(name)} are inconsistent")
        if not _names_its_data(entry, result) or not all(map(_groups_fit, entry.groups)):
            raise InputError(f"{file}: the figures of {_short(name)} by data set or group are inconsistent")


def _possible(entry: NetworkEntry) -> bool:
    time, memory = entry.latency, entry.memory
    judged: list[NetworkEntry | Evaluation] = [entry, *entry.evaluations]
    times = [value for value in (time.p50, time.p90, time.p95, time.p99) if value is not None]
    return (
        entry.file_bytes > 0
        and time.samples > 0
        and time.coefficient_of_variation >= 0
        and 0 < time.fastest <= times[0]
        and times == sorted(times)
        and times[-1] <= time.slowest
        and time.mean > 0
        and (not entry.quantiles or (len(entry.quantiles) == 101 and entry.quantiles == sorted(entry.quantiles)))
        and (memory is None or (memory.baseline > 0 and memory.steady > 0 and memory.peak > 0))
        and all(
            quality is None or _is_share(quality)
            for each in judged
            for quality in (each.quality, each.leak_free, each.shared)
        )
    )


def _names_its_data(entry: NetworkEntry, result: BenchResult) -> bool:
    """Return whether an entry's evaluations are the result's data sets and protocols, each once."""
    titles = [result.data.name, *(each.title for each in result.further_data)]
    said = [(each.data, each.protocol) for each in entry.evaluations]
    classes = len(result.data.classes)
    return (
        len({*titles}) == len(titles)
        and len({*said}) == len(said)
        and all(data in titles for data, _ in said)
        and (result.data.name, "one-crop") not in said
        and all(_fits(each, classes) for each in entry.evaluations)
    )


def _groups_fit(column: ColumnFigures) -> bool:
    shares = [share for each in column.groups for share in (each.accuracy, each.calibration_error)]
    recalls = [each for group in column.groups for each in group.recall]
    gap = column.gap
    people = [*(each.people or 0 for each in column.groups), *(each.people or 0 for each in column.small)]
    return (
        min(column.unknown, *people, 0) >= 0
        and all(0 <= each.estimate <= 1 and 0 <= each.low <= each.high <= 1 for each in shares)
        and all(each.images > 0 and 0 <= each.recall <= 1 and 0 <= each.low <= each.high <= 1 for each in recalls)
        and all(each.images > 0 for each in column.groups)
        and all(each.images > 0 for each in column.small)
        and (gap is None or (0 <= gap.difference <= 1 and 0 < gap.p <= gap.p_corrected <= 1))
    )


def _fits(entry: NetworkEntry | Evaluation, classes: int) -> bool:
    return len(entry.per_class) == len(entry.confusion) == classes and all(
        len(row) == classes and min(row) >= 0 for row in entry.confusion
    )


def _is_share(quality: Quality) -> bool:
    shares = (quality.macro_f1, quality.weighted_f1, quality.calibration_error)
    # Wilson's bounds, computed in floating point, may miss an accuracy of 0 or 1 by the last digit.
    ordered = (
        0 <= quality.low <= quality.accuracy + 1e-9 and quality.accuracy <= quality.high + 1e-9 and quality.high <= 1
    )
    return quality.images > 0 and ordered and 0 <= quality.accuracy <= 1 and all(0 <= share <= 1 for share in shares)


def _short(text: str) -> str:
    return one_line(text, _SAID)
