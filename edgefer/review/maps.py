"""Maps by class: Grad-CAM (Selvaraju et al. 2017, computed by captum) and spatial attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from edgefer.data.dataset import Split, spread
from edgefer.errors import MissingExtra
from edgefer.models.attention_net import SpatialAttention
from edgefer.preprocessing import Preprocessing

IMAGES = 32  # per class
_BATCH = 16
_MIN_POSITIONS = 4  # minimum height and width: smaller maps locate almost nothing
_SIDE = 96  # side of a map's image in pixels
_HEAT = (200, 88, 12)


@dataclass(frozen=True)
class ImageMaps:
    """Maps of several images.

    Attributes:
        layer: the layer whose output is mapped.
        maps: float32, (n, h, w), 0 to 1.
    """

    layer: str
    maps: NDArray[np.float32]


def right_ones(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """Return the indices of at most `IMAGES` correctly classified images per class, spread over the split."""
    found = []
    for label in range(classes):
        positions = np.flatnonzero((labels == label) & (predicted == label))
        found.append(positions[spread(len(positions), IMAGES)])
    return found


def grad_cam(
    network: nn.Module, rows: Split, preprocessing: Preprocessing, advance: Callable[..., None]
) -> ImageMaps | None:
    """Return Grad-CAM for each image's label, each map divided by its maximum.

    The layer is the last one whose output is at least 4 x 4; failing that, the last one larger than 1 x 1.

    Args:
        network: in eval mode.
        rows: the images.
        preprocessing: of the network.
        advance: called after each batch with the number of images.

    Returns:
        None if the network has no feature maps.

    Raises:
        MissingExtra: captum is not installed.
    """
    try:
        from captum.attr import LayerGradCam
    except ModuleNotFoundError as missing:
        raise MissingExtra.of(missing, "train") from None
    device = next(network.parameters()).device
    name = last_map(network, _input(rows, preprocessing, slice(0, 1), device))
    if name is None:
        return None
    network.requires_grad_(True)
    method = LayerGradCam(network, network.get_submodule(name))
    found = []
    for start in range(0, len(rows), _BATCH):
        part = slice(start, start + _BATCH)
        labels = torch.from_numpy(rows.labels[part]).to(device)
        heat = method.attribute(_input(rows, preprocessing, part, device), labels, relu_attributions=True)
        heat = torch.nan_to_num(heat.detach().float()[:, 0])
        found.append((heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)).cpu().numpy())
        advance(len(labels))
    return ImageMaps(name, np.concatenate(found))


def attention(network: nn.Module, rows: Split, preprocessing: Preprocessing) -> ImageMaps | None:
    """Return the network's spatial attention weights, averaged over channels.

    Returns:
        None if the network has no spatial attention.
    """
    layers = [(name, module) for name, module in network.named_modules() if isinstance(module, SpatialAttention)]
    if not layers:
        return None
    name, layer = layers[-1]
    device = next(network.parameters()).device
    found: list[NDArray[np.float32]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(output.float().mean(dim=1).cpu().numpy())

    hook = layer.sigmoid.register_forward_hook(keep)
    try:
        with torch.inference_mode():
            for start in range(0, len(rows), _BATCH):
                network(_input(rows, preprocessing, slice(start, start + _BATCH), device))
    finally:
        hook.remove()
    return ImageMaps(name, np.concatenate(found))


def last_map(network: nn.Module, image: Tensor) -> str | None:
    """Return the name of the last layer to finish whose output is (N, C, h, w), with h and w at least 4.

    Args:
        network: in eval mode.
        image: (1, channels, H, W).
    """
    seen: list[tuple[str, int]] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], object], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
                seen.append((name, min(output.shape[2:])))

        return hook

    hooks = [module.register_forward_hook(note(name)) for name, module in network.named_modules() if name]
    try:
        with torch.inference_mode():
            network(image)
    finally:
        for each in hooks:
            each.remove()
    large = [name for name, side in seen if side >= _MIN_POSITIONS]
    some = large or [name for name, _ in seen]
    return some[-1] if some else None


def mean_by_class(found: ImageMaps, groups: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    """Return the mean map of each class, float32, (classes, h, w); 0 for a class without images.

    Args:
        found: maps of all classes' images, one class after another.
        groups: indices of each class's images.
    """
    ends = np.cumsum([len(group) for group in groups])
    parts = np.split(found.maps, ends[:-1])
    empty = np.zeros(found.maps.shape[1:], np.float32)
    return np.stack([part.mean(axis=0) if len(part) else empty for part in parts])


def picture(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Render a map, uint8, (96, 96, 4): one colour with the heat as opacity, for any background.

    Args:
        heat: float32, (h, w), 0 to 1.
    """
    out = np.empty((_SIDE, _SIDE, 4), dtype=np.uint8)
    out[..., :3] = _HEAT
    out[..., 3] = (255 * _larger(heat, _SIDE, _SIDE)).round()
    return out


def over(face: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a face overlaid with its map, uint8, (H, W, 3).

    Args:
        face: uint8, (H, W) or (H, W, 3): the network's input as pixels.
        heat: float32, (h, w), 0 to 1.
    """
    below = (face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)).astype(np.float32)
    opacity = 0.65 * _larger(heat, *face.shape[:2])[..., None]
    return np.asarray(((1 - opacity) * below + opacity * np.array(_HEAT, np.float32)).round().astype(np.uint8))


def _larger(heat: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    whole = Image.fromarray(np.ascontiguousarray(heat, dtype=np.float32))
    return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR)).clip(0, 1)


def _input(rows: Split, preprocessing: Preprocessing, part: slice, device: torch.device) -> Tensor:
    images = torch.from_numpy(preprocessing.apply(rows.take(part)))
    return images.to(device, memory_format=torch.channels_last)
