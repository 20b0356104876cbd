"""Accuracy over latency and over file size, of edgefer's networks and of what people install: from peers.json.

python benchmarks/peers_plot.py [--peers FILE.json] [--out FILE.png]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from edgefer import paths

RESULTS = Path(__file__).parent / "results"
# What documents in the field say of the networks whose speed was measured, in their own protocols: not measured here.
CLAIMED = {
    "efficientnet_b0, 224 px, FP32": (69.0, "spatial attention"),
    "efficientnet_b2, 260 px, FP32": (68.78, "two stages"),
}
OURS, OTHERS, SAID = "#1a5fb4", "#5e5c64", "#c64600"


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=RESULTS / "peers.json")
    parser.add_argument("--out", type=Path, default=RESULTS / "peers.png")
    arguments = parser.parse_args()
    peers = json.loads(arguments.peers.read_text(encoding="utf-8"))["peers"]
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    axes = {"latency": "latency of one inference, one thread, ms", "size": "file, MB"}
    for panel, (kind, label) in zip(panels, axes.items(), strict=True):
        for title, peer in peers.items():
            if "latency" not in peer:
                continue
            x = peer["latency"]["p50"] if kind == "latency" else peer["file_bytes"] / 1e6
            if "test" in peer:
                ours = title.startswith("edgefer")
                colour = OURS if ours else OTHERS
                panel.plot(x, 100 * peer["test"]["accuracy"], "o", color=colour, markersize=9 if ours else 7)
                text, y = title.partition(",")[0] if ours else title, 100 * peer["test"]["accuracy"]
            elif title in CLAIMED:
                y, what = CLAIMED[title]
                panel.plot(x, y, "o", markerfacecolor="none", color=SAID, markersize=7)
                text, colour = f"{title.partition(',')[0]}, {what}\n(accuracy claimed)", SAID
            else:
                continue
            panel.annotate(text, (x, y), textcoords="offset points", xytext=(8, 5), fontsize=8, color=colour)
        panel.set_xscale("log")
        panel.set_xlabel(label)
        panel.grid(True, which="major", alpha=0.3)
        panel.margins(0.25, 0.25)
    panels[0].set_ylabel("FER2013, PrivateTest, %")
    with paths.write_atomically(arguments.out) as part:
        figure.savefig(part, format="png", dpi=130)


if __name__ == "__main__":
    main()
