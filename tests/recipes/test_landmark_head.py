"""The landmark head of the papers' ablations: points move with the pixels; the trained network has no such output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.training import landmark_head
from edgefer import recipes
from edgefer.data.dataset import Split
from edgefer.learning import augmentation, checkpoint
from edgefer.training import setup, trainer
from tests.helpers.stripes import stripes

SIDE = 48
POINTS = torch.tensor([[-0.375, -0.25], [0.375, -0.25], [0.0, 0.125], [-0.3, 0.5], [0.3, 0.5]])


def test_points_move_with_the_pixels_and_left_stays_left() -> None:
    recipe = recipes.load(
        "quickstart",
        ("augment.rotate=25", "augment.shift=0.1", "augment.shear=10", "augment.scale=[0.8, 1.2]", "augment.flip=0.5"),
    )
    count = 24
    draws = augmentation.draw(count, torch.Generator().manual_seed(0))
    where = landmark_head.moved(POINTS.expand(count, -1, -1), SIDE, recipe, draws)
    rows = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    size = recipe.preprocessing.size
    places = (torch.arange(size) + 0.5) * 2 / size - 1
    seen = []
    for x, y in POINTS:
        spot = torch.exp(-((rows[None] - x) ** 2 + (rows[:, None] - y) ** 2) / 0.01)
        pictures = (255 * spot).expand(count, 1, SIDE, SIDE)
        out = augmentation.augment(pictures, recipe.augment, recipe.preprocessing, draws)[:, 0]
        out = (out - out.amin((1, 2), keepdim=True)).clamp(min=0) ** 2
        total = out.sum((1, 2))
        seen.append(torch.stack([(out.sum(1) * places).sum(1), (out.sum(2) * places).sum(1)], 1) / total[:, None])
    theirs = torch.stack(seen, 1)  # (N, 5, 2), by name; a mirrored left eye is the one on the right
    mirrored = draws[:, 2] < recipe.augment.flip
    assert 0 < int(mirrored.sum()) < count
    theirs[mirrored] = theirs[mirrored][:, [1, 0, 2, 4, 3]]
    inside = (where.abs() < 0.85).all(2)
    assert inside.float().mean() > 0.7
    assert (theirs - where)[inside].abs().max() < 0.03
    assert (where[:, 0, 0] < where[:, 1, 0]).all()


def test_a_training_learns_landmarks_and_its_checkpoint_has_no_output_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = stripes()

    def found(split: Split) -> np.ndarray:
        points = np.repeat(POINTS.numpy()[None], len(split), 0)
        points[::3] = np.nan
        return points

    monkeypatch.setattr(landmark_head, "found", found)
    monkeypatch.setattr(setup, "_votes", lambda *_: (torch.zeros(len(images), 10), "0" * 64))
    small = ("model.args.widths=[8]", "model.args.blocks=[1]", "train.batch_size=32", "teaching.votes=votes.csv")
    recipe = recipes.load("quickstart", (*small, "train.precision=fp32"), epochs=3)
    with landmark_head.landmarks_for_votes():
        job = setup.prepare(recipe, images, tmp_path / "other", False, "cpu")
        job.targets.begin_epoch(0)
        batch = job.targets.take(np.arange(32), "fp32")
        logits = torch.zeros(32, 17)
        assert batch.votes is not None
        near = torch.cat([logits[:, :7], batch.votes.nan_to_num()], 1)
        assert job.targets.loss(near, batch) < job.targets.loss(logits, batch)
        trained = trainer.train(recipe, images, tmp_path / "run", device="cpu")
    assert vars(setup)["Targets"] is not landmark_head.LandmarkTargets
    assert all(line["train_loss"] > 0 for line in trained.history)
    model = checkpoint.build(checkpoint.read(tmp_path / "run"))
    assert model(torch.zeros(1, 1, 44, 44)).shape == (1, 7)
