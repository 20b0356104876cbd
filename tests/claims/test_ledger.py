"""The ledger's file: the shipped one is complete, and errors in others are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.claims import commands, ledger
from edgefer.claims.checks import Attainable, names
from edgefer.errors import InputError
from tests.helpers.ledgers import HEAD, claim, write


@pytest.fixture(scope="module")
def ours() -> ledger.Ledger:
    return ledger.read()


def test_every_claim_says_where_it_stands_and_what_decides_it(ours: ledger.Ledger) -> None:
    assert len(ours.claims) == len(ours.claim) >= 127
    for each in ours.claim:
        assert each.checks or each.needs or each.incomparable or each.protocol, each.id
        command = commands.of(each, ours)
        assert command.startswith(("edgefer claims", "edgefer train ", "none: ")), each.id
        assert not (each.needs and not command.startswith("edgefer train ")), each.id
        assert not (command.startswith("none: ") and not (each.incomparable or each.protocol)), each.id
        assert len(each.quote) <= 60, f"{each.id} quotes more than the claim"


def test_no_verdict_stands_in_the_file(ours: ledger.Ledger) -> None:
    fields = set(ledger.Claim.model_fields) | set(ledger.Document.model_fields)
    assert not fields & {"verdict", "holds", "contradicted", "measured", "found"}


def test_a_quote_has_the_number(ours: ledger.Ledger) -> None:
    words = {"7": "seven", "10": ("ten", "a tenth", "order-of-magnitude")}
    for each in ours.claim:
        said = each.quote.replace(",", "").lower()
        others = words.get(each.value, ())
        assert any(word in said for word in (each.value, *([others] if isinstance(others, str) else others))), each.id


def test_the_poster_s_report_has_as_many_classes_as_rows(ours: ledger.Ledger) -> None:
    (poster,) = (each for each in ours.document if each.key == "poster")
    assert poster.conditions.classes == len(ledger.matching(ours.claims, "poster.*.support")) == 4


def test_commands_name_the_recipes_and_no_others(ours: ledger.Ledger) -> None:
    named = {each.test.recipe for each in ours.claim if each.test}
    papers = {"insideout-v2s", "b2-two-stage", "b0-mixup", "b0-attention", "cnn-15m", "vgg16-scratch"}
    assert named == papers == set(ours.trainings)


def test_patterns_stand_for_whole_segments(ours: ledger.Ledger) -> None:
    found = ledger.matching(ours.claims, "attention.*.recall")
    assert list(found) == ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    assert not ledger.matching(ours.claims, "attention.*.nothing")
    assert not ledger.matching(ours.claims, "attention.nothing")


FITTED = 'checks = [{ kind = "parameters", fitted = true, networks = [{ name = "vgg16", title = "It", classes = 7 }] }]'
RATIO = 'checks = [{ kind = "ratio", over = "a.y", under = "a.z" }]'
MEAN = 'checks = [{ kind = "mean", of = "a.*.f1" }]'


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ([claim("x", "1"), claim("x", "2")], "two claims are called a.x"),
        ([claim("x", "1", 'colour = "red"')], "a.x: claim.0.colour: unknown key"),
        ([claim("x", "one")], "a.x: claim.0.value"),
        ([claim("x", "1e9")], "a.x: claim.0.value"),
        ([claim("x", "-1")], "a.x: claim.0.value"),
        ([claim("x", "9" * 40)], "a.x: claim.0.value"),
        ([claim("x", "1", 'unit = "inch"')], "a.x: claim.0.unit"),
        ([claim("x", "1", 'to = "2"')], "a range has 'to'"),
        ([claim("x", "3", 'to = "2"', 'reading = "range"')], "a range ends where it begins or above"),
        ([claim("x", "1", "checks = []")], "what decides it?"),
        ([claim("x", "1", FITTED)], "what decides it?"),
        ([claim("x", "1", 'checks = [{ kind = "magic" }]')], "a.x: claim.0.checks.0"),
        ([claim("x", "1", MEAN)], "a.x: its check mean names a.*.f1, which doesn't exist"),
        ([claim("x", "1", 'checks = [{ kind = "agrees", other = "a.*.f1" }]')], "a.x: claim.0.checks.0"),
        ([claim("x", "1", 'checks = [{ kind = "attainable" }]')], "give images or support"),
        ([claim("x", "1", 'checks = [{ kind = "images", what = "class" }]')], "name labels"),
        (
            [
                claim("x", "2", 'checks = [{ kind = "ratio", over = "a.y", under = "a.z" }]'),
                claim("y", "1"),
                claim("z", "0"),
            ],
            "divides by a.z, which may be 0",
        ),
        (
            [
                claim("x", "1", 'checks = [{ kind = "weighted", of = "a.*.f1", supports = "a.*.support" }]'),
                claim("one.f1", "1"),
                claim("two.support", "1"),
            ],
            "columns with different classes",
        ),
        (
            [claim("x", "1", 'checks = [{ kind = "attainable", support = "a.y" }]'), claim("y", "0.5")],
            "a.y counts images, so it must be a whole number above 0",
        ),
        ([claim("x", "1", MEAN), *(claim(f"c{row}.f1", "1") for row in range(11))], "more than 10 rows"),
        ([claim("x", "1").replace('"a.x"', '"b.x"')], "its id does not start with its document"),
        ([claim("x", "1").replace('document = "a"', 'document = "b"')], "no document b"),
        ([claim("x", "1").replace("Table I", "Table\\nI")], "a.x: claim.0.place"),
        ([claim("x", "1"), '[[misprint]]\ndocument = "a"\nplace = "I"\ninstead = { "a.y" = "2" }'], "names a.y"),
        (["[[claim]]\nid = 7"], "claim.0"),
        (["claim = 7"], "claim"),
        (["[[claim"], "is not valid TOML"),
        (["x = " + "[" * 5000], "is not valid TOML"),
        ([], "claim"),
    ],
)
def test_what_is_wrong_with_a_ledger_is_said_in_a_line(tmp_path: Path, claims: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        ledger.read(write(tmp_path, *claims))
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_two_documents_of_one_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two documents are called a"):
        ledger.read(write(tmp_path, claim("x", "1"), head=HEAD + HEAD))


def test_files_that_are_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    with pytest.raises(InputError, match="no ledger at"):
        ledger.read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not text"):
        ledger.read(path)
    path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(InputError, match="larger than edgefer reads"):
        ledger.read(path)


def test_a_check_names_all_it_reads() -> None:
    assert names(Attainable(kind="attainable", support="a.b")) == ["a.b"]
    assert names(Attainable(kind="attainable", images=(5,))) == []
