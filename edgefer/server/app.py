"""The application: `/predict`, `/healthz`, `/metrics`, and the live page if there is a live picture."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

import edgefer
from edgefer import console, inputs
from edgefer.errors import EdgeferError, InputError
from edgefer.lines import one_line
from edgefer.live.pipeline import Live
from edgefer.predictor import Faces, Predictor
from edgefer.server import body, page
from edgefer.server.access import Guard
from edgefer.server.metrics import CONTENT_TYPE, Metrics
from edgefer.server.schemas import Answer, FaceAnswer, Health, Problem
from edgefer.server.watch import Watch
from edgefer.server.work import Busy, Pool

_FORMS = ("image/*", "application/octet-stream")
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {"picture": _BINARY["schema"]}, "required": ["picture"]}}
_BODY = {
    "required": True,
    "content": {**dict.fromkeys(_FORMS, _BINARY), "multipart/form-data": _FORM},
}
_WHY = {
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site.",
    408: "The picture did not arrive in time.",
    413: "The picture has too many bytes.",
    422: "There is no picture in the body, or a parameter is wrong.",
    429: "The queue is full; retry after Retry-After seconds.",
    503: "The machine lacks something.",
}


@dataclass(frozen=True)
class ServerSettings:
    """Limits and defaults for requests.

    Attributes:
        workers: prediction threads.
        queue: maximum number of waiting requests; further ones get 429.
        max_bytes: per picture.
        max_pixels: per picture.
        min_confidence: labels below it are ``unsure``, unless a request overrides it.
    """

    workers: int = 1
    queue: int = 16
    max_bytes: int = 16 << 20
    max_pixels: int = 50_000_000
    min_confidence: float = 0.0


class ServerState:
    """State of one application."""

    def __init__(self, predictor: Predictor, settings: ServerSettings, live: Live | None) -> None:
        self.predictor, self.settings = predictor, settings
        self.pool = Pool(settings.workers, settings.queue)
        self.metrics = Metrics(lambda: self.pool.taken, live.figures if live else None)


def application(
    predictor: Predictor, settings: ServerSettings | None = None, token: str | None = None, live: Live | None = None
) -> FastAPI:
    """Return the application, for uvicorn or another ASGI server.

    Args:
        predictor: from `edgefer.load`. The caller closes it.
        settings: limits and defaults.
        token: required token; None: answer only this machine.
        live: a live picture to show at ``/``. The caller closes it.
    """
    state = ServerState(predictor, settings or ServerSettings(), live)
    watch = Watch(live, predictor) if live else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if watch:
            watch.start()
        yield
        if watch:
            watch.stop()
        state.pool.close()

    app = FastAPI(
        title="edgefer",
        description="Facial expressions in pictures.",
        version=edgefer.__version__,
        docs_url=None,  # they load scripts from other hosts
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.edgefer = state
    app.add_middleware(Guard, token=token, refused=state.metrics.turned_away)
    app.add_exception_handler(StarletteHTTPException, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_wrong_parameter)
    app.add_exception_handler(Exception, _on_bug)
    app.add_api_route(
        "/predict",
        predict,
        methods=["POST"],
        response_model=Answer,
        responses={status: {"model": Problem, "description": why} for status, why in _WHY.items()},
        openapi_extra={"requestBody": _BODY},
    )
    app.add_api_route("/healthz", healthz, methods=["GET"], response_model=Health)
    app.add_api_route("/metrics", metrics, methods=["GET"], response_class=Response)
    page.add(app, watch)
    return app


async def predict(
    request: Request,
    faces: Annotated[Faces, Query(description="Detect faces; auto skips pictures under 48 pixels.")] = "auto",
    min_face: Annotated[int | None, Query(ge=1, le=100_000, description="Smallest face in pixels.")] = None,
    min_confidence: Annotated[
        float | None, Query(ge=0, le=1, description="Confidence below which a label is `unsure`.")
    ] = None,
) -> Answer | Response:
    """Return the expression of each face in the picture: the body itself, or the only file of a form."""
    state: ServerState = request.app.state.edgefer
    start = time.perf_counter()
    try:
        with state.pool.place():
            content = await body.picture(request, state.settings.max_bytes)
            least = state.settings.min_confidence if min_confidence is None else min_confidence
            answer = await state.pool.run(lambda: _answer(state, content, faces, min_face, least))
    except Busy:
        raise HTTPException(429, _WHY[429], {"Retry-After": "1"}) from None
    except InputError as error:
        raise HTTPException(422, one_line(error)) from None
    except EdgeferError as error:
        raise HTTPException(503, one_line(error)) from None
    except MemoryError:
        raise HTTPException(503, "the server is out of memory") from None
    except ClientDisconnect:
        state.metrics.refused(499)
        return Response(status_code=499)  # nobody reads the response
    state.metrics.answered(time.perf_counter() - start, len(answer.faces))
    return answer


def _answer(state: ServerState, content: bytes, faces: Faces, min_face: int | None, min_confidence: float) -> Answer:
    predictor = state.predictor
    start = time.perf_counter()
    pixels = inputs.decoded(content, "the picture", state.settings.max_pixels)
    (found,) = predictor.predict_faces([pixels], faces, min_face)
    return Answer(
        bundle=predictor.bundle.manifest.name,
        network=predictor.network,
        device=predictor.device,
        width=pixels.shape[1],
        height=pixels.shape[0],
        faces=[FaceAnswer.of(face, min_confidence) for face in found],
        milliseconds=round((time.perf_counter() - start) * 1000, 3),
    )


async def healthz() -> Health:
    """Return 200 while the server accepts pictures; during shutdown it accepts no connections."""
    return Health(status="ok")


async def metrics(request: Request) -> Response:
    """Return metrics in Prometheus' text format."""
    return Response(request.app.state.edgefer.metrics.text(), media_type=CONTENT_TYPE)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    _count(request, error.status_code)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _on_wrong_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    _count(request, 422)
    first = error.errors()[0]
    return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg'].lower()}"}, 422)


async def _on_bug(request: Request, error: Exception) -> Response:
    _count(request, 500)
    console.say(f"this is a bug in edgefer ({one_line(f'{type(error).__name__}: {error}')}); the server goes on")
    return JSONResponse({"error": "this is a bug in edgefer; see its terminal"}, 500)


def _count(request: Request, status: int) -> None:
    if request.url.path == "/predict":
        request.app.state.edgefer.metrics.refused(status)
