"""The notice to read before switching on a camera is on every entry page."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer import bundle
from edgefer.live.notice import NOTICE

DOCS = Path(__file__).parents[2] / "docs"


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_page_of_the_docs_begins_with_what_the_command_says() -> None:
    text = flat((DOCS / "live.md").read_text(encoding="utf-8"))
    for line in NOTICE:
        assert line in text
        assert text.index(line) < text.index("## Sources")


@pytest.mark.parametrize("name", bundle.pretrained())
def test_model_cards_say_it_too(name: str) -> None:
    folder = bundle.shipped(name)
    assert folder is not None
    text = flat((folder / "MODEL_CARD.md").read_text(encoding="utf-8"))
    for said in (NOTICE[1], "told and must agree", "Labels marked unsure go to a person, not into a decision"):
        assert said in text
