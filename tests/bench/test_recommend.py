"""Which network of a bundle to deploy: the first line of a report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgefer.bench.measurement import bench
from edgefer.bench.recommendation import recommend
from edgefer.bench.result import NetworkEntry
from edgefer.evaluation.timing import Interval
from tests.helpers import samples


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> NetworkEntry:
    made = samples.write(tmp_path_factory.mktemp("bundles") / "made")
    return bench([made], samples.dataset(), seconds=0.05).networks[0]


def network(entry: NetworkEntry, name: str, accuracy: float, milliseconds: float, megabytes: float) -> NetworkEntry:
    quality = entry.quality.model_copy(update={"accuracy": accuracy})
    latency = replace(entry.latency, p50=milliseconds)
    changes = {"network": name, "quality": quality, "latency": latency, "file_bytes": int(megabytes * 1e6)}
    return entry.model_copy(update={**changes, "engine_bytes": None})


def chosen(*entries: NetworkEntry, noise: float = 0.05) -> str:
    def ratio(over: NetworkEntry, under: NetworkEntry) -> Interval:
        value = over.latency.p50 / under.latency.p50
        return Interval(value, value * (1 - noise), value * (1 + noise))

    found = recommend(entries, ratio)
    assert found is not None
    return found.network


def test_it_is_the_fastest_that_loses_no_more_than_half_a_point(entry: NetworkEntry) -> None:
    fp32 = network(entry, "fp32", 0.700, 3.0, 9)
    int8 = network(entry, "int8-cpu", 0.695, 1.0, 3)
    int4 = network(entry, "int4", 0.694, 0.5, 1)
    assert chosen(fp32, int8, int4) == "int8-cpu"
    assert chosen(fp32, int4) == "fp32"


def test_of_those_that_are_as_fast_within_the_noise_it_is_the_smallest(entry: NetworkEntry) -> None:
    fp32, int8 = network(entry, "fp32", 0.70, 3.0, 9), network(entry, "int8-cpu", 0.70, 1.0, 3)
    assert chosen(fp32, int8, network(entry, "small", 0.70, 1.04, 2)) == "small"
    assert chosen(fp32, int8, network(entry, "small", 0.70, 1.10, 2)) == "int8-cpu"
    assert chosen(fp32, int8, network(entry, "large", 0.70, 1.04, 4)) == "int8-cpu"


def test_of_one_network_there_is_nothing_to_choose(entry: NetworkEntry) -> None:
    assert recommend([entry], lambda over, under: Interval(1, 1, 1)) is None
