"""Finished trainings and the claims: which claims a training decides, and why a reduced one decides nothing."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from edgefer import data, recipes
from edgefer.bench.result import BenchResult, NetworkEntry
from edgefer.claims import as_written, commands, figures, ledger
from edgefer.claims import result as schema
from edgefer.claims.ledger import Test as Wanted
from edgefer.claims.result import Entry
from edgefer.claims.verdicts import decide
from edgefer.cli.main import app
from edgefer.errors import InputError
from edgefer.evaluation import metrics
from edgefer.labels import LABELS
from tests.helpers import benches, samples
from tests.helpers.ledgers import HEAD, claim, write

PAPERS = ("insideout-v2s", "b2-two-stage", "b0-attention", "b0-mixup", "cnn-15m", "vgg16-scratch")
TRAINED = '[[training]]\nrecipe = "{}"\nsplits = ["public+private"]\ndescribed = {}\n'


def wants(what: str = "accuracy", label: str = "", recipe: str = "b2-two-stage") -> str:
    """Return the line of a claim with its figure."""
    named = f', label = "{label}"' if label else ""
    return f'test = {{ recipe = "{recipe}", what = "{what}"{named} }}'


def held(
    folder: Path, results: list[BenchResult], made: str, described: bool = True, recipe: str = "b2-two-stage"
) -> Entry:
    """Return the first claim of a ledger, compared with benches."""
    head = HEAD + TRAINED.format(recipe, str(described).lower())
    named = [(f"{number}.json", result) for number, result in enumerate(results)]
    return decide(ledger.read(write(folder, made, head=head)), None, named).entries[0]


CLAIM = claim("x", "68.78", 'unit = "%"', wants())


@pytest.mark.parametrize("name", PAPERS)
def test_a_training_of_the_recipe_as_it_comes_is_as_written(small: BenchResult, name: str) -> None:
    trained = benches.training(name)
    result = benches.of(small, trained, 0.7)
    assert as_written.differences(trained, result.bundles[0].trained_on) == []
    assert as_written.of_test(trained, result, ("public+private",)) == []
    assert as_written.of_network(trained, benches.of(small, trained, 0.7)) == []


def test_what_was_reduced_is_named_in_a_person_s_words(small: BenchResult) -> None:
    settings = ["preprocessing.size=64", "model.pretrained=false"]
    trained = benches.training("b0-attention", settings, 10)
    said = as_written.differences(trained, benches.of(small, trained, 0.5).bundles[0].trained_on)
    assert said == ["64 px instead of 224", "10 epochs instead of 50", "without ImageNet weights"]


REDUCED: list[tuple[dict[str, Any], str]] = [
    ({"settings": ["train.batch_size=16"]}, "train.batch_size 16 instead of 32"),
    ({"settings": ["model.args.drop_rate=0.1"]}, "model.args.drop_rate 0.1 instead of 0.5"),
    ({"settings": ["data.classes=['happy', 'sad']"]}, "2 classes instead of 7"),
    ({"settings": ["phases=[{ epochs = 10, lr = 0.1 }]"]}, "1 phases instead of 2"),
    ({"settings": ["teaching.teachers=['a']"]}, 'teaching.teachers ["a"] instead of []'),
    ({"epochs": None}, "possibly unfinished"),
    ({"initial_weights": benches.RANDOM}, "without ImageNet weights"),
    ({"initial_weights": None}, "unknown initial weights"),
    (
        {"settings": ["model.weights='a.pth'"], "initial_weights": {"kind": "file", "name": "a.pth"}},
        "weights of a file (a.pth)",
    ),
    (
        {"settings": ["model.initial_weights='a'"], "initial_weights": {"kind": "run", "name": "a"}},
        "from the weights of a run (a)",
    ),
    ({"settings": ["model.weights='a.pth'"]}, "unknown initial weights"),
]


@pytest.mark.parametrize(("changes", "said"), REDUCED, ids=[said for _, said in REDUCED])
def test_each_way_not_to_be_as_written_is_named_and_decides_nothing(
    tmp_path: Path, small: BenchResult, changes: dict[str, Any], said: str
) -> None:
    settings = changes.get("settings")
    trained = benches.training("b2-two-stage", settings, **{k: v for k, v in changes.items() if k != "settings"})
    entry = held(tmp_path, [benches.of(small, trained, 0.6878)], CLAIM)
    assert (entry.verdict, entry.lacks, entry.found) == ("not run", "weights", "")
    assert said in entry.measured[0].says
    assert entry.measured[0].says.startswith("Measured, but not as written, 68.7")


def test_more_epochs_stopped_early_than_the_recipe_allows_are_named(small: BenchResult) -> None:
    on = benches.of(small, benches.training("b0-mixup"), 0.5).bundles[0].trained_on
    assert (
        as_written.differences(benches.training("b2-two-stage", None, None).model_copy(update={"epochs": 7}), on) == []
    )
    short = benches.training("b0-mixup").model_copy(update={"epochs": 7})
    assert as_written.differences(short, on) == ["ended after 7 of its 20 epochs"]


@pytest.mark.parametrize(("known", "verdict"), [("Keras' EfficientNetB2", "holds"), ("", "not run")])
def test_a_file_counts_as_imagenet_s_weights_where_its_digest_is_known(
    tmp_path: Path, small: BenchResult, known: str, verdict: str
) -> None:
    begun = {"kind": "file", "name": "b2.h5", "sha256": "0" * 64, **({"known": known} if known else {})}
    settings = ["model.name=tf_efficientnet_b2", "model.pretrained=false", "model.weights=b2.h5"]
    trained = benches.training("b2-two-stage", settings, initial_weights=begun)
    entry = held(tmp_path, [benches.of(small, trained, 0.6878)], CLAIM)
    assert entry.verdict == verdict
    assert entry.measured[0].differences == ([] if known else ["from the weights of a file (b2.h5)"])


def test_other_images_are_named(tmp_path: Path, small: BenchResult) -> None:
    whole = benches.training("b2-two-stage")
    entry = held(tmp_path, [benches.of(small, whole, 0.6878, "test")], CLAIM)
    assert entry.measured[0].differences == ["tested on PrivateTest instead of PublicTest and PrivateTest together"]
    entry = held(tmp_path, [benches.of(small, whole, 0.6878, digest="e" * 64)], CLAIM)
    assert entry.measured[0].differences == [
        "on other images than FER2013's (greys)",
        "tested on other images than FER2013's",
    ]
    assert entry.verdict == "not run"


def test_settings_that_cannot_be_read_are_no_settings_as_written(small: BenchResult) -> None:
    strange = benches.training("b2-two-stage")
    strange = strange.model_copy(update={"recipe": {**strange.recipe, "new": 1}})
    said = as_written.differences(
        strange, benches.of(small, benches.training("b2-two-stage"), 0.5).bundles[0].trained_on
    )
    assert said == ["with settings that this version cannot read"]


@pytest.mark.parametrize(
    ("share", "described", "verdict", "lacks"),
    [
        (0.6878, True, "holds", ""),
        (0.6790, True, "holds", ""),  # 68.78 is inside 66.8 to 69.0
        (0.7500, True, "holds", ""),  # more than was claimed
        (0.6750, True, "not run", "more seeds"),  # 66.4 to 68.6: lower, but two trainings may differ by that
        (0.6600, True, "contradicted", ""),
        (0.6600, False, "not run", "the settings that the document leaves open"),
        (0.6878, False, "holds", ""),
    ],
)
def test_what_one_training_as_written_decides_of_an_accuracy(
    tmp_path: Path, small: BenchResult, share: float, described: bool, verdict: str, lacks: str
) -> None:
    entry = held(tmp_path, [benches.of(small, benches.training("b2-two-stage"), share)], CLAIM, described)
    assert (entry.verdict, entry.lacks, entry.by) == (verdict, lacks, "training")
    assert "one seed, our choices where the document is silent" in entry.reason
    assert "on 7,178 images" in entry.reason
    assert bool(entry.found) == (verdict != "not run")
    assert bool(entry.needs) == (verdict == "not run")
    assert entry.measured[0].as_written


@pytest.mark.parametrize(("share", "verdict"), [(0.65, "holds"), (0.3, "not run"), (0.9, "not run")])
def test_a_single_class_is_never_contradicted_by_one_seed(
    tmp_path: Path, small: BenchResult, share: float, verdict: str
) -> None:
    made = claim("x", "0.65", wants("recall", "angry"))
    entry = held(tmp_path, [benches.of(small, benches.training("b2-two-stage"), share)], made)
    assert (entry.verdict, entry.lacks) == (verdict, "" if verdict == "holds" else "more seeds")


def test_rounding_is_on_the_claim_s_side(tmp_path: Path, small: BenchResult) -> None:
    bench = benches.of(small, benches.training("b2-two-stage"), 0.6850)  # 67.4 to 69.6
    assert held(tmp_path, [bench], claim("x", "70", 'unit = "%"', wants())).verdict == "holds"
    assert held(tmp_path, [bench], claim("x", "70.0", 'unit = "%"', wants())).verdict == "not run"


def test_trainings_that_do_not_agree_decide_nothing(tmp_path: Path, small: BenchResult) -> None:
    good, bad = (benches.of(small, benches.training("b2-two-stage"), share) for share in (0.69, 0.5))
    assert held(tmp_path, [good, bad], CLAIM).verdict == "not run"
    assert held(tmp_path, [bad, bad], CLAIM).verdict == "contradicted"
    reduced = benches.of(small, benches.training("b2-two-stage", planned=2), 0.1)
    assert held(tmp_path, [reduced, good], CLAIM).verdict == "holds"


def test_checks_that_refute_a_claim_are_not_outvoted(tmp_path: Path, small: BenchResult) -> None:
    impossible = claim("x", "68.78", 'unit = "%"', wants(), 'checks = [{ kind = "attainable", images = [3] }]')
    entry = held(tmp_path, [benches.of(small, benches.training("b2-two-stage"), 0.6878)], impossible)
    assert (entry.verdict, entry.by) == ("contradicted", "arithmetic")
    assert entry.measured[0].as_written


def test_figures_of_training_are_of_its_own_validation_images(tmp_path: Path, small: BenchResult) -> None:
    trained = benches.training("b2-two-stage", validation_accuracy=0.675, best_epoch=4)
    bench = benches.of(small, trained, 0.1, "test")  # test says nothing about validation
    made = claim("x", "67.5", 'unit = "%"', wants("validation-accuracy"))
    entry = held(tmp_path, [bench], made)
    assert (entry.verdict, entry.measured[0].images) == ("holds", 3589)
    best = claim("x", "13", 'reading = "exact"', wants("best-epoch"))
    entry = held(tmp_path, [bench], best)
    assert (entry.verdict, entry.measured[0].figure) == ("not run", "4")


def test_a_network_for_four_classes_decides_what_is_claimed_of_four(tmp_path: Path, small: BenchResult) -> None:
    made = claim("x", "0.8223", wants(recipe="b0-mixup"), "conditions = { classes = 4 }", 'needs = "weights"')
    bench = benches.of(small, benches.training("b0-mixup"), 0.8223)
    entry = held(tmp_path, [bench], made, recipe="b0-mixup")
    assert (entry.verdict, entry.measured[0].images) == ("holds", 3867)
    seven = benches.of(small, benches.training("b0-mixup", ["data.classes=[]"]), 0.8223)
    entry = held(tmp_path, [seven], made, recipe="b0-mixup")
    assert entry.verdict == "not comparable"
    assert "7 classes instead of 4" in entry.measured[0].says


@pytest.mark.parametrize("what", ["macro-f1", "weighted-f1", "weighted-recall", "accuracy"])
def test_figures_are_those_of_the_bench_with_an_interval_around_them(small: BenchResult, what: str) -> None:
    random = np.random.default_rng(3)
    matrix = random.integers(1, 90, (7, 7)) + np.diag(random.integers(50, 400, 7))
    entry = small.networks[0].model_copy(update={"confusion": matrix.tolist()})
    known = {"macro-f1": metrics.macro_f1(matrix), "weighted-f1": metrics.weighted_f1(matrix)}
    found = figures.measure(Wanted(recipe="b2-two-stage", what=what), benches.training("cnn-15m"), entry, LABELS)
    assert found is not None
    assert found.value == pytest.approx(known.get(what, metrics.accuracy(matrix)))
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.08


@pytest.mark.parametrize("what", ["precision", "recall", "f1"])
def test_figures_of_a_class_are_those_of_the_bench(small: BenchResult, what: str) -> None:
    matrix = np.diag([10, 0, 30, 40, 50, 60, 70]) + np.eye(7, k=1, dtype=int) * 5
    entry = small.networks[0].model_copy(update={"confusion": matrix.tolist()})
    known = getattr(metrics.per_class(matrix), what)
    for place, label in enumerate(LABELS):
        wanted = Wanted(recipe="b2-two-stage", what=what, label=label)
        found = figures.measure(wanted, benches.training("cnn-15m"), entry, LABELS)
        assert found is not None
        assert found.value == pytest.approx(known[place])
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: {"confusion": entry.confusion[:-1]},
        lambda entry: {"confusion": [[-1, 1, *row[2:]] for row in entry.confusion]},
        lambda entry: {"quality": entry.quality.model_copy(update={"accuracy": 0.5})},
        lambda entry: {"quality": entry.quality.model_copy(update={"images": 3})},
    ],
)
def test_figures_that_cannot_be_right_are_refused(tmp_path: Path, small: BenchResult, change: Any) -> None:
    bench = benches.of(small, benches.training("b2-two-stage"), 0.6878)
    networks: list[NetworkEntry] = [entry.model_copy(update=change(entry)) for entry in bench.networks]
    with pytest.raises(InputError, match=r"0\.json: the figures of b .* cannot be right"):
        held(tmp_path, [bench.model_copy(update={"networks": networks})], CLAIM)


def test_a_recipe_whose_name_is_no_name_is_none_of_the_documents(tmp_path: Path, small: BenchResult) -> None:
    strange = benches.training("b2-two-stage")
    strange = strange.model_copy(update={"recipe": {**strange.recipe, "name": ["b2-two-stage"]}})
    assert held(tmp_path, [benches.of(small, strange, 0.6878)], CLAIM).measured == []


def test_a_result_that_does_not_say_how_it_was_trained_is_noted(tmp_path: Path, small: BenchResult) -> None:
    bench = benches.of(small, benches.training("b2-two-stage"), 0.6878)
    older = bench.bundles[0].model_copy(update={"training": None, "title": "b2-two-stage"})
    head = HEAD + TRAINED.format("b2-two-stage", "true")
    read = ledger.read(write(tmp_path, CLAIM, head=head))
    (note,) = (
        n
        for n in decide(read, None, [("a.json", bench.model_copy(update={"bundles": [older]}))]).notes
        if "a.json" in n
    )
    assert "run `edgefer bench` on it again" in note
    assert any("no benchmarked network" in n for n in decide(read, None, [("s", small)]).notes)


def test_what_a_network_costs_takes_no_finished_training(tmp_path: Path, small: BenchResult) -> None:
    said = '[[statement]]\nid = "a.fast"\ndocument = "a"\nplace = "X"\nquote = "fast"\nrecipes = ["b2-two-stage"]\n'
    short = benches.training("b2-two-stage", ["model.pretrained=false"], 2, epochs=None)
    small_images = benches.training("b2-two-stage", ["preprocessing.size=64"])
    results = [("a.json", benches.of(small, short, 0.2)), ("b.json", benches.of(small, small_images, 0.2))]
    head = HEAD + TRAINED.format("b2-two-stage", "true")
    decided = decide(ledger.read(write(tmp_path, CLAIM, said, head=head)), None, results)
    costs = decided.statements[0].costs
    assert [(cost.source, cost.network) for cost in costs] == [
        (name, entry.network) for name in ("a.json", "b.json") for entry in small.networks
    ]
    assert costs[0].p50_ms == small.networks[0].latency.p50
    assert costs[0].file_bytes == small.networks[0].file_bytes
    assert costs[0].differences == []
    assert costs[-1].differences == ["64 px instead of 260"]
    assert decided.claims == 1  # without a number there is no claim


@pytest.fixture(scope="module")
def ours() -> ledger.Ledger:
    return ledger.read()


@pytest.mark.usefixtures("without_torch")
def test_a_reduced_run_changes_no_verdict_of_the_whole_ledger(ours: ledger.Ledger, small: BenchResult) -> None:
    reduced = [
        (name, benches.of(small, benches.training(name, ["preprocessing.size=64"], 10), 0.7))
        for name in ("b2-two-stage", "b0-attention", "insideout-v2s", "b0-mixup")
    ]
    before, after = decide(ours), decide(ours, None, reduced)
    assert after.verdicts == before.verdicts
    for old, new in zip(before.entries, after.entries, strict=True):
        assert (old.verdict, old.reason, old.found) == (new.verdict, new.reason, new.found)
        assert not any(each.as_written for each in new.measured)
    beside = [entry.id for entry in after.entries if entry.measured]
    assert len(beside) > 80
    assert {"b2.accuracy", "attention.macro-f1", "poster.happy.recall", "insideout.macro-f1"} <= set(beside)


@pytest.mark.parametrize("name", PAPERS)
def test_described_says_what_the_recipe_s_comments_say(ours: ledger.Ledger, name: str) -> None:
    text = recipes.text(name).partition("[[ablations]]")[0]
    lines = [line for line in text.splitlines() if re.match(r"(batch_size|epochs|optimizer|lr) = ", line)]
    cited = all("#" in line and "ours" not in line.partition("#")[2] for line in lines)
    assert ours.trainings[name].described == cited


def parsed(words: list[str]) -> dict[str, Any]:
    """Return the parameters of a command line as parsed by the real command."""
    group: Any = typer.main.get_command(app)
    program, name, *rest = words
    assert program == "edgefer"
    found: dict[str, Any] = group.commands[name].make_context(name, rest).params
    return found


@pytest.mark.usefixtures("without_torch")
def test_every_command_of_the_ledger_is_one_that_edgefer_takes(ours: ledger.Ledger) -> None:
    decided = decide(ours)
    lines = {entry.command for entry in decided.entries} | {each.command for each in decided.statements}
    trained = set()
    for line in lines:
        if line.startswith("none: "):
            continue
        steps = [parsed(shlex.split(step)) for step in line.split(" && ")]
        assert "results" in steps[-1]  # it ends with edgefer claims
        if len(steps) == 1:
            continue
        train, compress, bench, claims = steps
        assert claims["results"] == [bench["out"]]
        trained.add(train["recipe"])
        recipe = recipes.load(train["recipe"], epochs=train["epochs"])  # values that --epochs refuses are refused here
        assert (compress["checkpoint"], bench["bundles"]) == (train["out"], [compress["out"]])
        assert compress["int8"]
        assert bench["split"] in ("test", "public+private")
        if train["epochs"] is None:
            assert train["pretrained"] is None
            assert not train["settings"]
            assert bench["split"] in ours.trainings[recipe.name].splits
    assert trained == {*PAPERS, "b0-mixup"}


@pytest.mark.slow
def test_the_supports_of_these_tests_are_fer2013_s(fer2013: Path) -> None:
    assert benches.fer2013_has_these(data.load(fer2013)) == benches.SUPPORTS


@pytest.mark.slow
def test_the_command_of_a_claim_runs_from_training_to_ledger(
    ours: ledger.Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a few images, with additional reductions that the ledger then names."""
    monkeypatch.chdir(tmp_path)
    images = samples.dataset(56)
    for row, label in enumerate(images.labels):
        # A folder with the command's name.
        place = Path("fer2013.zip", ("train", "val", "test")[images.splits[row]], LABELS[label])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images.images[row]).save(place / f"{row}.png")
    train, compress, bench, hold = commands.of(ours.claims["attention.cnn-accuracy"], ours).split(" && ")
    train += " --epochs 1 --set preprocessing.size=20 --set train.batch_size=8 --set model.args.dense=[16]"
    for step in (train, compress, f"{bench} --seconds 0.1", f"{hold} --out done"):
        done = CliRunner().invoke(app, shlex.split(step)[1:])
        assert done.exit_code == 0, done.output
    held = schema.ClaimsResult.model_validate_json(Path("done/claims.json").read_text(encoding="utf-8"))
    entry = next(entry for entry in held.entries if entry.id == "attention.cnn-accuracy")
    assert entry.verdict == "not run"
    (figure,) = entry.measured
    assert figure.differences[:3] == [
        "20 px instead of 48",
        "1 epoch instead of 40",
        "on other images than FER2013's (fer2013)",
    ]
    assert figure.images == 7  # an eighth of the training images, as the recipe splits them
    (memory,) = (each for each in held.statements if each.id == "attention.cnn-memory")
    assert [cost.network for cost in memory.costs] == ["fp32", "int8-cpu"]
