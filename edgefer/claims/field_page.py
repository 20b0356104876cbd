"""The page "What FER papers claim": one row per claim, sortable and filterable, plus JSON and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from edgefer.claims import field, table
from edgefer.claims.field import MeasuredSystem
from edgefer.claims.result import VERDICTS, ClaimsResult, DocumentTally, Entry
from edgefer.pages import page, svg
from edgefer.pages.svg import Markup

PAGE, JSON, CSV = "index.html", "claims.json", "claims.csv"
_COLUMNS = (
    "id",
    "document",
    "source",
    "place",
    "quote",
    "metric",
    "claimed",
    "verdict",
    "reason",
    "found",
    "views",
    "networks",
    "checkpoint chosen on",
    "tested on",
    "extra data",
    "pretraining",
    "read",
    "code",
    "reported",
    "measured here",
)
_WIDTH, _ROW = 380.0, 34.0  # names stand above their lines, so the chart fits a phone


def write(result: ClaimsResult) -> dict[str, str]:
    """Return the page's files by name: `PAGE` (self-contained), `JSON` and `CSV`.

    Args:
        result: the decided ledger.
    """
    documents = {each.document: each for each in result.documents}
    entries = sorted(result.entries, key=lambda entry: entry.protocol is None)  # published systems first
    return {
        PAGE: page.html(
            Path(__file__).with_name("field_page.html.j2"),
            result=result,
            entries=entries,
            documents=documents,
            chart=_chart([entry for entry in entries if entry.protocol], result.ours, documents),
            table=table,
            number=_number,
            verdicts=VERDICTS,
            wanted=field.WANTED,
        ),
        JSON: result.model_dump_json(indent=1) + "\n",
        CSV: _csv(entries, documents),
    }


def _csv(entries: Sequence[Entry], documents: dict[str, DocumentTally]) -> str:
    lines = io.StringIO()
    writer = csv.DictWriter(lines, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        how = entry.protocol
        row: dict[str, object] = {
            "id": entry.id,
            "document": documents[entry.document].title,
            "source": documents[entry.document].source,
            "place": entry.place,
            "quote": entry.quote,
            "metric": entry.metric,
            "claimed": entry.claimed,
            "verdict": entry.verdict,
            "reason": entry.reason,
            "found": entry.found,
            "tested on": entry.conditions.split,
            "pretraining": entry.conditions.pretraining,
            "measured here": "; ".join(f"{each.network}: {share(each)}" for each in entry.here),
        }
        if how:
            row |= {
                "views": how.crops,
                "networks": how.networks,
                "checkpoint chosen on": how.chosen_on,
                "tested on": how.tested_on,
                "extra data": how.extra_data,
                "pretraining": how.pretraining,
                "read": how.read,
                "code": "; ".join(f"{each.says} ({each.where}, {each.url})" for each in how.code),
                "reported": "; ".join(f"{each.says} ({each.where}, {each.url})" for each in how.reported),
            }
        writer.writerow(row)
    return lines.getvalue()


def share(measured: MeasuredSystem) -> str:
    """Return an accuracy with its interval, in percent."""
    return f"{100 * measured.accuracy:.2f} % ({100 * measured.low:.1f} to {100 * measured.high:.1f})"


def _chart(entries: Sequence[Entry], ours: Sequence[MeasuredSystem], documents: dict[str, DocumentTally]) -> Markup:
    """Return the chart of claimed and measured accuracy, one line per claim, the highest first."""
    claims = sorted(entries, key=lambda entry: -_number(entry))
    height = _ROW * (len(claims) + len(ours)) + 64
    x = svg.Scale(50, 85, 12, _WIDTH - 12)
    bottom = height - 40
    parts = []
    for value in range(50, 90, 5):
        parts.append(svg.element("line", x1=x(value), x2=x(value), y1=8, y2=bottom, class_="grid"))
        parts.append(svg.text(x(value), bottom + 15, f"{value}"))
    parts.append(svg.text((x.start + x.end) / 2, bottom + 33, "accuracy on FER2013, percent", "axis"))
    place = 8 + _ROW * 0.7
    for entry in claims:
        name = f"{documents[entry.document].title}{' and others' if _together(entry) else ''}"
        parts.append(svg.text(2, place - 9, f"{name}: {entry.claimed}", "name", "start"))
        claimed = svg.mark("diamond", x(_number(entry)), place, 5, f"claim {entry.verdict.replace(' ', '-')}")
        title = svg.element("title", f"{name}: claims {entry.claimed}; {entry.verdict}: {entry.reason}")
        parts.append(svg.element("g", claimed, title, class_="tip"))
        parts += [_measured(each, x, place) for each in entry.here[:1]]
        place += _ROW
    for each in ours:
        parts.append(svg.text(2, place - 9, f"{each.network}, {each.crops}: measured", "name", "start"))
        parts.append(_measured(each, x, place))
        place += _ROW
    alternative = "Claimed and measured accuracies; the table below has the same figures."
    return svg.chart(_WIDTH, height, alternative, *parts)


def _measured(each: MeasuredSystem, x: svg.Scale, y: float) -> Markup:
    bar = svg.element("line", x1=x(100 * each.low), x2=x(100 * each.high), y1=y, y2=y, class_="range")
    point = svg.mark("circle", x(100 * each.accuracy), y, 4.5, "here")
    said = f"{each.network}: measured {share(each)}, {each.crops}, {each.images:,} images of {each.tested_on}"
    return svg.element("g", bar, point, svg.element("title", said), class_="tip")


def _together(entry: Entry) -> bool:
    return entry.protocol is not None and entry.protocol.networks > 1


def _number(entry: Entry) -> float:
    """Return a claim's number (the start of a range) in its unit; "M" is multiplied out."""
    found = re.search(r"[0-9][0-9,]*\.?[0-9]*", entry.claimed)
    scale = 1e6 if entry.claimed.endswith(" M") else 1.0
    return float(found[0].replace(",", "")) * scale if found else 0.0
