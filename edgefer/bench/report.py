"""A bench's result as one HTML file that needs nothing else (extra `report`)."""

from __future__ import annotations

import html as escaping
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgefer.bench import table
from edgefer.bench.result import NetworkEntry, Result
from edgefer.errors import MissingExtra
from edgefer.evaluation.corruptions import STRENGTHS

try:
    import matplotlib
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from matplotlib.figure import Figure
except ModuleNotFoundError as missing:
    raise MissingExtra((missing.name or "a package").partition(".")[0], "report") from None

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_NAMED = 6  # points of a chart that get their name; more get the number of their row

# Placeholders that matplotlib takes for colours, and what the page's style sheet calls them in either theme.
_INK, _FAINT = "#010101", "#020202"
_COLORS = {"fp32": "#030303", "fp16": "#040404", "int8": "#050505"}
_VARIABLES = {_INK: "--ink", _FAINT: "--faint", **{color: f"--{name}" for name, color in _COLORS.items()}}
_MARKERS = {"fp32": "o", "fp16": "D", "int8": "s"}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: sharp, searchable, in the page's own font
    "svg.hashsalt": "edgefer",
    "text.parse_math": False,  # a label may hold dollar signs
    "font.size": 10.5,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.alpha": 0.35,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
}


def html(result: Result) -> str:
    """Return the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    bundles = [(bundle, [e for e in result.networks if e.bundle == bundle.title]) for bundle in result.bundles]
    return template.render(
        result=result,
        bundles=bundles,
        table=table,
        title=_title(result),
        scatter=_accuracy_over_latency(result),
        bars=[_per_class(result, entries, number) for number, (_, entries) in enumerate(bundles)],
        numbered=len(result.networks) > _NAMED,
        curves=[_robustness(result, entries, number) for number, (_, entries) in enumerate(bundles)],
        strengths=STRENGTHS,
    )


def _title(result: Result) -> str:
    names = [bundle.title for bundle in result.bundles]
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} bundles"


def _accuracy_over_latency(result: Result) -> Markup:
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for number, entry in enumerate(result.networks, start=1):
            quality = entry.quality
            x, y = entry.latency.p50, 100 * quality.accuracy
            axes.errorbar(
                x,
                y,
                yerr=[[y - 100 * quality.low], [100 * quality.high - y]],
                fmt=_MARKERS[entry.precision],
                color=_COLORS[entry.precision],
                markersize=8,
                elinewidth=1.2,
                capsize=3,
            )
            text = table.name(result, entry) if len(result.networks) <= _NAMED else str(number)
            axes.annotate(text, (x, y), xytext=(7, 6), textcoords="offset points")
        axes.margins(y=0.15)
        axes.set_xlim(0, 1.25 * max(entry.latency.p50 for entry in result.networks))  # room for the last name
        axes.set_xlabel("latency, p50, ms")
        axes.set_ylabel("accuracy, %")
    said = [
        f"{table.name(result, entry)}: {100 * entry.quality.accuracy:.2f} % at {entry.latency.p50:.3f} ms"
        for entry in result.networks
    ]
    return _svg(figure, table.marked(result, f"Accuracy over latency. {'; '.join(said)}"), "scatter")


def _per_class(result: Result, entries: Sequence[NetworkEntry], number: int) -> Markup:
    labels = result.data.classes
    height = 0.8 / len(entries)
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(4.8, 0.7 + 0.4 * len(labels)), layout="constrained")
        axes = figure.add_subplot()
        for place, entry in enumerate(entries):
            axes.barh(
                [row + (place - (len(entries) - 1) / 2) * height for row in range(len(labels))],
                [row.f1 for row in entry.per_class],
                height * 0.9,
                color=_COLORS[entry.precision],
                label=entry.network,
            )
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 1)
        axes.set_xlabel("F1")
        figure.legend(loc="outside upper left", ncols=len(entries))
    said = [
        f"{entry.network}: " + ", ".join(f"{row.label} {row.f1:.2f}" for row in entry.per_class) for entry in entries
    ]
    return _svg(figure, table.marked(result, f"F1 for each class. {'; '.join(said)}"), f"bars{number}")


def _robustness(result: Result, entries: Sequence[NetworkEntry], number: int) -> Markup | None:
    """One small chart for each kind of change, FP32 and INT8 in each; None where none was measured."""
    worse = [(entry, entry.robustness) for entry in entries if entry.robustness]
    if not worse:
        return None
    kinds = list(worse[0][1].accuracy)
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(9.6, 4.8), layout="constrained")
        charts = figure.subplots(2, -(-len(kinds) // 2), sharex=True, sharey=True).ravel()
        for axes, kind in zip(charts, kinds, strict=False):
            for entry, each in worse:
                axes.plot(
                    (0, *STRENGTHS),
                    [100 * value for value in (each.clean, *each.accuracy[kind])],
                    marker=_MARKERS[entry.precision],
                    color=_COLORS[entry.precision],
                    markersize=4,
                    linewidth=1.4,
                    label=entry.network,
                )
            axes.set_title(kind, fontsize=10.5, color=_INK)
            axes.set_xticks((0, *STRENGTHS))
        for axes in charts[len(kinds) :]:
            axes.set_visible(False)
        charts[0].set_ylim(bottom=0)
        figure.supxlabel("strength (0: as they are)", fontsize=10.5, color=_INK)
        figure.supylabel("accuracy, %", fontsize=10.5, color=_INK)
        figure.legend(*charts[0].get_legend_handles_labels(), loc="outside upper left", ncols=len(worse))
    said = [
        f"{entry.network}: {100 * each.clean:.1f} % as they are, {100 * each.mean:.1f} % over all"
        for entry, each in worse
    ]
    return _svg(figure, table.marked(result, f"Accuracy on worse pictures. {'; '.join(said)}"), f"worse{number}")


def _svg(figure: Figure, alternative: str, prefix: str) -> Markup:
    """Return a figure as an SVG element that takes its colours from the page.

    Args:
        figure: drawn with `_SETTINGS`.
        alternative: what a screen reader says instead.
        prefix: makes the element's ids unique in the page.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg ") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'^<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf"<svg {_role(alternative)} \1>", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{prefix}-", text)
    text = re.sub(r"(font: [\d.]+px) [^;\"]*", r"\1 inherit", text)
    for color, variable in _VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    return Markup(text)


def _role(alternative: str) -> str:
    label = escaping.escape(alternative).replace("\\", r"\\")  # it becomes part of a replacement pattern
    return f'role="img" aria-label="{label}"'
