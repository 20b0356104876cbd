"""What every part of a manifest, a result or a ledger is: a model that refuses unknown fields and infinite numbers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A part of a file: its fields are those of its schema alone, and none changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
