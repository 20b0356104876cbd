"""What an install takes: the bytes of all that pip or npm brings, unpacked, without bytecode."""

from __future__ import annotations

import functools
import json
import subprocess
import tempfile
import zipfile
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from edgefer import paths

ROOT = Path(__file__).parents[2]
_AT_ONCE = 12  # wheels: CUDA's are large
PIP = "pip==26.3"  # older ones fetch all wheels to say which they would choose


@functools.cache
def of_pip(python: Path, requirements: tuple[str, ...], cache: Path) -> int:
    """Return the unpacked bytes of what pip installs for requirements; nothing is installed.

    Args:
        python: of an environment that has `PIP`.
        requirements: as pip takes them; the project's folder stands for edgefer.
        cache: JSON with the bytes of each release that was asked for before.
    """
    pinned = ["-c", str(ROOT / "constraints.txt")] if str(ROOT) in requirements else []
    pip = [str(python), "-m", "pip", "-q", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.json"
        dry = [*pip, "install", "--dry-run", "--ignore-installed", "--report", str(report), *pinned, *requirements]
        subprocess.run(dry, check=True)
        chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
    known: dict[str, int] = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    here: list[str] = []
    releases: list[str] = []
    for each in chosen:
        release = f"{canonicalize_name(each['metadata']['name'])}=={Version(each['metadata']['version'])}"
        (here if "dir_info" in each["download_info"] else releases).append(release)
    missing = [release for release in releases if release not in known]
    for start in range(0, len(missing), _AT_ONCE):
        known |= _unpacked(pip, missing[start : start + _AT_ONCE])
        paths.write_json(cache, known, indent=1)
    own = sum(_unpacked(pip, [str(ROOT)]).values()) if here else 0
    return own + sum(known[release] for release in releases)


def _unpacked(pip: list[str], requirements: list[str]) -> dict[str, int]:
    """Return the bytes of the files in each release's wheel, which pip fetches or builds."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*pip, "wheel", "--no-deps", "--no-cache-dir", "-w", folder, *requirements], check=True)
        for file in Path(folder).glob("*.whl"):
            name, version, _, _ = parse_wheel_filename(file.name)
            with zipfile.ZipFile(file) as wheel:
                found[f"{name}=={version}"] = sum(member.file_size for member in wheel.infolist())
    return found


def of_npm(environment: Path) -> int:
    """Return the bytes of an environment's ``node_modules``."""
    return sum(file.stat().st_size for file in (environment / "node_modules").rglob("*") if file.is_file())
