"""Vote-corrected teachers that have memorized their students' labels, with other people's votes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from edgefer.training import vote_correction


def votes_and_labels(count: int = 600, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Ten people who are slightly less sure of a class than its label."""
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, count)
    seen = np.where(random.random((count, 10)) < 0.6, truth[:, None], random.integers(0, classes + 1, (count, 10)))
    votes = np.stack([(seen == kind).mean(1) for kind in range(classes + 1)], 1)
    labels = np.where(random.random(count) < 0.8, truth, random.integers(0, classes, count))
    return votes.astype(np.float32), labels


def test_what_votes_say_of_a_label_is_scikit_learns_logistic_regression() -> None:
    votes, labels = votes_and_labels()
    shares = votes.astype(np.float64)
    features = np.concatenate([shares, np.log(shares + 0.02)], 1)
    wanted = LogisticRegression(C=1 / (2 * len(votes) * vote_correction._DECAY), tol=1e-8, max_iter=5000)
    wanted = wanted.fit(features, labels).predict_log_proba(features)
    found = vote_correction.label_model(torch.from_numpy(votes), torch.from_numpy(labels), 3)(
        torch.from_numpy(votes[::2])
    )
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), wanted[::2], atol=1e-3)


def test_a_kind_without_a_vote_and_a_class_without_an_image_leave_finite_numbers() -> None:
    votes = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(50, 1)
    found = vote_correction.label_model(votes, torch.tensor([0, 1]).repeat(50), 3)(votes)
    assert torch.isfinite(found).all()
    assert (found.argmax(1) == torch.tensor([0, 1]).repeat(50)).all()


def test_the_target_is_the_product_of_both() -> None:
    teachers = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    likely = torch.tensor([[0.2, 0.6, 0.2], [0.3, 0.3, 0.4]]).log()
    found = vote_correction.vote_corrected(teachers, likely, 0.5)
    wanted = teachers * likely.exp().sqrt()
    assert torch.allclose(found, wanted / wanted.sum(1, keepdim=True), atol=1e-6)
    assert torch.allclose(vote_correction.vote_corrected(teachers, likely, 0.0), teachers, atol=1e-6)


@pytest.mark.parametrize("sure", [0.0, 1e-30])
def test_a_teacher_that_is_certain_leaves_a_number(sure: float) -> None:
    teachers = torch.tensor([[1.0, sure, 0.0]])
    assert torch.isfinite(vote_correction.vote_corrected(teachers, torch.tensor([[0.1, 0.8, 0.1]]).log(), 2.0)).all()
