"""A page with the cropped faces by folder, to check before training."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from edgefer.cropping.journal import Cut
from edgefer.lines import counted, printable

_DOUBTFUL, _OTHERS = 60, 140  # faces shown per folder
_LISTED = 500  # pictures without a face, or damaged
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1b1b;
  background: #fff }
figure { display: inline-block; margin: 0 .5rem .75rem 0; width: 104px; vertical-align: top }
img { width: 104px; height: 104px; object-fit: contain; background: #ddd }
figcaption { font-size: .8rem; overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #161616 } img { background: #333 } }
"""


def html(faces: Sequence[tuple[Cut, str]], without_face: Sequence[str], damaged: Sequence[str], detector: str) -> str:
    """Return the page, which refers to the files by relative path.

    Args:
        faces: with the name of each one's picture.
        without_face: names of pictures.
        damaged: messages on unreadable pictures.
        detector: its name.
    """
    folders: dict[str, list[tuple[Cut, str]]] = {}
    for face, name in faces:
        folders.setdefault(face.file.rpartition("/")[0], []).append((face, name))
    parts = [_folder(name, folders[name]) for name in sorted(folders)]
    parts += _list("Pictures without a face", without_face)
    parts += _list("Pictures that cannot be read", damaged)
    said = (
        f"{counted(len(faces), 'face')}, found by {detector}. The least certain come first. Delete "
        "non-faces and wrong labels from their folders; edgefer does not crop them again."
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file: data:; "
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Cropped faces</title><style>{_STYLE}</style></head>\n"
        f"<body><main><h1>Cropped faces</h1>\n<p>{_text(said)}</p>\n{''.join(parts)}</main></body></html>\n"
    )


def _folder(folder: str, faces: list[tuple[Cut, str]]) -> str:
    ordered = sorted(faces, key=lambda each: (each[0].score is None, each[0].score or 0.0))
    rest = ordered[_DOUBTFUL:]
    step = max(1, -(-len(rest) // _OTHERS))
    shown = ordered[:_DOUBTFUL] + rest[::step]
    count = counted(len(faces), "face")
    said = count if len(shown) == len(faces) else f"{count}, {len(shown):,} of them here"
    figures = "".join(_figure(face, name) for face, name in shown)
    return f"<section><h2>{_text(folder or 'faces')} ({said})</h2>\n{figures}</section>\n"


def _figure(face: Cut, name: str) -> str:
    score = "whole picture" if face.score is None else f"score {face.score:.2f}"
    address = "../" + quote(face.file, errors="surrogateescape")
    return (
        f'<figure title="{_text(name)}"><img src="{escape(address)}" alt="{_text(face.file)}" loading="lazy">'
        f"<figcaption>{_text(face.file.rpartition('/')[2])}<br>{face.side} px, {score}</figcaption></figure>\n"
    )


def _list(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = f"<li>and {len(lines) - _LISTED:,} more</li>" if len(lines) > _LISTED else ""
    items = "".join(f"<li>{_text(line)}</li>\n" for line in lines[:_LISTED])
    return [f"<section><h2>{title} ({len(lines):,})</h2>\n<ul>{items}{more}</ul></section>\n"]


def _text(text: str) -> str:
    return escape(printable(text))
