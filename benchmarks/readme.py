"""Write README's tables of results from the JSON files in benchmarks/results, so that no figure is typed by hand.

python benchmarks/readme.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from edgefer import console

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
RESULTS = HERE / "results"
NAMES = {"fp32": "FP32, BN fused", "int8-cpu": "INT8"}


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return content


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def fer2013() -> str:
    """FER2013: what `train`, `compress` and `bench` measured on the default recipe's network."""
    trained, compressed, bench = (read(f"fer2013/{name}.json") for name in ("train", "compress", "bench"))
    bundle = bench["bundles"][0]
    against = bench["comparisons"][0]
    rows = [
        [
            NAMES[network["network"]],
            f"**{percent(network['quality']['accuracy'])}**",
            percent(network["leak_free"]["accuracy"]),
            f"{network['quality']['macro_f1']:.3f}",
            f"{network['latency']['p50']:.2f} / {network['latency']['p90']:.2f} ms",
            f"{network['file_bytes'] / 1e6:.2f} MB",
            f"{network['memory']['peak'] / 1e6:.0f} MB" if network["memory"] else "",
        ]
        for network in bench["networks"]
    ]
    latency = against["latency"]
    machine = bench["machine"]
    vnni = ", VNNI" if "avx512_vnni" in machine["flags"] or "avx_vnni" in machine["flags"] else ""
    data = bench["data"]
    return "\n".join(
        [
            table(
                ["`compact`", "PrivateTest", "without copies", "macro F1", "latency p50 / p90", "file", "peak memory"],
                rows,
            ),
            "",
            f"INT8 over FP32: {latency['estimate']:.2f}x latency (95 % interval {latency['low']:.2f} to "
            f"{latency['high']:.2f}), {against['file_bytes']:.2f}x file, {100 * against['accuracy']:+.2f} points of "
            f"accuracy, {percent(against['agreement'])} of the predictions alike. "
            f"{bundle['parameters']:,} parameters, {bundle['macs'] / 1e6:.0f} M multiply-accumulates, "
            f"{bundle['preprocessing']['size']} px grey.",
            "",
            f"Protocol: {trained['epochs']} epochs from scratch, checkpoint of epoch {trained['best_epoch']} chosen on "
            f"PublicTest ({percent(trained['val_accuracy'])}), {console.duration(trained['seconds'])} on the CPU; "
            f"INT8 fine-tuning on training images alone, {console.duration(compressed['seconds'])}; one crop, no TTA, "
            f"one seed; {data['images']:,} PrivateTest images, of which {data['leak_free_images']:,} have no copy in "
            f"Training. Latency: batch 1, {bench['protocol']['threads']} thread, networks timed in turn, preprocessing "
            f"left out, {bench['networks'][0]['runtime']}, {machine['cpu']} ({machine['cores']} cores{vnni}, "
            f"virtual machine, load {bench['conditions']['load_before']:.1f}).",
            "",
            "From [train.json](benchmarks/results/fer2013/train.json), "
            "[compress.json](benchmarks/results/fer2013/compress.json) and "
            "[bench.json](benchmarks/results/fer2013/bench.json), which these commands wrote:",
            "",
            "    edgefer train --data fer2013.zip --threads 1 --json > train.json",
            "    edgefer compress --int8 --data fer2013.zip --json > compress.json",
            "    edgefer bench --device cpu --data fer2013.zip --json > bench.json",
        ]
    )


def others() -> str:
    """What the benchmarks beside this file measured of edgefer itself."""
    loading, augmentation = read("data_loading.json"), read("augmentation.json")
    help_time, harness = read("help_time.json"), read("harness_overhead.json")
    quickstart = read("quickstart.json")
    layouts = loading["layouts"].values()
    files = {
        "All 35,887 images of FER2013 ready, from the second time on": (
            f"{max(layout['warm']['median'] for layout in layouts):.2f} s (slowest layout)",
            "data_loading",
        ),
        "Augmentation's share of a training step": (f"{100 * augmentation['share']:.1f} %", "augmentation"),
        "`edgefer --help`, process start to end": (
            f"{help_time['edgefer']['p50']:.2f} s (a bare typer program: {help_time['bare_typer']['p50']:.2f} s)",
            "help_time",
        ),
        "What the timing loop adds to a latency": (f"{harness['p50']:.2f} us", "harness_overhead"),
    }
    rows = [
        [what, figure, f"[{name}.json](benchmarks/results/{name}.json), `python benchmarks/{name}.py`"]
        for what, (figure, name) in files.items()
    ]
    int8 = next(network for network in quickstart["bench"]["networks"] if network["network"] == "int8-cpu")
    took = (
        f"{console.duration(quickstart['seconds'])}, INT8 right on {percent(int8['quality']['accuracy'])} (drawn faces)"
    )
    rows.append(
        [
            "`edgefer quickstart`, all caches cold",
            took,
            "[quickstart.json](benchmarks/results/quickstart.json), `edgefer quickstart --json`",
        ]
    )
    return table(["of edgefer itself", "measured", "from"], rows)


def fill(text: str) -> str:
    """Return README's text with the parts between its result markers made anew."""
    for name, part in (("fer2013", fer2013()), ("others", others())):
        pattern = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"README.md has no marker for {name}")
        text = pattern.sub(lambda match, part=part: f"{match[1]}\n{part}\n\n{match[2]}", text)
    return text


if __name__ == "__main__":
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(README)
