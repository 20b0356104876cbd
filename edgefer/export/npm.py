"""Files of npm packages: downloaded at a pinned version, verified, cached."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

from edgefer import console, download, limits, paths
from edgefer.errors import InputError, MissingRequirement

REGISTRY = "https://registry.npmjs.org"
_VARIABLE = "npm_config_registry"  # npm's own variable, for a mirror
_SECONDS = 300.0
_LARGEST = 64 * limits.MEGA  # maximum size of a package, and of one of its files


@dataclass(frozen=True)
class Package:
    """A pinned version of a package.

    Attributes:
        name: e.g. ``onnxruntime-web``.
        version: the pinned version.
        sha512: of its archive, base64, as in the registry's ``dist.integrity``.
        licence: from its ``package.json``.
        origin: URL of its source.
    """

    name: str
    version: str
    sha512: str
    licence: str
    origin: str

    def files(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return files of the package by path; the archive is downloaded if it is not cached.

        Raises:
            MissingRequirement: the archive is unavailable, does not match the pinned hash, or lacks a file.
        """
        found = {}
        with tarfile.open(fileobj=io.BytesIO(self._archive()), mode="r:gz") as archive:
            wanted = {f"package/{name}": name for name in names}
            for member in archive:
                if member.name in wanted and member.isfile() and member.size <= _LARGEST:
                    file = archive.extractfile(member)
                    assert file is not None  # isfile() is true
                    found[wanted[member.name]] = file.read()
        if lacking := set(names) - set(found):
            raise MissingRequirement(f"npm's {self.name} {self.version} has no {', '.join(sorted(lacking))}")
        return found

    def _archive(self) -> bytes:
        base = self.name.rpartition("/")[2]
        place = paths.cache_dir() / "npm" / f"{self.name.replace('/', '+')}-{self.version}.tgz"
        try:
            content = limits.read_bytes(place, _LARGEST)
            if self._is(content):
                return content
        except InputError:  # not cached yet
            pass
        address = f"{(os.environ.get(_VARIABLE) or REGISTRY).rstrip('/')}/{self.name}/-/{base}-{self.version}.tgz"

        def refused(content: bytes) -> str:
            return "" if self._is(content) else f"{address} has changed: its SHA-512 differs"

        content = paths.fetch(place, lambda: download.get(address, _LARGEST, _SECONDS), refused)
        console.say(f"fetched {self.name} {self.version} ({len(content) / 1e6:.1f} MB, {self.licence}) from npm, once")
        return content

    def _is(self, content: bytes) -> bool:
        return base64.b64encode(hashlib.sha512(content).digest()).decode() == self.sha512


ONNXRUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    "MIT",
    "https://github.com/microsoft/onnxruntime",
)
