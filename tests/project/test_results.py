"""README's result tables match the JSON files, and the files match each other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from edgefer import bundle
from tests.helpers import scripts

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    return scripts.load("readme")


def test_no_figure_in_readme_and_docs_is_typed_by_hand(readme: ModuleType) -> None:
    for page in readme.PAGES:
        text = page.read_text(encoding="utf-8")
        assert readme.fill(text, page) == text, "run: python benchmarks/readme.py"


def test_a_link_in_readme_and_docs_leads_somewhere(readme: ModuleType) -> None:
    for page in readme.PAGES:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_a_figure_that_was_changed_by_hand_is_seen(readme: ModuleType) -> None:
    page = ROOT / "docs" / "results.md"
    text = page.read_text(encoding="utf-8")
    accuracy = f"{100 * readme.read('fer2013/compact/bench.json')['networks'][0]['quality']['accuracy']:.2f} %"
    assert readme.fill(text.replace(accuracy, "99.99 %"), page) == text


def test_the_sentence_that_sells_edgefer_says_what_was_measured(readme: ModuleType) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(
        r"the package `fer` takes (.+? GB) and (.+? ms) a face with TensorFlow, (.+? GB) and (.+? ms) with its TFLite "
        r"file; edgefer-nano takes (.+? GB) and (.+? ms)\.",
        text,
    )
    assert found
    measured = readme.read("peers.json")["peers"]
    keras, lite, nano = (measured[name] for name in ("fer, Keras", "fer, TFLite file", "edgefer-nano, INT8"))
    assert found.groups() == (
        f"{keras['bytes_to_install'] / 1e9:.1f} GB",
        f"{keras['latency']['p50']:.0f} ms",
        f"{lite['bytes_to_install'] / 1e9:.1f} GB",
        f"{lite['latency']['p50']:.1f} ms",
        f"{nano['bytes_to_install'] / 1e9:.1f} GB",
        f"{nano['latency']['p50']:.1f} ms",
    )


def test_projections_are_of_the_network_that_is_shipped(readme: ModuleType) -> None:
    shipped = bundle.default().manifest.networks
    for name in ("jetson", "rtx", "pi"):
        for network in readme.read(f"projection-{name}.json")["networks"]:
            assert network["sha256"] == shipped[network["network"]].sha256, f"run: edgefer project --device {name}"


def test_training_compressing_and_bench_were_of_the_same_network_on_the_same_data() -> None:
    folder = ROOT / "benchmarks" / "results" / "fer2013" / "compact"
    trained, compressed, bench = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("train", "compress", "bench")
    )
    assert trained["digest"] == bench["data"]["digest"] == bench["bundles"][0]["trained_on"]["digest"]
    assert compressed["accuracy"]["fp32"] == pytest.approx(trained["val_accuracy"], abs=1e-4)
    assert bench["bundles"][0]["path"] == compressed["bundle"]
    sizes = {network["network"]: network["file_bytes"] for network in bench["networks"]}
    assert sizes == {name: compressed["bytes"][name] for name in sizes}


def test_of_sixty_of_timms_networks_six_at_most_do_not_go_through_and_say_why_before_training() -> None:
    chosen = json.loads((ROOT / "benchmarks" / "runtimes" / "any_network.json").read_text())["networks"]
    measured = json.loads((ROOT / "benchmarks" / "results" / "any_network.json").read_text())["networks"]
    assert len({each["module"] for each in chosen}) == len(chosen) == 60
    assert {each["network"] for each in measured} <= {each["network"] for each in chosen}
    others = [each for each in measured if each["result"] != "passed"]
    assert len(others) <= 6
    assert all(each["result"] == "refused" and each["reason"] for each in others), others


def test_an_exported_file_gives_pythons_labels_on_every_runtime_that_was_measured(readme: ModuleType) -> None:
    exported, languages = readme.read("export.json"), readme.read("languages.json")
    for each in exported["networks"]:
        for name, images in exported["protocol"]["images"].items():
            assert each[f"{name}_differ"] <= 0.003 * images, each
    for each in languages["programs"]:
        assert each["labels_differ_on_same_runtime"] <= 0.003 * languages["images"], each


def test_a_litert_file_passes_the_gate_in_integers_and_is_small_and_faster_than_fp32(readme: ModuleType) -> None:
    for each in readme.read("litert.json")["networks"]:
        assert each["passed"]
        assert each["over_onnx_bytes"] <= 1.1
        assert each["int8_over_fp32"]["high"] < 1
        assert each["convolutions"]["int8"] == each["convolutions"]["all"] > 0
