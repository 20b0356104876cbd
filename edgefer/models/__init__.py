"""Networks by name: `create` builds ours, else timm's."""

from __future__ import annotations

from edgefer.models.create import create, merged, narrowed, take, widen
from edgefer.models.plain_resnet import PlainResNet

__all__ = ["PlainResNet", "create", "merged", "narrowed", "take", "widen"]
