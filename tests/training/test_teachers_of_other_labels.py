"""A teacher with other classes than its student."""

from __future__ import annotations

import torch

from edgefer.training.targets import by_labels
from edgefer.training.teachers import _for_classes


def test_answers_go_by_name_and_what_the_student_does_not_have_is_left_out() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]])

    parts = {"happy": ("happy",), "sad": ("sad",)}
    found = _for_classes(logits, ("sad", "happy", "fear"), ("contempt", "happy", "sad"), parts)

    assert found[0, 0] == 0
    assert torch.allclose(found[0, 1:], torch.tensor([2.0, 1.0]).softmax(0))


def test_what_a_teacher_says_of_classes_that_are_one_here_adds_up() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]])

    found = _for_classes(
        logits,
        ("sad", "happy", "fear"),
        ("negative", "positive"),
        {"negative": ("sad", "fear"), "positive": ("happy",)},
    )

    said = logits.softmax(1)[0]
    assert torch.allclose(found[0], torch.stack([said[0] + said[2], said[1]]))


def test_of_a_class_that_no_teacher_knows_the_labels_tell() -> None:
    teacher = torch.tensor([[0.0, 0.6, 0.4], [0.0, 0.6, 0.4]])

    assert torch.allclose(
        by_labels(teacher, torch.tensor([0, 1]), [0]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.6, 0.4]])
    )
    mixed = by_labels(teacher[:1], torch.tensor([[0.5, 0.5, 0.0]]), [0])
    assert torch.allclose(mixed, torch.tensor([[0.5, 0.3, 0.2]]))
