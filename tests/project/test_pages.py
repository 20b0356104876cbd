"""Each command in README and docs runs, page by page, in a folder with small data; exceptions have a listed reason."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer import data
from tests.helpers import pages, sources, videos

# Added to a command so that it takes seconds.
_SMALLER = {
    "train": "--epochs 2 --threads 1",
    "compress": "--ptq --max-drop 100 --allow-float --threads 1",
    "bench": "--seconds 0.1",
}
RUN = {
    page: [command for command in pages.commands(page) if not any(each.has(page, command) for each in pages.not_run())]
    for page in pages.PAGES
}


def test_each_command_is_run_or_has_a_reason() -> None:
    strange = [command for of_page in RUN.values() for command in of_page if not command.startswith("edgefer ")]
    assert strange == [], "tests/project/pages.toml says why a command is not run"


def test_each_reason_is_of_a_command() -> None:
    shown = [(page, command) for page in pages.PAGES for command in pages.commands(page)]
    assert [each for each in pages.not_run() if not any(each.has(*one) for one in shown)] == []


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the pages' inputs: pictures, a video, a small FER2013, own faces, results."""
    folder = tmp_path_factory.mktemp("begun")
    portrait = Image.open(pages.ROOT / "docs" / "astronaut.jpg")
    (folder / "docs").mkdir()
    for name in ("docs/astronaut.jpg", "photo.jpg", "holiday.jpg", "face.png", "a.png", "b.png"):
        portrait.save(folder / name)
    (folder / "photos" / "happy").mkdir(parents=True)
    portrait.save(folder / "photos" / "happy" / "one.jpg")
    faces = data.builtin(train=140, val=35, test=35)
    usages = [("Training", "PublicTest", "PrivateTest")[split] for split in faces.splits]
    small = sources.Small(np.asarray(faces.images), np.asarray(faces.labels, np.int64), usages)
    table = sources.write_csv(folder / "fer2013.csv", small)
    with zipfile.ZipFile(folder / "fer2013.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(table, "fer2013.csv")
    table.unlink()
    (folder / "data").mkdir()
    shutil.copy(folder / "fer2013.zip", folder / "data")
    with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["bild", "klasse"])
        for number, (image, label) in enumerate(zip(small.images, small.emotions, strict=True)):
            name = faces.classes[label]
            rows.writerow([sources.write_picture(folder / f"pixels/{number}.png", image).relative_to(folder), name])
            sources.write_picture(folder / "my_faces" / name / f"{number}.png", image)
    frame = np.asarray(portrait.convert("RGB").resize((320, 240)))
    videos.write(folder / "film.mp4", [frame] * 8)
    assert run(folder, "edgefer bench edgefer-nano --threads 1 --out reference").returncode == 0
    shutil.copytree(folder / "reference", folder / "new")
    return folder


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command, with each `edgefer` reduced to small work."""
    words = command.split()
    smaller = _SMALLER.get(words[1], "") if words[0] == "edgefer" else ""
    typed, redirects, file = command.partition(" > ")
    script = f'edgefer() {{ "{sys.executable}" -m edgefer "$@"; }}\n{typed} {smaller} {redirects}{file}'
    settings = {"PYTHONPATH": str(pages.ROOT), "COLUMNS": "100"}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, timeout=900
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", [page for page in pages.PAGES if RUN[page] or pages.python(page)], ids=str)
def test_commands_and_python_of_a_page_run_one_after_another(page: Path, begun: Path, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    shutil.copytree(begun, folder)
    for command in RUN[page]:
        done = run(folder, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    for block in pages.python(page):
        done = run_python(folder, block)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def run_python(folder: Path, block: str) -> subprocess.CompletedProcess[str]:
    """Run a Python block, reduced to small work."""
    smaller = block.replace('train("compact", dataset)', 'train("compact", dataset, epochs=2)')
    smaller = smaller.replace("max_drop=1)", "max_drop=100, ptq=True, allow_float=True)")
    settings = {**os.environ, "PYTHONPATH": str(pages.ROOT)}
    return subprocess.run([sys.executable, "-c", smaller], cwd=folder, env=settings, capture_output=True, text=True)
