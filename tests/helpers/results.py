"""Results of many bundles, a Jetson or a long bench, made from a small result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgefer.bench.probes.energy import Energy, Rail
from edgefer.bench.probes.gpu_memory import GpuMemory
from edgefer.bench.probes.mistakes import MistakenFace, NetworkPrediction
from edgefer.bench.probes.robustness import Robustness
from edgefer.bench.probes.throughput import Point
from edgefer.bench.result import BenchResult, NetworkEntry, Recommendation
from edgefer.devices.gpu import Gpu
from edgefer.devices.jetson import Jetson
from edgefer.evaluation import metrics, timing
from edgefer.evaluation.corruptions import KINDS


def many(result: BenchResult, bundles: int, seed: int = 0) -> BenchResult:
    """Return a result of many bundles, each with the networks of `result`'s first bundle and its own figures."""
    random = np.random.default_rng(seed)
    first = result.bundles[0]
    titles = [f"edgefer-variant-{number}" for number in range(1, bundles + 1)]
    own = [entry for entry in result.networks if entry.bundle == first.title]
    networks, comparisons, recommendations = [], [], []
    for title in titles:
        accuracy, milliseconds, size = random.uniform(0.55, 0.72), random.lognormal(0.5, 1), random.uniform(0.5, 12)
        for entry in own:
            small = entry.precision == "int8"
            times = milliseconds * (0.35 if small else 1) * random.lognormal(0, 0.1, (500, 4)) + 0.05
            times[::9] *= 1.8  # a second mode
            networks.append(
                _entry(entry, title, accuracy - 0.003 * small, times, int(size * 1e6 * (0.26 if small else 1)), random)
            )
        comparisons += [
            each.model_copy(update={"bundle": title}) for each in result.comparisons if each.bundle == first.title
        ]
        why = "0.35 x the latency of fp32"
        recommendations.append(Recommendation(bundle=title, network="int8-cpu", device="cpu", reason=why))
    return result.model_copy(
        update={
            "bundles": [first.model_copy(update={"title": title}) for title in titles],
            "networks": networks,
            "comparisons": comparisons,
            "recommendations": recommendations,
            "mistakes": [replace(each, predictions=each.predictions[: len(own)] * bundles) for each in result.mistakes],
        }
    )


def _entry(
    entry: NetworkEntry,
    title: str,
    accuracy: float,
    milliseconds: np.ndarray,
    size: int,
    random: np.random.Generator,
) -> NetworkEntry:
    images, classes = 3500, len(entry.per_class)
    low, high = metrics.wilson(int(accuracy * images), images)
    share = np.full((classes, classes), (1 - accuracy) / (classes - 1))
    np.fill_diagonal(share, accuracy)
    matrix = np.array([random.multinomial(images // classes, row) for row in share])
    per_class = [
        row.model_copy(update={"f1": float(np.clip(random.normal(accuracy, 0.1), 0, 1)), "images": images // classes})
        for row in entry.per_class
    ]
    quality = entry.quality.model_copy(update={"accuracy": accuracy, "low": low, "high": high, "images": images})
    return entry.model_copy(
        update={
            "bundle": title,
            "quality": quality,
            "leak_free": quality,
            "per_class": per_class,
            "confusion": matrix.tolist(),
            "latency": timing.latency(milliseconds * 1e-3),
            "quantiles": timing.quantiles(milliseconds * 1e-3),
            "file_bytes": size,
            "robustness": Robustness(
                1000, 0, accuracy, {kind: [accuracy * (1 - 0.12 * at) for at in range(1, 6)] for kind in KINDS}
            ),
            "throughput": [
                Point(batch, threads, rate := 900 * threads * batch / (batch + 2), 0.8 * rate, 1.1 * rate)
                for threads in (1, 2)
                for batch in (1, 2, 4, 8, 16, 32)
            ],
        }
    )


def on_jetson(result: BenchResult) -> BenchResult:
    """Return a Jetson's result for the same networks."""
    board = Jetson(
        model="NVIDIA Jetson Orin Nano Developer Kit",
        linux="36.4.3",
        jetpack="6.2",
        power_mode="15W",
        clocks_locked=False,
        temperatures={"cpu": 48.2, "gpu": 47.5},
        watts={"VDD_IN": 5.1},
        throttled=0,
    )
    warm = board.model_copy(update={"temperatures": {"cpu": 55.0, "gpu": 54.1}, "throttled": 1})
    energy = Energy(
        {"VDD_IN": Rail(5.1, 9.3, 0.0042), "VDD_CPU_GPU_CV": Rail(0.9, 3.4, 0.0016)}, 3.0, 2000, 150, "INA3221"
    )
    networks = [
        entry.model_copy(
            update={
                "runtime": "TensorRT 10.3.0",
                "engine_bytes": entry.file_bytes + 200_000,
                "cuda_graphs": True,
                "gpu_memory": GpuMemory(buffers=300_000, steady=21_000_000, peak=29_400_000),
                "throughput": [],
                "energy": energy,
            }
        )
        for entry in result.networks
    ]
    how = {"graph_optimization": None, "arena": None, "transfers": "mapped", "cuda_graphs": True, "tf32": True}
    return result.model_copy(
        update={
            "device": "jetson",
            "gpu": Gpu("0000:00:00.0", "Orin", "87", "12.6", 8 << 30, True, "pycuda"),
            "protocol": result.protocol.model_copy(update={**how, "energy_seconds": 3.0}),
            "conditions": result.conditions.model_copy(update={"jetson_before": board, "jetson_after": warm}),
            "networks": networks,
        }
    )


def photographs(result: BenchResult) -> BenchResult:
    """Return the result as if its images were not synthetic."""
    bundles = [
        each.model_copy(update={"trained_on": each.trained_on.model_copy(update={"synthetic": False})})
        for each in result.bundles
    ]
    return result.model_copy(update={"data": result.data.model_copy(update={"synthetic": False}), "bundles": bundles})


def wrong(result: BenchResult, row: int, label: str, said: str) -> BenchResult:
    """Return the result with one face that all networks got wrong."""
    answers = [NetworkPrediction(said, 0.9) for _ in result.networks]
    return result.model_copy(update={"mistakes": [MistakenFace(row, label, answers)]})


def relabelled(result: BenchResult, labels: tuple[str, ...]) -> BenchResult:
    """Return the result with other names for its classes."""
    names = dict(zip(result.data.classes, labels, strict=True))
    return result.model_copy(
        update={
            "data": result.data.model_copy(update={"classes": labels}),
            "networks": [
                entry.model_copy(
                    update={
                        "per_class": [row.model_copy(update={"label": names[row.label]}) for row in entry.per_class]
                    }
                )
                for entry in result.networks
            ],
            "mistakes": [
                MistakenFace(
                    each.row, names[each.label], [replace(one, label=names[one.label]) for one in each.predictions]
                )
                for each in result.mistakes
            ],
        }
    )
