"""The pretrained networks match their model cards."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import edgefer
from edgefer import bundle, data
from edgefer.learning import checkpoint
from tests.helpers import scripts

ROOT = Path(__file__).parents[2]
# Bytes of the INT8 file for CPUs.
LIMITS = {"edgefer-nano": 93_000, "edgefer-small": 500_000, "edgefer-base": 1_700_000}


@pytest.fixture(scope="module")
def ship() -> ModuleType:
    return scripts.load("ship")


def result(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return read


def bench(name: str) -> dict[str, Any]:
    return result(f"pretrained/{name}")


def test_all_pretrained_networks_is_there_and_the_default_is_of_it() -> None:
    assert set(bundle.pretrained()) == set(LIMITS)
    assert bundle.default().manifest.name in LIMITS


@pytest.mark.parametrize("name", LIMITS)
def test_a_network_is_small_and_has_no_fp32_file_to_carry(name: str) -> None:
    manifest = bundle.load(name).manifest
    assert manifest.name == name
    assert set(manifest.networks) == {"int8-cpu", "int8-tensorrt", "int8-rtx", "fp16-tensorrt", "fp16-rtx"}
    assert manifest.networks["int8-cpu"].bytes <= LIMITS[name]
    checkpoints = ROOT / "edgefer" / "pretrained" / name / "checkpoint"
    assert sum(file.stat().st_size for file in checkpoints.iterdir()) < 7_000_000
    assert "/work" not in manifest.model_dump_json()
    assert "/root" not in manifest.model_dump_json()


@pytest.mark.parametrize("name", LIMITS)
def test_its_card_says_what_was_measured_of_this_very_file(ship: ModuleType, name: str) -> None:
    text = (ROOT / "edgefer" / "pretrained" / name / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert ship.model_card(bundle.load(name).manifest, bench(name)) == text, "run: python benchmarks/ship.py"
    for said in ("for research use", "not what a person feels", "consent", "chosen on PublicTest"):
        assert said in text
    measured = next(each for each in bench(name)["networks"] if each["network"] == "int8-cpu")
    assert measured["sha256"] == bundle.load(name).manifest.networks["int8-cpu"].sha256


@pytest.mark.slow
@pytest.mark.parametrize("name", LIMITS)
def test_int8_and_the_checkpoint_answer_alike_as_often_as_the_manifest_says(fer2013: Path, name: str) -> None:
    validation = data.split(data.load(fer2013), "val")
    some = validation.take(slice(0, 800))
    network = checkpoint.build(checkpoint.read(Path(name)))
    spec = bundle.load(name).manifest.preprocessing
    with torch.inference_mode():
        full = network(torch.from_numpy(spec.apply(some))).argmax(1).numpy()
    small = np.array([edgefer.labels.LABELS.index(each.label) for each in edgefer.load(name).predict(some)])
    agreement = bundle.load(name).manifest.agreement
    assert agreement is not None
    assert (full == small).mean() == pytest.approx(agreement, abs=0.02)
    score = next(each for each in bundle.load(name).manifest.scores if each.network == "int8-cpu")
    assert (small == validation.labels[:800]).mean() == pytest.approx(score.accuracy, abs=0.05)


def test_peers_were_measured_beside_the_networks_that_are_shipped() -> None:
    peers = result("peers")["peers"]
    for name in LIMITS:
        said = peers[f"{name}, INT8"]["sha256"]
        assert said == bundle.load(name).manifest.networks["int8-cpu"].sha256, "run: python benchmarks/peers/measure.py"


@pytest.mark.parametrize("name", ["streaming_memory", "arena", "ort_profile"])
def test_the_measuring_was_measured_with_the_network_that_is_shipped(name: str) -> None:
    said = result(name)
    shipped = bundle.load(said["bundle"]).manifest.networks["int8-cpu"].sha256
    assert said["sha256"] == shipped, f"run: python benchmarks/{name}.py"


def test_tables_that_have_pretrained_networks_beside_others_are_of_the_networks_that_are_shipped() -> None:
    without_vnni = {each["bundle"]: each["sha256"] for each in result("without_vnni")["bundles"]}
    assert without_vnni == {name: bundle.load(name).manifest.networks["int8-cpu"].sha256 for name in LIMITS}, (
        "run: python benchmarks/timing/without_vnni.py"
    )
    ours = next(each for each in result("papers")["networks"] if each["name"] == bundle.default().manifest.name)
    measured = {each["network"]: each.get("sha256") for each in ours["cpu"]}
    shipped = bundle.default().manifest.networks["int8-cpu"].sha256
    assert measured["int8-cpu"] == shipped, "run: python benchmarks/training/papers.py"


def test_what_is_quoted_over_seeds_is_of_the_network_that_is_shipped() -> None:
    results = ROOT / "benchmarks" / "results" / "pretrained"
    files = list(results.glob("*-seeds.json"))
    assert files
    for file in files:
        said = json.loads(file.read_text(encoding="utf-8"))
        shipped = bundle.load(said["network"]).manifest.networks["int8-cpu"].sha256
        best = max(said["runs"], key=lambda run: run["val_accuracy"])
        assert best["sha256"] == shipped, "the one that is best on PublicTest is to be shipped"
        assert len({run["seed"] for run in said["runs"]}) == len(said["runs"]) >= 2


def test_trainings_that_differ_in_more_than_their_seed_are_not_quoted_together() -> None:
    seeds = scripts.load("seeds")
    recipe = bundle.default().manifest.recipe
    other = json.loads(json.dumps(recipe))
    other["train"]["seed"], other["model"]["initial_weights"] = 7, "elsewhere"
    other["teaching"]["votes"] = f"/elsewhere/{recipe['teaching']['votes']}"
    recipe["train"]["mirror"] = False
    other["train"].pop("mirror", None)  # the recipe's default
    assert seeds.without_seed(other) == seeds.without_seed(recipe)
    other["phases"][0]["epochs"] += 1
    assert seeds.without_seed(other) != seeds.without_seed(recipe)


def test_the_mean_and_the_range_over_seeds_are_said() -> None:
    runs = [{"precision": "bf16", "int8": {"quality": share}} for share in (0.7, 0.71)]
    assert scripts.load("seeds").said(runs) == "70.50 % (70.00 to 71.00, 2 seeds)"
    runs[0]["precision"] = "fp32"
    assert scripts.load("seeds").said(runs) == "70.50 % (70.00 to 71.00, 2 seeds, trained in bf16 and fp32)"


def in_int8(result: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in result["networks"] if each["network"] == "int8-cpu")


def test_each_network_that_private_test_was_asked_of_is_counted_once(ship: ModuleType) -> None:
    counted = ship.candidates("edgefer-nano")["candidates"]
    again = bench("edgefer-nano")
    assert ship.candidates("edgefer-nano", again)["candidates"] == counted
    in_int8(again)["sha256"] = "0" * 64  # the same network, with its file rewritten
    assert ship.candidates("edgefer-nano", again)["candidates"] == counted
    in_int8(again)["quality"]["accuracy"] += 0.001
    assert len(ship.candidates("edgefer-nano", again)["candidates"]) == len(counted) + 1


def test_what_does_not_belong_together_is_not_shipped(ship: ModuleType) -> None:
    manifest, trained = bundle.load("edgefer-nano").manifest, checkpoint.read(Path("edgefer-nano"))
    ship.check(manifest, trained, bench("edgefer-nano"))
    other, validated, elsewhere = (bench("edgefer-nano") for _ in range(3))
    in_int8(other)["sha256"] = "0" * 64
    validated["data"]["split"] = "val"
    elsewhere["data"]["digest"] = "0" * 64
    for result, said in (
        (other, "another bundle"),
        (validated, "not of PrivateTest"),
        (elsewhere, "not of one data set"),
    ):
        with pytest.raises(SystemExit, match=said):
            ship.check(manifest, trained, result)
    with pytest.raises(SystemExit, match="another training"):
        ship.check(manifest, dataclasses.replace(trained, epoch=trained.epoch + 1), bench("edgefer-nano"))
    unsure = manifest.model_copy(update={"confidence": None})
    failed = manifest.model_copy(update={"compression": {**manifest.compression, "gate": {"passed": False}}})
    for poor, said in ((unsure, "no fitted confidence"), (failed, "did not pass its gate")):
        with pytest.raises(SystemExit, match=said):
            ship.check(poor, trained, bench("edgefer-nano"))
