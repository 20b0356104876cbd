"""Networks by name: `create` builds edgefer's own or timm's."""

from __future__ import annotations

from edgefer.models.constant_weights import with_constant_weights
from edgefer.models.creation import OURS, create, for_classes, merged, narrowed, widen
from edgefer.models.exportable import as_exportable
from edgefer.models.from_timm import hub_id
from edgefer.models.growth import grown
from edgefer.models.keras_count import count_like_keras
from edgefer.models.lite import find as find_lite
from edgefer.models.mirroring import find_channel_pairs, mirror, pair_halves
from edgefer.models.padding import fix_padding
from edgefer.models.plain_resnet import PlainResNet
from edgefer.models.pooling import fix_pooling
from edgefer.models.trial_step import check
from edgefer.models.weight_files import take

__all__ = [
    "OURS",
    "PlainResNet",
    "as_exportable",
    "check",
    "count_like_keras",
    "create",
    "find_channel_pairs",
    "find_lite",
    "fix_padding",
    "fix_pooling",
    "for_classes",
    "grown",
    "hub_id",
    "merged",
    "mirror",
    "narrowed",
    "pair_halves",
    "take",
    "widen",
    "with_constant_weights",
]
