# SPDX-License-Identifier: LGPL-2.1-or-later
"""Places over time: the twin of ``model/track.c``, a Bayes filter over cities.

The formulas, and why, stand in ``model/track.h``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .decode import NOTHING

MEMORY = 600.0
"""Seconds: the element's default ``track-memory``."""

SILENT_SHARE = 0.01
FLOOR = 1e-9
KEPT_BY_A_CUT = 0.5
STABLE_FROM = 0.75
STABLE_UNTIL = 0.5
ROUNDING = 1e-6


@dataclass(frozen=True)
class Step:
    """``CgTrackStep``: how a window lies to the one before it. Times in seconds, shares in 0..1."""

    elapsed: float
    duration: float
    fresh: float
    cut: bool = False
    since_cut: float = 1.0


class Filter:
    """The belief over @cities cities. Knows nothing at first."""

    def __init__(self, cities: int, memory: float = MEMORY):
        self.cities, self.memory = cities, memory
        self.forget()

    def forget(self) -> None:
        """As new: at a discontinuity or a new stream."""
        self._before = self._now = np.full(self.cities, -math.log(self.cities))  # logarithms
        self._weight = 0.0
        self._begun = self._mixed = False

    def update(self, seen: np.ndarray, step: Step) -> np.ndarray:
        """One window more. @seen: q(c), [cities]. Returns the belief with it, [cities], which sums to 1."""
        seen = _probabilities(seen)
        if self.memory > 0:
            self._believe(seen, step)
            self._begun = True
            return np.exp(self._now)
        self._before = np.full(self.cities, -math.log(self.cities))
        self._absorb(seen, 1.0)
        self._begun, self._mixed = True, False
        return seen

    def _believe(self, seen: np.ndarray, step: Step) -> None:
        elapsed, fresh, since_cut = _clamp(step.elapsed), _clamp(step.fresh, 1), _clamp(step.since_cut, 1)
        kept, lost = math.exp(-elapsed / self.memory), -math.expm1(-elapsed / self.memory)
        cut = step.cut if self._begun else since_cut < 1
        weight = fresh + (1 - fresh) * lost
        if not self._begun:
            weight = 1.0
        elif self._mixed and not cut:
            self._fade(self._before, kept, lost)
            weight = since_cut
        elif elapsed > 0 or cut:
            self._fade(self._now, kept, lost)
        else:
            weight = min(self._weight + fresh, 1.0)
        if cut:
            self._absorb(seen, max(weight - since_cut, 0.0))
            self._fade(self._now, KEPT_BY_A_CUT, 1 - KEPT_BY_A_CUT)
            weight = since_cut
        self._absorb(seen, weight)
        self._mixed = since_cut < 1

    def _fade(self, belief: np.ndarray, kept: float, lost: float) -> None:
        self._before = np.log(np.maximum(kept * np.exp(belief) + lost / self.cities, FLOOR))

    def _absorb(self, seen: np.ndarray, weight: float) -> None:
        now = self._before + weight * np.log((1 - SILENT_SHARE) * seen + SILENT_SHARE / self.cities)
        now = now - now.max()
        self._now = now - math.log(np.exp(now).sum())
        self._weight = weight


class Stability:
    """Whether the place of tracked answers is stable."""

    def __init__(self) -> None:
        self._place: tuple[int, int] | None = None
        self._held = 0.0
        self._stable = False

    def update(self, finest: int, index: np.ndarray, confidence: np.ndarray, step: Step, first: bool) -> bool:
        """@finest, @index, @confidence: of one answer, [4]; @first: no window came before."""
        place = (finest, int(index[finest])) if finest != NOTHING else None
        if place is None or (step.cut and not first) or place != self._place:
            self._stable, self._held = False, 0.0
        else:
            self._held += _clamp(step.elapsed)
        self._place = place
        if place is None:
            return False
        probability = confidence[finest]
        if self._held > 0 and self._held >= _clamp(step.duration) - ROUNDING and probability >= STABLE_FROM:
            self._stable = True
        if probability < STABLE_UNTIL:
            self._stable = False
        return self._stable


def _clamp(value: float, most: float = math.inf) -> float:
    """NaN is 0."""
    return min(value, most) if value > 0 else 0.0


def _probabilities(seen: np.ndarray) -> np.ndarray:
    """q: what is negative or not finite counts as 0; nothing but zeros is uniform."""
    seen = np.where(np.isfinite(seen), np.maximum(seen, 0), 0)
    largest = seen.max()
    if not largest > 0:
        return np.full(len(seen), 1 / len(seen))
    seen = seen / largest
    return seen / seen.sum()
