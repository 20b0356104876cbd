"""Learning from trained networks and FER+ votes in addition to labels."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

from edgefer import bundle, models, recipes
from edgefer.bundle.manifest import DataEntry
from edgefer.cli.main import app
from edgefer.compression import export
from edgefer.data import splits
from edgefer.data.dataset import Dataset
from edgefer.errors import InputError, Interrupted
from edgefer.learning import checkpoint, interrupt, state
from edgefer.learning.loss import distillation
from edgefer.recipes import Recipe
from edgefer.training.targets import Targets
from edgefer.training.teachers import Teachers
from edgefer.training.trainer import train
from tests.helpers import samples
from tests.helpers.stripes import small_recipe, stripes


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("teacher") / "run"
    result = train(small_recipe("phases.0.lr=0.1", "train.ema=0.8", "augment.mixup=0.2", epochs=10), stripes(), run)
    assert result.val_accuracy > 0.8
    return run


def shuffled(data: Dataset) -> Dataset:
    """Return the data with meaningless labels; the digest stays, so that teachers are accepted."""
    labels = data.labels.copy()
    labels[data.splits == 0] = np.random.default_rng(1).permutation(labels[data.splits == 0])
    return dataclasses.replace(data, labels=labels)


def votes(data: Dataset, path: Path) -> Path:
    """Write a table in which all votes agree with the label."""
    lines = ["Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"]
    place = {"angry": 4, "disgust": 5, "fear": 6, "happy": 1, "sad": 3, "surprise": 2, "neutral": 0}
    for label, split in zip(data.labels, data.splits, strict=True):
        usage = ("Training", "PublicTest", "PrivateTest")[split]
        seen = place[data.classes[label]]
        lines.append(f"{usage},x.png,{','.join('10' if kind == seen else '0' for kind in range(10))}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("mixup", ["augment.mixup=0.0", "augment.mixup=0.2"])
def test_a_student_learns_from_its_teacher_what_its_labels_do_not_say(
    teacher: Path, tmp_path: Path, mixup: str
) -> None:
    settings = ("phases.0.lr=0.1", "train.ema=0.8", mixup)
    alone = train(small_recipe(*settings, epochs=6), shuffled(stripes()), tmp_path / "alone")
    taught = (*settings, f"teaching.teachers={json.dumps([str(teacher)])}", "teaching.share=1.0")
    with_teacher = train(small_recipe(*taught, epochs=6), shuffled(stripes()), tmp_path / "taught")
    assert with_teacher.history[-1]["val_accuracy"] > alone.history[-1]["val_accuracy"] + 0.25


def test_votes_are_learned_by_outputs_that_the_checkpoint_does_not_have(tmp_path: Path) -> None:
    data = stripes()
    path = votes(data, tmp_path / "votes.csv")
    settings = ("phases.0.lr=0.1", "augment.mixup=0.2", f"teaching.votes={path}", "teaching.votes_weight=2.0")
    result = train(small_recipe(*settings, epochs=8), data, tmp_path / "run")
    kept = checkpoint.read(result.run)
    assert kept.weights["head.weight"].shape[0] == 7
    assert result.parameters == sum(weights.numel() for weights in checkpoint.build(kept).parameters())
    assert result.history[-1]["train_loss"] < 0.8 * result.history[0]["train_loss"]


def test_the_votes_loss_is_added_with_its_weight(tmp_path: Path) -> None:
    """An untrained network gives each of ten classes a tenth: a loss of ln 10."""
    data = stripes()
    path = votes(data, tmp_path / "votes.csv")
    still = ("phases.0.lr=1e-9", "augment.mixup=0.0", f"teaching.votes={path}")
    losses = [
        train(small_recipe(*still, f"teaching.votes_weight={weight}", epochs=1), data, tmp_path / weight).history[0][
            "train_loss"
        ]
        for weight in ("1.0", "3.0")
    ]
    assert (losses[1] - losses[0]) / 2 == pytest.approx(math.log(10), abs=0.7)


@pytest.mark.parametrize("mixup", ["augment.mixup=0.0", "augment.mixup=0.2"])
def test_votes_tell_a_student_what_its_teacher_does_not_know(tmp_path: Path, mixup: str) -> None:
    data = stripes()
    ignorant = train(small_recipe("phases.0.lr=1e-9", epochs=1), data, tmp_path / "ignorant").run
    settings = ("phases.0.lr=0.1", "train.ema=0.8", "teaching.share=1.0", "teaching.votes_weight=1e-9", mixup)
    taught = (
        *settings,
        f"teaching.teachers={json.dumps([str(ignorant)])}",
        f"teaching.votes={votes(data, tmp_path / 'votes.csv')}",
    )
    alone = train(small_recipe(*taught, epochs=6), data, tmp_path / "alone")
    informed = train(small_recipe(*taught, "teaching.votes_power=2.0", epochs=6), data, tmp_path / "informed")
    assert informed.history[-1]["val_accuracy"] > alone.history[-1]["val_accuracy"] + 0.25


def test_votes_without_a_teacher_have_nobody_to_inform(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="votes_power corrects teachers by votes: it needs both"):
        small_recipe("teaching.votes_power=0.4", f"teaching.votes={tmp_path / 'votes.csv'}")


def test_mixed_images_have_mixed_votes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = stripes()
    asked = []
    cross_entropy = F.cross_entropy

    def note(answers: torch.Tensor, wanted: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        if wanted.ndim == 2 and wanted.shape[1] == 10:
            asked.append(wanted.max(dim=1).values)
        return cross_entropy(answers, wanted, *rest, **more)

    monkeypatch.setattr(F, "cross_entropy", note)
    settings = (f"teaching.votes={votes(data, tmp_path / 'votes.csv')}", "augment.mixup=1.0")
    train(small_recipe(*settings, epochs=1), data, tmp_path / "run")
    assert (torch.cat(asked) < 0.95).float().mean() > 0.5  # unmixed, all ten see the same


def test_several_teachers_teach_their_mean(teacher: Path, tmp_path: Path) -> None:
    data = stripes()
    other = train(small_recipe("train.seed=1", epochs=1), data, tmp_path / "other").run
    spec = small_recipe().preprocessing
    x = torch.from_numpy(spec.apply(data.images[:16]))
    one, two, both = (
        Teachers(runs, data, splits.split(data, "val"), spec, "cpu").probabilities(x, 2.0)
        for runs in ([str(teacher)], [str(other)], [str(teacher), str(other)])
    )
    assert torch.allclose(both, (one + two) / 2, atol=1e-6)
    assert not torch.allclose(one, two, atol=1e-3)


def test_mirrored_teachers_say_the_same_of_a_picture_and_of_its_mirror_image(teacher: Path, tmp_path: Path) -> None:
    data, spec = stripes(), small_recipe().preprocessing
    validation = splits.split(data, "val")
    x = torch.from_numpy(spec.apply(data.images[:16]))
    plain, mirrored = (Teachers([str(teacher)], data, validation, spec, "cpu", both) for both in (False, True))
    mean = (plain.probabilities(x, 2.0) + plain.probabilities(x.flip(3), 2.0)) / 2
    assert torch.allclose(mirrored.probabilities(x, 2.0), mean, atol=1e-6)
    assert torch.allclose(mirrored.probabilities(x.flip(3), 2.0), mean, atol=1e-6)
    assert not torch.allclose(plain.probabilities(x, 2.0), mean, atol=1e-3)
    taught = ("augment.mixup=0.0", f"teaching.teachers={json.dumps([str(teacher)])}")
    losses = [
        train(small_recipe(*taught, f"teaching.mirrored={both}", epochs=1), data, tmp_path / both).history[0]
        for both in ("false", "true")
    ]
    assert losses[0]["train_loss"] != losses[1]["train_loss"]


def taught_by_views(teacher: Path, *settings: str, epochs: int = 2) -> Recipe:
    return small_recipe(f"teaching.teachers={json.dumps([str(teacher)])}", "teaching.views=2", *settings, epochs=epochs)


def test_teachers_are_asked_once_about_each_view_and_never_in_a_step(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, asked = stripes(), []
    probabilities_of = Teachers.probabilities_of

    def note(self: Teachers, seen: Callable[[Any], torch.Tensor], temperature: float) -> torch.Tensor:
        answers = probabilities_of(self, seen, temperature)
        asked.append(len(answers))
        return answers

    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Teachers, "probabilities_of", note)
    train(taught_by_views(teacher, epochs=3), data, tmp_path / "run")
    assert sum(asked) == 2 * len(splits.split(data, "train"))
    train(taught_by_views(teacher, "preprocessing.size=20", "augment.mixup=0.2"), data, tmp_path / "smaller")
    assert sum(asked) == 2 * len(splits.split(data, "train")), "a student of another size asks again"
    train(taught_by_views(teacher, "augment.rotate=20"), data, tmp_path / "turned")
    assert sum(asked) == 4 * len(splits.split(data, "train")), "other views take the answers about these"


def test_answers_about_views_are_those_about_what_the_student_sees(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    data, recipe = stripes(), taught_by_views(teacher, "augment.erase=0.5", "augment.rotate=10")
    training, spec = splits.split(data, "train"), recipe.preprocessing
    teachers = Teachers(recipe.teaching.teachers, data, splits.split(data, "val"), spec, "cpu")
    targets = Targets(recipe, training, len(data.classes), teachers, None, "cpu")
    targets.ask_teachers("fp32")
    rows = np.array([5, 3, 90])
    for epoch in (0, 1, 2):
        targets.begin_epoch(epoch)
        batch = targets.take(rows, "fp32")
        assert batch.teacher_probabilities is not None
        live = teachers.probabilities(batch.x, recipe.teaching.temperature)
        assert torch.allclose(batch.teacher_probabilities, live, atol=2e-3)  # float16
    again = targets.take(rows[::-1].copy(), "fp32")
    assert torch.equal(again.x.flip(0), batch.x), "a view depends on the batch"


@pytest.mark.parametrize("spoiled", ["cut", "of another shape", "a pickle"])
def test_a_spoiled_file_of_views_is_written_anew(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    data, recipe = stripes(), taught_by_views(teacher)
    first = train(recipe, data, tmp_path / "first")
    file = sorted((tmp_path / "cache" / "teaching").rglob("view-*.npy"))[1]
    good = file.read_bytes()
    if spoiled == "cut":
        file.write_bytes(good[: len(good) // 2])
    else:
        wrong = np.zeros((3, 2), np.float16) if spoiled == "of another shape" else np.array([{}], dtype=object)
        np.save(file, wrong, allow_pickle=True)
    assert train(recipe, data, tmp_path / "second").history[1]["train_loss"] == first.history[1]["train_loss"]
    assert file.read_bytes() == good


def test_an_interrupted_asking_keeps_the_views_that_are_done(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    batches = -(-len(splits.split(stripes(), "train")) // 256)
    with interrupted_after(batches + 1), pytest.raises(Interrupted, match="1 of 2 views are kept: the same command"):
        train(taught_by_views(teacher), stripes(), tmp_path / "run")
    assert len(list((tmp_path / "cache" / "teaching").rglob("view-*.npy"))) == 1


def test_a_logit_adjustment_has_rare_classes_named_more_often(tmp_path: Path) -> None:
    data = stripes()
    rare = np.flatnonzero(data.labels == 0)[10:]
    labels = data.labels.copy()
    labels[rare] = 1  # pictures of the first class labelled as the second: the first is rare and hard to classify
    data = dataclasses.replace(data, labels=labels)
    named = []
    for power in (0.0, 1.0):
        run = train(small_recipe(f"train.logit_adjustment={power}", epochs=3), data, tmp_path / str(power)).run
        kept = checkpoint.read(run)
        x = torch.from_numpy(kept.recipe.preprocessing.apply(data.images))
        named.append(int((checkpoint.build(kept)(x).argmax(1) == 0).sum()))
    assert named[1] > named[0]


def test_a_higher_temperature_leaves_gradients_as_large() -> None:
    logits, wanted = torch.randn(8, 7), torch.randn(8, 7).softmax(1)
    assert torch.allclose(distillation(logits, wanted, 3.0), 9 * F.cross_entropy(logits / 3, wanted))


@contextmanager
def interrupted_after(steps: int) -> Iterator[None]:
    """Simulate Ctrl-C during a training."""
    asked = itertools.count(1)

    @contextmanager
    def wish() -> Iterator[Callable[[], bool]]:
        yield lambda: next(asked) == steps

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interrupt, "wish_to_stop", wish)
        yield


def test_a_run_with_a_teacher_and_votes_goes_on_to_the_same_weights_unless_they_changed(
    teacher: Path, tmp_path: Path
) -> None:
    data = stripes()
    path = votes(data, tmp_path / "votes.csv")
    taught = small_recipe(
        f"teaching.teachers={json.dumps([str(teacher)])}",
        f"teaching.votes={path}",
        "teaching.votes_power=0.4",
        "augment.mixup=0.2",
    )
    train(taught, data, tmp_path / "whole")
    with interrupted_after(10), pytest.raises(Interrupted):  # 7 steps an epoch
        train(taught, data, tmp_path / "parts")
    shutil.copytree(tmp_path / "parts", tmp_path / "again")
    train(taught, data, tmp_path / "parts", resume=True)
    ends = [state.read(tmp_path / name / "last.json") for name in ("whole", "parts")]
    for kind in ("model", "selected"):
        assert all(torch.equal(ends[0][kind][key], ends[1][kind][key]) for key in ends[0][kind])

    def with_(**teaching: object) -> Recipe:
        return taught.model_copy(update={"teaching": taught.teaching.model_copy(update=teaching)})

    with pytest.raises(InputError, match="began with other teachers"):
        train(with_(teachers=(str(tmp_path / "whole"),)), data, tmp_path / "again", resume=True)
    other = tmp_path / "other.csv"
    other.write_text(path.read_text().replace("x.png", "y.png"))
    with pytest.raises(InputError, match="began with other votes"):
        train(with_(votes=str(other)), data, tmp_path / "again", resume=True)
    elsewhere = shutil.copytree(teacher, tmp_path / "elsewhere")
    train(with_(teachers=(str(elsewhere),)), data, tmp_path / "again", resume=True)


def test_a_bundle_teaches_what_its_checkpoint_teaches(teacher: Path, tmp_path: Path) -> None:
    data, kept = stripes(), checkpoint.read(teacher)
    spec = kept.recipe.preprocessing
    seen = torch.from_numpy(spec.apply(data.images[:32]))
    network = export.fp32(models.merged(checkpoint.build(kept)), seen[:1]).SerializeToString()

    def teachers(digest: str) -> Teachers:
        told = samples.description(
            preprocessing=spec, data=DataEntry(name="stripes", digest=digest, synthetic=False), labels=kept.classes
        )
        bundle.write(tmp_path / digest, told, {"fp32": bundle.NetworkFile("fp32.onnx", network, "fp32", "any")})
        return Teachers([str(tmp_path / digest)], data, splits.split(data, "val"), spec, "cpu")

    by_checkpoint = Teachers([str(teacher)], data, splits.split(data, "val"), spec, "cpu").probabilities(seen, 2.0)
    assert torch.allclose(teachers(data.digest).probabilities(seen, 2.0), by_checkpoint, atol=1e-4)
    with pytest.raises(InputError, match="was trained on stripes, not on these data"):
        teachers("d" * 64)


def test_teachers_that_do_not_fit_are_refused_before_training(teacher: Path, tmp_path: Path) -> None:
    one = f"teaching.teachers={json.dumps([str(teacher)])}"
    with pytest.raises(InputError, match="was trained on stripes, not on these data"):
        train(small_recipe(one), stripes(seed=1), tmp_path / "run")
    with pytest.raises(InputError, match=r"sees .* of a picture and the student 80%"):
        train(small_recipe(one, "preprocessing.crop=0.8"), stripes(), tmp_path / "run")
    with pytest.raises(InputError, match=r"the teacher: nowhere contains no checkpoint.*--teacher"):
        train(small_recipe('teaching.teachers=["nowhere"]'), stripes(), tmp_path / "run")
    (tmp_path / "again").symlink_to(teacher)
    both = f"teaching.teachers={json.dumps([str(teacher), str(tmp_path / 'again')])}"
    with pytest.raises(InputError, match=r"the teacher .*again is named twice"):
        train(small_recipe(both), stripes(), tmp_path / "run")
    with pytest.raises(InputError, match=r"was trained on 28 of the 28 images that select the checkpoint"):
        train(small_recipe(one, "data.split=stratified"), stripes(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_another_size_colour_and_scaling_answers_as_on_its_own_input(tmp_path: Path) -> None:
    data = stripes()
    theirs = ("preprocessing.size=32", "preprocessing.color=rgb", "preprocessing.mean=[0.4, 0.5, 0.6]")
    recipe = small_recipe(*theirs, "preprocessing.std=[0.2, 0.3, 0.4]", epochs=4)
    run = train(recipe, data, tmp_path / "run").run
    student = small_recipe("preprocessing.size=44", "preprocessing.mean=[0.5]", "preprocessing.std=[0.25]")
    teachers = Teachers([str(run)], data, splits.split(data, "val"), student.preprocessing, "cpu")
    own = torch.from_numpy(recipe.preprocessing.apply(data.images[:64]))
    seen = torch.from_numpy(student.preprocessing.apply(data.images[:64]))
    wanted = checkpoint.build(checkpoint.read(run))(own).softmax(1)
    got = teachers.probabilities(seen, 1.0)
    assert (got.argmax(1) == wanted.argmax(1)).float().mean() > 0.9  # resized twice, so not exact to the last digit
    assert torch.allclose(got.sum(1), torch.ones(64))


def test_distillation_is_least_where_the_student_answers_as_the_teacher() -> None:
    logits = torch.randn(8, 7)
    same = distillation(logits, (logits / 2).softmax(1), 2.0)
    assert same < distillation(logits + torch.randn(8, 7), (logits / 2).softmax(1), 2.0)
    assert torch.allclose(distillation(logits, logits.softmax(1), 1.0), F.cross_entropy(logits, logits.softmax(1)))


@pytest.mark.slow
def test_the_command_takes_teachers_and_votes(teacher: Path, tmp_path: Path) -> None:
    command = ["train", "quickstart", "--votes", str(tmp_path / "none.csv"), "--out", str(tmp_path / "run")]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2
    assert "none.csv; give fer2013new.csv with --votes" in refused.output
    refused = CliRunner().invoke(app, [*command[:2], "--teacher", str(teacher), "--out", str(tmp_path / "run")])
    assert refused.exit_code == 2
    assert "was trained on stripes" in refused.output


def test_phases_after_one_that_stopped_early_keep_their_own_rates(tmp_path: Path) -> None:
    recipe = small_recipe("train.early_stopping=1", "train.ema=0.0", epochs=5)
    head = recipe.phases[0].model_copy(update={"name": "head", "lr": 1e-12, "epochs": 4})
    rest = recipe.phases[0].model_copy(update={"name": "rest", "epochs": 2})
    result = train(recipe.model_copy(update={"phases": (head, rest)}), stripes(), tmp_path / "run")
    phases = [line["phase"] for line in result.history]
    assert 1 < phases.count("head") < 4
    assert phases.count("rest") == 2
    assert all(0 <= line["lr"] <= rest.lr for line in result.history)


def test_a_trained_network_goes_on_with_other_classes_and_a_gentler_recipe(teacher: Path, tmp_path: Path) -> None:
    data = stripes(seed=5)
    three = dataclasses.replace(data, labels=data.labels % 3, classes=("a", "b", "c"), digest="e" * 64)
    recipe = recipes.going_on(checkpoint.read(teacher).recipe, str(teacher), ["train.precision=fp32"], epochs=4)
    assert [phase.train for phase in recipe.phases] == [("head",), ("*",)]
    assert recipe.name == "quickstart-tuned"
    result = train(recipe, three, tmp_path / "run")
    fresh = train(
        recipe.model_copy(update={"model": recipe.model.model_copy(update={"initial_weights": None})}),
        three,
        tmp_path / "fresh",
    )
    assert result.history[-1]["val_loss"] < fresh.history[-1]["val_loss"] - 0.2
    network: Any = checkpoint.build(checkpoint.read(result.run))
    assert network.get_classifier().out_features == 3


def test_going_on_keeps_a_classifier_of_the_same_classes_with_votes_beside_it(teacher: Path, tmp_path: Path) -> None:
    data = stripes()
    start = (f"model.initial_weights={teacher}", f"teaching.votes={votes(data, tmp_path / 'votes.csv')}")
    settings = (*start, "phases.0.lr=1e-9", "train.ema=0.0", "augment.mixup=0.0")
    result = train(small_recipe(*settings, epochs=1), data, tmp_path / "run")
    before = checkpoint.read(teacher).weights["head.weight"]
    assert torch.allclose(checkpoint.read(result.run).weights["head.weight"], before, atol=1e-5)


def test_a_wider_network_goes_on_where_a_narrower_one_stopped(teacher: Path, tmp_path: Path) -> None:
    narrow = checkpoint.read(teacher)
    widths = [2 * width for width in narrow.recipe.model.args["widths"]]
    still = (f"model.initial_weights={teacher}", f"model.args.widths={widths}", "phases.0.lr=1e-9", "augment.mixup=0.0")
    result = train(small_recipe(*still, epochs=1), stripes(), tmp_path / "run")
    assert result.val_accuracy == pytest.approx(narrow.val_accuracy, abs=0.02)
    network: Any = checkpoint.build(checkpoint.read(result.run))
    assert network.get_classifier().in_features == widths[-1]


def test_a_start_that_does_not_fit_is_refused(teacher: Path, tmp_path: Path) -> None:
    wrong = small_recipe(f"model.initial_weights={teacher}", "model.args.widths=[8, 12]")
    with pytest.raises(
        InputError, match=r"the network of .*run does not fit this network: .* is missing or has another"
    ):
        train(wrong, stripes(), tmp_path / "run")
    done = CliRunner().invoke(app, ["train", "--from", str(tmp_path / "none"), "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "contains no checkpoint" in done.output
