"""The page of cropped faces in a real Chromium: on a phone and a desktop, in light and dark mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgefer.cropping import sheet
from edgefer.cropping.journal import Cut
from tests.helpers import browser as browsers
from tests.helpers import sources
from tests.helpers.browser import Browser

pytestmark = browsers.MARKS

HOSTILE = "<script>document.title='ran'</script>"


@pytest.mark.parametrize(("width", "dark"), [(400, True), (1400, False)], ids=["phone, dark", "desk, light"])
def test_the_sheet_shows_faces_like_edgefers_other_pages(
    browser: Browser, tmp_path: Path, width: int, dark: bool
) -> None:
    faces = [
        (Cut(f"bored/{name}.png", 90, score, 3.0), f"{name}, {HOSTILE}")
        for name, score in (("a #1 &", 0.91), ("b" * 120, 0.74), ("c", None))
    ]
    for face, _ in faces:
        sources.write_picture(tmp_path / face.file, np.full((90, 90), 120, np.uint8))
    page = tmp_path / "edgefer-crop" / "sheet.html"
    page.parent.mkdir()
    page.write_text(sheet.html(faces, [HOSTILE], [f"{'d' * 200} is empty"], "YuNet"), encoding="utf-8")

    browsers.open_and_check(browser, page, width, dark)

    assert browser.run("document.title") == "Cropped faces"
    captions = "[...document.querySelectorAll('.faces ul')].map((each) => each.lastChild.textContent)"
    assert browser.run(captions) == ["90 px, score 0.74", "90 px, score 0.91", "90 px, whole picture"]
    loaded = "[...document.images].every((each) => each.loading === 'lazy' && new URL(each.src).protocol === 'file:')"
    assert browser.run(loaded) is True
    assert browsers.violations(browser) == []
