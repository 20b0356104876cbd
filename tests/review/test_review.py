"""Review of a run: figures, parameters, augmented images, and which files are opened."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from edgefer import console, data, models, recipes
from edgefer.cli import train
from edgefer.cli.main import app
from edgefer.errors import InputError
from edgefer.learning import loss, randomness, state
from edgefer.preprocessing import Preprocessing
from edgefer.recipes import Recipe
from edgefer.review import evaluation, page, parameters, reviewing, samples
from edgefer.review import run as runs
from edgefer.review.result import Review
from edgefer.review.reviewing import ReviewPictures
from edgefer.training import trainer
from tests.helpers.elements import Page
from tests.helpers.few import few
from tests.helpers.stripes import small_recipe, stripes

HOSTILE = ("<script>alert(1)</script>", 'a"b onload="x', "$x$ & \\1", "happy", "sad", "{{ 7 * 7 }}", "neutral")


def gradual(*settings: str) -> Recipe:
    """Return a recipe with a frozen phase, class weights and mixup."""
    recipe = small_recipe("train.class_weights=true", "augment.mixup=0.4", "train.ema=0.0", *settings, epochs=2)
    phase = recipe.phases[0]
    head = phase.model_copy(update={"name": "head", "train": ("head",), "freeze_batchnorm": True, "epochs": 1})
    return recipe.model_copy(update={"phases": (head, phase.model_copy(update={"name": "all", "epochs": 1}))})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> trainer.TrainResult:
    return trainer.train(gradual(), stripes(), tmp_path_factory.mktemp("runs") / "mine")


@pytest.fixture(scope="module")
def plain(trained: trainer.TrainResult) -> tuple[Review, ReviewPictures]:
    return reviewing.review(runs.read(trained.run), stripes())


@pytest.fixture(scope="module")
def with_faces(trained: trainer.TrainResult) -> tuple[Review, ReviewPictures]:
    return reviewing.review(runs.read(trained.run), stripes(), with_faces=True)


@pytest.fixture
def run(trained: trainer.TrainResult, tmp_path: Path) -> Path:
    """Return a copy of the run that a test may damage."""
    return Path(shutil.copytree(trained.run, tmp_path / "mine"))


def changed(run: Path, **fields: Any) -> None:
    """Set fields of a run's recorded progress."""
    saved = state.read(run / "last.json")
    saved["progress"] |= fields
    state.save(run, "last", saved)


def type_in(*arguments: str) -> Result:
    try:
        return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["review", *arguments])
    finally:
        console.enable(False)


def test_the_figures_are_those_of_the_training_and_of_the_data(
    trained: trainer.TrainResult, plain: tuple[Review, ReviewPictures]
) -> None:
    found = plain[0]
    assert found.evaluation
    assert found.evaluation.accuracy == pytest.approx(trained.val_accuracy, abs=1e-5)
    assert [each.seconds for each in found.history] == [line["seconds"] for line in trained.history]
    dataset = stripes()
    for name, counted in (("train", "train"), ("val", "val")):
        labels = data.split(dataset, name).labels
        assert [getattr(each, counted) for each in found.counts] == np.bincount(labels, minlength=7).tolist()
    weights = loss.class_weights(data.split(dataset, "train").labels, 7, 4.0)
    assert [each.weight for each in found.counts] == pytest.approx(weights.tolist(), abs=1e-4)
    matrix = np.array(found.evaluation.confusion)
    assert matrix.sum(axis=1).tolist() == [each.images for each in found.evaluation.per_class] == [10] * 7
    assert (found.run.finished, found.run.epochs, found.run.best_epoch) == (True, 2, trained.best_epoch)
    assert json.loads(json.dumps(found.as_dict()))["run"]["initial_weights"] == {"kind": "random"}


def test_training_accuracy_is_logged_for_each_epoch(trained: trainer.TrainResult) -> None:
    logged = [line["train_accuracy"] for line in trained.history]
    assert all(0 <= value <= 1 for value in logged)
    # 224 images in 7 steps: a fraction of these
    assert all(value * 224 == pytest.approx(round(value * 224), abs=0.01) for value in logged)


def test_what_papers_show_is_always_among_the_pairs_and_the_most_frequent_come_first() -> None:
    dataset = stripes()
    rows = data.split(dataset, "val")
    wrong = rows.labels.copy()
    at = {name: dataset.classes.index(name) for name in dataset.classes}
    for label, other, count in (("neutral", "sad", 2), ("happy", "angry", 5), ("sad", "fear", 3)):
        wrong[np.flatnonzero(rows.labels == at[label])[:count]] = at[other]
    found = evaluation.figures(np.eye(7, dtype=np.float32)[wrong], rows, dataset.classes)
    assert [(each.label, each.predicted, each.images, each.of, each.known) for each in found.pairs] == [
        ("happy", "angry", 5, 10, False),
        ("sad", "fear", 3, 10, False),
        ("neutral", "sad", 2, 10, True),
        ("fear", "surprise", 0, 10, True),
    ]
    assert found.accuracy == pytest.approx(60 / 70)


def test_the_surest_mistakes_come_first() -> None:
    dataset = stripes()
    rows = data.split(dataset, "val")
    logits = np.eye(7, dtype=np.float32)[rows.labels] * 9
    for place, strength in ((4, 3.0), (11, 5.0), (30, 1.0)):
        logits[place] = np.roll(np.eye(7)[rows.labels[place]], 1) * strength
    found = evaluation.surest(logits, rows, dataset.classes, 2)
    assert [place for place, _ in found] == [11, 4]
    assert [mistake.row for _, mistake in found] == rows.rows[[11, 4]].tolist()
    confidence = np.exp(5) / (np.exp(5) + 6)
    assert found[0][1].confidence == pytest.approx(confidence, abs=1e-4)
    pair = (dataset.classes[rows.labels[4]], dataset.classes[(rows.labels[4] + 1) % 7])
    assert [place for place, _ in evaluation.surest(logits, rows, dataset.classes, 9, pair)] == [
        place for place in (11, 4) if rows.labels[place] == rows.labels[4]
    ]


def test_parameters_are_counted_by_part_and_phase(
    plain: tuple[Review, ReviewPictures], trained: trainer.TrainResult
) -> None:
    table = plain[0].parameters
    assert table.phases == ["head", "all"]
    assert [part.name for part in table.parts] == ["stem", "stages.0", "stages.1", "head"]
    assert table.total == sum(part.parameters for part in table.parts) == trained.parameters
    head = table.parts[-1]
    assert head.parameters == 16 * 7 + 7
    assert table.learning == [head.parameters, table.total]
    assert [part.learning[0] for part in table.parts] == [0, 0, 0, head.parameters]


@pytest.mark.parametrize(
    ("name", "first", "total"),
    [
        ("b0-attention", "backbone.conv_stem", 6_438_787),
        pytest.param("b0-mixup", "conv_stem", 4_012_672, marks=pytest.mark.slow),
    ],
)
def test_a_paper_s_network_is_taken_apart_to_the_last_digit(name: str, first: str, total: int) -> None:
    recipe = recipes.load(name)
    classes = len(recipe.data.classes) or 7
    network = models.create(recipe.model.name, classes, 3, recipe.model.args)
    table = parameters.count(network, recipe.phases)
    names = [part.name for part in table.parts]
    assert names[0] == first
    assert len(names) == len(set(names)) <= 20
    assert table.total == total == sum(part.parameters for part in table.parts)
    assert table.learning[-1] == total
    assert all(each.requires_grad for each in network.parameters())
    if name == "b0-attention":
        assert {"attention": 1_639_680, "dense": 787_200, "head": 1_799}.items() <= {
            part.name: part.parameters for part in table.parts
        }.items()
        assert table.statistics == 44_576
    else:
        assert table.learning[0] == 1280 * 4 + 4


def test_augmented_images_are_drawn_and_the_same_each_time() -> None:
    recipe = gradual()
    randomness.seed(1)
    expected = torch.rand(3)
    randomness.seed(1)
    one = samples.sheet(recipe)
    assert torch.equal(torch.rand(3), expected)  # the rest is as if there were no sheet
    assert one == samples.sheet(recipe)
    assert one.synthetic
    assert len({row.label for row in one.rows}) == samples.FACES
    assert len(one.mixes) == samples.MIXES
    for mix in one.mixes:
        assert sum(int(part.split(" %")[0]) for part in mix.label.split(", ")) == pytest.approx(100, abs=1)
    without = recipe.model_copy(update={"augment": recipe.augment.model_copy(update={"mixup": 0.0})})
    assert samples.sheet(without).mixes == []


def test_a_network_s_input_becomes_the_pixels_that_it_was() -> None:
    recipe = small_recipe()
    settings = Preprocessing(size=48, mean=(0.4,), std=(0.2,))
    recipe = recipe.model_copy(update={"preprocessing": settings})
    images = stripes().images[:4]
    assert np.array_equal(samples.pictures(torch.from_numpy(settings.apply(images)), recipe), images)


class Guarded(np.ndarray):
    """Pixels that record which ones were read."""

    opened: ClassVar[set[int]] = set()

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        if isinstance(key, np.ndarray):
            self.opened.update(key.tolist())
        return super().__getitem__(key)


def test_only_the_split_s_images_are_opened_and_training_s_where_faces_are_asked_for(
    trained: trainer.TrainResult,
) -> None:
    dataset = stripes()
    guarded = dataclasses.replace(dataset, images=dataset.images.view(Guarded))
    rows = {name: set(data.split(dataset, name).indices.tolist()) for name in ("train", "val", "test")}
    for asked, split, faces in (({"val"}, "val", False), ({"train", "val"}, "val", True), ({"test"}, "test", False)):
        Guarded.opened.clear()
        reviewing.review(runs.read(trained.run), guarded, split, with_faces=faces)
        assert {name for name in rows if rows[name] & Guarded.opened} == asked


def test_faces_are_shown_only_where_they_were_asked_for(
    plain: tuple[Review, ReviewPictures], with_faces: tuple[Review, ReviewPictures]
) -> None:
    review, pictures = plain
    assert (review.mistakes, pictures.mistakes, pictures.panels, pictures.examples) == ([], [], [], [])
    assert pictures.samples.synthetic
    shown = Page(page.html(review, pictures)).named("img")
    assert len(shown) == samples.FACES + samples.MIXES + sum(map(bool, pictures.maps[0]))
    review, pictures = with_faces
    assert review.evaluation
    assert not pictures.samples.synthetic
    text = Page(page.html(review, pictures)).text
    assert text.count("These are people") + text.count("these are people") >= 1
    wrong = 70 - round(70 * review.evaluation.accuracy)
    assert len(review.mistakes) == min(24, wrong) > 0
    for panel in pictures.panels:
        assert all(
            (each.mistake.label, each.mistake.predicted) == (panel.label, panel.predicted) for each in panel.faces
        )
    assert [(panel.label, panel.predicted) for panel in pictures.panels][:2] in (
        [("neutral", "sad"), ("fear", "surprise")],
        [("fear", "surprise"), ("neutral", "sad")],
    )


def test_elements_are_nested_ids_unique_and_pictures_say_their_figures(
    with_faces: tuple[Review, ReviewPictures],
) -> None:
    drawn = Page(page.html(*with_faces))
    assert drawn.open == []
    ids = [attributes["id"] for _, attributes in drawn.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 5
    assert all("alt" in each and str(each["src"]).startswith("data:image/png;base64,") for each in drawn.named("img"))
    curves = [each for each in drawn.named("svg") if each.get("aria-hidden") != "true"]
    assert len(curves) == 3
    said = " ".join(str(each["aria-label"]) for each in curves)
    for epoch in with_faces[0].history:
        assert f"{epoch.train_loss:.3f}" in said
    assert "head: epochs 1 to 1, all: epochs 2 to" in said
    assert drawn.named("link", "iframe", "object", "form", "base") == []


def test_labels_are_text_whatever_is_in_them(trained: trainer.TrainResult, run: Path) -> None:
    saved = state.read(run / "best.json")
    saved["classes"] = list(HOSTILE)
    state.save(run, "best", saved)
    dataset = dataclasses.replace(stripes(), classes=HOSTILE, name="<b>name</b>")
    drawn = Page(page.html(*reviewing.review(runs.read(run), dataset, with_faces=True)))
    for label in HOSTILE:
        assert drawn.text.count(label) >= 4
    assert len(drawn.named("script")) == 1
    assert drawn.named("b") == []
    assert all("onload" not in attributes for _, attributes in drawn.elements)


def test_a_run_of_which_no_epoch_is_done_has_a_page_without_answers(run: Path) -> None:
    (run / "best.json").unlink()
    changed(run, history=[], epoch=0, phase=0, first_epoch=0, best_epoch=0)
    review, pictures = reviewing.review(runs.read(run), stripes())
    assert (review.evaluation, review.maps, review.history, review.run.finished) == (None, [], [], False)
    assert review.parameters.learning[0] == 119
    text = Page(page.html(review, pictures)).text
    assert "not finished: 0 of 2 epochs are done" in text
    assert "Confusion matrix" not in text


def test_a_run_that_is_training_is_read_as_it_stands(run: Path) -> None:
    changed(run, history=state.read(run / "last.json")["progress"]["history"][:1], epoch=1)
    next(run.glob("last-*.safetensors")).unlink()  # like a moment after a newer one was written
    review, pictures = reviewing.review(runs.read(run), stripes())
    assert (review.run.finished, review.run.epochs) == (False, 1)
    assert review.evaluation
    assert "not finished: 1 of 2 epochs are done" in Page(page.html(review, pictures)).text


def test_a_network_without_its_log_has_a_page_without_curves(run: Path) -> None:
    (run / "last.json").unlink()
    assert [each.epoch for each in runs.read(run).history] == [1, 2]  # from log.csv
    (run / "log.csv").unlink()
    review, pictures = reviewing.review(runs.read(run), stripes())
    assert (review.history, review.run.finished, review.run.epochs) == ([], None, None)
    assert "no log of the training" in Page(page.html(review, pictures)).text


def test_an_older_log_has_no_training_accuracy_and_the_page_says_so(run: Path) -> None:
    lines = state.read(run / "last.json")["progress"]["history"]
    changed(run, history=[{key: value for key, value in line.items() if key != "train_accuracy"} for line in lines])
    review, pictures = reviewing.review(runs.read(run), stripes())
    assert all(each.train_accuracy is None for each in review.history)
    assert "it has no training accuracy" in Page(page.html(review, pictures)).text


def test_other_data_are_said_and_weigh_no_class(trained: trainer.TrainResult) -> None:
    review, pictures = reviewing.review(runs.read(trained.run), stripes(seed=5))
    assert not review.data.same
    assert all(each.weight is None for each in review.counts)
    assert "These are not the run's data" in Page(page.html(review, pictures)).text
    other = dataclasses.replace(stripes(), classes=("a", "b", "c", "d", "e", "f", "g"))
    with pytest.raises(InputError, match=r"the network angry, disgust, .*; give other data with --data"):
        reviewing.review(runs.read(trained.run), other)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _spoil(run: Path, how: str) -> None:
    if how == "empty":
        for file in run.iterdir():
            file.unlink()
    elif how == "foreign":
        for file in run.glob("best*"):
            file.unlink()
        state.save(run, "last", {"notes": {}})
    elif how == "a tensor file that is gone":
        next(run.glob("best-*.safetensors")).unlink()
    elif how == "a log that is not one":
        (run / "last.json").unlink()
        (run / "log.csv").write_bytes(b"epoch,phase\n\xff\xfe")
    elif how == "a log without numbers":
        changed(run, history=[{"epoch": 1, "phase": "x", "lr": "nan"}])
    elif how == "progress of another kind":
        changed(run, speed=3)
    elif how in ("a start without a name", "an epoch that is no number"):
        (run / "last.json").unlink()
        saved = state.read(run / "best.json")
        saved |= {"initial_weights": {"kind": "hub"}} if "initial_weights" in how else {"epoch": "three"}
        state.save(run, "best", saved)
    else:
        _cut(next(run.glob(how)))


def test_a_network_that_came_with_edgefer_goes_by_its_name() -> None:
    found = runs.read(runs.find(Path("edgefer-base")))
    assert (found.info.name, found.info.data["name"]) == ("edgefer-base", "FER2013")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("empty", "contains no training; give a folder"),
        ("foreign", r"last\.json is damaged or was not written"),
        ("best.json", r"best\.json is damaged"),
        ("last.json", r"last\.json is damaged"),
        ("best-*.safetensors", r"is damaged: its SHA-256 is not"),
        ("a tensor file that is gone", "which is missing"),
        ("a log that is not one", r"log\.csv is damaged"),
        ("a log without numbers", r"last\.json is damaged"),
        ("progress of another kind", r"last\.json is damaged"),
        ("a start without a name", r"best\.json is not an edgefer checkpoint"),
        ("an epoch that is no number", r"best\.json is not an edgefer checkpoint"),
    ],
)
def test_a_folder_that_is_no_whole_run_is_refused_by_name(run: Path, how: str, said: str) -> None:
    _spoil(run, how)
    with pytest.raises(InputError, match=said):
        runs.read(runs.find(run))


def test_the_command_writes_a_page_and_the_same_figures_as_json(
    trained: trainer.TrainResult, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefer.data.find", lambda named: stripes() if named is None else stripes(seed=5))
    done = type_in(str(run), "--json")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    written = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert {key: printed[key] for key in written} == written
    assert printed["page"] == str(run / "run.html")
    assert written["evaluation"]["accuracy"] == pytest.approx(trained.val_accuracy, abs=1e-5)

    done = type_in(str(run), "--data", "elsewhere", "--split", "test", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "70 images of test" in done.stdout
    assert not json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["data"]["same"]
    assert json.loads((run / "run.json").read_text(encoding="utf-8")) == written

    _cut(run / "best.json")
    before = (run / "run.html").read_bytes()
    refused = type_in(str(run), "--json")
    assert refused.exit_code == 2
    assert (run / "run.html").read_bytes() == before


def test_what_cannot_be_reviewed_is_said_in_a_line(
    trained: trainer.TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefer.data.find", lambda named: stripes(seed=5))
    monkeypatch.chdir(tmp_path)
    for words, said in (
        ((), "no trained network in runs/train"),
        (("nowhere",), "nowhere contains no training"),
        (("edgefer-base",), "comes with edgefer; name a folder for its page with --out"),
        ((str(trained.run), "--split", "holdout"), "unknown split 'holdout'"),
        ((str(trained.run),), "was trained on stripes, not on the data found here"),
    ):
        refused = type_in(*words)
        assert refused.exit_code == 2, refused.output
        assert said in " ".join(refused.stderr.split())
    assert not list(trained.run.glob("run.*"))


def test_a_training_whose_page_cannot_be_made_has_been_done_all_the_same(
    trained: trainer.TrainResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("review.page", "review.charts", "pages.page", "pages.svg"):
        monkeypatch.delitem(sys.modules, f"edgefer.{module}", raising=False)
        monkeypatch.delattr(f"edgefer.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    console.enable()
    try:
        assert train.show(trained.run, stripes(), None) == {}
    finally:
        console.enable(False)
    said = capsys.readouterr().err
    assert said == "no run.html: jinja2 is not installed; run: pip install 'edgefer[report]'\n"
    assert not list(trained.run.glob("run.*"))


@pytest.mark.slow
def test_photographs_are_shown_where_they_were_asked_for_and_are_called_people(fer2013: Path, tmp_path: Path) -> None:
    dataset = few(fer2013)
    trained = trainer.train(gradual(), dataset, tmp_path / "run")
    review, pictures = reviewing.review(runs.read(trained.run), dataset, with_faces=True)
    assert [(each.train, each.val) for each in review.counts] == [(32, 8)] * 7
    assert review.evaluation
    assert review.evaluation.images == 56
    text = Page(page.html(review, pictures)).text
    assert "The faces below are people" in text
    assert "synthetic faces" not in text.replace(review.run.recipe["description"], "")
    rows = data.split(dataset, "val")
    for face in pictures.mistakes:
        shown = np.array(Image.open(io.BytesIO(base64.b64decode(face.address.partition(",")[2]))))
        place = rows.rows.tolist().index(face.mistake.row)
        assert np.array_equal(shown, rows.take(np.array([place]))[0])
        assert review.classes[rows.labels[place]] == face.mistake.label != face.mistake.predicted


def test_classes_without_images_or_right_answers_spoil_no_page(trained: trainer.TrainResult) -> None:
    dataset = stripes()
    bad = dataclasses.replace(dataset, labels=(dataset.labels + 1) % 7, digest="0" * 64)
    one_class = dataclasses.replace(
        dataset, splits=np.where((dataset.splits == 1) & (dataset.labels != 3), 255, dataset.splits).astype(np.uint8)
    )
    for each in (bad, one_class):
        text = page.html(*reviewing.review(runs.read(trained.run), each, with_faces=True))
        assert Page(text).open == []
        assert not re.search(r"\bnan\b", Page(text).text)
