"""A network's logits under published protocols: one crop, one crop with its mirror image, or ten crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgefer.data.dataset import Split
from edgefer.evaluation import predict
from edgefer.preprocessing import Preprocessing

ViewProtocol = Literal["one-crop", "flip", "ten-crop"]
PROTOCOLS: tuple[ViewProtocol, ...] = get_args(ViewProtocol)
TEN_CROP_SHARE = 40 / 48  # crop / shorter side: torchvision's TenCrop(40) on FER2013's 48 pixels
_PLACES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))  # crop: share of the margin above, at left


@dataclass(frozen=True)
class View:
    """One input that a protocol makes from a picture.

    Attributes:
        preprocessing: of the network.
        place: position of a crop of `TEN_CROP_SHARE`, as shares of the margin above and to the left; None: the
            network's own crop.
        mirrored: flipped horizontally.
    """

    preprocessing: Preprocessing
    place: tuple[float, float] | None = None
    mirrored: bool = False

    def apply(self, images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the network's input: float32, (N, channels, size, size)."""
        if self.place is None:
            found = self.preprocessing.apply(images)
        else:
            whole = self.preprocessing.model_copy(update={"crop": 1.0})
            found = whole.apply([_crop(image, self.place) for image in images])
        return np.ascontiguousarray(found[..., ::-1]) if self.mirrored else found


def cut_views(preprocessing: Preprocessing, protocol: ViewProtocol) -> list[View]:
    """Return a protocol's views of a picture: one, two or ten."""
    places = _PLACES if protocol == "ten-crop" else (None,)
    mirrors = (False,) if protocol == "one-crop" else (False, True)
    return [View(preprocessing, place, mirrored) for mirrored in mirrors for place in places]


def logits(
    infer: predict.Infer,
    preprocessing: Preprocessing,
    split: Split,
    protocol: ViewProtocol,
    batch: int = 64,
    description: str = "evaluating",
) -> NDArray[np.float32]:
    """Return the network's logits for every image of a split, averaged over the views of a protocol.

    The ten crops follow the code behind the published FER2013 figures (github.com/usef-kh/fer, ``evaluate.py``, and
    github.com/LetheSec/Fer2013-Facial-Emotion-Recognition-Pytorch): four corners and the centre, 40 of 48 pixels wide,
    and their mirror images; outputs are averaged before the softmax. Crops are resized to the network's input.

    Args:
        infer: a session's method.
        preprocessing: the one the network was trained with.
        split: the images.
        protocol: one of `PROTOCOLS`.
        batch: images per batch.
        description: label of the progress bar.

    Returns:
        float32, (n, classes), in split order.

    Raises:
        InputError: the split is empty, or an output is not finite.
    """
    all_views = cut_views(preprocessing, protocol)
    total = predict.logits(infer, all_views[0], split, batch, description).astype(np.float64)
    for view in all_views[1:]:
        total += predict.logits(infer, view, split, batch, description)
    return np.asarray(total / len(all_views), np.float32)


def _crop(image: NDArray[np.uint8], place: tuple[float, float]) -> NDArray[np.uint8]:
    """Return a square crop of an image, (H, W) or (H, W, 3)."""
    height, width = image.shape[:2]
    side = max(1, round(TEN_CROP_SHARE * min(height, width)))
    top, left = round(place[0] * (height - side)), round(place[1] * (width - side))
    return image[top : top + side, left : left + side]
