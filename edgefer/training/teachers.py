"""Trained networks whose answers another one learns from (Hinton et al. 2015)."""

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
    """Answers of a network: normalized pixels (N, C, H, W) -> logits (N, classes), both float32 on one device."""

    answer: Callable[[Tensor], Tensor]
    spec: Preprocessing
    classes: tuple[str, ...]
    data_name: str
    data_digest: str
    parts: dict[str, tuple[str, ...]]  # of each of the student's classes that it knows, its own
    named_from: str  # digest of the data before their labels were changed, or nothing
    split: Protocol


class Teachers:
    """Networks that see what the student sees, resized to what each was trained on.

    Attributes:
        digests: SHA-256 of their ``best.json``, or of a bundle's ``manifest.json``.
        classes: of the student's data.
        data_digest: SHA-256 of these data.
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
            runs: for each a run's folder or a pretrained network's name, whose checkpoint teaches; or a bundle's
                folder, whose network for CPUs does (INT8, if it has that), run by ONNX Runtime.
            dataset: what the student is trained on.
            validation: its images that choose the checkpoint.
            student: its preprocessing.
            device: ``cpu`` or ``cuda``.
            mirrored: they answer for a picture and for its mirror image, which has the same expression.

        Raises:
            InputError: there is no such network, or its data or its crop are not the student's, or it has
                learned images of `validation`.
        """
        self.student = student
        self.mirrored = mirrored
        self.networks: list[_Teacher] = []
        self.classes, self.data_digest = dataset.classes, dataset.digest
        checkpoint_paths = [_find(run) for run in runs]
        self.digests = [paths.sha256(checkpoint_path) for checkpoint_path in checkpoint_paths]
        for checkpoint_path in checkpoint_paths:
            found = (
                _of_bundle(checkpoint_path.parent)
                if checkpoint_path.name == MANIFEST
                else _of_checkpoint(checkpoint_path, device)
            )
            source = dataset.source or dataset  # a teacher may have learned these pictures with other labels
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

        A teacher's classes are the student's by name, or by the renames of its data, where probabilities add up: what
        it says of others is left out, and of a class that it does not know it says 0 (`unknown`).

        Args:
            x: the student's input, float32, (N, C, H, W).
            temperature: over 0.
        """
        return self.probabilities_of(lambda spec: _as(x, self.student, spec), temperature)

    def probabilities_of(self, seen: Callable[[Preprocessing], Tensor], temperature: float) -> Tensor:
        """Return what `probabilities` does, of pictures as each teacher was trained to see them.

        Args:
            seen: returns the pictures for a preprocessing, normalized, float32, (N, C, S, S).
            temperature: over 0.
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
        """Return the classes that no teacher knows, of which the labels alone can tell."""
        known = {name for each in self.networks for name in each.parts}
        return [place for place, name in enumerate(self.classes) if name not in known]


def _for_classes(
    logits: Tensor, theirs: tuple[str, ...], ours: tuple[str, ...], parts: Mapping[str, Sequence[str]]
) -> Tensor:
    """Return probabilities in the order of `ours`, 0 for a class that has no parts among `theirs`: (N, classes)."""
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
    """Return normalized pixels of one preprocessing as those of another with the same crop."""
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
