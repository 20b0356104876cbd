"""The backends by device; opens a bundle's network on one of them."""

from __future__ import annotations

import importlib

from edgefer import console
from edgefer.backends.base import Backend, Options, Session
from edgefer.backends.targets import Target
from edgefer.bundle.folder import Bundle
from edgefer.errors import InputError, MissingRequirement

AUTO = "auto"
# Module of each device's backend. `auto`, help texts and bundles use this order.
BACKENDS = {
    "jetson": "edgefer.backends.tensorrt.backend:JETSON",
    "tensorrt": "edgefer.backends.tensorrt.backend:GPU",
    "rtx": "edgefer.backends.tensorrt.backend:RTX",
    "cpu": "edgefer.backends.onnxruntime:BACKEND",
    "openvino": "edgefer.backends.openvino:BACKEND",
    "litert": "edgefer.backends.litert:BACKEND",
}


def get(device: str) -> Backend:
    """Return the backend of a device.

    Raises:
        InputError: the device is unknown.
    """
    if device not in BACKENDS:
        raise InputError(f"unknown device {device!r}; choose one of {', '.join(BACKENDS)}")
    module, _, name = BACKENDS[device].partition(":")
    backend: Backend = getattr(importlib.import_module(module), name)
    return backend


def targets() -> dict[str, Target]:
    """Return the INT8 graph forms of all backends by name, the CPU's first."""
    return {target.name: target for device in ("cpu", *BACKENDS) for target in get(device).targets}


def runtime_of(target: str) -> str:
    """Return the title of the first backend that prefers a target."""
    return next(get(device).title for device in ("cpu", *BACKENDS) if get(device).targets[0].name == target)


def open_network(bundle: Bundle, network: str, device: str = "cpu", options: Options | None = None) -> Session:
    """Start a network of a bundle and check it against the manifest.

    Args:
        bundle: from `edgefer.bundle.load`.
        network: its name in the manifest, e.g. ``int8-cpu``.
        device: one of `BACKENDS`.
        options: how.

    Raises:
        InputError: unknown network or device, or its input or output differs from the manifest.
        MissingRequirement: the machine lacks what the device needs.
    """
    session = get(device).open(bundle, network, options or Options())
    spec, labels = bundle.manifest.preprocessing, bundle.manifest.labels
    wanted = (spec.channels, spec.size, spec.size)
    why = ""
    if any(side not in (None, want) for side, want in zip(session.input_shape, wanted, strict=True)):
        why = (
            f"{bundle.file(network)} takes input of shape {session.input_shape}, but the manifest's "
            f"preprocessing gives {wanted}"
        )
    elif session.classes not in (None, len(labels)):
        why = f"{bundle.file(network)} has {session.classes} outputs, but the manifest has {len(labels)} labels"
    if why:
        session.close()
        raise InputError(why)
    return session


def choose(bundle: Bundle, device: str, network: str | None, options: Options) -> tuple[str, str, Session]:
    """Open a bundle's default network on a device: INT8 if there is one.

    Args:
        bundle: from `edgefer.bundle.load`.
        device: one of `BACKENDS`, or ``auto``: TensorRT where an engine runs, else ONNX Runtime.
        network: its name in the bundle; by default the last one that the backend runs.
        options: how.

    Returns:
        The device, the network's name, and its session.

    Raises:
        InputError: no such device, or the bundle has no network for it.
        MissingRequirement: the given device is not available.
    """
    if device != AUTO:
        name = network or _last(bundle, device)
        return device, name, open_network(bundle, name, device, options)
    for each in (name for name in BACKENDS if get(name).automatic and get(name).on_gpu):
        fitting = get(each).networks(bundle)
        if not fitting or (network is not None and network not in fitting):
            continue
        try:
            get(each).check()
            name = network or fitting[-1]
            session = open_network(bundle, name, each, options)
        except MissingRequirement:
            continue
        except InputError as error:  # the next backend may run it; if none does, the CPU's error is raised
            console.say_once(f"device: {each} is not used: {error}")
            continue
        console.say_once(f"device: {each} ({get(each).version()})")
        return each, name, session
    return choose(bundle, "cpu", network, options)


def _last(bundle: Bundle, device: str) -> str:
    fitting = get(device).networks(bundle)
    if not fitting:
        raise InputError(f"{bundle.path} has no network for {device}; it has {', '.join(bundle.manifest.networks)}")
    return fitting[-1]
