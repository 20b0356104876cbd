"""What a server answers, as pydantic models: they make the OpenAPI schema too."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from edgefer.predictions import shown
from edgefer.predictor import Prediction


class BoxAnswer(BaseModel):
    """Square around a face in pixels of the picture, cut to the picture."""

    left: int
    top: int
    width: int
    height: int


class FaceAnswer(BaseModel):
    """What the network says of one face."""

    label: str = Field(description="The most probable class; `unsure` below the minimum confidence.")
    confidence: float = Field(description="Probability of the most probable class, 0 to 1.")
    probabilities: dict[str, float] = Field(description="Of each class; they add up to 1.")
    box: BoxAnswer | None = Field(description="Null where the picture was taken for one face as it is.")
    score: float | None = Field(description="How sure the detector is that this is a face, 0 to 1.")
    roll: float = Field(description="Degrees that the face is turned clockwise.")
    landmarks: list[tuple[float, float]] = Field(description="Eyes, nose tip, corners of the mouth, in pixels.")
    notes: list[str] = Field(description="What lowers the trust: `small`, `profile`, `occluded`.")

    @classmethod
    def of(cls, prediction: Prediction, min_confidence: float) -> FaceAnswer:
        """Return a predictor's answer in this form, every number as it is."""
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
    """What the network says of one picture."""

    bundle: str
    network: str
    device: str
    width: int = Field(description="Of the picture in pixels, upright as its EXIF data says.")
    height: int
    faces: list[FaceAnswer] = Field(description="Sorted by score times size; empty where none was found.")
    milliseconds: float = Field(description="Decoding the picture, finding its faces and judging them.")


class Problem(BaseModel):
    """Why there is no answer."""

    error: str


class Health(BaseModel):
    """Whether the server takes pictures."""

    status: Literal["ok"]
