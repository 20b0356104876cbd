"""`edgefer data crop`: crops pictures, a video or a camera to a folder of faces for training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.ending import resumable
from edgefer.cli.options import Detector, Json
from edgefer.lines import shell

if TYPE_CHECKING:
    from edgefer.cropping.crop import CropResult


def command(
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="Pictures as for `data info`; a folder; a video or a camera's number.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DST", help="Folder for the faces.")],
    every_face: Annotated[bool, typer.Option("--all", help="All faces of a picture. Default: the largest.")] = False,
    label: Annotated[
        str | None, typer.Option(help="Label of all faces of a video or a camera.", show_default=False)
    ] = None,
    every: Annotated[float, typer.Option(min=0.01, help="Seconds between two frames of a video or a camera.")] = 0.5,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop a video or camera after this time.", show_default=False)
    ] = None,
    min_face: Annotated[
        int | None, typer.Option(min=1, help="Smallest face in pixels. Default: 48, more in large pictures.")
    ] = None,
    size: Annotated[int, typer.Option(min=16, max=4096, help="Longest side of written faces, in pixels.")] = 256,
    detector: Detector = None,
    as_json: Json = False,
) -> None:
    """Crop the faces out of whole pictures, as `predict` does. Labels, folders and splits are kept."""
    from edgefer.cli import output
    from edgefer.cropping import crop as cropping
    from edgefer.cropping import sources
    from edgefer.errors import InputError
    from edgefer.faces import detector as detectors

    stream = sources.is_stream(source)
    if stream and label is None:
        raise InputError("a video or camera has no labels; give one with --label")
    if not stream and label is not None:
        raise InputError("--label is for a video or camera; pictures get labels from folders or lists")
    if not stream and _within(folder, Path(source)):
        raise InputError(f"{folder} lies in {source}; name a folder outside it")
    settings = cropping.Settings(every_face, min_face, size)
    found = detectors.open_detector(detector)
    again = f"edgefer data crop {shell(source)} {shell(folder)}{' --all' if every_face else ''}"
    with output.needs_extra("live"):
        if stream:
            assert label is not None
            result = cropping.cut(sources.of_video(source, label, every, seconds), folder, found, settings)
        else:
            with resumable(lambda: again), sources.of_data(Path(source)) as pictures:
                result = cropping.cut(pictures, folder, found, settings, len(pictures))
    if as_json:
        output.print_json({"command": "data crop", "source": source, "folder": str(folder), **result.as_dict()})
        return
    _print(result, folder)


def _print(result: CropResult, folder: Path) -> None:
    from edgefer import console
    from edgefer.cli import output
    from edgefer.cropping.crop import DAMAGED, WITHOUT_FACE
    from edgefer.lines import counted

    place = result.sheet.parent
    rows = {name: counted(count, "face") for name, count in result.folders.items()}
    if result.without_face:
        rows["without a face"] = f"{counted(len(result.without_face), 'picture')}, listed in {place / WITHOUT_FACE}"
    if result.damaged:
        rows["damaged"] = f"{counted(len(result.damaged), 'picture')}, listed in {place / DAMAGED}"
    if result.resumed:
        rows["done before"] = counted(result.resumed, "picture")
    rows |= {"time": console.duration(result.seconds), "look at": str(result.sheet)}
    output.print_rows(
        f"{counted(result.faces, 'face')} from {counted(result.pictures, 'picture')}, by {result.detector}", rows
    )
    output.print_next(f"edgefer data info {shell(folder)}")


def _within(folder: Path, source: Path) -> bool:
    return source.is_dir() and folder.resolve().is_relative_to(source.resolve())
