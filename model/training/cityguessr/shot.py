# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether two pictures belong to one shot: the twin of ``model/shot.c``, for RGB pictures.

The formulas, and how well it does, stand in ``model/shot.h``.
"""

from __future__ import annotations

import numpy as np

THRESHOLD = 0.25

_GRID = 24
_BINS = (2, 4, 4)  # Y', Cb, Cr
_CHROMA_STRETCH = 3
_KR, _KB = 0.299, 0.114  # BT.601


def _transform() -> tuple[np.ndarray, np.ndarray]:
    """R, G, B of 0..255 to positions among the bins: a matrix [3, 3] and an origin [3]."""
    kg = 1 - _KR - _KB
    matrix = np.array(
        [
            (_KR, kg, _KB),
            (-_KR / (2 * (1 - _KB)), -kg / (2 * (1 - _KB)), 0.5),
            (0.5, -kg / (2 * (1 - _KR)), -_KB / (2 * (1 - _KR))),
        ]
    )
    luma, chroma = _BINS[0] - 1, _BINS[1] - 1
    stretch = np.array([luma, _CHROMA_STRETCH * chroma, _CHROMA_STRETCH * chroma])
    return matrix * stretch[:, None] / 255, np.array([0, chroma / 2, chroma / 2])


def signature(picture: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8, RGB -> [64]: the histograms of the upper and of the lower half."""
    height, width = picture.shape[:2]
    odd = 2 * np.arange(_GRID) + 1
    pixels = picture[odd * height // (2 * _GRID)][:, odd * width // (2 * _GRID)].astype(np.float64)
    matrix, origin = _transform()
    position = np.clip(pixels @ matrix.T + origin, 0, np.array(_BINS) - 1)  # [24, 24, 3]
    lower = np.minimum(position.astype(int), np.array(_BINS) - 2)
    share = position - lower
    half = np.broadcast_to((np.arange(_GRID) * 2 // _GRID)[:, None], (_GRID, _GRID))
    sums = np.zeros((2, *_BINS))
    for corner in np.ndindex(2, 2, 2):
        bins = lower + corner
        weight = np.where(corner, share, 1 - share).prod(-1)
        np.add.at(sums, (half, bins[..., 0], bins[..., 1], bins[..., 2]), weight)
    return np.minimum(np.rint(sums.reshape(-1) * 65535 * 2 / _GRID**2), 65535)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Hellinger's, 0 (alike) to 1 (nothing in common), of two signatures."""
    difference = np.sqrt(a / max(a.sum(), 1)) - np.sqrt(b / max(b.sum(), 1))
    return min(float(np.sqrt((difference**2).sum() / 2)), 1.0)


def is_cut(a: np.ndarray, b: np.ndarray) -> bool:
    return distance(a, b) > THRESHOLD
