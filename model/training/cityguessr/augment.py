# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chance in the training windows, all off by default: the authors had none.

Everything drawn for a window is a function of (seed, epoch, window), so a run that is taken up again, or that reads its
windows in other processes, sees the same pictures. There is no mirror image: it would turn the driving side and the
script of signs into lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from .datasets.base import Span, Window, WindowDataset
from .options import within


@dataclass(frozen=True)
class AugmentOptions:
    """The ``[augment]`` table of a recipe."""

    shift: int = 0  # samples: a window begins up to so many earlier or later
    crop: float = 0.0  # largest share of each side that is cut off, the same in all frames of a window
    colour: float = 0.0  # factors of brightness, contrast and saturation are within 1 -+ this, one for a window
    frame_colour: float = 0.0  # and these in addition for each frame: clouds, auto-exposure
    grey: float = 0.0  # chance that a window loses its colours
    stochastic_depth: float = 0.0  # chance that the last block is passed over; it rises linearly with depth
    tubelets: int = 0  # so many of a window's tubelets, chosen at random, are computed; 0: all (Batch.slots)
    whole_epochs: int = 0  # in the last so many epochs all tubelets are, whatever tubelets says

    def check(self) -> None:
        within("shift", self.shift, 0, 100000)
        for name in ("crop", "colour", "frame_colour", "stochastic_depth"):
            within(name, getattr(self, name), 0, 0.9)
        within("grey", self.grey, 0, 1)
        within("tubelets", self.tubelets, 0, 100000)
        within("whole_epochs", self.whole_epochs, 0, 10**9)


class TrainingWindows(torch.utils.data.Dataset):
    """A dataset's windows with chance. Its index is a pair (epoch, window), of @epochs; @tubelet: frames of a tubelet.

    A window of few tubelets costs that share of a whole one, or less, and has its own place and weather: for the same
    computation the network sees several times as many drives. Tokens keep the positions they have in the window, so
    the whole one is what the network already knows, and more of it (as patch dropout, Liu et al., WACV 2023)."""

    def __init__(self, dataset: WindowDataset, options: AugmentOptions, seed: int, epochs: int = 0, tubelet: int = 1):
        self.dataset, self.options, self.seed, self.tubelet = dataset, options, seed, tubelet
        self.whole_from = epochs - options.whole_epochs if options.tubelets else 0

    def __getitem__(self, index: tuple[int, int]) -> Window:
        epoch, number = index
        random = np.random.default_rng((self.seed, epoch, number))
        span = self._shifted(self.dataset.spans[number], random)
        window = self.dataset.window(span, self._slots(epoch, random), self.tubelet)
        frames = window.frames.numpy()
        frames = crop(frames, self.options.crop, random)
        frames = recolour(frames, self.options, random)
        return window._replace(frames=torch.from_numpy(frames))

    def _slots(self, epoch: int, random: np.random.Generator) -> np.ndarray | None:
        if epoch >= self.whole_from:
            return None
        count = self.dataset.shape.frames // self.tubelet
        return np.sort(random.permutation(count)[: self.options.tubelets])

    def _shifted(self, span: Span, random: np.random.Generator) -> Span:
        shift = int(random.integers(-self.options.shift, self.options.shift + 1))
        return span._replace(first=min(max(span.first + shift, 0), self.dataset.latest_first(span.clip)))


def crop(frames: np.ndarray, most: float, random: np.random.Generator) -> np.ndarray:
    """Cuts up to @most of the width and of the height off, anywhere, and stretches the rest to the old size."""
    cut, place = random.uniform(0, most, 2), random.uniform(size=2)
    if most == 0:
        return frames
    height, width = frames.shape[1:3]
    left, top = cut[0] * place[0] * width, cut[1] * place[1] * height
    box = (left, top, left + (1 - cut[0]) * width, top + (1 - cut[1]) * height)
    return np.stack(
        [np.array(Image.fromarray(f).resize((width, height), Image.Resampling.BILINEAR, box)) for f in frames]
    )


_LUMA = np.array((0.299, 0.587, 0.114), np.float32)


def recolour(frames: np.ndarray, options: AugmentOptions, random: np.random.Generator) -> np.ndarray:
    """Brightness, contrast (about the frame's mean luma) and saturation (about the pixel's luma), in this order."""
    n = len(frames)
    factors = 1 + random.uniform(-options.colour, options.colour, (1, 3))
    factors = factors * (1 + random.uniform(-options.frame_colour, options.frame_colour, (n, 3)))
    grey = random.uniform() < options.grey
    if not (options.colour or options.frame_colour or grey):
        return frames
    brightness, contrast, saturation = factors.astype(np.float32).T.reshape(3, n, 1, 1, 1)
    x = frames.astype(np.float32) * brightness
    mean = (x @ _LUMA).mean((1, 2)).reshape(n, 1, 1, 1)
    x = mean + (x - mean) * contrast
    luma = (x @ _LUMA)[..., None]
    x = luma + (x - luma) * (0 if grey else saturation)
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)
