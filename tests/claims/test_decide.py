"""From checks to verdicts, on small ledgers and on the one that ships with edgefer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefer import data
from edgefer.claims import images, ledger
from edgefer.claims.result import VERDICTS, ClaimsResult, Entry
from edgefer.claims.verdicts import decide
from edgefer.data.dataset import Dataset
from edgefer.labels import LABELS
from tests.helpers.ledgers import HEAD, claim, write

COMMITTED = Path(__file__).parents[2] / "benchmarks" / "results" / "claims.json"


def check(kind: str, **fields: str | int | list[int] | list[str]) -> str:
    """Return a claim's line with one check. JSON strings, numbers and lists are valid TOML too."""
    said = ", ".join(f"{name} = {json.dumps(value)}" for name, value in {"kind": kind, **fields}.items())
    return f"checks = [{{ {said} }}]"


def first(folder: Path, *claims: str, head: str = HEAD, dataset: Dataset | None = None) -> Entry:
    """Return the first claim of a ledger, decided."""
    return decide(ledger.read(write(folder, *claims, head=head)), dataset).entries[0]


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Return images that look like FER2013: 7 of angry, 1 of each other; 1 of angry for each kind of test."""
    labels = np.array([0] * 7 + list(range(1, 7)), dtype=np.int64)
    splits = np.array([0] * 5 + [1, 2] + [0] * 6, dtype=np.uint8)
    rows = np.arange(len(labels))
    pixels = np.zeros((len(labels), 48, 48), np.uint8)
    monkeypatch.setattr(images, "DIGEST", "fer")
    return Dataset("faces", "faces.zip", pixels, labels, splits, rows, LABELS, "fer")


REPORT = [
    claim("one.precision", "0.67"),
    claim("one.recall", "0.80"),
    claim("one.support", "100", 'reading = "exact"'),
    claim("two.precision", "0.75"),
    claim("two.recall", "0.60"),
    claim("two.support", "100", 'reading = "exact"'),
]  # of 100 images each: 80 and 60 right, 120 and 80 predicted
COLUMNS = {"recalls": "a.*.recall", "supports": "a.*.support"}
ALL = {"precisions": "a.*.precision", **COLUMNS}


@pytest.mark.parametrize(
    ("value", "fields", "made", "holds"),
    [
        ("0.73", (), check("f1", precision="a.one.precision", recall="a.one.recall"), True),
        ("0.75", (), check("f1", precision="a.one.precision", recall="a.one.recall"), False),
        ("0.71", (), check("mean", of="a.*.precision"), True),
        ("0.69", (), check("mean", of="a.*.precision"), False),
        ("0.70", (), check("weighted", of="a.*.recall", supports="a.*.support"), True),
        ("0.72", (), check("weighted", of="a.*.recall", supports="a.*.support"), False),
        ("0.70", (), check("accuracy", **COLUMNS), True),
        ("0.69", (), check("accuracy", **COLUMNS), False),
        ("0.70", (), check("micro-precision", **ALL), True),
        ("0.74", (), check("micro-precision", **ALL), False),
        ("0.99", (), check("predictions", **ALL), True),
        ("200", (), check("sum", of=["a.*.support"]), True),
        ("201", (), check("sum", of=["a.*.support"]), False),
        ("0.20", (), check("part", whole="a.one.recall", others=["a.two.recall"]), True),
        ("0.22", (), check("part", whole="a.one.recall", others=["a.two.recall"]), False),
        ("80", ('unit = "%"',), check("agrees", other="a.one.recall"), True),
        ("82", ('unit = "%"',), check("agrees", other="a.one.recall"), False),
        ("80.00", ('unit = "%"',), check("attainable", support="a.one.support"), True),
        ("80.50", ('unit = "%"',), check("attainable", support="a.one.support"), False),
        ("80.50", ('unit = "%"',), check("attainable", images=[100, 200]), True),
        ("0.60", (), check("least", of="a.*.recall"), True),
        ("0.65", (), check("least", of="a.*.recall"), False),
        ("1.3", (), check("ratio", over="a.one.recall", under="a.two.recall"), True),
        ("2.0", (), check("ratio", over="a.one.recall", under="a.two.recall"), False),
        ("25", ('unit = "%"',), check("reduction", before="a.one.recall", after="a.two.recall"), True),
        ("40", ('unit = "%"',), check("reduction", before="a.one.recall", after="a.two.recall"), False),
        ("0.39", ('unit = "KiB"',), check("bytes", of="a.one.support"), True),
        ("0.40", ('unit = "KiB"',), check("bytes", of="a.one.support"), False),
        ("0.4062", ('unit = "KiB"',), check("bytes", of="a.one.support", wide=4), True),
    ],
)
def test_each_check_of_arithmetic(tmp_path: Path, value: str, fields: tuple[str, ...], made: str, holds: bool) -> None:
    entry = first(tmp_path, claim("x", value, *fields, made), *REPORT)
    assert entry.verdict == ("holds" if holds else "contradicted"), entry.reason
    assert entry.by == "arithmetic"
    assert entry.reason.endswith(".")
    assert not entry.needs


def test_precisions_that_do_not_fit_the_recalls_contradict(tmp_path: Path) -> None:
    wrong = [each.replace('"0.67"', '"0.97"') for each in REPORT]
    assert first(tmp_path, claim("x", "0.99", check("predictions", **ALL)), *wrong).verdict == "contradicted"


@pytest.mark.parametrize(
    ("value", "fields", "verdict", "found"),
    [
        ("13", {"what": "all"}, "holds", "13"),
        ("14", {"what": "all"}, "contradicted", "13"),
        ("2", {"what": "all", "splits": ["public+private"]}, "holds", "2"),
        ("11", {"what": "all", "splits": ["test", "train"]}, "holds", "11"),
        ("7", {"what": "class", "labels": ["angry"]}, "holds", "7"),
        ("5", {"what": "class", "labels": ["angry"]}, "contradicted", "7"),
        ("1", {"what": "mean-of-others", "labels": ["angry"]}, "holds", "1"),
        ("7", {"what": "classes"}, "holds", "7"),
        ("48", {"what": "side"}, "holds", "48"),
        ("64", {"what": "side"}, "contradicted", "48"),
    ],
)
def test_images_are_counted(
    tmp_path: Path, faces: Dataset, value: str, fields: dict[str, Any], verdict: str, found: str
) -> None:
    counted = claim("x", value, 'reading = "exact"', check("images", **fields))
    entry = first(tmp_path, counted, dataset=faces)
    assert (entry.verdict, entry.by, entry.found) == (verdict, "data", found)


def network(name: str, classes: int, **fields: str) -> str:
    more = "".join(f", {key} = {value}" for key, value in fields.items())
    return f'{{ name = "{name}", title = "It", classes = {classes}{more} }}'


KERAS = {"count": '"both"', "keras_inputs": "true"}
B0_HEAD = {"head": "{ convolution = [1280, 1280], norm = 1280, dense = [1280, 512, 256, 7] }", "keras_inputs": "true"}


@pytest.mark.parametrize(
    ("value", "unit", "made", "verdict", "found"),
    [
        # The counts from the documentation of torchvision and Keras, the last from a paper's figure.
        ("138357544", "", f'kind = "parameters", networks = [{network("vgg16", 1000)}]', "holds", "138,357,544"),
        ("5288548", "", f'kind = "parameters", networks = [{network("efficientnet_b0", 1000)}]', "holds", "5,288,548"),
        (
            "9177569",
            "",
            f'kind = "parameters", networks = [{network("efficientnet_b2", 1000, **KERAS)}]',
            "holds",
            "9,177,569",
        ),
        (
            "6438787",
            "",
            f'kind = "parameters", networks = [{network("efficientnet_b0", 0, **B0_HEAD)}]',
            "holds",
            "6,438,787",
        ),
        ("9.2", "M", f'kind = "parameters", networks = [{network("efficientnet_b2", 7)}]', "contradicted", "7.71 M"),
        (
            "17",
            "",
            f'kind = "parameter-ratio", over = {network("vgg16", 7)}, under = {network("efficientnet_b2", 7)}',
            "holds",
            "17.4",
        ),
        ("260", "", 'kind = "input", network = "tf_efficientnet_b2"', "holds", "260"),
        ("256", "", 'kind = "input", network = "tf_efficientnet_b2"', "contradicted", "260"),
    ],
)
def test_networks_are_counted(tmp_path: Path, value: str, unit: str, made: str, verdict: str, found: str) -> None:
    entry = first(tmp_path, claim("x", value, f'unit = "{unit}"', f"checks = [{{ {made} }}]"))
    assert (entry.verdict, entry.by) == (verdict, "network")
    assert entry.found.startswith(found)


def test_where_a_figure_may_come_from_is_named_only_where_it_fits(tmp_path: Path) -> None:
    own, other = network("efficientnet_b2", 7), network("efficientnet_b2", 1000).replace("It", "Another")
    line = f'checks = [{{ kind = "parameters", networks = [{own}], explained = [{other}] }}]'
    assert "Another" in first(tmp_path, claim("x", "9.1", 'unit = "M"', line)).reason
    assert "Another" not in first(tmp_path, claim("x", "5.5", 'unit = "M"', line)).reason
    assert "Another" not in first(tmp_path, claim("x", "7.7", 'unit = "M"', line)).reason


FITTED = f'{{ kind = "parameters", fitted = true, networks = [{network("efficientnet_b0", 0, **B0_HEAD)}] }}'


@pytest.mark.parametrize(("value", "said"), [("6438787", True), ("200", False)])
def test_what_was_fitted_to_a_figure_decides_nothing(tmp_path: Path, value: str, said: bool) -> None:
    summed = f'checks = [{{ kind = "sum", of = ["a.*.support"] }}, {FITTED}]'
    entry = first(tmp_path, claim("x", value, summed), *REPORT)
    assert (entry.verdict, entry.by) == ("contradicted" if said else "holds", "arithmetic")
    agreeing = f'checks = [{{ kind = "agrees", other = "a.y" }}, {FITTED}]'
    entry = first(tmp_path, claim("x", value, agreeing), claim("y", value))
    assert (entry.verdict, entry.by) == ("holds", "arithmetic")
    assert ("so it decides nothing" in entry.reason) is said


@pytest.mark.usefixtures("without_torch")
def test_what_was_fitted_is_not_missed_without_torch(tmp_path: Path) -> None:
    agreeing = f'checks = [{{ kind = "agrees", other = "a.y" }}, {FITTED}]'
    assert first(tmp_path, claim("x", "5", agreeing), claim("y", "5")).verdict == "holds"


def test_other_layers_give_the_figure_of_the_attention_s_document_too(tmp_path: Path) -> None:
    other = network("efficientnet_b0", 0, head="{ norm = 1280, dense = [1280, 1536, 256, 256, 7] }")
    line = f'checks = [{{ kind = "parameters", networks = [{other}] }}]'
    assert first(tmp_path, claim("x", "6438787", line)).verdict == "holds"


SUPPORTS = check("images", what="class", labels=["angry"])


def test_agreeing_checks_do_not_make_hold_what_a_training_decides(tmp_path: Path) -> None:
    agreeing, refuting = (
        claim("x", "0.70", check("accuracy", **COLUMNS)),
        claim("x", "0.10", check("accuracy", **COLUMNS)),
    )
    open_ = first(tmp_path, agreeing + 'needs = "weights"\n', *REPORT)
    assert (open_.verdict, open_.by, open_.lacks, open_.found) == ("not run", "training", "weights", "")
    assert "what could be checked agrees" in open_.reason
    assert open_.needs
    assert first(tmp_path, refuting + 'needs = "weights"\n', *REPORT).verdict == "contradicted"


def test_a_figure_of_other_classes_is_not_comparable_unless_it_is_contradicted(tmp_path: Path) -> None:
    four = "conditions = { classes = 4 }"
    assert first(tmp_path, claim("x", "0.70", four)).verdict == "not comparable"
    assert first(tmp_path, claim("x", "0.70", "conditions = { classes = 7 }")).verdict == "not run"
    assert first(tmp_path, claim("x", "0.10", four, check("accuracy", **COLUMNS)), *REPORT).verdict == "contradicted"
    assert first(tmp_path, claim("x", "0.70", four, check("accuracy", **COLUMNS)), *REPORT).verdict == "holds"
    of_document = HEAD + "conditions = { classes = 4 }\n"
    assert first(tmp_path, claim("x", "0.70"), head=of_document).verdict == "not comparable"


def test_a_rule_of_the_ledger_gives_its_reason(tmp_path: Path) -> None:
    entry = first(tmp_path, claim("x", "98.97", 'incomparable = { why = "it is of nothing", needs = "a name" }'))
    assert (entry.verdict, entry.by, entry.reason, entry.needs) == (
        "not comparable",
        "rule",
        "It is of nothing.",
        "a name",
    )


def test_without_fer2013_what_counts_it_is_not_run(tmp_path: Path) -> None:
    entry = first(tmp_path, claim("x", "958", SUPPORTS))
    assert (entry.verdict, entry.lacks) == ("not run", "FER2013")
    assert "--data" in entry.needs


def test_other_images_are_not_counted(tmp_path: Path, faces: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "DIGEST", "another")
    result = decide(ledger.read(write(tmp_path, claim("x", "7", SUPPORTS))), faces)
    assert result.entries[0].verdict == "not run"
    assert result.data is None
    assert result.notes[0].startswith("faces.zip is not the original FER2013")


def test_a_refuting_check_is_enough_whatever_else_lacks(tmp_path: Path) -> None:
    two = SUPPORTS.replace("checks = [", 'checks = [{ kind = "agrees", other = "a.y" }, ')
    assert first(tmp_path, claim("x", "958", two), claim("y", "7")).verdict == "contradicted"
    assert first(tmp_path, claim("x", "958", two), claim("y", "958")).verdict == "not run"


def test_other_digits_are_tried_on_all_of_their_place(tmp_path: Path) -> None:
    f1 = claim("one.f1", "0.90", check("f1", precision="a.one.precision", recall="a.one.recall"))
    mean = claim("macro", "0.71", check("mean", of="a.*.precision"))
    instead = '[[misprint]]\ndocument = "a"\nplace = "Table I"\ninstead = { "a.one.f1" = "0.73" }\n'
    (reading,) = decide(ledger.read(write(tmp_path, f1, mean, *REPORT, instead))).readings
    assert (reading.settled, reading.left) == (["a.one.f1"], [])
    worse = '[[misprint]]\ndocument = "a"\nplace = "Table I"\ninstead = { "a.one.precision" = "0.99" }\n'
    (reading,) = decide(ledger.read(write(tmp_path, f1, mean, *REPORT, worse))).readings
    # A contradiction from the other digits is not ignored.
    assert (reading.settled, reading.left) == ([], ["a.one.f1", "a.macro"])


@pytest.fixture(scope="module")
def committed() -> ClaimsResult:
    return ClaimsResult.model_validate_json(COMMITTED.read_text(encoding="utf-8"))


def test_what_is_committed_was_decided_from_this_ledger_with_everything_at_hand(committed: ClaimsResult) -> None:
    claims = ledger.read().claims
    assert [entry.id for entry in committed.entries] == list(claims)
    assert [entry.quote for entry in committed.entries] == [claim.quote for claim in claims.values()]
    assert committed.data == images.DIGEST
    assert committed.repeat == "edgefer claims --data fer2013.zip"
    assert {"timm", "torch"} <= set(committed.versions)
    assert sum(committed.verdicts.values()) == committed.claims == len(claims)
    for verdict in VERDICTS:
        assert committed.verdicts[verdict] == sum(entry.verdict == verdict for entry in committed.entries)
        assert committed.verdicts[verdict] == sum(document.verdicts[verdict] for document in committed.documents)


def test_nothing_that_counting_decides_was_left_open(committed: ClaimsResult) -> None:
    for entry in committed.entries:
        if entry.verdict == "not run":
            assert entry.by == "training"
            assert entry.lacks in ("weights", "training")
            assert entry.command.startswith("edgefer train ")
        open_ = ("other protocol", "not comparable", "not run")
        assert bool(entry.needs) == (entry.verdict in open_), entry.id
        assert not (entry.found and entry.needs), f"{entry.id}: what is open has no measurement"


@pytest.mark.slow
def test_the_whole_ledger_gives_what_is_committed(fer2013: Path, committed: ClaimsResult) -> None:
    again = decide(ledger.read(), data.load(fer2013))
    assert again.verdicts == committed.verdicts
    assert again.entries == committed.entries
    assert again.readings == committed.readings


@pytest.mark.usefixtures("without_torch")
def test_without_fer2013_and_torch_the_rest_is_decided_all_the_same(committed: ClaimsResult) -> None:
    light = decide(ledger.read())
    for entry, full in zip(light.entries, committed.entries, strict=True):
        if entry.lacks in ("FER2013", "the extra train"):
            assert entry.verdict == "not run"
            assert full.by in ("data", "network")
        else:
            assert entry.verdict == full.verdict, entry.id
    assert {entry.lacks for entry in light.entries} == {"", "weights", "training", "FER2013", "the extra train"}
    assert any("--data" in note for note in light.notes)
    assert any("pip install 'edgefer[train]'" in note for note in light.notes)
