# SPDX-License-Identifier: LGPL-2.1-or-later
"""The model file: a ``.safetensors`` file whose metadata makes it complete (``model/model.h``).

Both directions are strict: what this module writes, the C reader takes; what the C reader refuses in the
configuration, in the places or in the table of tensors, this module refuses too.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .network import CityGuessr, Geometry, Input
from .places import Places

VERSION = "1"
RESIZE = "squash-bilinear"
"""Antialiased bilinear to the model's square, without keeping the aspect."""

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}

SCENES = (
    "indoor: shopping and dining",
    "indoor: workplace",
    "indoor: home or hotel",
    "indoor: transportation",
    "indoor: sports and leisure",
    "indoor: cultural",
    "outdoor, natural: water, ice, snow",
    "outdoor, natural: mountains, hills, desert, sky",
    "outdoor, natural: forest, field, jungle",
    "outdoor, natural: man-made elements",
    "outdoor, man-made: transportation",
    "outdoor, man-made: cultural or historical building or place",
    "outdoor, man-made: sports fields, parks, leisure spaces",
    "outdoor, man-made: industrial and construction",
    "outdoor, man-made: houses, cabins, gardens, farms",
    "outdoor, man-made: commercial buildings, shops, markets, cities, towns",
)
"""The second level of the Places365 scene hierarchy. The authors do not publish the order of theirs."""


class ModelFileError(ValueError):
    """A file or a model that breaks a rule of the format; the message names what and where."""


@dataclass(frozen=True)
class Card:
    """What a model file says besides its network. ``scenes`` names the outputs of FFN_s, or is empty."""

    name: str
    provenance: str
    licence: str
    places: Places
    scenes: tuple[str, ...] = SCENES
    demo: bool = False
    sample_interval: float = 1.4
    temperatures: tuple[float, float, float, float] = field(default=(1.0, 1.0, 1.0, 1.0))


def config_to_json(geometry: Geometry, input: Input, card: Card) -> str:
    """``cityguessr.config``."""
    config = {
        "name": card.name,
        "provenance": card.provenance,
        "licence": card.licence,
        "demo": card.demo,
        "geometry": {
            **{key: getattr(geometry, key) for key in _SIZES},
            "layer_norm_eps": geometry.layer_norm_eps,
            "scene_hidden": list(geometry.scene[:-1]),
            "text_hidden": list(geometry.text[:-1]),
            "text_width": geometry.text[-1] if geometry.text else 0,
        },
        "input": {"scale": input.scale, "mean": list(input.mean), "std": list(input.std), "resize": RESIZE},
        "sample_interval": card.sample_interval,
        "scenes": list(card.scenes),
        "temperatures": list(card.temperatures),
    }
    return json.dumps(config, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def save(path: str | Path, model: CityGuessr, card: Card, dtype: str = "f32") -> None:
    """Writes @model to a temporary beside @path, then renames it over @path."""
    geometry = model.geometry
    if card.places.counts != geometry.labels:
        raise ModelFileError(f"{path}: the network has {geometry.labels} labels, the places {card.places.counts}")
    if len(card.scenes) != (geometry.scene[-1] if geometry.scene else 0):
        raise ModelFileError(
            f"{path}: {len(card.scenes)} names of scenes for a network that ends its scene head "
            f"with {geometry.scene[-1] if geometry.scene else 0} values"
        )
    config = config_to_json(geometry, model.input, card)
    parse_config(config, card.places)  # nothing is written that could not be read
    state = model.state_dict()
    tensors = {}
    for name, shape in geometry.tensors().items():
        tensor = state.pop(name).detach().to("cpu", DTYPES[dtype]).contiguous()
        if tuple(tensor.shape) != shape:
            raise ModelFileError(f"{path}: tensor {name!r}: found {tuple(tensor.shape)}, expected {shape}")
        _require_finite(path, name, tensor)
        tensors[name] = tensor
    if state:
        raise ModelFileError(f"{path}: tensors the format does not know: {', '.join(state)}")
    metadata = {"cityguessr.version": VERSION, "cityguessr.config": config, "cityguessr.places": card.places.to_json()}
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(tensors, temporary, metadata=metadata)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp's file is private; a model is a document
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load(path: str | Path) -> tuple[CityGuessr, Card]:
    """Reads and checks everything; weights become float32. The model is in evaluation mode."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: {error}") from None
    for key in ("cityguessr.version", "cityguessr.config", "cityguessr.places"):
        if key not in metadata:
            raise ModelFileError(f"{path}: the metadata lack {key!r}: not a CityGuessr model file")
    if metadata["cityguessr.version"] != VERSION:
        raise ModelFileError(f"{path}: version {metadata['cityguessr.version']!r}; this reads {VERSION!r}")
    places = Places.parse(metadata["cityguessr.places"])
    geometry, input, card = parse_config(metadata["cityguessr.config"], places)
    check_table(path, geometry.tensors(), tensors)
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES.values():
            raise ModelFileError(f"{path}: tensor {name!r}: found {tensor.dtype}, expected F32, F16 or BF16")
        _require_finite(path, name, tensor)
    model = CityGuessr(geometry, input)
    model.load_state_dict(tensors)
    return model.eval(), card


def check_table(path: str | Path, table: dict[str, tuple[int, ...]], tensors: dict[str, torch.Tensor]) -> None:
    """@tensors hold exactly the names of @table, each with its shape; else an error that names them."""
    missing = [name for name in table if name not in tensors]
    unknown = [name for name in tensors if name not in table]
    misshapen = [
        f"{name} (found {list(tensors[name].shape)}, expected {list(shape)})"
        for name, shape in table.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    faults = [
        f"{kind} tensors: {', '.join(names)}"
        for kind, names in (("missing", missing), ("unknown", unknown), ("misshapen", misshapen))
        if names
    ]
    if faults:
        raise ModelFileError(f"{path}: " + "; ".join(faults))


def parse_config(text: str, places: Places) -> tuple[Geometry, Input, Card]:
    """``cityguessr.config`` of a network over @places. Every key is required and no other is taken."""
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelFileError(f"config: not JSON: {error}") from None
    _require_keys(
        "config",
        config,
        ("name", "provenance", "licence", "demo", "geometry", "input", "sample_interval", "scenes", "temperatures"),
    )
    g, i = config["geometry"], config["input"]
    _require_keys("config: geometry", g, (*_SIZES, "layer_norm_eps", "scene_hidden", "text_hidden", "text_width"))
    _require_keys("config: input", i, ("scale", "mean", "std", "resize"))

    def require(good: bool, where: str, found: object, expected: str) -> None:
        if not good:
            raise ModelFileError(f"config: {where}: found {found!r}, expected {expected}")

    for key, low, high in (("name", 1, 256), ("provenance", 0, 4096), ("licence", 0, 4096)):
        require(
            _is_text(config[key], low, high),
            key,
            config[key],
            f"text of {low}..{high} bytes without control characters",
        )
    require(isinstance(config["demo"], bool), "demo", config["demo"], "true or false")
    require(i["resize"] == RESIZE, "input.resize", i["resize"], repr(RESIZE))
    _require_numbers("input.scale", [i["scale"]], 1, 1e-6, 1e6)
    _require_numbers("input.mean", i["mean"], 3, -1e6, 1e6)
    _require_numbers("input.std", i["std"], 3, 1e-6, 1e6)
    _require_numbers("geometry.layer_norm_eps", [g["layer_norm_eps"]], 1, 1e-30, 1e-2)
    _require_numbers("sample_interval", [config["sample_interval"]], 1, 0.001, 3600)
    _require_numbers("temperatures", config["temperatures"], 4, 0.01, 100)
    for key in ("scene_hidden", "text_hidden"):
        require(isinstance(g[key], list), f"geometry.{key}", g[key], "an array of sizes")
    require(
        type(g["text_width"]) is int and g["text_width"] >= 0,
        "geometry.text_width",
        g["text_width"],
        "a size, or 0 for no text head",
    )
    scenes = config["scenes"]
    require(
        isinstance(scenes, list) and len(scenes) <= 1024 and all(_is_text(name, 1, 256) for name in scenes),
        "scenes",
        scenes,
        "at most 1024 names of 1..256 bytes without control characters",
    )
    heads = {}
    for key, hidden, last in (("scene", g["scene_hidden"], len(scenes)), ("text", g["text_hidden"], g["text_width"])):
        require(last > 0 or not hidden, f"geometry.{key}_hidden", hidden, f"[], because there is no {key} head")
        heads[key] = (*hidden, last) if last else ()
    geometry = Geometry(
        **{key: g[key] for key in _SIZES}, layer_norm_eps=g["layer_norm_eps"], labels=places.counts, **heads
    )
    try:
        geometry.check()
    except ValueError as error:
        raise ModelFileError(f"config: {error}") from None
    card = Card(
        config["name"],
        config["provenance"],
        config["licence"],
        places,
        tuple(scenes),
        config["demo"],
        config["sample_interval"],
        tuple(config["temperatures"]),
    )
    return geometry, Input(i["scale"], tuple(i["mean"]), tuple(i["std"])), card


_SIZES = ("frames", "tubelet", "image", "patch", "width", "depth", "heads", "mlp")


def _is_text(value: object, low: int, high: int) -> bool:
    return isinstance(value, str) and low <= len(value.encode()) <= high and not re.search(r"[\x00-\x1f\x7f]", value)


def _require_keys(where: str, found: object, expected: tuple[str, ...]) -> None:
    if not isinstance(found, dict):
        raise ModelFileError(f"{where}: expected an object")
    missing, unknown = [k for k in expected if k not in found], [k for k in found if k not in expected]
    if missing or unknown:
        raise ModelFileError(f"{where}: missing keys {missing}, unknown keys {unknown}")


def _require_numbers(where: str, found: object, n: int, low: float, high: float) -> None:
    good = (
        isinstance(found, list) and len(found) == n and all(type(v) in (int, float) and low <= v <= high for v in found)
    )
    if not good:
        raise ModelFileError(f"config: {where}: found {found!r}, expected {n} of {low}..{high}")


def _require_finite(path: str | Path, name: str, tensor: torch.Tensor) -> None:
    bad = (~torch.isfinite(tensor)).flatten().nonzero()
    if len(bad):
        raise ModelFileError(f"{path}: tensor {name!r}: value {int(bad[0])} is {tensor.flatten()[bad[0]].item()}")
