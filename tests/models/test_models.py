"""Networks by name, and initial weights from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from edgefer import models, recipes
from edgefer.errors import InputError, MissingRequirement

SMALL = {"widths": [8, 16], "blocks": [1, 1]}


def test_the_compact_network_has_the_parameters_that_its_description_says() -> None:
    recipe = recipes.load("compact")
    model = models.create(recipe.model.name, 7, recipe.preprocessing.channels, recipe.model.args)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    assert f"{millions:.2f} M parameters" in recipe.description


@pytest.mark.parametrize("side", [44, 48, 31])
def test_any_input_side_gives_logits(side: int) -> None:
    assert models.create("plain-resnet", 7, 3, SMALL)(torch.zeros(2, 3, side, side)).shape == (2, 7)


def test_timms_networks_are_built_for_the_data_at_hand() -> None:
    assert models.create("mobilenetv4_conv_small", 7, 1).eval()(torch.zeros(1, 1, 64, 64)).shape == (1, 7)


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("resnet1888", {}, "no network named resnet1888"),
        ("resnet1", {}, "timm has"),
        ("plain-resnet", {"width": 3}, "width"),
        ("plain-resnet", {"widths": [8], "blocks": [1, 1]}, "same length"),
        ("plain-resnet", {"stem_side": 1}, "2 or more"),
        ("resnet18", {"depth": 3}, "depth"),
    ],
)
def test_a_wrong_name_or_keyword_is_refused(name: str, args: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.create(name, 7, 1, args)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_from_a_file_start_a_network_with_another_head(tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(0)
    source = timm.create_model("mobilenetv4_conv_small", num_classes=11, in_chans=1)
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save({"state_dict": source.state_dict()}, file)
    else:
        save_file(source.state_dict(), file)
    model: Any = models.create("mobilenetv4_conv_small", 7, 1, weights=str(file))
    assert torch.equal(model.state_dict()["conv_stem.weight"], source.state_dict()["conv_stem.weight"])
    assert model.get_classifier().weight.shape[0] == 7


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (Path.touch, (self.target,))


def test_a_file_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save({"state_dict": Payload(tmp_path / "ran")}, file)
    with pytest.raises(InputError, match="cannot be read"):
        models.create("plain-resnet", 7, 1, SMALL, weights=str(file))
    assert not (tmp_path / "ran").exists()


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(models.create("plain-resnet", 7, 1, {"widths": [8, 24], "blocks": [1, 1]}).state_dict(), file)
    with pytest.raises(InputError, match="does not fit"):
        models.create("plain-resnet", 7, 1, SMALL, weights=str(file))
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(InputError, match="does not fit this network: it has 0 convolutions, not"):
        models.create("plain-resnet", 7, 1, SMALL, weights=str(file))
    with pytest.raises(InputError, match="no such file"):
        models.create("plain-resnet", 7, 1, SMALL, weights=str(tmp_path / "missing.pt"))


def test_a_hub_that_cannot_be_reached_is_said_with_two_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it retries for most of a minute
    with pytest.raises(MissingRequirement, match=r"--no-pretrained, or --weights FILE"):
        models.create("mobilenetv4_conv_small", 7, 1, pretrained=True)


def test_parallel_branches_are_merged_and_the_answers_stay() -> None:
    torch.manual_seed(0)
    model = models.create("repvgg_a0", 7, 1).eval()
    images = torch.randn(2, 1, 32, 32)
    merged = models.merged(model)
    assert sum(isinstance(module, torch.nn.Conv2d) for module in merged.modules()) == 22
    assert torch.allclose(merged(images), model(images), atol=1e-4)
    assert sum(isinstance(module, torch.nn.Conv2d) for module in model.modules()) > 22  # a copy was changed


def test_what_stands_beside_a_merged_layer_can_still_be_fine_tuned() -> None:
    merged = models.merged(models.create("mobileone_s4", 7, 1).eval())  # with squeeze-excite
    assert all(parameter.requires_grad for parameter in merged.parameters())


def test_a_network_without_parallel_branches_is_copied_as_it_is() -> None:
    model = models.create("plain-resnet", 7, 1, SMALL).eval()
    merged = models.merged(model)
    assert merged is not model
    assert torch.equal(merged(torch.ones(1, 1, 32, 32)), model(torch.ones(1, 1, 32, 32)))


def test_a_classifier_can_start_at_zero() -> None:
    model = models.create("resnet18", 7, 1, zero_head=True).eval()
    assert torch.equal(model(torch.ones(1, 1, 64, 64)), torch.zeros(1, 7))
    with pytest.raises(InputError, match="no linear classifier"):
        models.create("resnet18", 0, 1, zero_head=True)


@pytest.mark.parametrize("name", ["resnet18", "repvgg-a0", "mobilenetv4-small", "efficientnet-b0"])
def test_the_recipes_of_timms_networks_build_them(name: str) -> None:
    recipe = recipes.load(name)
    assert recipe.model.name in timm.list_models()
    model = models.create(
        recipe.model.name, 7, recipe.preprocessing.channels, recipe.model.args, zero_head=recipe.model.zero_head
    )
    side = recipe.preprocessing.size
    assert model.eval()(torch.zeros(1, 1, side, side)).shape == (1, 7)


def with_statistics(network: torch.nn.Module) -> torch.nn.Module:
    """Return the network after some batches, so that no BatchNorm is as initialized."""
    network.train()
    for _ in range(3):
        network(torch.randn(8, 1, 20, 20))
    return network.eval()


def test_a_wider_network_begins_with_the_narrower_ones_answers_and_learns_on() -> None:
    torch.manual_seed(0)
    narrow = with_statistics(models.create("plain-resnet", 7, 1, {"widths": [8, 12, 16], "blocks": [1, 2, 1]}))
    wide = models.create("plain-resnet", 7, 1, {"widths": [16, 12, 40], "blocks": [1, 2, 1]})
    models.take(wide, models.grown(wide, narrow.state_dict()), "a narrower one")
    x = torch.randn(5, 1, 20, 20)
    assert torch.allclose(wide.eval()(x), narrow(x), atol=1e-5)
    wide.train()(x).square().mean().backward()
    read = dict(wide.named_parameters())["head.weight"].grad
    assert read is not None
    assert read[:, 16:].abs().amax(0).gt(0).all()


def test_a_wider_network_takes_the_narrower_ones_answers_for_classes_that_both_have() -> None:
    torch.manual_seed(0)
    narrow = with_statistics(models.create("plain-resnet", 3, 1, {"widths": [8, 16], "blocks": [1, 1]}))
    wide = models.create("plain-resnet", 2, 1, {"widths": [8, 24], "blocks": [1, 1]})
    given = models.for_classes(wide, models.grown(wide, narrow.state_dict()), ["a", "b", "c"], ["c", "b"])
    models.take(wide, given, "a narrower one")
    x = torch.randn(5, 1, 20, 20)
    assert torch.allclose(wide.eval()(x), narrow(x)[:, [2, 1]], atol=1e-5)


def test_a_class_that_is_made_of_several_begins_with_what_they_say_together() -> None:
    torch.manual_seed(0)
    settings = {"widths": [8, 16], "blocks": [1, 1]}
    trained: Any = with_statistics(models.create("plain-resnet", 3, 1, settings))
    trained.head.weight.data[1] = trained.head.weight.data[0] + 0.01  # a and b are nearly equal
    trained.head.bias.data[1] = trained.head.bias.data[0]
    new = models.create("plain-resnet", 2, 1, settings)
    parts = {"negative": ["a", "b"], "c": ["c"]}
    given = models.for_classes(new, trained.state_dict(), ["a", "b", "c"], ["negative", "c"], parts)
    models.take(new, given, "trained")
    x = torch.randn(5, 1, 20, 20)
    before = trained(x).softmax(1)
    assert torch.allclose(new.eval()(x).softmax(1)[:, 0], before[:, 0] + before[:, 1], atol=1e-3)


def test_a_longer_first_kernel_begins_with_the_shorter_ones_answers_half_a_place_further() -> None:
    torch.manual_seed(0)
    short: Any = with_statistics(models.create("plain-resnet", 7, 1, SMALL | {"stem_stride": 2}))
    long: Any = models.create("plain-resnet", 7, 1, SMALL | {"stem_stride": 2, "stem_side": 4})
    given = models.grown(long, short.state_dict())
    models.take(long, given, "one with a shorter kernel")
    x = torch.randn(5, 1, 21, 21)
    with torch.no_grad():
        positions = [short.stem[0](x[:, :, i : i + 20, j : j + 20])[:, :, 1:, 1:] for i in (0, 1) for j in (0, 1)]
        assert torch.allclose(long.stem[0](x[:, :, 1:, 1:]), torch.stack(positions).mean(0), atol=1e-5)
    assert long.stem[0](torch.zeros(1, 1, 44, 44)).shape == (1, 8, 21, 21)


@pytest.mark.parametrize(
    ("name", "channels", "args"),
    [
        ("plain-resnet", 1, {"widths": [8, 12], "blocks": [1, 1]}),  # narrower in one stage
        ("plain-resnet", 1, {"widths": [16, 32], "blocks": [1, 2]}),  # deeper
        ("plain-resnet", 3, {"widths": [16, 32], "blocks": [1, 1]}),  # for colour pictures
        ("plain-cnn", 1, {"widths": [8, 16], "dense": [8]}),
    ],
)
def test_a_network_of_another_shape_is_no_narrower_one(name: str, channels: int, args: dict[str, object]) -> None:
    given = models.create("plain-resnet", 7, 1, SMALL).state_dict()
    other = models.create(name, 7, channels, args)
    with pytest.raises(InputError, match=r"a network (does not fit|contains none)"):
        models.take(other, models.grown(other, given), "a network")


def test_a_file_in_which_a_weight_is_no_tensor_is_refused(tmp_path: Path) -> None:
    model = models.create("plain-resnet", 7, 1, SMALL)
    torch.save({**model.state_dict(), "head.weight": 3, "stem.0.weight": [1.0]}, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"stem\.0\.weight is missing or has another shape"):
        models.create("plain-resnet", 7, 1, SMALL, weights=str(tmp_path / "odd.pth"))
