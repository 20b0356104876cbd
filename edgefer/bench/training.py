"""The training of a bundle's FP32 network, from its manifest."""

from __future__ import annotations

from pydantic import ValidationError

from edgefer import public
from edgefer.bench.result import Training
from edgefer.bundle.manifest import Manifest


def of(manifest: Manifest) -> Training | None:
    """Return it, or None if it is unusable: a manifest's notes have no schema."""
    checkpoint = manifest.compression.get("checkpoint")
    said = checkpoint if isinstance(checkpoint, dict) else {}
    score = next((each for each in manifest.scores if (each.network, each.split) == ("fp32", "val")), None)
    try:
        return Training(
            recipe=public.value(manifest.recipe),  # an older edgefer wrote paths
            initial_weights=public.value(said.get("initial_weights")),
            epochs=said.get("epochs"),
            best_epoch=said.get("epoch"),
            validation_images=score.images if score else None,
            validation_accuracy=score.accuracy if score else None,
        )
    except ValidationError:
        return None
