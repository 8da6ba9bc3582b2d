#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the golden files of preprocessing: what Pillow makes of generated pictures.

    python make_resize.py [--out FOLDER]

resize.txt: one line for each case, ``#`` begins a comment:

    FORMAT WIDTH HEIGHT IMAGE MATRIX RANGE SITING STEP SHA256

MATRIX 0, 1, 2: BT.601, BT.709, BT.2020. RANGE: full or limited. SITING: which way chroma is cosited: none, h, v, hv.
SHA256 of the whole frame for RGB, which must agree bit for bit, else ``-``.
resize.bin: the rows 0, STEP, 2 STEP ... of each case's frame, [IMAGE][3] bytes, one case after the other.

The pictures come from the counter of model/generate.h (seed 1). Component NAME of B bits at row y, column x:
    block = draw (key (seed, NAME "-block"), (y/8) 4096 + x/8) >> 64-B     flat squares with hard edges
    noise = draw (key (seed, NAME), 65536 y + x) >> 64-B
    value = (3 block + noise) / 4                                          integer division
with names r, g, b, or y, u, v (chroma at its own resolution): most of the latter's colours lie outside of the R'G'B'
cube, so that clipping is tested. P010 has 10 bits, else there are 8.

Y'CbCr becomes bytes of R'G'B' in double: chroma interpolated linearly to every luma sample, edges repeated; the
matrix; rounded; clipped. Pillow resizes that.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[3] / "model" / "training"))

from cityguessr import generate  # noqa: E402

SEED = 1
KR_KB = [(0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)]

# format, width, height, image, matrix, range, siting, step
CASES = [
    ("RGB", 1, 1, 32, 0, "full", "none", 8),
    ("RGB", 2, 3, 32, 0, "full", "none", 8),
    ("RGB", 17, 31, 32, 0, "full", "none", 8),
    ("RGB", 223, 225, 224, 0, "full", "none", 56),
    ("RGB", 224, 224, 224, 0, "full", "none", 56),
    ("RGB", 225, 223, 224, 0, "full", "none", 56),
    ("RGB", 640, 360, 224, 0, "full", "none", 56),
    ("RGB", 641, 481, 224, 0, "full", "none", 56),
    ("RGB", 480, 854, 224, 0, "full", "none", 56),
    ("RGB", 1920, 1080, 224, 0, "full", "none", 56),
    ("RGB", 3840, 2160, 224, 0, "full", "none", 56),
    ("RGB", 2000, 1500, 16, 0, "full", "none", 4),
    ("NV12", 1, 1, 32, 1, "limited", "h", 8),
    ("I420", 2, 3, 32, 0, "limited", "none", 8),
    ("NV12", 17, 31, 32, 2, "limited", "hv", 8),
    ("NV12", 224, 224, 224, 1, "limited", "h", 28),
    ("I420", 223, 225, 224, 0, "full", "none", 28),
    ("NV12", 640, 360, 224, 1, "limited", "h", 28),
    ("YV12", 641, 481, 224, 0, "limited", "none", 28),
    ("NV12", 1280, 720, 224, 1, "limited", "h", 28),
    ("NV12", 720, 1280, 224, 1, "limited", "h", 28),
    ("NV12", 1919, 1079, 224, 1, "full", "v", 28),
    ("NV12", 1920, 1080, 224, 1, "limited", "h", 28),
    ("I420", 1920, 1080, 224, 0, "full", "none", 28),
    ("P010", 1920, 1080, 224, 2, "limited", "hv", 28),
    ("P010", 641, 480, 224, 2, "full", "hv", 28),
    ("P010", 3840, 2160, 224, 2, "full", "hv", 28),
]


def component(name: str, bits: int, width: int, height: int) -> np.ndarray:
    """[height][width] of integers."""
    shift = np.uint64(64 - bits)
    y, x = np.arange(height, dtype=np.uint64)[:, None], np.arange(width, dtype=np.uint64)[None]
    eight = np.uint64(8)
    block = generate.draw(generate.key(SEED, name + "-block"), y // eight * np.uint64(4096) + x // eight)
    noise = generate.draw(generate.key(SEED, name), y * np.uint64(65536) + x)
    return (3 * (block >> shift).astype(np.int64) + (noise >> shift).astype(np.int64)) // 4


def interpolate(chroma: np.ndarray, n: int, cosited: bool, axis: int) -> np.ndarray:
    """Twice as many samples along @axis, of which the first @n."""
    position = np.arange(n) / 2 if cosited else (np.arange(n) - 0.5) / 2
    position = np.clip(position, 0, chroma.shape[axis] - 1)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, chroma.shape[axis] - 1)
    part = (position - low).reshape((-1, 1) if axis == 0 else (1, -1))
    return np.take(chroma, low, axis) * (1 - part) + np.take(chroma, high, axis) * part


def to_rgb(fmt: str, width: int, height: int, matrix: int, full: bool, siting: str) -> np.ndarray:
    """[height][width][3] bytes."""
    if fmt == "RGB":
        return np.stack([component(c, 8, width, height) for c in "rgb"], -1).astype(np.uint8)
    bits = 10 if fmt == "P010" else 8
    unit = 1 << (bits - 8)
    luma = component("y", bits, width, height).astype(float)
    chroma = []
    for name in "uv":
        plane = component(name, bits, (width + 1) // 2, (height + 1) // 2).astype(float) - 128 * unit
        plane = interpolate(plane, width, "h" in siting, 1)
        chroma.append(interpolate(plane, height, "v" in siting, 0))
    if full:
        top = (1 << bits) - 1
        luma, cb, cr = luma / top, chroma[0] / top, chroma[1] / top
    else:
        luma, cb, cr = (luma - 16 * unit) / (219 * unit), chroma[0] / (224 * unit), chroma[1] / (224 * unit)
    kr, kb = KR_KB[matrix]
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.rint(255 * np.stack([red, green, blue], -1)), 0, 255).astype(np.uint8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE)
    out = parser.parse_args().out
    if int(PIL.__version__.split(".")[0]) < 13:
        print(
            f"Pillow {PIL.__version__} resizes tall pictures in another order; 13 or later is needed", file=sys.stderr
        )
        return 1
    lines = ["# FORMAT WIDTH HEIGHT IMAGE MATRIX RANGE SITING STEP SHA256; see make_resize.py"]
    data = b""
    for fmt, width, height, image, matrix, span, siting, step in CASES:
        picture = Image.fromarray(to_rgb(fmt, width, height, matrix, span == "full", siting))
        frame = np.asarray(picture.resize((image, image), Image.Resampling.BILINEAR))
        digest = hashlib.sha256(frame.tobytes()).hexdigest() if fmt == "RGB" else "-"
        lines.append(f"{fmt} {width} {height} {image} {matrix} {span} {siting} {step} {digest}")
        data += frame[::step].tobytes()
    (out / "resize.txt").write_text("\n".join(lines) + "\n")
    (out / "resize.bin").write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
