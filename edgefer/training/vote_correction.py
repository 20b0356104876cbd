"""Teachers that know more than they see: what people said of a training image tells which of its labels is likely.

A teacher has learned the labels of the images that it teaches, by heart in part; votes of other people are no part of
them. So the product of the teachers' probabilities and P(label | votes) is nearer to the truth than either.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_MIN_SHARE = 0.02  # added before the logarithm: a kind that nobody voted for is unlikely, not impossible
_DECAY = 1e-4  # on squared weights, beside a mean cross-entropy
_STEPS = 500


def label_model(votes: Tensor, labels: Tensor, classes: int) -> Callable[[Tensor], Tensor]:
    """Fit P(label | votes) by multinomial logistic regression.

    It may be asked of the images that it is fitted to, of which each moves its few hundred weights by next to nothing.

    Args:
        votes: shares that each kind has, float32, (n, kinds), from `edgefer.data.votes.read`.
        labels: int64, (n,).
        classes: number of labels.

    Returns:
        A function of votes, float32, (m, kinds): logarithms of each label's probability, float32, (m, classes).
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
    """Return the product of the teachers' probabilities and P(label | votes) to a power, adding up to 1: (n, classes).

    Args:
        probabilities: of the teachers, at some temperature, (n, classes).
        likely: logarithms from `label_model`, of the same images.
        power: of P(label | votes), already over that temperature.
    """
    return torch.softmax(probabilities.log() + power * likely, dim=1)
