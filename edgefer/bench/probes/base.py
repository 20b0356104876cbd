"""The interface of a probe: what it measures of each network, and how it is shown.

A new probe is one module in this folder with a `Probe` named ``PROBE``, and a row in ``ASKED`` if it
is optional. Its figures are in `NetworkEntry.probes` under its name, and so in `result.json`, tables, Markdown, CSV,
the page and `--fail-if`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgefer.backends import registry
from edgefer.backends.base import Backend, Options, Session
from edgefer.bundle import Bundle
from edgefer.data.attributes import Attributes
from edgefer.data.dataset import Split
from edgefer.evaluation.views import ViewProtocol
from edgefer.preprocessing import Preprocessing

if TYPE_CHECKING:
    from edgefer.bench.result import Conditions, Protocol


@dataclass(frozen=True)
class Candidate:
    """A network of the bench, open on one device."""

    title: str
    bundle: Bundle
    name: str
    backend: Backend
    options: Options
    session: Session

    @property
    def preprocessing(self) -> Preprocessing:
        """How its images are prepared."""
        return self.bundle.manifest.preprocessing

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one input."""
        return (self.preprocessing.channels, self.preprocessing.size, self.preprocessing.size)

    @property
    def full_name(self) -> str:
        """Its bundle's title and its own name."""
        return f"{self.title} {self.name}"

    def open(self, options: Options) -> Session:
        """Start it again."""
        return registry.open_network(self.bundle, self.name, self.backend.device, options)


@dataclass(frozen=True)
class Images:
    """Images that networks are evaluated on.

    Attributes:
        title: of their data set, unique in a bench.
        rows: the images.
        clean: those without a copy in training; None: not requested.
        shared: the classes shared by network and data; empty if all are shared.
    """

    title: str
    rows: Split
    clean: Split | None
    shared: Sequence[int] = ()


@dataclass
class Context:
    """What probes measure, and results for later probes.

    Attributes:
        candidates: the networks.
        first: images of the first data set, used by all probes.
        inputs: for each candidate prepared images of batch 1, float32 (1, C, H, W).
        protocol: how the figures are measured.
        gpu_bus: PCI address of a GPU with its own memory; None without one.
        further: images of further data sets.
        further_views: further protocols.
        attributes: groups of the first data set's images, or None.
        logits: of each candidate on `rows`, float32 (n, classes); set by ``accuracy``.
        samples: of each candidate, milliseconds, (rounds, turn); set by ``latency``, with `conditions`.
        changes: protocol fields set by probes.
        notes: lines for the result's warnings.
    """

    candidates: Sequence[Candidate]
    first: Images
    inputs: Sequence[Sequence[NDArray[np.float32]]]
    protocol: Protocol
    gpu_bus: str | None = None
    further: Sequence[Images] = ()
    further_views: Sequence[ViewProtocol] = ()
    attributes: Attributes | None = None
    logits: list[NDArray[np.float32]] = field(default_factory=list)
    samples: list[NDArray[np.float64]] = field(default_factory=list)
    conditions: Conditions | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> Split:
        """Images of the first data set's split."""
        return self.first.rows


@dataclass(frozen=True)
class Column:
    """A figure of a probe, as shown in tables.

    Attributes:
        key: its key in the probe's figures.
        head: column title with unit: ``load, ms``.
        scale: factor that converts the value to that unit.
        digits: decimal places.
    """

    key: str
    head: str
    scale: float = 1.0
    digits: int = 1


@dataclass(frozen=True)
class Probe:
    """A kind of measurement.

    Attributes:
        name: unique; key of its figures in `NetworkEntry.probes`.
        measure: returns for each candidate its figures by `Column.key`, floats in SI units; an empty mapping if
            there are none. For a probe without columns: its own fields of `NetworkEntry`.
        title: title of its table.
        how: how it is measured, in one sentence.
        columns: of its table.
        option: its name in `--measure`; None: always measured.
    """

    name: str
    measure: Callable[[Context], Sequence[Mapping[str, Any]]]
    title: str = ""
    how: str = ""
    columns: Sequence[Column] = ()
    option: str | None = None

    def fields(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return a network's figures as fields of `NetworkEntry`."""
        return {"probes": {self.name: dict(value)}} if self.columns and value else dict(value)
