"""Schema of recipes. Every field is a key of the TOML files in this folder."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgefer.preprocessing import Preprocessing


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSection(_Section):
    """The images that train and those that select the checkpoint, never PrivateTest."""

    split: Literal["official", "stratified"] = Field(
        "official",
        description="official: Training for training, PublicTest for "
        "selection. stratified: 87.5 % and 12.5 % of Training (seed 42).",
    )
    classes: tuple[str, ...] = Field((), description="classes to keep, at least two; none: all")


class Model(_Section):
    """A network by name, from edgefer.models or timm."""

    name: str
    args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the network's constructor")
    pretrained: bool = Field(False, description="ImageNet weights: timm's from the hub, or Lite's package")
    weights: str | None = Field(None, description="a local file to start from: safetensors, torch, Keras")
    initial_weights: str | None = Field(
        None, description="trained network to start from: a run's folder, or edgefer-base"
    )
    zero_head: bool = Field(False, description="initialize the classifier with 0, to avoid large random logits")


class Augment(_Section):
    """Random augmentation of each training image; 0 turns one off."""

    flip: float = Field(0.5, ge=0, le=1, description="probability of a mirrored image")
    rotate: float = Field(0.0, ge=0, le=180, description="degrees, either way")
    shift: float = Field(0.0, ge=0, le=1, description="share of the image's side, in both directions, per axis")
    shear: float = Field(0.0, ge=0, lt=90, description="degrees, either way")
    scale: tuple[float, float] = Field((1.0, 1.0), description="smallest and largest zoom")
    brightness: float = Field(0.0, ge=0, description="added or subtracted, as a share of the full range")
    contrast: float = Field(0.0, ge=0, lt=1, description="factor around the image's mean: 1 - c to 1 + c")
    erase: float = Field(0.0, ge=0, le=1, description="probability of a rectangle set to the mean")
    erase_area: tuple[float, float] = Field((0.02, 0.2), description="smallest and largest share of the image")
    mixup: float = Field(0.0, ge=0, description="alpha of mixup's Beta distribution (Zhang et al. 2018)")

    @model_validator(mode="after")
    def _from_small_to_large(self) -> Augment:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError("scale is the smallest zoom, above 0, then the largest")
        if not 0 < self.erase_area[0] <= self.erase_area[1] <= 1:
            raise ValueError("erase_area is the smallest share, above 0, then the largest, at most 1")
        return self


class Teaching(_Section):
    """Training targets besides the labels."""

    teachers: tuple[str, ...] = Field((), description="teachers (folders of runs or bundles) that see the same images")
    share: float = Field(0.7, gt=0, le=1, description="weight of the teachers' loss; the labels get the rest")
    temperature: float = Field(2.0, gt=0, description="divides the logits before they are compared")
    views: int = Field(
        0,
        ge=0,
        le=1000,
        description="number of augmented views per image to run the teachers on before training, used in turn; "
        "0: run them on every batch",
    )
    mirrored: bool = Field(False, description="average teachers over each image and its mirror image")
    votes: str | None = Field(None, description="fer2013new.csv: learn the ten labellers' votes as a second target")
    votes_weight: float = Field(0.5, gt=0, description="weight of the votes' loss, added to that of the labels")
    votes_power: float = Field(
        0.0,
        ge=0,
        le=10,
        description="exponent of P(label | votes), which multiplies the teachers' probabilities; 0: off",
    )

    @model_validator(mode="after")
    def _teachers_to_inform(self) -> Teaching:
        if self.votes_power and not (self.votes and self.teachers):
            raise ValueError("votes_power corrects teachers by votes: it needs both")
        if self.views and not self.teachers:
            raise ValueError("views are what teachers are asked about: name one with --teacher")
        return self


class Phase(_Section):
    """A number of epochs with one optimizer and one set of trainable weights."""

    name: str = "train"
    epochs: int = Field(ge=1)
    train: tuple[str, ...] = Field(("*",), description="trainable weights: name patterns, or 'head'")
    freeze_batchnorm: bool = Field(False, description="freeze BatchNorm: statistics, scale and shift")
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(gt=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd with Nesterov momentum")
    weight_decay: float = Field(0.0, ge=0, description="not on biases and norms")
    schedule: Literal["constant", "cosine", "plateau"] = "cosine"
    warmup_epochs: float = Field(0.0, ge=0, description="linear, from 0 (not with plateau)")
    plateau_patience: int = Field(3, ge=0, description="epochs without a lower validation loss")
    plateau_factor: float = Field(0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _plateau_starts_at_once(self) -> Phase:
        if self.schedule == "plateau" and self.warmup_epochs:
            raise ValueError("schedule = 'plateau' has no warm-up; set warmup_epochs = 0")
        return self


class Train(_Section):
    """Settings for all phases."""

    batch_size: int = Field(128, ge=2)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: bool = Field(False, description="weight a class by images / (classes x its images)")
    class_weight_clip: float = Field(4.0, gt=0, description="maximum class weight")
    logit_adjustment: float = Field(
        0.0,
        ge=0,
        le=2,
        description="factor of the log class shares that are added to the logits in the loss only (Menon et al. 2021), "
        "so rare classes are predicted more often; 0: off",
    )
    ema: float = Field(0.0, ge=0, lt=1, description="decay per step of the averaged weights; 0: off")
    clip_gradient: float = Field(0.0, ge=0, description="maximum gradient norm; 0: off")
    mirror: bool = Field(
        False,
        description="mirror-symmetric weights, for plain-resnet at 41 pixels, or 44 with stem_side = 4",
    )
    best: Literal["accuracy", "loss"] = Field(
        "accuracy",
        description="on the validation split, to choose the epoch; loss is less noisy",
    )
    early_stopping: int = Field(0, ge=0, description="epochs without improvement; 0: never")
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="auto: times both on this machine")
    seed: int = Field(0, ge=0, lt=2**63)


WHOLE = "whole"  # in place of an ablation's name: the unchanged recipe


class Ablation(_Section):
    """One change to a recipe, to measure its effect with `edgefer ablate`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="names the run's folder")
    cites: str = Field(description="section of the paper, or our choice")
    set: tuple[str, ...] = Field(min_length=1, description="settings, as for --set")


class Recipe(_Section):
    """All settings of one training."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="names folders and the bundle")
    description: str
    data: DataSection = DataSection()
    model: Model
    preprocessing: Preprocessing
    augment: Augment = Augment()
    train: Train = Train()
    teaching: Teaching = Teaching()
    phases: tuple[Phase, ...] = Field(min_length=1)
    ablations: tuple[Ablation, ...] = ()

    @model_validator(mode="after")
    def _each_ablation_has_a_folder(self) -> Recipe:
        names = [WHOLE, *(each.name for each in self.ablations)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            taken = "that name is the unchanged recipe" if twice == WHOLE else "another one is"
            raise ValueError(f"an ablation cannot be called {twice!r}: {taken}")
        return self

    @property
    def epochs(self) -> int:
        """Total epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)
