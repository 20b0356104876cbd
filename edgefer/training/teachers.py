"""Trained networks as teachers for distillation (Hinton et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from edgefer import bundle, data, models, paths
from edgefer.backends import onnxruntime
from edgefer.bundle.folder import MANIFEST
from edgefer.data.dataset import Dataset, Split
from edgefer.data.splits import Protocol
from edgefer.errors import InputError
from edgefer.learning import checkpoint, initial_weights
from edgefer.preprocessing import LUMA, Preprocessing


@dataclass(frozen=True)
class _Teacher:
    """A teacher network: normalized pixels (N, C, H, W) -> logits (N, classes), both float32 on one device."""

    answer: Callable[[Tensor], Tensor]
    spec: Preprocessing
    classes: tuple[str, ...]
    data_name: str
    data_digest: str
    parts: dict[str, tuple[str, ...]]  # the teacher's classes for each of the student's that it knows
    named_from: str  # digest of the data before their labels were changed, or ""
    split: Protocol


class Teachers:
    """Networks that see the student's images, resized to their own input size.

    Attributes:
        digests: SHA-256 of their ``best.json``, or of a bundle's ``manifest.json``.
        classes: the student's classes.
        data_digest: SHA-256 of the student's data.
    """

    def __init__(
        self,
        runs: Sequence[str],
        dataset: Dataset,
        validation: Split,
        student: Preprocessing,
        device: str,
        mirrored: bool = False,
    ) -> None:
        """Read the networks.

        Args:
            runs: folders of runs or names of pretrained networks (their checkpoints are used), or folders
                of bundles (their CPU network, INT8 if available, runs in ONNX Runtime).
            dataset: the student's data set.
            validation: the images that select the student's checkpoint.
            student: its preprocessing.
            device: ``cpu`` or ``cuda``.
            mirrored: average over each image and its mirror image.

        Raises:
            InputError: a network is missing or named twice, its data or crop differ from the student's, or it was
                trained on images of `validation`.
        """
        self.student = student
        self.mirrored = mirrored
        self.networks: list[_Teacher] = []
        self.classes, self.data_digest = dataset.classes, dataset.digest
        checkpoint_paths = [_find(run) for run in runs]
        self.digests = [paths.sha256(checkpoint_path) for checkpoint_path in checkpoint_paths]
        twice = next((run for place, run in enumerate(runs) if self.digests[place] in self.digests[:place]), None)
        if twice is not None:
            raise InputError(f"the teacher {twice} is named twice; omit it once")
        for checkpoint_path in checkpoint_paths:
            found = (
                _of_bundle(checkpoint_path.parent)
                if checkpoint_path.name == MANIFEST
                else _of_checkpoint(checkpoint_path, device)
            )
            source = dataset.source or dataset  # a teacher may have been trained on other labels of these images
            if not {found.data_digest, found.named_from} & {dataset.digest, source.digest}:
                raise InputError(f"the teacher {checkpoint_path} was trained on {found.data_name}, not on these data")
            found = replace(found, parts=data.made_of(dataset, found.classes))
            if len(found.parts) < 2:
                raise InputError(
                    f"the teacher {checkpoint_path} has the classes {', '.join(found.classes)}, and these data "
                    f"have {', '.join(found.parts) or 'none'} of them; a teacher must share two"
                )
            initial_weights.check_disjoint(
                f"the teacher {checkpoint_path}", data.split(source, "train", found.split), validation
            )
            if abs(found.spec.crop - student.crop) > 0.01:
                raise InputError(
                    f"the teacher {checkpoint_path} sees {found.spec.crop:.0%} of a picture and the student "
                    f"{student.crop:.0%}; train one of them with the other's preprocessing.crop"
                )
            self.networks.append(found)

    def probabilities(self, x: Tensor, temperature: float) -> Tensor:
        """Return the mean over networks and views of softmax(logits / temperature): float32, (N, classes).

        Classes are matched by name, or by the renames of the student's data, where probabilities add up. A teacher's
        other classes are left out; classes that it doesn't know get 0 (`unknown`).

        Args:
            x: the student's input, float32, (N, C, H, W).
            temperature: above 0.
        """
        return self.probabilities_of(lambda spec: _as(x, self.student, spec), temperature)

    def probabilities_of(self, seen: Callable[[Preprocessing], Tensor], temperature: float) -> Tensor:
        """Return the same as `probabilities`, for images preprocessed for each teacher.

        Args:
            seen: returns the images for a preprocessing, normalized, float32, (N, C, S, S).
            temperature: above 0.
        """
        with torch.no_grad():
            all_logits = []
            for each in self.networks:
                x = seen(each.spec)
                for view in (x, x.flip(3)) if self.mirrored else (x,):
                    all_logits.append((each, each.answer(view).float()))
            return torch.stack(
                [
                    _for_classes(logits / temperature, each.classes, self.classes, each.parts)
                    for each, logits in all_logits
                ]
            ).mean(0)

    def unknown(self) -> list[int]:
        """Return the classes that no teacher knows, which are learned from the labels only."""
        known = {name for each in self.networks for name in each.parts}
        return [place for place, name in enumerate(self.classes) if name not in known]


def _for_classes(
    logits: Tensor, theirs: tuple[str, ...], ours: tuple[str, ...], parts: Mapping[str, Sequence[str]]
) -> Tensor:
    """Return probabilities in the order of `ours`, 0 for classes without parts in `theirs`: (N, classes)."""
    if theirs == ours and all(tuple(olds) == (name,) for name, olds in parts.items()):
        return logits.softmax(1)
    found = torch.full((len(logits), len(ours)), -torch.inf, device=logits.device)
    for name, olds in parts.items():
        found[:, ours.index(name)] = logits[:, [theirs.index(old) for old in olds]].logsumexp(1)
    return found.softmax(1)


def _find(run: str) -> Path:
    manifest = Path(run) / MANIFEST
    if manifest.is_file():
        return manifest
    try:
        return checkpoint.find(Path(run))
    except InputError as error:
        raise InputError(f"the teacher: {error}; if it was moved, give it with --teacher") from None


def _of_checkpoint(checkpoint_path: Path, device: str) -> _Teacher:
    found = checkpoint.read(checkpoint_path)
    network = models.merged(checkpoint.build(found)).to(device).to(memory_format=torch.channels_last)
    network.requires_grad_(False)
    recipe, origin = found.recipe, found.data
    named_from = str((origin.get("naming") or {}).get("source", ""))
    spec, split = recipe.preprocessing, recipe.data.split
    return _Teacher(network, spec, found.classes, origin["name"], origin["digest"], {}, named_from, split)


def _of_bundle(folder: Path) -> _Teacher:
    found = bundle.load(folder)
    said = found.manifest
    network = onnxruntime.BACKEND.networks(found)[-1]
    session = onnxruntime.open_model(found.content(network), torch.get_num_threads(), name=str(found.file(network)))

    def answer(x: Tensor) -> Tensor:
        return torch.from_numpy(session.infer(x.float().cpu().contiguous().numpy())).to(x.device)

    naming = said.data.naming
    named_from = naming.source if naming else ""
    labels = tuple(said.labels)
    return _Teacher(answer, said.preprocessing, labels, said.data.name, said.data.digest, {}, named_from, said.protocol)


def _as(x: Tensor, given: Preprocessing, wanted: Preprocessing) -> Tensor:
    """Convert normalized pixels from one preprocessing to another with the same crop."""
    if (given.size, given.mean, given.std) == (wanted.size, wanted.mean, wanted.std):
        return x
    x = x * _column(given.std, x) + _column(given.mean, x)
    if given.channels > wanted.channels:
        x = (x * _column(LUMA, x)).sum(1, keepdim=True)
    if given.size != wanted.size:
        x = F.interpolate(x, (wanted.size, wanted.size), mode="bilinear", align_corners=False, antialias=True)
    return (x.expand(-1, wanted.channels, -1, -1) - _column(wanted.mean, x)) / _column(wanted.std, x)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device, dtype=like.dtype).view(-1, 1, 1)
