"""A diagnosis as a plot (extra `report`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from edgefer import paths
from edgefer.compression.diagnosis import Damage
from edgefer.errors import MissingExtra

try:
    import matplotlib
    from matplotlib.figure import Figure
except ModuleNotFoundError as missing:
    raise MissingExtra.of(missing, "report") from None

_COLORS = {"layer": "#4c6a92", "weight": "#c2703d", "activation": "#3c8f6f"}
_MARKERS = {"layer": "s", "weight": "o", "activation": "^"}
_WORST = 15  # parts with a bar
_NAMED = 3  # points with a label


def draw(file: Path, damages: Sequence[Damage], title: str) -> None:
    """Draw the worst parts as bars, and every tensor's damage over its SNR, as PNG.

    Args:
        file: the output file.
        damages: from `diagnose`, worst first.
        title: of the plot.
    """
    worst = list(damages[:_WORST])
    tensors = [each for each in damages if each.snr is not None and math.isfinite(each.snr)]
    with matplotlib.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        figure = Figure(figsize=(11, 0.9 + 0.32 * max(len(worst), 8)), layout="constrained")
        bars, points = figure.subplots(1, 2, width_ratios=[3, 2])
        figure.suptitle(title, x=0.01, ha="left")
        bars.barh(range(len(worst)), [each.loss for each in worst], color=[_COLORS[each.part.kind] for each in worst])
        bars.set_yticks(range(len(worst)), [each.part.title for each in worst])
        bars.invert_yaxis()
        bars.axvline(0, color="black", linewidth=0.8)
        bars.set_xlabel("cross-entropy lost in INT8")
        for place, each in enumerate(worst):
            note = f" {each.accuracy:+.2f} points, {each.milliseconds:+.3f} ms"
            bars.annotate(note, (max(each.loss, 0), place), va="center", fontsize=8, annotation_clip=False)
        bars.margins(x=0.35)
        bars.locator_params(axis="x", nbins=6)
        for kind, color in _COLORS.items():
            fitting = [each for each in tensors if each.part.kind == kind]
            bars.scatter([], [], color=color, marker="s", label=kind)
            points.scatter(
                [each.snr for each in fitting], [each.loss for each in fitting], 18, color=color, marker=_MARKERS[kind]
            )
        for each in tensors[:_NAMED]:
            points.annotate(
                each.part.name, (each.snr or 0, each.loss), xytext=(5, 4), textcoords="offset points", fontsize=8
            )
        points.axhline(0, color="black", linewidth=0.8)
        points.set_xlabel("signal to rounding and clipping noise, dB")
        points.set_ylabel("cross-entropy lost in INT8")
        figure.legend(loc="outside upper right", ncols=3, frameon=False)
        with paths.write_atomically(file) as part:
            figure.savefig(part, format="png", dpi=150, metadata={"Software": None})
