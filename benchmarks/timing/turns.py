"""How long a turn must be: latency by position in a turn, for pairs of networks and for all of them in one bench.

python benchmarks/timing/turns.py BUNDLE [BUNDLE ...] [--seconds 3]

The network before has taken the caches, so the first inferences of a turn are slower, and more so the more networks
there are and the larger they are. Here nothing is left out of a turn; `over_pair` is the median at each place among all
networks over the median of the last places in a turn of the bundle's own networks. Beside it stand what turns of the
bench (`timing.UNTIMED`, `timing.TURN`) make of it, and what one untimed and four timed inferences did.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer import bundle, console, paths, versions
from edgefer.backends import onnxruntime
from edgefer.devices import machine
from edgefer.evaluation import timing

OUT = Path(__file__).parents[1] / "results" / "turns.json"
PLACES = 24
SETTLED = slice(12, None)
PROTOCOLS = {"bench": (timing.UNTIMED, timing.TURN), "1 + 4": (1, 4)}
Times = NDArray[np.float64]


def main() -> None:
    """Time the networks and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    console.enable()
    random = np.random.default_rng(0)
    names, sessions, inputs = [], [], []
    for path in arguments.bundles:
        made = bundle.load(path)
        spec = made.manifest.preprocessing
        images = random.normal(size=(32, 1, spec.channels, spec.size, spec.size)).astype(np.float32)
        for network in onnxruntime.BACKEND.networks(made):
            names.append((made.manifest.name, network))
            sessions.append(onnxruntime.open_model(made.file(network), 1))
            inputs.append(list(images))
    timing.UNTIMED, timing.TURN = 0, PLACES

    def run(chosen: list[int]) -> list[Times]:
        infers = [sessions[index].infer for index in chosen]
        return timing.in_turn(infers, [inputs[index] for index in chosen], percentile=90, seconds=arguments.seconds / 2)

    everyone = list(range(len(names)))
    of_bundle = [
        [index for index in everyone if names[index][0] == name] for name in dict.fromkeys(n for n, _ in names)
    ]
    apart: dict[int, list[Times]] = {index: [] for index in everyone}
    together: dict[int, list[Times]] = {index: [] for index in everyone}
    for half in range(2):
        console.say(f"half {half + 1} of 2: {len(of_bundle)} bundles, each alone, then all together")
        for chosen in of_bundle:
            for index, times in zip(chosen, run(chosen), strict=True):
                apart[index].append(times)
        for index, times in zip(everyone, run(everyone), strict=True):
            together[index].append(times)
    found = [
        {"bundle": names[index][0], "network": names[index][1]}
        | beside(np.concatenate(apart[index]), np.concatenate(together[index]))
        for index in everyone
    ]
    result = {
        "kind": "edgefer turns",
        "networks": found,
        "protocol": {"places": PLACES, "seconds": arguments.seconds, "batch": 1, "threads": 1, "turns": PROTOCOLS},
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed("edgefer", "onnxruntime", "numpy"),
    }
    paths.write_json(arguments.out, result, indent=1)


def beside(apart: Times, together: Times) -> dict[str, object]:
    """Return a network's latency among all networks, relative to that among its bundle's.

    Args:
        apart: seconds, (rounds, positions), in turns with its bundle's networks.
        together: the same with all networks.
    """
    settled = float(np.median(apart[:, SETTLED]))
    parts = {
        title: (apart[:, untimed : untimed + timed], together[:, untimed : untimed + timed])
        for title, (untimed, timed) in PROTOCOLS.items()
    }
    return {
        "pair_milliseconds": settled * 1e3,
        "over_pair": [round(float(value) / settled, 4) for value in np.median(together, axis=0)],
        "turns": {
            title: round(float(np.median(among) / np.median(alone)), 4) for title, (alone, among) in parts.items()
        },
    }


if __name__ == "__main__":
    main()
