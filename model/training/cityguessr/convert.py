# SPDX-License-Identifier: LGPL-2.1-or-later
"""Other people's checkpoints to a model file.

    python -m cityguessr.convert hf FOLDER -o OUT            a Hugging Face VideoMAE folder: the encoder's start
    python -m cityguessr.convert mcg FILE.pth -o OUT …       MCG-NJU's original VideoMAE: the encoder's start
    python -m cityguessr.convert cityguessr FILE.pth -o OUT … the authors' training checkpoint, complete

Nothing that the tensors' shapes cannot show is guessed: the number of heads (16 of 24 and 6 of 64 have the
same shapes and different results), the LayerNorm epsilon and the input's mean and deviation come from the
folder's own configuration or from options. Pickles are read with ``weights_only=True``: no code in them runs.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from . import modelfile
from .network import LEVELS, CityGuessr, Geometry, Input
from .places import Places, PlacesError


class ConvertError(ValueError):
    """A checkpoint or a command that cannot be converted; the message says what to do."""


@dataclass
class Encoder:
    """Encoder tensors under the model file's names, and what was left out on the way."""

    tensors: dict[str, Tensor]
    dropped: list[str] = field(default_factory=list)


# ---- names: (pattern of the whole name, name in the model file). A target of None is dropped by name ----

_HUGGING_FACE = [
    (r"embeddings\.patch_embeddings\.projection\.(weight|bias)", r"patch_embed.\1"),
    (r"encoder\.layer\.(\d+)\.layernorm_before\.(weight|bias)", r"blocks.\1.norm1.\2"),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.weight", r"blocks.\1.attn.\2.weight"),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.(?:q_bias|query\.bias)", r"blocks.\1.attn.q_bias"),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.(?:k_bias|key\.bias)", r"blocks.\1.attn.k_bias"),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.(?:v_bias|value\.bias)", r"blocks.\1.attn.v_bias"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(weight|bias)", r"blocks.\1.attn.proj.\2"),
    (r"encoder\.layer\.(\d+)\.layernorm_after\.(weight|bias)", r"blocks.\1.norm2.\2"),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.(weight|bias)", r"blocks.\1.mlp.fc1.\2"),
    (r"encoder\.layer\.(\d+)\.output\.dense\.(weight|bias)", r"blocks.\1.mlp.fc2.\2"),
]
# What the classifier and the pre-training put around the encoder. CityGuessr uses none of it: its feature
# is the mean of the last block's raw output.
_HUGGING_FACE_DROPPED = [
    (r"(?:classifier|fc_norm|layernorm|encoder_to_decoder)\.(?:weight|bias)", None),
    (r"decoder\..*|mask_token", None),
]
_MCG = [
    (r"patch_embed\.proj\.(weight|bias)", r"patch_embed.\1"),
    (r"blocks\.(\d+)\.((?:norm1|norm2|attn\.proj|mlp\.fc1|mlp\.fc2)\.(?:weight|bias))", r"blocks.\1.\2"),
    (r"blocks\.(\d+)\.attn\.(qkv\.weight|[qkv]_bias)", r"blocks.\1.attn.\2"),
    (r"(?:head|fc_norm|norm|encoder_to_decoder)\.(?:weight|bias)", None),
    (r"decoder\..*|mask_token", None),
]
_AUTHORS_HEADS = [
    (r"classifier_(city|state|country|continent)\.(weight|bias)", r"heads.\1.\2"),
    (r"(query|key|value|final)_projection\.(weight|bias)", r"sca.\1.\2"),
    (r"mha\.in_proj_(weight|bias)", r"sca.in_proj.\1"),
    (r"mha\.out_proj\.(weight|bias)", r"sca.out_proj.\1"),
]


def _rename(tensors: dict[str, Tensor], rules: list[tuple[str, str | None]]) -> Encoder:
    """@tensors under the targets of @rules. Every name must match one rule, and no two the same target."""
    result, unknown, origin = Encoder({}), [], {}
    for name, tensor in tensors.items():
        for pattern, target in rules:
            match = re.fullmatch(pattern, name)
            if match is None:
                continue
            if target is None:
                result.dropped.append(name)
                break
            new = match.expand(target)
            if new in origin:
                raise ConvertError(f"{name!r} and {origin[new]!r} are both {new!r}")
            origin[new], result.tensors[new] = name, tensor
            break
        else:
            unknown.append(name)
    if unknown:
        raise ConvertError(f"tensors that this layout does not have: {', '.join(unknown)}")
    return result


def _tidy(encoder: Encoder) -> Encoder:
    """Joins q, k and v, and drops a bias of k: it adds the same number to every score of a query, which
    softmax does not see, so the result is exactly the same."""
    tensors = {}
    for name, tensor in encoder.tensors.items():
        if name.endswith(".attn.k_bias"):
            encoder.dropped.append("attn.k_bias (without effect)")
        elif name.endswith((".attn.query.weight", ".attn.key.weight", ".attn.value.weight")):
            block = name.rsplit(".", 2)[0]
            parts = [f"{block}.{part}.weight" for part in ("query", "key", "value")]
            missing = [part for part in parts if part not in encoder.tensors]
            if missing:
                raise ConvertError(f"missing tensors: {', '.join(missing)}")
            shapes = {tuple(encoder.tensors[part].shape) for part in parts}
            if len(shapes) != 1:
                raise ConvertError(f"{block}: query, key and value have different shapes {sorted(shapes)}")
            tensors[f"{block}.qkv.weight"] = torch.cat([encoder.tensors[part] for part in parts])
        else:
            tensors[name] = tensor
    return Encoder(tensors, encoder.dropped)


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """@tensors without @prefix, where names have it. A name both with and without it is refused."""
    result = {}
    for name, tensor in tensors.items():
        new = name.removeprefix(prefix)
        if new in result:
            raise ConvertError(f"{new!r} is there both with and without the prefix {prefix!r}")
        result[new] = tensor
    return result


# ---- reading ----


def _read_pickle(path: Path, wrappers: Iterable[str]) -> dict[str, Tensor]:
    """The state dictionary of a .pth or .bin: bare, or under one of the keys @wrappers."""
    try:
        # VideoMAE's checkpoints keep the command's options in an argparse.Namespace: plain attributes.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConvertError(
            f"{path}: holds more than tensors and plain data, and loading it could run code: save its "
            f"state_dict alone where you trust it ({str(error).splitlines()[0]})"
        ) from None
    except (OSError, RuntimeError, EOFError, KeyError) as error:
        raise ConvertError(f"{path}: cannot be read: {error}") from None
    for wrapper in wrappers:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    return _checked(path, content)


def _checked(path: Path, tensors: object) -> dict[str, Tensor]:
    if not isinstance(tensors, dict) or not tensors:
        raise ConvertError(f"{path}: no state dictionary in it")
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            found = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ConvertError(f"{path}: {name!r}: found {found}, expected a tensor of floating point numbers")
    return {name: tensor.to(torch.float32) for name, tensor in tensors.items()}


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConvertError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        raise ConvertError(f"{path}: expected a JSON object")
    return content


def _read_hugging_face(folder: Path) -> dict[str, Tensor]:
    if (folder / "model.safetensors").is_file():
        path = folder / "model.safetensors"
        try:
            return _checked(path, load_file(path))
        except (OSError, SafetensorError) as error:
            raise ConvertError(f"{path}: {error}") from None
    if (folder / "pytorch_model.bin").is_file():
        return _read_pickle(folder / "pytorch_model.bin", ())
    raise ConvertError(f"{folder}: neither model.safetensors nor pytorch_model.bin (files in shards: merge them first)")


# ---- the three layouts ----


def encoder_from_hugging_face(tensors: dict[str, Tensor]) -> Encoder:
    """``VideoMAEModel``, or that inside a classifier or pre-training model (prefix ``videomae.``)."""
    return _tidy(_rename(_strip(tensors, "videomae."), _HUGGING_FACE + _HUGGING_FACE_DROPPED))


def encoder_from_mcg(tensors: dict[str, Tensor]) -> Encoder:
    """MCG-NJU's fine-tuned networks, or their pre-trained ones (prefix ``encoder.``)."""
    return _tidy(_rename(_strip(tensors, "encoder."), _MCG))


def network_from_authors(tensors: dict[str, Tensor]) -> Encoder:
    """The authors' checkpoint: encoder and heads. Their module registers the backbone, and its embeddings and
    encoder again beside it, so each encoder tensor is there twice; two that differ belong to no network."""
    tensors = _strip(tensors, "module.")
    first = {
        name.removeprefix("backbone.backbone."): tensor
        for name, tensor in tensors.items()
        if name.startswith("backbone.backbone.")
    }
    second = {
        name.removeprefix("backbone."): tensor
        for name, tensor in tensors.items()
        if name.startswith(("backbone.embeddings.", "backbone.encoder."))
    }
    single = [f"backbone.{name}" for name in first if name not in second]
    single += [f"backbone.backbone.{name}" for name in second if name not in first]
    if single:
        raise ConvertError(
            "each encoder tensor is twice in the authors' checkpoint; missing tensors: " + ", ".join(single)
        )
    different = [name for name in first if not torch.equal(first[name], second[name])]
    if different:
        raise ConvertError(
            "backbone.backbone.NAME and backbone.NAME must be one tensor; they differ for: " + ", ".join(different)
        )
    encoder = _tidy(_rename(first, _HUGGING_FACE))
    copies = ("backbone.backbone.", "backbone.embeddings.", "backbone.encoder.")
    heads = {name: tensor for name, tensor in tensors.items() if not name.startswith(copies)}
    # nn.Sequential counts the ReLUs too: its linear layers are 0, 2, 4, …
    stacks = [
        (rf"{module}\.{2 * i}\.(weight|bias)", rf"{name}.{i}.\1")
        for module, name in (("out_linear", "scene"), ("text_linear", "text"))
        for i in range(8)
    ]
    encoder.tensors |= _rename(heads, _AUTHORS_HEADS + stacks).tensors
    return encoder


def _count(tensors: dict[str, Tensor], pattern: str) -> int:
    numbers = {int(match[1]) for match in (re.match(pattern, name) for name in tensors) if match}
    return 1 + max(numbers, default=-1)


def geometry_from_shapes(tensors: dict[str, Tensor], heads: int, eps: float, frames: int, image: int) -> Geometry:
    """The sizes that shapes show, completed with those they cannot. Only what is read here is checked here:
    the table of the resulting geometry is what every tensor is held against."""

    def shape(name: str, rank: int) -> torch.Size:
        if name not in tensors:
            raise ConvertError(f"missing tensors: {name}")
        if tensors[name].ndim != rank:
            raise ConvertError(
                f"misshapen tensors: {name} (found {list(tensors[name].shape)}, expected {rank} extents)"
            )
        return tensors[name].shape

    width, _, tubelet, patch, _ = shape("patch_embed.weight", 5)
    sizes = {}
    for name in ("scene", "text"):
        layers = _count(tensors, rf"{name}\.(\d+)\.")
        sizes[name] = tuple(shape(f"{name}.{i}.weight", 2)[0] for i in range(layers))
    labels = {}
    if "heads.city.weight" in tensors:
        labels = {"labels": tuple(shape(f"heads.{level}.weight", 2)[0] for level in LEVELS)}
    return Geometry(
        frames,
        tubelet,
        image,
        patch,
        width,
        _count(tensors, r"blocks\.(\d+)\."),
        heads,
        shape("blocks.0.mlp.fc1.weight", 2)[0],
        eps,
        **labels,
        **sizes,
    )


# ---- the command ----


def _missing_options(arguments: argparse.Namespace, names: Iterable[str], where: str) -> None:
    missing = [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name) is None]
    if missing:
        raise ConvertError(
            f"{where} does not say: give {', '.join(missing)}. These cannot be seen in the tensors and are never "
            "guessed. Heads: 16 in Hugging Face's videomae-small (and so in the authors' CityGuessr), 6 in MCG-NJU's, "
            "12 in base, 16 in large. LayerNorm epsilon: 1e-12 in Hugging Face's, 1e-6 in MCG-NJU's. Mean and "
            "deviation: 0,0,0 and 1,1,1 in the authors' training (pixels over 255 only)"
        )


def _settings_of_folder(folder: Path, arguments: argparse.Namespace) -> dict:
    """Fills the unset options from config.json and preprocessor_config.json; returns the encoder's sizes."""
    config = _read_json(folder / "config.json")
    if config.get("model_type") != "videomae":
        raise ConvertError(
            f"{folder / 'config.json'}: model_type: found {config.get('model_type')!r}, expected 'videomae'"
        )
    for keys, expected in ((("hidden_act",), "gelu"), (("qkv_bias", "qv_bias"), True), (("num_channels",), 3)):
        for key in keys:
            if config.get(key, expected) != expected:
                raise ConvertError(f"{folder / 'config.json'}: {key}: found {config[key]!r}, expected {expected!r}")
    for option, key in (
        ("heads", "num_attention_heads"),
        ("layer_norm_eps", "layer_norm_eps"),
        ("frames", "num_frames"),
        ("image", "image_size"),
    ):
        given, value = getattr(arguments, option), config.get(key)
        if given is not None and value is not None and given != value:
            raise ConvertError(
                f"--{option.replace('_', '-')} {given} contradicts {key} {value} of {folder / 'config.json'}"
            )
        if given is None:
            setattr(arguments, option, value)
    preprocessor = folder / "preprocessor_config.json"
    if preprocessor.is_file():
        content = _read_json(preprocessor)
        if content.get("do_normalize") is False:
            content |= {"image_mean": (0, 0, 0), "image_std": (1, 1, 1)}
        for option, key in (("mean", "image_mean"), ("std", "image_std")):
            if getattr(arguments, option) is None and key in content:
                setattr(arguments, option, _three_numbers(content[key], f"{preprocessor}: {key}"))
        if arguments.scale is None:
            arguments.scale = content.get("rescale_factor")
    return {
        "width": config.get("hidden_size"),
        "depth": config.get("num_hidden_layers"),
        "mlp": config.get("intermediate_size"),
        "patch": config.get("patch_size"),
        "tubelet": config.get("tubelet_size"),
    }


def _three_numbers(value: object, where: str) -> tuple[float, float, float]:
    parts = value.split(",") if isinstance(value, str) else value
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 3:
        raise ConvertError(f"{where}: found {value!r}, expected three numbers, R,G,B")
    return numbers


def _summary(dropped: list[str]) -> list[str]:
    """The names; a pre-trained decoder's many as ``decoder.*``."""
    return sorted({"decoder.*" if name.startswith("decoder.") else name for name in dropped})


def convert(arguments: argparse.Namespace) -> str:
    """Does what the command line says; returns the provenance that the file now carries."""
    places = Places.cityguessr68k()
    if arguments.places:
        places = Places.parse(Path(arguments.places).read_text(encoding="utf-8"))
    source, stated = Path(arguments.source), {}
    for option in ("mean", "std"):
        if getattr(arguments, option) is not None:
            setattr(arguments, option, _three_numbers(getattr(arguments, option), f"--{option}"))
    if arguments.layout == "hf":
        stated = _settings_of_folder(source, arguments)
        where, encoder = "the folder's configuration", encoder_from_hugging_face(_read_hugging_face(source))
        kind = "a Hugging Face VideoMAE folder"
    elif arguments.layout == "mcg":
        where, encoder = "an original VideoMAE checkpoint", encoder_from_mcg(_read_pickle(source, ("model", "module")))
        kind = "an original VideoMAE checkpoint"
    else:
        where, encoder = "the authors' checkpoint", network_from_authors(_read_pickle(source, ("state_dict",)))
        kind = "a CityGuessr training checkpoint"
    _missing_options(arguments, ("heads", "layer_norm_eps", "mean", "std"), where)
    geometry = geometry_from_shapes(
        encoder.tensors, arguments.heads, arguments.layer_norm_eps, arguments.frames or 16, arguments.image or 224
    )
    for key, value in stated.items():
        if value is not None and value != getattr(geometry, key):
            raise ConvertError(f"{source}: config.json says {key} {value}, the tensors {getattr(geometry, key)}")

    provenance = [f"converted from {kind}, {source.name}"]
    fresh = arguments.layout != "cityguessr"
    if fresh:
        geometry = Geometry(
            **{**vars(geometry), "labels": places.counts, "scene": Geometry.scene, "text": Geometry.text}
        )
        provenance.append(
            f"heads, Self-Cross Attention and its two networks fresh with seed {arguments.seed}: untrained"
        )
    elif geometry.labels != places.counts:
        raise ConvertError(
            f"{source}: heads of {geometry.labels} labels, but the places {places.name!r} have "
            f"{places.counts}: name the right tree with --places"
        )
    if encoder.dropped:
        provenance.append("left out: " + ", ".join(_summary(encoder.dropped)))
    if arguments.provenance:
        provenance.insert(0, arguments.provenance)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        model = CityGuessr(geometry, Input(arguments.scale or 1 / 255, arguments.mean, arguments.std))
    tensors = encoder.tensors
    if fresh:
        tensors |= {
            name: tensor
            for name, tensor in model.state_dict().items()
            if name.startswith(("heads.", "sca.", "scene.", "text."))
        }
    modelfile.check_table(source, geometry.tensors(), tensors)
    model.load_state_dict(tensors)
    scenes = modelfile.SCENES
    if arguments.scenes:
        scenes = tuple(Path(arguments.scenes).read_text(encoding="utf-8").splitlines())
    card = modelfile.Card(
        arguments.name or source.stem,
        "; ".join(provenance),
        arguments.licence,
        places,
        scenes if geometry.scene else (),
        arguments.demo,
        arguments.sample_interval,
    )
    modelfile.save(arguments.output, model, card, arguments.dtype)
    return card.provenance


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("source", help="folder or file to convert")
    common.add_argument("-o", "--output", required=True, help="model file to write")
    common.add_argument("--heads", type=int, help="attention heads; cannot be seen in the tensors")
    common.add_argument("--layer-norm-eps", type=float, help="epsilon of LayerNorm; cannot be seen in the tensors")
    common.add_argument("--scale", type=float, help="factor of a pixel 0..255 (default 1/255)")
    common.add_argument("--mean", help="R,G,B, taken off after scaling")
    common.add_argument("--std", help="R,G,B, divided by after that")
    common.add_argument("--frames", type=int, help="samples of a window (default 16)")
    common.add_argument("--image", type=int, help="side of the model frame in pixels (default 224)")
    common.add_argument("--sample-interval", type=float, default=1.4, help="seconds between samples (default 1.4)")
    common.add_argument("--places", help="JSON file of the label tree (default: CityGuessr68k's 166 cities)")
    common.add_argument("--scenes", help="text file with one scene name a line (default: the 16 of Places365)")
    common.add_argument("--name", help="name of the model (default: the source's)")
    common.add_argument("--licence", default="not stated", help="licence of the weights")
    common.add_argument("--provenance", help="where the weights come from; put before what this command says")
    common.add_argument("--demo", action="store_true", help="mark the model as a demonstration")
    common.add_argument("--dtype", choices=tuple(modelfile.DTYPES), default="f32")
    common.add_argument("--seed", type=int, default=0, help="of fresh heads (default 0)")
    parser = argparse.ArgumentParser(
        prog="python -m cityguessr.convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    layouts = parser.add_subparsers(dest="layout", required=True)
    for layout, text in (
        ("hf", "Hugging Face VideoMAE folder"),
        ("cityguessr", "the authors' training checkpoint"),
        ("mcg", "MCG-NJU's original VideoMAE checkpoint"),
    ):
        layouts.add_parser(layout, help=text, parents=[common])
    return parser


def main(argv: list[str] | None = None) -> int:
    try:
        arguments = _parser().parse_args(argv)
        provenance = convert(arguments)
    except (ConvertError, PlacesError, modelfile.ModelFileError, ValueError, OSError) as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.output}: {provenance}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
