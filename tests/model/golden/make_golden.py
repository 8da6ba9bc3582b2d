#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the golden files: what PyTorch computes in double from generated weights and frames.

    python make_golden.py [--out FOLDER] [GEOMETRY ...]

small-16.txt, small-6.txt, base.txt, tiny.txt: one window through the whole network, each output a line
``NAME COUNT v0 v1 ...`` of %.17g doubles; ``#`` begins a comment. Weights: seed 1, float32 values widened.
Frames: seed 1, window 0. Input scale 1/255, mean 0, deviation 1.

generate.txt: single numbers of the generator (model/generate.h), all with seed 1:
``key NAME KEY``, ``unit NAME INDEX VALUE``, ``weight GEOMETRY TENSOR INDEX VALUE`` and
``frame SEED WINDOW SAMPLE IMAGE Y X CHANNEL VALUE``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "model" / "training"))

from cityguessr import generate, network  # noqa: E402

GEOMETRIES = ("tiny", "small-16", "small-6", "base")
SEED, WINDOW = 1, 0

UNITS = [("tint", 0), ("block", 12345), ("heads.city.weight", 2**40), ("x", 2**64 - 2)]
WEIGHTS = [
    ("small-16", "patch_embed.weight", 589823),
    ("small-16", "patch_embed.bias", 383),
    ("small-16", "blocks.0.norm1.weight", 0),
    ("small-16", "blocks.3.norm2.bias", 17),
    ("small-16", "blocks.11.attn.qkv.weight", 0),
    ("small-16", "blocks.11.attn.qkv.weight", 294911),
    ("small-16", "blocks.11.attn.qkv.weight", 294912),
    ("small-16", "blocks.11.attn.qkv.weight", 442367),
    ("small-16", "blocks.5.attn.q_bias", 100),
    ("small-16", "blocks.5.attn.proj.weight", 4242),
    ("small-16", "blocks.7.mlp.fc1.weight", 1),
    ("small-16", "blocks.7.mlp.fc2.weight", 589823),
    ("small-16", "heads.continent.weight", 2303),
    ("small-16", "sca.query.weight", 5),
    ("small-16", "sca.in_proj.weight", 107),
    ("small-16", "scene.5.weight", 255),
    ("small-16", "text.0.weight", 195719),
    ("base", "blocks.11.mlp.fc1.weight", 2359295),
    ("tiny", "patch_embed.weight", 98303),
]
FRAMES = [
    (0, 0, 224, (0, 0)),
    (0, 15, 224, (223, 223)),
    (3, 7, 224, (31, 32)),
    (199, 4, 224, (100, 7)),
    (1, 7, 64, (63, 0)),
    (0, 31, 112, (5, 111)),
]


def network_outputs(name: str, dtype: torch.dtype) -> network.Outputs:
    """The outputs of the golden window: tensors of shape [1, n]."""
    geometry = network.preset(name)
    model = generate.fill(network.CityGuessr(geometry).to(dtype), SEED).eval()
    frames = torch.from_numpy(generate.window(SEED, WINDOW, geometry.frames, geometry.image))
    with torch.inference_mode():
        return model(frames[None])


def network_text(name: str) -> str:
    lines = [f"# geometry {name} seed {SEED} window {WINDOW} dtype float64"]
    for field, values in network_outputs(name, torch.float64)._asdict().items():
        lines.append(f"{field} {values.numel()} " + " ".join(f"{v:.17g}" for v in values[0].tolist()))
    return "\n".join(lines) + "\n"


def generator_text() -> str:
    lines = [f"# counter-based generator, seed {SEED} (model/generate.h)"]
    for name, index in UNITS:
        lines.append(f"key {name} {generate.key(SEED, name)}")
        lines.append(f"unit {name} {index} {generate.unit(generate.key(SEED, name), index)[0]:.17g}")
    for geometry, name, index in WEIGHTS:
        tensor = generate.weight(SEED, name, network.preset(geometry).tensors()[name])
        lines.append(f"weight {geometry} {name} {index} {np.ravel(tensor)[index]:.9g}")
    for window, sample, image, (y, x) in FRAMES:
        pixel = generate.frame(SEED, window, sample, image)[y, x]
        lines += [f"frame {SEED} {window} {sample} {image} {y} {x} {c} {pixel[c]}" for c in range(3)]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("geometry", nargs="*", default=GEOMETRIES)
    arguments = parser.parse_args()
    (arguments.out / "generate.txt").write_text(generator_text())
    for name in arguments.geometry:
        (arguments.out / f"{name}.txt").write_text(network_text(name))


if __name__ == "__main__":
    main()
