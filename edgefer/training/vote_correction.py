"""Corrects teacher probabilities by people's votes on the training images.

Teachers have partly memorized the labels of their training images. Votes are independent of these labels, so the
product of the teachers' probabilities and P(label | votes) is more accurate than either.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_MIN_SHARE = 0.02  # added before the logarithm: a kind without votes is unlikely, not impossible
_DECAY = 1e-4  # on squared weights, relative to the mean cross-entropy
_STEPS = 500


def label_model(votes: Tensor, labels: Tensor, classes: int) -> Callable[[Tensor], Tensor]:
    """Fit P(label | votes) by multinomial logistic regression.

    It can be applied to the images that it was fitted to: one image barely changes its few hundred weights.

    Args:
        votes: share of each kind, float32, (n, kinds), from `edgefer.data.votes.read`.
        labels: int64, (n,).
        classes: number of labels.

    Returns:
        A function from votes, float32, (m, kinds), to log probabilities of the labels, float32, (m, classes).
    """
    features, truth = _features(votes), labels.cpu()
    weights = torch.zeros(classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    fit = torch.optim.LBFGS(
        [weights, bias], max_iter=_STEPS, tolerance_grad=1e-8, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        fit.zero_grad()
        value = F.cross_entropy(features @ weights.T + bias, truth) + _DECAY * weights.square().sum()
        value.backward()
        return value

    fit.step(loss)

    def probabilities(votes: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.log_softmax(_features(votes) @ weights.T + bias, dim=1).float()

    return probabilities


def _features(votes: Tensor) -> Tensor:
    shares = votes.double().cpu()
    return torch.cat([shares, torch.log(shares + _MIN_SHARE)], dim=1)


def vote_corrected(probabilities: Tensor, likely: Tensor, power: float) -> Tensor:
    """Return the teachers' probabilities times P(label | votes) ** power, normalized: (n, classes).

    Args:
        probabilities: the teachers', at some temperature, (n, classes).
        likely: log probabilities from `label_model`, of the same images.
        power: exponent of P(label | votes), already divided by the temperature.
    """
    return torch.softmax(probabilities.log() + power * likely, dim=1)
