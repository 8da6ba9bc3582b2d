# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which windows, in which order, in which process: all functions of (seed, epoch, step)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from .augment import TrainingWindows
from .datasets.base import Window, WindowDataset


class Batch(NamedTuple):
    """Windows stacked. @frames: uint8 [B, frames, image, image, 3]; @labels: int64 [B, 4]; @scene: [B, 16] or None;
    @slots: int64 [B, tubelets], those that the frames are of, or None for whole windows."""

    frames: Tensor
    labels: Tensor
    scene: Tensor | None
    slots: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        return Batch(*(None if value is None else value.to(device, non_blocking=True) for value in self))

    def parts(self, size: int) -> list[Batch]:
        """Pieces of at most @size windows; 0: all in one."""
        if size == 0 or size >= len(self.labels):
            return [self]
        columns = [[None] * -(-len(self.labels) // size) if value is None else value.split(size) for value in self]
        return [Batch(*some) for some in zip(*columns)]


def collate(windows: Sequence[Window]) -> Batch:
    scenes = [window.scene for window in windows]
    slots = [window.slots for window in windows]
    return Batch(
        torch.stack([window.frames for window in windows]),
        torch.stack([window.labels for window in windows]),
        *(None if any(value is None for value in some) else torch.stack(some) for some in (scenes, slots)),
    )


class EpochPlan:
    """The batches of an epoch: a permutation of the windows by (seed, epoch), cut into batches. Of a dataset larger
    than @windows_per_epoch, consecutive epochs take consecutive parts of one permutation, so that every window has
    its turn before one comes again."""

    def __init__(self, windows: int, batch: int, windows_per_epoch: int, seed: int, processes: int = 1):
        self.windows, self.batch, self.seed = windows, batch, seed
        self.per_epoch = min(windows_per_epoch or windows, windows)
        # A last batch with fewer windows than processes would leave one without work; it is dropped.
        full, rest = divmod(self.per_epoch, batch)
        self.steps = full + (1 if rest >= processes else 0)

    def order(self, epoch: int) -> np.ndarray:
        """Window numbers of an epoch, [per_epoch]."""
        first, result = epoch * self.per_epoch, []
        while len(result) < self.per_epoch:
            turn, position = divmod(first + len(result), self.windows)
            order = np.random.default_rng((self.seed, turn)).permutation(self.windows)
            result += order[position : position + self.per_epoch - len(result)].tolist()
        return np.array(result)

    def shares(self, epoch: int, first_step: int, rank: int, processes: int) -> list[list[tuple[int, int]]]:
        """(epoch, window) pairs of one process, a list a step, from @first_step on."""
        order = self.order(epoch)
        return [
            [(epoch, number) for number in order[step * self.batch : (step + 1) * self.batch][rank::processes].tolist()]
            for step in range(first_step, self.steps)
        ]


def training_batches(
    windows: TrainingWindows, shares: list[list[tuple[int, int]]], workers: int, pin: bool
) -> Iterator[Batch]:
    """The batches of @shares, in order, read ahead by @workers processes."""
    yield from DataLoader(
        windows, batch_sampler=shares, num_workers=min(workers, len(shares)), collate_fn=collate, pin_memory=pin
    )


def evaluation_batches(
    dataset: WindowDataset, numbers: Sequence[int], batch: int, workers: int, pin: bool
) -> Iterator[Batch]:
    """The windows @numbers, in this order."""
    some = [list(numbers[i : i + batch]) for i in range(0, len(numbers), batch)]
    yield from DataLoader(
        dataset, batch_sampler=some, num_workers=min(workers, len(some)), collate_fn=collate, pin_memory=pin
    )
