"""The server's responses as pydantic models, which also define the OpenAPI schema."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from edgefer.predictions import shown
from edgefer.predictor import Prediction


class BoxAnswer(BaseModel):
    """Square around a face in pixels, clipped to the picture."""

    left: int
    top: int
    width: int
    height: int


class FaceAnswer(BaseModel):
    """Prediction for one face."""

    label: str = Field(description="The most probable class; `unsure` below the minimum confidence.")
    confidence: float = Field(description="Probability of the most probable class, 0 to 1.")
    probabilities: dict[str, float] = Field(description="Probability of each class; they sum to 1.")
    box: BoxAnswer | None = Field(description="Null: the whole picture is treated as one face.")
    score: float | None = Field(description="The detector's confidence that this is a face, 0 to 1.")
    roll: float = Field(description="Rotation of the face in degrees, clockwise.")
    landmarks: list[tuple[float, float]] = Field(description="Eyes, nose tip, corners of the mouth, in pixels.")
    notes: list[str] = Field(description="Reasons for lower trust: `small`, `profile`, `occluded`.")

    @classmethod
    def of(cls, prediction: Prediction, min_confidence: float) -> FaceAnswer:
        """Convert a prediction to this model; numbers are unchanged."""
        return cls(
            label=shown(prediction, min_confidence),
            confidence=prediction.confidence,
            probabilities=prediction.probabilities,
            box=BoxAnswer(**prediction.box._asdict()) if prediction.box else None,
            score=prediction.score,
            roll=prediction.roll,
            landmarks=list(prediction.landmarks),
            notes=list(prediction.notes),
        )


class Answer(BaseModel):
    """Predictions for one picture."""

    bundle: str
    network: str
    device: str
    width: int = Field(description="Size of the picture in pixels, upright by its EXIF data.")
    height: int
    faces: list[FaceAnswer] = Field(description="Sorted by score times size; empty: none found.")
    milliseconds: float = Field(description="Decoding the picture, detecting and classifying its faces.")


class Problem(BaseModel):
    """Error response."""

    error: str


class Health(BaseModel):
    """Health response."""

    status: Literal["ok"]
