"""A bundle on disk: a folder with `manifest.json` and one file for each network."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from edgefer import limits, locks, paths
from edgefer.bundle import wire
from edgefer.bundle.manifest import FORMAT, Description, Engine, Manifest, Network, Precision, Target
from edgefer.errors import InputError, MissingRequirement
from edgefer.lines import complaint

MANIFEST = "manifest.json"
_PRETRAINED = Path(__file__).parent.parent / "pretrained"  # the bundles that come with edgefer
_CHECKPOINTS = "edgefer-checkpoints"  # made by edgefer/pretrained/pyproject.toml
DEFAULT = "edgefer-base"


@dataclass(frozen=True)
class NetworkFile:
    """A network's file to be written into a bundle.

    Attributes:
        file: its name inside the bundle, e.g. ``int8-cpu.onnx``.
        content: the bytes, or a file to copy.
        precision: of weights and activations.
        target: its target; ``any`` for a plain ONNX file that every runtime reads.
    """

    file: str
    content: bytes | Path
    precision: Precision
    target: Target


@dataclass(frozen=True)
class Bundle:
    """A bundle with verified files.

    Attributes:
        path: its folder.
        manifest: its description.
    """

    path: Path
    manifest: Manifest

    def file(self, network: str) -> Path:
        """Return the file of a network.

        Raises:
            InputError: the bundle has no such network.
        """
        if network not in self.manifest.networks:
            names = ", ".join(self.manifest.networks)
            raise InputError(f"{self.path} has no network {network!r}; it has {names}")
        return self.path / self.manifest.networks[network].file

    def content(self, network: str) -> bytes:
        """Return the bytes of a network's file, verified against the manifest.

        Raises:
            InputError: the bundle has no such network, or it was replaced since it was loaded.
        """
        return _content(self.file(network), self.manifest.networks[network])

    def engine(self, engine: Engine) -> bytes:
        """Return the bytes of one of the manifest's engines.

        Raises:
            InputError: it was replaced since the bundle was loaded.
        """
        return _content(self.path / engine.file, engine)


def write(folder: Path, description: Description, networks: Mapping[str, NetworkFile]) -> Bundle:
    """Write a bundle atomically.

    Args:
        folder: a folder that does not exist yet or is empty.
        description: the manifest without its files.
        networks: by name, e.g. ``fp32`` and ``int8-cpu``. Two targets that run the same graph share its file.

    Raises:
        InputError: the folder is not empty.
        ValueError: two networks have the same file name but different content, or the manifest would be
            too large to read.
    """
    files = [(part.file, part.content) for part in networks.values()]
    different = [name for number, (name, content) in enumerate(files) if (name, content) not in files[:number]]
    if len({name.lower() for name in (*different, MANIFEST)}) <= len(different):
        raise ValueError(f"two files of a bundle share a name: {', '.join((*different, MANIFEST))}")
    with paths.write_folder_atomically(folder) as part_folder:
        entries = {name: _put(part_folder, part) for name, part in networks.items()}
        manifest = Manifest(**dict(description), networks=entries)
        text = manifest.model_dump_json(indent=1)
        if len(text.encode()) > limits.MANIFEST:
            raise ValueError(f"{MANIFEST} would be larger than {limits.MANIFEST:,} bytes")
        (part_folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return Bundle(folder, manifest)


def _put(folder: Path, part: NetworkFile) -> Network:
    # The schema has the rule for file names, so it is checked before writing.
    draft = Network(file=part.file, sha256="0" * 64, bytes=1, precision=part.precision, target=part.target)
    path = folder / draft.file
    if isinstance(part.content, bytes):
        path.write_bytes(part.content)
    else:
        shutil.copyfile(part.content, path)
    return Network.model_validate({**dict(draft), "sha256": paths.sha256(path), "bytes": path.stat().st_size})


def add_engine(bundle: Bundle, engine: bytes, **fields: Any) -> Bundle:
    """Add an engine to a bundle, with a sidecar that repeats its manifest entry; return the updated bundle.

    An engine of the same file name is first removed from the manifest, which
    never lists partial files.

    Args:
        bundle: from `load`.
        engine: its bytes.
        fields: of the `Engine`, without its bytes and hashes.

    Raises:
        InputError: the bundle comes with edgefer (an update would undo it), or lacks the network.
    """
    if _PRETRAINED.resolve() in bundle.path.resolve().parents:
        raise InputError(f"{bundle.path.name} comes with edgefer; copy {bundle.path} and build there")
    graph = bundle.file(fields["network"])
    entry = Engine(
        **fields, sha256=hashlib.sha256(engine).hexdigest(), bytes=len(engine), graph_sha256=paths.sha256(graph)
    )
    with locks.awaited(bundle.path.resolve()):  # no other process changes the bundle now
        there = _read_manifest(bundle.path)  # another process may have added one
        others = [other for other in there.engines if other.file != entry.file]
        file, sidecar = bundle.path / entry.file, bundle.path / f"{entry.file}.json"
        with paths.write_atomically(file) as part, paths.write_atomically(sidecar) as said:
            part.write_bytes(engine)
            said.write_text(entry.model_dump_json(indent=1) + "\n", encoding="utf-8")
            if len(others) < len(there.engines):
                _write_manifest(bundle.path, there.model_copy(update={"engines": others}))
        manifest = there.model_copy(update={"engines": [*others, entry]})
        _write_manifest(bundle.path, manifest)
    return Bundle(bundle.path, manifest)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    with paths.write_atomically(folder / MANIFEST) as part:
        part.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def pretrained() -> list[str]:
    """Return the names of the bundles that come with edgefer."""
    return sorted(manifest.parent.name for manifest in _PRETRAINED.glob(f"*/{MANIFEST}"))


def shipped(name: str) -> Path | None:
    """Return the folder of one of `pretrained`'s bundles, or None; a local folder of that name takes precedence."""
    return _PRETRAINED / name if name in pretrained() and not Path(name).exists() else None


def checkpoint(name: str) -> Path | None:
    """Return the folder with the checkpoint of one of `pretrained`'s networks; None if `shipped` has none.

    A checkout has it next to the bundle; the wheel does not, since only training needs it.

    Raises:
        MissingRequirement: the package ``edgefer-checkpoints`` is not installed.
    """
    ours = shipped(name)
    if ours is None:
        return None
    places = [ours]
    with suppress(metadata.PackageNotFoundError):
        installed = metadata.distribution(_CHECKPOINTS).locate_file(_CHECKPOINTS.replace("-", "_"))
        places.append(Path(str(installed)) / name)
    for place in places:
        if (place / "checkpoint").is_dir():
            return place / "checkpoint"
    raise MissingRequirement(f"the checkpoint of {name} is not installed; run: pip install {_CHECKPOINTS}")


def load(path: Path | str) -> Bundle:
    """Open a bundle and verify the size and SHA-256 of every file.

    Args:
        path: its folder, or one of `pretrained`'s names.

    Raises:
        InputError: the folder is not a bundle, the manifest is invalid, or a file is missing or changed.
    """
    folder = shipped(str(path)) or Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder} is {'no folder' if folder.exists() else 'not there'}; {_what_bundles_are()}")
    manifest = _read_manifest(folder)
    files: list[Network | Engine] = [*manifest.networks.values(), *manifest.engines]
    different = {(file.file, file.sha256, file.bytes): file for file in files}
    total = sum(file.bytes for file in different.values())
    if total > limits.BUNDLE:
        raise limits.too_large(f"{folder}, with every file listed in its {MANIFEST},", total, limits.BUNDLE)
    for file in different.values():
        _verify(folder, file)
    return Bundle(folder, manifest)


def default() -> Bundle:
    """Open the default bundle, regardless of the current folder.

    Raises:
        InputError: it is not installed.
    """
    if DEFAULT not in pretrained():
        raise InputError(f"{DEFAULT} is not installed; name a bundle")
    return load((_PRETRAINED / DEFAULT).resolve())


def newest() -> Bundle:
    """Open the bundle of the newest finished compression under ``runs/``.

    Raises:
        InputError: there is none.
    """
    run = paths.latest("compress")
    if run is None:
        raise InputError("no bundle found in runs/compress; name one, or make one: edgefer compress --int8")
    return load(run)


def _what_bundles_are() -> str:
    ours = f", or one of {', '.join(pretrained())}" if pretrained() else ""
    return f"a bundle is a folder that edgefer compress wrote{ours}"


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.exists() and not path.is_symlink():
        raise InputError(f"{folder} is not a bundle: it has no {MANIFEST}; {_what_bundles_are()}")
    _refuse_unless_inside(folder, path)
    text = limits.read_bytes(path, limits.MANIFEST)
    limits.check_json(text, str(path))
    try:
        raw = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(raw, dict) or "format" not in raw:
        raise InputError(f"{path} is not an edgefer manifest: it has no format")
    if raw["format"] != FORMAT:
        raise InputError(
            f"{path} has format {str(raw['format'])[:20]!r}, this edgefer reads {FORMAT}; "
            "install the edgefer that wrote it"
        )
    try:
        return Manifest.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InputError(f"{path}: {complaint(error)}") from error


def _verify(folder: Path, network: Network | Engine) -> None:
    path = folder / network.file
    if not path.exists() and not path.is_symlink():
        raise InputError(f"{path} is missing; copy the whole bundle again")
    _refuse_unless_inside(folder, path)
    if isinstance(network, Network):
        wire.check(_content(path, network), str(path))
        return
    _check_size(path, network)
    if limits.sha256(path, limits.ENGINE) != network.sha256:
        raise _another(path)


def _content(path: Path, network: Network | Engine) -> bytes:
    """Return the bytes of a file if they match the manifest: what was checked is used."""
    _check_size(path, network)
    content = limits.read_bytes(path, network.bytes)
    if hashlib.sha256(content).hexdigest() != network.sha256:
        raise _another(path)
    return content


def _check_size(path: Path, network: Network | Engine) -> None:
    size = limits.check_file(path, limits.NETWORK if isinstance(network, Network) else limits.ENGINE)
    if size != network.bytes:
        raise InputError(f"{path} has {size:,} bytes instead of {network.bytes:,}; copy the whole bundle again")


def _another(path: Path) -> InputError:
    return InputError(f"{path} differs from its manifest's SHA-256; copy the bundle again")


def _refuse_unless_inside(folder: Path, path: Path) -> None:
    """Refuse links that point outside the bundle, and pipes and devices, which would block a reader."""
    try:
        inside = folder.resolve() in path.resolve().parents
    except (OSError, RuntimeError):  # a link loop; RuntimeError before Python 3.13
        inside = False
    if not inside:
        raise InputError(f"{path} points outside the bundle; copy the file itself into the folder")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file")
