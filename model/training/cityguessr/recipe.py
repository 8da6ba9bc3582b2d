# SPDX-License-Identifier: LGPL-2.1-or-later
"""Recipes: one TOML file an experiment. The defaults are the authors' (train.py and config.py of their release)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .augment import AugmentOptions
from .losses import LossOptions
from .modelfile import DTYPES, SCENES
from .network import PRESETS, Geometry, Input, preset
from .optim import OptimizerOptions
from .options import OptionsError, one_of, parse, within
from .places import Places
from .text import TextOptions


@dataclass(frozen=True)
class GeometryOptions:
    """The ``[geometry]`` table: a preset, and what differs. The label counts come from the dataset's tree, the size
    of the scene head from the 16 scenes, that of the text head from the text encoder. FFN_t's hidden layer is by
    default as wide as the mean of its two ends, as the authors' 466 = (420 + 512) / 2."""

    preset: str = "small-16"
    frames: int | None = None
    tubelet: int | None = None
    image: int | None = None
    patch: int | None = None
    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    mlp: int | None = None
    layer_norm_eps: float | None = None
    scene_hidden: tuple[int, ...] = Geometry.scene[:-1]
    text_hidden: tuple[int, ...] | None = None

    def check(self) -> None:
        one_of("preset", self.preset, tuple(PRESETS))
        self.base().check()

    def base(self) -> Geometry:
        """Without heads."""
        names = ("frames", "tubelet", "image", "patch", "width", "depth", "heads", "mlp", "layer_norm_eps")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return preset(self.preset, **given, scene=(), text=())

    def complete(self, places: Places, loss: LossOptions, text_width: int) -> Geometry:
        """With the heads that the losses need. @text_width: of the text encoder."""
        scene = () if loss.scene == "none" else (*self.scene_hidden, len(SCENES))
        text = ()
        if loss.text != "none":
            between = ((sum(places.counts) + text_width) // 2,)
            text = (*(between if self.text_hidden is None else self.text_hidden), text_width)
        geometry = replace(self.base(), labels=places.counts, scene=scene, text=text)
        geometry.check()
        return geometry


@dataclass(frozen=True)
class InputOptions:
    """The ``[input]`` table. The authors divide by 255 and take off no mean, although their encoder was fine-tuned
    with one."""

    scale: float = Input.scale
    mean: tuple[float, float, float] = Input.mean
    std: tuple[float, float, float] = Input.std
    sample_interval: float = 1.4  # seconds

    def check(self) -> None:
        within("sample_interval", self.sample_interval, 0.001, 3600)
        for value in self.std:
            within("std", value, 1e-6, 1e6)

    def input(self) -> Input:
        return Input(self.scale, self.mean, self.std)


@dataclass(frozen=True)
class TrainOptions:
    """The ``[train]`` table."""

    epochs: int = 12
    batch: int = 12  # windows of one optimiser step, of all processes together
    micro_batch: int = 0  # windows at a time in one process (gradient accumulation); 0: all of its share
    windows_per_epoch: int = 0  # another part of the windows in each epoch; 0: all
    precision: str = "fp32"  # bf16: autocast; slow on a CPU without bf16 instructions
    device: str = "auto"  # auto, cpu, cuda
    threads: int = 0  # of the CPU; 0: as PyTorch finds
    workers: int = 2  # processes that read windows; 0: none
    compile: bool = False  # torch.compile
    deterministic: bool = True  # slower attention on a GPU; without it no run there repeats another to the bit
    select: str = "city"  # the best epoch by validation's city top-1 (the authors' rule), or "last"
    validation_windows: int = 0  # evenly over the split; 0: all
    checkpoint_steps: int = 500  # between checkpoints; there is one after each epoch too
    log_steps: int = 20
    tensorboard: bool = True

    def check(self) -> None:
        one_of("precision", self.precision, ("fp32", "bf16"))
        one_of("device", self.device, ("auto", "cpu", "cuda"))
        one_of("select", self.select, ("city", "last"))
        for name in ("epochs", "batch", "checkpoint_steps", "log_steps"):
            within(name, getattr(self, name), 1, 10**9)
        for name in ("micro_batch", "windows_per_epoch", "threads", "workers", "validation_windows"):
            within(name, getattr(self, name), 0, 10**9)


@dataclass(frozen=True)
class InitOptions:
    """The ``[init]`` table. @encoder: a model file (``cityguessr.convert``) whose encoder is the start; @model: one
    whose every tensor is."""

    encoder: str = ""
    model: str = ""

    def check(self) -> None:
        if self.encoder and self.model:
            raise ValueError("encoder and model exclude each other")


@dataclass(frozen=True)
class ExportOptions:
    """The ``[export]`` table: what the model file says of itself."""

    dtype: str = "f32"
    licence: str = ""  # of the weights; default: that of [init], or "not stated"
    provenance: str = ""  # put before what the training says
    demo: bool = False
    temperatures: bool = True  # fitted on the validation split

    def check(self) -> None:
        one_of("dtype", self.dtype, tuple(DTYPES))


@dataclass(frozen=True)
class Recipe:
    """A whole file. ``[dataset]`` is checked by the reader of its kind."""

    dataset: dict[str, Any]
    name: str = ""  # default: the file's
    description: str = ""
    seed: int = 0
    geometry: GeometryOptions = field(default_factory=GeometryOptions)
    input: InputOptions = field(default_factory=InputOptions)
    text: TextOptions = field(default_factory=TextOptions)
    loss: LossOptions = field(default_factory=LossOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    train: TrainOptions = field(default_factory=TrainOptions)
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    init: InitOptions = field(default_factory=InitOptions)
    export: ExportOptions = field(default_factory=ExportOptions)

    def check(self) -> None:
        within("seed", self.seed, 0, 2**31 - 1)
        if len(self.name.encode()) > 256:
            raise ValueError(f"name: found {self.name!r}, expected at most 256 bytes")

    def to_json(self) -> dict:
        """Plain data, every default written out: what a checkpoint remembers, and a report shows."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def read_recipe(path: str | Path, changes: tuple[str, ...] = ()) -> Recipe:
    """The recipe of a file. Its key ``extends`` names another file beside it, whose tables are taken where this one
    says nothing. @changes: ``key.key=value`` with the value in TOML, put over the file's."""
    path = Path(path)
    table = read_tables(path)
    for change in changes:
        _apply(table, change)
    return parse(Recipe, {"name": path.stem, **table}, str(path))


def read_tables(path: Path, readers: tuple[Path, ...] = ()) -> dict:
    """A file's tables upon those of the file it extends, unchecked. @readers: the files that led here."""
    if path in readers:
        raise OptionsError(f"{path}: extends itself")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionsError(f"{path}: {error}") from None
    base = table.pop("extends", None)
    if base is None:
        return table
    if not isinstance(base, str):
        raise OptionsError(f"{path}: extends: found {base!r}, expected the name of a file beside it")
    below = read_tables(path.parent / base, (*readers, path))
    for key in ("name", "description"):  # they are the other file's own
        below.pop(key, None)
    return _merged(below, table)


def _merged(below: Mapping, above: Mapping) -> dict:
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        result[key] = _merged(below[key], value) if both else value
    return result


def _apply(table: dict, change: str) -> None:
    key, equals, value = change.partition("=")
    try:
        if not equals:
            raise tomllib.TOMLDecodeError
        value = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        raise OptionsError(
            f"--set {change}: expected KEY.KEY=VALUE, the value as in TOML (strings in quotes)"
        ) from None
    *parents, last = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise OptionsError(f"--set {change}: {parent!r} is no table")
    table[last] = value


def different_keys(one: Mapping, other: Mapping, where: str = "") -> list[str]:
    """The dotted keys in which two recipes' ``to_json()`` differ."""
    found = []
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += different_keys(a, b, f"{where}{key}.")
        elif a != b:
            found.append(f"{where}{key}")
    return found
