# SPDX-License-Identifier: LGPL-2.1-or-later
"""Weights and frames from a counter: the numpy twin of ``model/generate.h``, which holds the formulas.

Everything is modulo 2^64 in ``uint64`` and rounded once to ``float32``, so C and Python agree to the bit.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from .network import CityGuessr

_MASK = (1 << 64) - 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser, on ``uint64`` arrays of any shape."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def key(seed: int, name: str) -> np.uint64:
    """FNV-1a-64 of @name's UTF-8 bytes, exclusive-or mix (seed)."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & _MASK
    return np.uint64(value) ^ mix(np.array([seed], np.uint64))[0]


def draw(key: np.uint64, i: np.ndarray) -> np.ndarray:
    """The @i-th numbers (``uint64``, an array of any shape) of a key."""
    i = np.atleast_1d(np.asarray(i, np.uint64))  # numpy warns of overflow in scalars only
    return mix(key + (i + np.uint64(1)) * _GOLDEN)


def unit(key: np.uint64, i: np.ndarray) -> np.ndarray:
    """Numbers in (-1, 1), exact in float32, as float64."""
    steps = (draw(key, i) >> np.uint64(40)).astype(np.int64) - (1 << 23)
    return (2 * steps + 1) / float(1 << 24)


def _mean_and_scale(name: str, shape: tuple[int, ...]) -> tuple[float, np.ndarray | float]:
    """Mean, and scale: one number, or one for each row."""
    if name.endswith("bias"):
        return 0.0, 0.1
    if name.endswith(("norm1.weight", "norm2.weight")):
        return 1.0, 0.25
    spread = math.sqrt(3 / math.prod(shape[1:]))
    if name.endswith("attn.qkv.weight"):
        gain = np.repeat([2.0, 2.0, 1.0], shape[0] // 3)[:, None]
    elif name.startswith("patch_embed."):
        gain = 12.0
    elif name.startswith("heads."):
        gain = 2.0
    elif name.endswith("attn.proj.weight") or name.startswith("sca."):
        gain = 0.7
    elif name.startswith(("scene.", "text.")):
        gain = 1.4
    else:  # the two layers of a block's MLP
        gain = 1.0
    return 0.0, gain * spread


def weight(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor, float32."""
    mean, scale = _mean_and_scale(name, shape)
    values = unit(key(seed, name), np.arange(math.prod(shape), dtype=np.uint64))
    values = values.reshape(shape[0], -1) if len(shape) > 1 else values
    return (mean + scale * values).astype(np.float32).reshape(shape)


def fill(model: CityGuessr, seed: int) -> CityGuessr:
    """Gives @model the generated weights (rounded to float32, then widened to the model's own dtype)."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(torch.from_numpy(weight(seed, name, tuple(tensor.shape))))
    return model


def frame(seed: int, window: int, sample: int, image: int) -> np.ndarray:
    """One model frame, [image, image, 3] uint8."""
    y, x, c = np.ogrid[:image, :image, :3]
    level = draw(key(seed, "tint"), 3 * window + c) >> np.uint64(56)
    tint = np.uint64(15) + level * level * np.uint64(240) // np.uint64(65025)
    counter = ((8 * window + sample // 4) * 4096 + 64 * (y // 32) + x // 32) * 3 + c
    block = draw(key(seed, "block"), counter) >> np.uint64(56)
    counter = (((16 * window + sample) * image + y) * image + x) * 3 + c
    noise = draw(key(seed, "noise"), counter) >> np.uint64(59)
    return (block * tint // np.uint64(290) + noise).astype(np.uint8)


def window(seed: int, index: int, frames: int, image: int) -> np.ndarray:
    """The samples of a window, [frames, image, image, 3] uint8."""
    return np.stack([frame(seed, index, sample, image) for sample in range(frames)])
