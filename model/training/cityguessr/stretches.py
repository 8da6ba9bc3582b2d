# SPDX-License-Identifier: LGPL-2.1-or-later
"""The windows of a dataset as stretches of video, as the element cuts a stream (``gst-plugin/sampler.h``).

A stretch is a piece of one video without a break. Its samples lie one interval apart; its windows begin ``hop`` samples
apart, but for the last one, which may come sooner. Windows that overlap share pictures, and the filter over time counts
a picture once: so both engines of an evaluation need to know what of a window is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import shot
from .track import Step


@dataclass(frozen=True)
class Placed:
    """A window in its stretch.

    @window: of the dataset; @number: its index there; @stretch: counts them over the dataset, from 0
    @first: number in the stretch, from 0, of its first sample; @fresh: how many of its samples no earlier window held:
    the last ones
    @end: seconds from the source's first sample to the end of this window's last one
    """

    window: Any
    number: int
    stretch: int
    first: int
    fresh: int
    end: float

    @property
    def pictures(self) -> np.ndarray:
        """[frames, H, W, 3] uint8."""
        return np.asarray(self.window.frames)


def place(windows: Iterable[tuple[int, Any]], frames: int, interval: float) -> Iterator[Placed]:
    """@windows: (number, window) of one source after the other, each source's in the order of time; @interval: seconds
    from sample to sample; frames are chosen by time, so a window may begin a little off the grid. A stretch ends where
    the source ends, and before a window that leaves a hole, begins another number of samples after the one before it
    than that one did (a last window that comes sooner than that still belongs), or shows other pictures where it
    overlaps it."""
    stretch, before, hop, closed, began = -1, None, 0, False, 0.0
    for number, window in windows:
        if before is None or window.source != before.window.source:
            began = window.start
        step = _samples_between(before, window, frames, interval)
        if step == 0 or closed or (hop and step > hop):
            stretch, hop, first, fresh, closed = stretch + 1, 0, 0, frames, False
        else:
            first, fresh, closed = before.first + step, step, bool(hop) and step < hop
            hop = hop or step
        before = Placed(window, number, stretch, first, fresh, window.start - began + frames * interval)
        yield before


def _samples_between(before: Placed | None, window: Any, frames: int, interval: float) -> int:
    """From the beginning of the window before to that of @window; 0 if they are of different stretches."""
    if before is None or window.source != before.window.source:
        return 0
    step = round((window.start - before.window.start) / interval)
    if not 1 <= step <= frames:
        return 0
    return step if np.array_equal(before.pictures[step:], np.asarray(window.frames)[: frames - step]) else 0


class Steps:
    """What the filter over time is told of windows, one after the other (``measure_step()`` of the element)."""

    def __init__(self, frames: int, interval: float):
        self._frames, self._interval = frames, interval
        self._stretch = -1

    def next(self, placed: Placed) -> Step:
        """Of the first window of a stretch only ``duration`` and ``since_cut`` mean something."""
        first_of_stretch = placed.stretch != self._stretch
        if first_of_stretch:
            self._stretch, self._cut, self._newest, self._signature = placed.stretch, -1, -1, None
        elapsed = 0.0 if first_of_stretch else (placed.first - self._first) * self._interval
        newest_before = self._newest
        for picture in placed.pictures[self._frames - placed.fresh :]:
            self._newest += 1
            signature = shot.signature(picture)
            if self._signature is not None and shot.is_cut(self._signature, signature):
                self._cut = self._newest
            self._signature = signature
        self._first = placed.first
        return Step(
            elapsed,
            self._frames * self._interval,
            placed.fresh / self._frames,
            self._cut > newest_before,
            min(1.0, (self._newest - self._cut + 1) / self._frames) if self._cut >= 0 else 1.0,
        )
