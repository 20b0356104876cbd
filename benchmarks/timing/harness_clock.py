"""The timing loop against known times: fake networks that busy-wait, on the loop's own clock, for a given duration.

python benchmarks/timing/harness_clock.py [--repeats 20]

Each fake network goes through a list of durations in random order, spread by 5 % around 0.2, 1 or 5 ms; one has two
kinds of inference, of 1 and 3 ms; one sleeps for half of its time, as a thread that waits for another does. The truth
is the median of that list, or the ratio of two such medians. A run is what `edgefer bench` does, only shorter: all of
them in turn, 200 samples of each. 95 % of the runs should have an interval that holds the truth; in how many it does is
stated, with the errors of the medians. On a busy machine a wait ends late, as any network would: `late` is the share of
inferences that took 5 us more than they were to, by their own record, and `added_microseconds` is what our samples have
beyond that record, inference by inference: what the loop adds.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import protocol
from edgefer import console, paths, versions
from edgefer.devices import machine
from edgefer.evaluation import timing

OUT = Path(__file__).parents[1] / "results" / "harness_clock.json"
PERCENTILE = 95  # takes 200 samples
LATE = 5_000  # nanoseconds
SPREAD = 0.05
DURATIONS = 4000
INPUT = np.zeros((1, 1, 44, 44), dtype=np.float32)
# Milliseconds with their share of the inferences, and the share of the time spent asleep.
KINDS: dict[str, tuple[dict[float, float], float]] = {
    "0.2 ms": ({0.2: 1.0}, 0.0),
    "1 ms": ({1.0: 1.0}, 0.0),
    "5 ms": ({5.0: 1.0}, 0.0),
    "1 ms, of every ten three 3 ms": ({1.0: 0.7, 3.0: 0.3}, 0.0),
    "1 ms, half asleep": ({1.0: 1.0}, 0.5),
}
RATIOS = [("0.2 ms", "1 ms"), ("1 ms", "5 ms"), ("1 ms, half asleep", "1 ms")]


def durations(kind: str, seed: int) -> NDArray[np.int64]:
    """Return the durations of a fake network's inferences, in nanoseconds, in random order."""
    random = np.random.default_rng(seed)
    shares, _ = KINDS[kind]
    parts = [
        milliseconds * 1e6 * np.exp(random.normal(0, SPREAD, round(share * DURATIONS)))
        for milliseconds, share in shares.items()
    ]
    return random.permutation(np.concatenate(parts)).astype(np.int64)


class Fake:
    """A network with known inference times, one after another.

    Attributes:
        asked: nanoseconds requested for each inference so far.
        taken: nanoseconds actually taken, by the same clock.
    """

    def __init__(self, known: NDArray[np.int64], asleep: float) -> None:
        self._times = itertools.cycle(known.tolist())
        self._asleep = asleep  # share of the time spent asleep; the rest is a busy wait
        self.asked: list[int] = []
        self.taken: list[int] = []

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        clock = time.perf_counter_ns
        start = clock()
        asked = next(self._times)
        if self._asleep:
            time.sleep(self._asleep * asked * 1e-9)
        while (taken := clock() - start) < asked:
            pass
        self.asked.append(asked)
        self.taken.append(taken)
        return batch

    def of_samples(self, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return requested and actual times of the timed inferences: int64 (rounds, turn)."""
        rounds, turn = shape
        whole = timing.UNTIMED + turn
        asked, taken = (
            np.array(each[-rounds * whole :]).reshape(rounds, whole)[:, timing.UNTIMED :]
            for each in (self.asked, self.taken)
        )
        return asked, taken


def run(seed: int) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Time all fake networks in turn; return medians and ratios, each with the true value."""
    known = {kind: durations(kind, 1000 * seed + number) for number, kind in enumerate(KINDS)}
    fakes = {kind: Fake(known[kind], asleep) for kind, (_, asleep) in KINDS.items()}
    infers = [fake.infer for fake in fakes.values()]
    samples = timing.in_turn(infers, [[INPUT]] * len(infers), percentile=PERCENTILE, seconds=0, warmup_seconds=0.01)
    truth = {kind: float(np.median(times)) * 1e-6 for kind, times in known.items()}
    found = dict(zip(KINDS, samples, strict=True))
    medians = {}
    for kind, times in found.items():
        latency = timing.latency(times)
        assert latency.p50_low is not None
        assert latency.p50_high is not None
        asked, taken = fakes[kind].of_samples(times.shape)
        medians[kind] = {
            "truth": truth[kind],
            "p50": latency.p50,
            "low": latency.p50_low,
            "high": latency.p50_high,
            "samples": latency.samples,
            "late": float((taken - asked > LATE).mean()),
            "added_microseconds": float(np.median(times * 1e6 - taken * 1e-3)),
        }
    ratios = {
        f"{over} over {under}": {
            "truth": truth[over] / truth[under],
            **asdict(timing.ratio(found[over], found[under])),
        }
        for over, under in RATIOS
    }
    return medians, ratios


def summary(runs: list[dict[str, float]], estimate: str) -> dict[str, float]:
    """Return how often the interval contained the truth, and the errors of the estimates.

    Args:
        runs: of one network or ratio.
        estimate: the key of the measurement.
    """
    errors = [each[estimate] - each["truth"] for each in runs]
    shared: dict[str, float] = {
        key: float(np.mean([each[key] for each in runs])) for key in ("late", "added_microseconds") if key in runs[0]
    }
    return {
        "truth": float(np.mean([each["truth"] for each in runs])),
        "inside": sum(each["low"] <= each["truth"] <= each["high"] for each in runs),
        "runs": len(runs),
        "error_median": float(np.median(errors)),
        "error_most": float(np.max(np.abs(errors))),
        "interval_width_median": float(np.median([each["high"] - each["low"] for each in runs])),
        **shared,
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    load_before = machine.load_average()
    runs = []
    for number in range(arguments.repeats):
        console.say(f"run {number + 1} of {arguments.repeats}")
        runs.append(run(number))
    medians = {kind: summary([found[kind] for found, _ in runs], "p50") for kind in KINDS}
    ratios = {name: summary([found[name] for _, found in runs], "estimate") for name in runs[0][1]}
    everything = [*medians.values(), *ratios.values()]
    result = {
        "what": "95 % intervals of the timing loop beside times that are known: milliseconds, ratios",
        "protocol": protocol(__doc__),
        "spread": SPREAD,
        "inside": sum(each["inside"] for each in everything),
        "intervals": sum(each["runs"] for each in everything),
        "p50": medians,
        "ratio": ratios,
        "last_run": {"p50": runs[-1][0], "ratio": runs[-1][1]},
        "load_before": load_before,
        "load_after": machine.load_average(),
        "machine": machine.describe().model_dump(),
        "versions": versions.installed("numpy"),
    }
    paths.write_json(OUT, result, indent=2)
    for name, each in {**medians, **ratios}.items():
        late = f", late {each['late']:.1%}" if "late" in each else ""
        print(f"{name}: {each['inside']} of {each['runs']}, median error {each['error_median']:+.2g}{late}")
    print(f"{result['inside']} of {result['intervals']} intervals hold the truth: {OUT}")


if __name__ == "__main__":
    main()
