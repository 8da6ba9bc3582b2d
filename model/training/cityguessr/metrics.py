# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an evaluation counts: plain numpy functions, each with its formula.

N windows, four levels, city first (``network.LEVELS``). A label of -1 is one that the model does not have, or that
nobody knows: at that level the window counts in no accuracy and in no calibration, and only there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

EARTH_RADIUS = 6371008.8
"""Metres: the mean radius R1 of WGS84, as in ``model/places.h``."""

DISTANCES = (25, 200, 750, 2500)
"""Kilometres: city, region, country and continent scale, the field's usual ones (Vo et al. 2017, arXiv 1705.04838)."""

BINS = 15

RESAMPLES = 1000


@dataclass(frozen=True)
class Share:
    """@right out of @of; without any, the value is nan."""

    right: int
    of: int

    @property
    def value(self) -> float:
        return self.right / self.of if self.of else float("nan")


def top_1(index: np.ndarray, label: np.ndarray) -> Share:
    """Windows whose answer is right. @index, @label: [N]."""
    known = label >= 0
    return Share(int((index == label)[known].sum()), int(known.sum()))


@dataclass(frozen=True)
class Interval:
    """@low to @high, of a share; nan where there is none."""

    low: float
    high: float


def interval(right: np.ndarray, source: np.ndarray) -> Interval:
    """Where the share of the @right windows lies with a probability of 95 %, by the bootstrap over sources: RESAMPLES
    times as many sources as there are, each drawn from all with all its windows, because those of one source are alike;
    from the 2.5th percentile to the 97.5th (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13).
    The same draws each time; none of fewer than two sources. @right: [n] bool; @source: [n] numbers"""
    names, of = np.unique(source, return_inverse=True)
    n = len(names)
    if n < 2:
        return Interval(float("nan"), float("nan"))
    windows, hits = np.bincount(of, minlength=n), np.bincount(of, right, minlength=n)
    random = np.random.default_rng(0)
    drawn = (np.bincount(random.integers(n, size=n), minlength=n) for _ in range(RESAMPLES))
    low, high = np.percentile([times @ hits / (times @ windows) for times in drawn], (2.5, 97.5))
    return Interval(float(low), float(high))


def top_k(top: np.ndarray, label: np.ndarray, k: int = 5) -> Share:
    """Windows whose label is among the first @k. @top: [N, at least min (k, labels)], most probable first."""
    known = label >= 0
    return Share(int((top[:, :k] == label[:, None]).any(1)[known].sum()), int(known.sum()))


def consistent(index: np.ndarray, ancestor: np.ndarray) -> Share:
    """Windows whose four answers lie on one path of the tree. @index: [N, 4]; @ancestor: [4, cities]."""
    return Share(int((index == ancestor[:, index[:, 0]].T).all(1).sum()), len(index))


@dataclass(frozen=True)
class LabelRow:
    """One label: how many windows are of it (@support), how many of these were told so (@right), how many windows
    were told it (@told), and the wrong answer that its windows got most often (-1: none)."""

    label: int
    support: int
    right: int
    told: int
    confused_with: int
    confused: int


def per_label(index: np.ndarray, label: np.ndarray) -> list[LabelRow]:
    """The labels that occur, by index. @index, @label: [N]. Recall is right / support, precision right / told."""
    known = label >= 0
    index, label = index[known], label[known]
    rows = []
    for value in np.unique(label):
        told = index[label == value]
        wrong, times = np.unique(told[told != value], return_counts=True)
        worst = int(times.argmax()) if len(times) else -1
        rows.append(
            LabelRow(
                int(value),
                len(told),
                int((told == value).sum()),
                int((index == value).sum()),
                int(wrong[worst]) if len(times) else -1,
                int(times[worst]) if len(times) else 0,
            )
        )
    return rows


def macro_recall(rows: list[LabelRow]) -> float:
    """The mean of the labels' recalls: each label counts the same, however many windows it has."""
    return float(np.mean([row.right / row.support for row in rows])) if rows else float("nan")


def confusion(index: np.ndarray, label: np.ndarray, labels: int) -> np.ndarray:
    """[labels, labels]: windows by their label (rows) and by their answer (columns)."""
    known = label >= 0
    counts = np.zeros((labels, labels), np.int64)
    np.add.at(counts, (label[known], index[known]), 1)
    return counts


# ---- distances ----


def great_circle(latitude: np.ndarray, longitude: np.ndarray, to_latitude, to_longitude) -> np.ndarray:
    """Metres on the sphere, from degrees, by the haversine formula: with h = sin^2 (dlat/2) + cos lat cos lat' sin^2
    (dlon/2), the distance is 2 R asin (sqrt h) (Sinnott 1984, Sky and Telescope 68(2), 159)."""
    a, b = np.radians(latitude), np.radians(to_latitude)
    east = np.radians(np.subtract(to_longitude, longitude))
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(h, 0, 1)))


def mean_location(points: np.ndarray | list[tuple[float, float]]) -> tuple[float, float]:
    """The mean of positions on the sphere, of their unit vectors: right at the date line and at the poles too.
    @points: [n, 2] degrees, latitude and longitude, n at least 1."""
    latitude, longitude = np.radians(np.asarray(points, np.float64)).T
    x, y, z = (
        (np.cos(latitude) * np.cos(longitude)).mean(),
        (np.cos(latitude) * np.sin(longitude)).mean(),
        np.sin(latitude).mean(),
    )
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))


@dataclass(frozen=True)
class Distances:
    """@median: metres; @within: {kilometres: share of the windows at most so far off}."""

    windows: int
    median: float
    within: dict[int, float]


def distances(metres: np.ndarray) -> Distances:
    """@metres: [n], finite; none of them gives nan."""
    n = len(metres)
    within = {far: float((metres <= 1000 * far).mean()) if n else float("nan") for far in DISTANCES}
    return Distances(n, float(np.median(metres)) if n else float("nan"), within)


# ---- probabilities ----


@dataclass(frozen=True)
class ReliabilityBin:
    """Of the windows with @low < confidence <= @high (the first one has 0 too): how many, their mean confidence and
    the share that is right; nan without any."""

    low: float
    high: float
    windows: int
    confidence: float
    accuracy: float


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[ReliabilityBin]:
    """@bins of equal width. @confidence: [n] in 0..1; @right: [n] bool."""
    edges = np.arange(bins + 1) / bins
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    result = []
    for i in range(bins):
        inside = place == i
        n = int(inside.sum())
        means = (float(confidence[inside].mean()), float(right[inside].mean())) if n else (float("nan"),) * 2
        result.append(ReliabilityBin(float(edges[i]), float(edges[i + 1]), n, *means))
    return result


def expected_calibration_error(bins: list[ReliabilityBin]) -> float:
    """sum_b (n_b / n) |accuracy_b - confidence_b| (Naeini, Cooper and Hauskrecht 2015, AAAI; Guo et al. 2017, arXiv
    1706.04599, with 15 bins)."""
    n = sum(b.windows for b in bins)
    return sum(b.windows / n * abs(b.accuracy - b.confidence) for b in bins if b.windows) if n else float("nan")


def told_confidence(confidence: np.ndarray) -> np.ndarray:
    """[N, 4] -> [N, 4]: the highest ``min-confidence`` at which each level is still given. A level that is withheld
    takes all finer ones along (``model/decode.h``), so this is the least of its own and the coarser ones."""
    return np.minimum.accumulate(confidence[:, ::-1], axis=1)[:, ::-1]


@dataclass(frozen=True)
class CoveragePoint:
    """At one ``min-confidence``, one level: the windows that are given it (@told), all windows (@windows), and of the
    given ones with a known label how many are @right. Risk is 1 - accuracy, coverage told / windows."""

    threshold: float
    told: int
    windows: int
    right: Share

    @property
    def coverage(self) -> float:
        return self.told / self.windows if self.windows else float("nan")


def coverage_at(told: np.ndarray, index: np.ndarray, label: np.ndarray, threshold: float) -> CoveragePoint:
    """One level. @told: [N] of told_confidence(); @index, @label: [N]. Windows without a label are not counted."""
    known = label >= 0
    given = known & (told >= threshold)
    return CoveragePoint(threshold, int(given.sum()), int(known.sum()), top_1(index[given], label[given]))


def risk_coverage(told: np.ndarray, index: np.ndarray, label: np.ndarray, points: int = 101) -> list[CoveragePoint]:
    """coverage_at() for @points thresholds, evenly from 0 to 1 (El-Yaniv and Wiener 2010, JMLR 11)."""
    return [coverage_at(told, index, label, threshold) for threshold in np.linspace(0, 1, points)]


def least_threshold(told: np.ndarray, right: np.ndarray, accuracy: float) -> float:
    """The least threshold at which at least @accuracy of the windows that are given are right; 1 if there is none.
    @told: [n]; @right: [n] bool. Windows of the same confidence are given or withheld together. Estimated on the same
    few windows that it is chosen by, so choose it on a part of the data that is not the one it is judged on."""
    order = np.argsort(-told, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    confidence = told[order]
    last = np.append(confidence[1:] != confidence[:-1], True) if len(order) else np.zeros(0, bool)
    kept = np.flatnonzero(last & (share >= accuracy))
    return float(confidence[kept[-1]]) if len(kept) else 1.0


def withheld(told: np.ndarray, chosen: np.ndarray, threshold: float) -> Share:
    """Of the @chosen windows ([N] bool), those whose level is withheld: what one wants of unseen places."""
    return Share(int((told < threshold)[chosen].sum()), int(chosen.sum()))


# ---- over time ----


def newest_at(end: np.ndarray, horizon: float, oldest: float) -> int:
    """The newest window that has ended @horizon seconds after its video began and is at most @oldest seconds old then;
    -1 if there is none. @end: [n] seconds since the video's first sample, rising."""
    before = np.flatnonzero(end <= horizon + 1e-6)
    if not len(before) or horizon - end[before[-1]] > oldest + 1e-6:
        return -1
    return int(before[-1])


def accuracy_after(
    index: np.ndarray, label: np.ndarray, end: np.ndarray, source: np.ndarray, horizon: float, oldest: float
) -> Share:
    """The share of sources whose answer in force @horizon seconds after they began is right. @source: [N] numbers, each
    source's windows in the order of time; sources without such an answer (see newest_at()) are not counted."""
    newest = []
    for value in np.unique(source):
        of_source = np.flatnonzero(source == value)
        if (place := newest_at(end[of_source], horizon, oldest)) >= 0:
            newest.append(of_source[place])
    chosen = np.array(newest, np.int64)
    return top_1(index[chosen], label[chosen])


@dataclass(frozen=True)
class Flips:
    """@changes of the answer from one window to the next in @minutes of video."""

    changes: int
    minutes: float

    @property
    def per_minute(self) -> float:
        return self.changes / self.minutes if self.minutes > 0 else float("nan")


def flips(index: np.ndarray, end: np.ndarray, stretch: np.ndarray) -> Flips:
    """How often the answer changes within a stretch (a piece of video without a break). @index: [N]; @end: [N] seconds;
    @stretch: [N] numbers, each stretch's windows next to each other and in the order of time."""
    same = stretch[1:] == stretch[:-1]
    return Flips(int((index[1:] != index[:-1])[same].sum()), float(np.diff(end)[same].sum()) / 60)
