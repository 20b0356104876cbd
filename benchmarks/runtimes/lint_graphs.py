"""Random graphs from ONNX's operator schemas: `edgefer lint`'s own rules compared with the runtimes.

python benchmarks/runtimes/lint_graphs.py [--graphs 2000] [--first 1000000]

Each graph is put before ONNX Runtime's session (cpu) and TensorRT for RTX's parser (tensorrt, rtx). Missed: refused
by the runtime, passed by the rules. False alarms: taken by the runtime, refused by the rules; those that ONNX's own
inference refuses are counted apart, as is what lint calls misread. A graph that crashes a runtime counts as refused.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import onnx

from benchmarks.common import protocol
from benchmarks.runtimes import forked, random_graphs
from edgefer import paths
from edgefer.devices import machine
from edgefer.graph.linter import lint
from edgefer.graph.linter.asking import ask
from edgefer.graph.linter.structure import problem
from edgefer.graph.linter.view import GraphView

OUT = Path(__file__).parents[1] / "results" / "lint_graphs.json"
TARGETS: tuple[str, ...] = ("cpu", "rtx")


def rules(seed: int) -> dict[str, Any]:
    """Return lint's findings for a random graph, and whether ONNX allows it."""
    model = random_graphs.draw(seed)
    kinds: dict[str, Any] = {target: sorted({each.kind for each in lint(model, target)}) for target in TARGETS}
    return {**kinds, "valid": not problem(model) and not GraphView(model, typed=True).invalid}


def one_runtime(job: tuple[int, str]) -> bool | None:
    """Return whether a target's runtime takes a random graph."""
    seed, target = job
    answer = ask(random_graphs.draw(seed).SerializeToString(), target)
    return None if answer is None else not answer.problem


def count(first: int, graphs: int) -> dict[str, Any]:
    """Return the counts for each target, and the seeds of misses and false alarms."""
    seeds = range(first, first + graphs)
    said = dict(forked.each(seeds, rules))
    jobs = [(seed, target) for target in TARGETS for seed in seeds]
    taken = dict(forked.each(jobs, one_runtime))
    found: dict[str, Any] = {
        "first": first,
        "graphs": graphs,
        "crashed_rules": sum(each == forked.CRASHED for each in said.values()),
    }
    for target in TARGETS:
        counts: Counter[str] = Counter()
        missed, alarms = [], []
        for seed in seeds:
            answer, own = taken[seed, target], said[seed]
            takes = answer is True
            counts["taken" if takes else "refused"] += 1
            counts["crashed"] += answer == forked.CRASHED
            refuses = own == forked.CRASHED or "refused" in own[target]
            if not takes and not (refuses or own[target]):
                missed.append(seed)
            if takes and refuses and own != forked.CRASHED:
                if own["valid"]:
                    alarms.append(seed)
                else:
                    counts["taken, though ONNX forbids it, and found"] += 1
            if takes and not refuses and own[target]:
                counts["taken and misread"] += 1
        found[target] = {
            **dict(sorted(counts.items())),
            "missed": len(missed),
            "false_alarms": len(alarms),
            "false_alarms_share": round(len(alarms) / max(1, counts["taken"]), 4),
            "seeds_missed": missed,
            "seeds_false_alarms": alarms,
        }
    return found


def main() -> None:
    """Count and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--first", type=int, default=1_000_000)
    parser.add_argument("--fresh", type=int, default=5_000_000, help="first seed of as many that no rule was made for")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    asked = {target: getattr(ask(random_graphs.draw(0).SerializeToString(), target), "who", None) for target in TARGETS}
    result: dict[str, Any] = {
        "protocol": protocol(__doc__),
        "machine": machine.describe().cpu,
        "onnx": onnx.__version__,
        "asked": asked,
        "graphs": count(arguments.first, arguments.graphs),
        "fresh": count(arguments.fresh, arguments.graphs),
    }
    with paths.write_atomically(arguments.out) as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name in ("graphs", "fresh"):
        for target in TARGETS:
            print(
                name, target, {key: each for key, each in result[name][target].items() if not key.startswith("seeds")}
            )


if __name__ == "__main__":
    main()
