"""Prometheus metrics: requests, durations, places in use, and the live picture's frame rate. No expressions."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from edgefer.live.events import Figures

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one server.

    Args:
        taken: returns the number of places in use.
        figures: of the live picture.

    Attributes:
        predictions: number of requests that got a prediction.
    """

    def __init__(self, taken: Callable[[], int], figures: Callable[[], Figures] | None = None) -> None:
        self.predictions = 0
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "edgefer_predict_requests", "Responses of /predict by HTTP status.", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "edgefer_predict_seconds", "Time from request to prediction.", buckets=_SECONDS, registry=self._registry
        )
        self._faces = Counter("edgefer_faces", "Faces classified by /predict.", registry=self._registry)
        self._turned_away = Counter(
            "edgefer_turned_away_requests",
            "Requests to any path without the token (401) or from another site (403).",
            ["status"],
            registry=self._registry,
        )
        self._gauge("edgefer_predict_in_flight", "Requests waiting or in progress.", taken)
        if figures is not None:
            for name, what, field in (
                ("edgefer_live_frames_judged", "Live frames processed.", "judged"),
                ("edgefer_live_frames_dropped", "Live frames dropped for a newer one.", "dropped"),
                ("edgefer_live_frames_per_second", "Live frames processed per second.", "fps_judged"),
                ("edgefer_live_p99_milliseconds", "Latency from capture to prediction, 99th percentile.", "p99_ms"),
                ("edgefer_live_connected", "Whether frames are arriving.", "connected"),
            ):
                self._gauge(name, what, _of(figures, field))

    def _gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        Gauge(name, what, registry=self._registry).set_function(value)

    def refused(self, status: int) -> None:
        """Count a request that got no prediction."""
        self._requests.labels(str(status)).inc()

    def turned_away(self, path: str, status: int) -> None:
        """Count a rejected request."""
        self._turned_away.labels(str(status)).inc()
        if path == "/predict":
            self.refused(status)

    def answered(self, seconds: float, faces: int) -> None:
        """Count a prediction."""
        self.predictions += 1
        self._requests.labels("200").inc()
        self._seconds.observe(seconds)
        self._faces.inc(faces)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


def _of(figures: Callable[[], Figures], field: str) -> Callable[[], float]:
    return lambda: float(getattr(figures(), field) or 0)
