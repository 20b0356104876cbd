"""`edgefer predict`: classifies the faces in pictures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgefer.cli.options import CpuThreads, Json, RunsOn

if TYPE_CHECKING:
    from edgefer.predictions import PicturePrediction


def command(
    pictures: Annotated[
        list[str],
        typer.Argument(help="Pictures: files, folders, patterns ('in/*.jpg'), http(s) addresses; or one video."),
    ],
    bundle: Annotated[
        str | None,
        typer.Option(help="A pretrained network or a bundle's folder. Default: edgefer-base.", show_default=False),
    ] = None,
    faces: Annotated[
        Literal["auto", "always", "never"],
        typer.Option(help="Detect faces: auto, always or never. auto skips pictures under 48 px."),
    ] = "auto",
    detector: Annotated[
        str | None,
        typer.Option(
            help="Face detector: YuNet's file, or cascade for OpenCV's. Default: EDGEFER_DETECTOR, else "
            "YuNet, fetched once.",
            show_default=False,
        ),
    ] = None,
    min_face: Annotated[
        int | None,
        typer.Option(min=1, help="Smallest face in pixels. Default: 48, more in large pictures.", show_default=False),
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Confidence below which the label is 'unsure'.")
    ] = 0.0,
    csv: Annotated[Path | None, typer.Option(help="Write one line per face. Names like =1 become '=1.")] = None,
    annotate: Annotated[Path | None, typer.Option(help="Folder for copies with boxes and labels.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder for Parquet files, a row for each picture; takes archives, videos and addresses too. The same "
            "command goes on after a kill.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Predictors at a time for --out. Default: one for each CPU where Ray is installed, else one.",
            show_default=False,
        ),
    ] = None,
    device: RunsOn = "auto",
    threads: CpuThreads = 1,
    as_json: Json = False,
) -> None:
    """Classify the faces in pictures or in a video."""
    from edgefer import console, paths, predictions
    from edgefer.batch import run
    from edgefer.batch.work import BatchJob
    from edgefer.cli import output, predict_many, predict_video
    from edgefer.cli.ending import explain
    from edgefer.errors import EdgeferError, InputError
    from edgefer.live.judge import JudgeSettings
    from edgefer.live.smooth import Smoothing
    from edgefer.live.video import is_video
    from edgefer.predictor import Predictor

    if out is not None:
        if not out:
            raise InputError("--out is empty; name a folder")
        if csv is not None or annotate is not None:
            raise InputError("--out is in the place of --csv and --annotate; omit them")
        job = BatchJob(out, run.ROWS, bundle, device, threads, detector, faces, min_face, min_confidence)
        predict_many.write(pictures, job, workers, as_json)
        return
    if workers is not None:
        raise InputError("--workers is for many pictures, whose rows go into a folder; add --out FOLDER")
    if annotate is not None:
        paths.check_empty(annotate, "--annotate")
    if csv is not None:
        paths.check_table(csv, "--csv")
        if annotate is not None and csv.resolve() == annotate.resolve():
            raise InputError(f"--csv and --annotate are both {csv}; give a file and a folder")
    if any(is_video(picture) for picture in pictures):
        settings = JudgeSettings(min_face=min_face, smoothing=Smoothing(min_confidence=min_confidence))
        predict_video.check(pictures, faces, csv, annotate)
        with output.needs_extra("live"), Predictor.load(bundle, None, threads, device, detector) as predictor:
            predict_video.write(predictor, Path(pictures[0]), csv or Path(), settings, as_json)
        return
    files = predictions.find(pictures)
    # Pillow's warnings about odd metadata and large pictures, which are read anyway.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    failed: EdgeferError | None = None
    predicted: list[PicturePrediction] = []
    with Predictor.load(bundle, threads=threads, device=device, detector=detector) as predictor:
        try:
            with console.progress("looking", len(files)) as advance:
                for each in predictions.predict_files(predictor, files, faces, annotate, min_confidence, min_face):
                    predicted.append(each)
                    advance(1, predictions.named(each.file))
        except (Exception, KeyboardInterrupt) as error:  # earlier predictions are shown and written anyway
            failed = explain(error)
            if failed is None or not predicted:
                raise  # a bug may have affected them too
        labels = predictor.labels
        name, device = predictor.bundle.manifest.name, predictor.device
    unread = [each for each in predicted if each.error]
    if unread and failed is None:
        failed = InputError(f"{len(unread)} of {len(files)} pictures could not be read")
    if csv is not None:
        try:
            predictions.write_csv(csv, predicted, labels, min_confidence)
        except (OSError, EdgeferError) as error:  # the predictions are printed anyway
            failed = failed or explain(error)
            if failed is None:
                raise
    if as_json:
        lines: dict[str, Any] = {"command": "predict", "bundle": name, "device": device, "labels": labels}
        output.print_json({**lines, "pictures": [each.as_dict(min_confidence) for each in predicted]}, failed)
    else:
        output.screen().print(predictions.table(predicted, min_confidence))
    for each in unread:
        console.say(str(each.error))
    without = sum(not (each.faces or each.error) for each in predicted)
    if without:
        console.say(
            f"no face found in {without:,} of {len(predicted):,}; for pictures cropped to the face, use --faces never"
        )
    if failed:
        raise failed
