# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the answers to a dataset to the figures of a report: what is known of the windows, and which of the
``metrics`` is asked of what. All results are plain dictionaries, which JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

import numpy as np

from . import metrics
from .decode import CITY, CONTINENT, Answers, Tree
from .engines import Results
from .network import LEVELS
from .stretches import Placed

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Values of min-confidence to show."""

HORIZONS = (10, 30, 60)
"""Seconds of video watched."""


@dataclass
class Truth:
    """What is known of N windows, in the order in which the engines answer them.

    @labels: [N, 4] in the model's places, -1 where the model has no such label, or it is not known
    @city: [N, 2], degrees, the true city's centre; @location: [N, 2], where the camera was; nan where not known
    @source, @stretch: [N] numbers; @end: [N] seconds since the source began; @duration: seconds of a window
    """

    labels: np.ndarray
    city: np.ndarray
    location: np.ndarray
    source: np.ndarray
    stretch: np.ndarray
    end: np.ndarray
    duration: float
    sources: list[str]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class Recorder:
    """Notes what is known of windows as they pass on to an engine. @duration: seconds of a window"""

    tree: Tree
    duration: float
    _rows: list[tuple] = field(default_factory=list)
    _sources: dict[str, int] = field(default_factory=dict)

    def watch(self, placed: Iterable[Placed]) -> Iterator[Placed]:
        for each in placed:
            window = each.window
            source = self._sources.setdefault(window.source, len(self._sources))
            location = (math.nan, math.nan) if window.location is None else window.location
            self._rows.append((np.asarray(window.labels), location, source, each.stretch, each.end))
            yield each

    def truth(self) -> Truth:
        labels, locations, sources, stretches, ends = list(zip(*self._rows)) or [[], [], [], [], []]
        labels = np.array(labels, np.int64).reshape(-1, len(LEVELS))
        known = labels[:, CITY] >= 0
        centres = np.full((len(labels), 2), math.nan)
        centres[known] = self.tree.coordinates[labels[known, CITY]]
        return Truth(
            labels,
            centres,
            np.array(locations, np.float64).reshape(-1, 2),
            np.array(sources, np.int64),
            np.array(stretches, np.int64),
            np.array(ends, np.float64),
            self.duration,
            list(self._sources),
        )


def measure(results: Results, truth: Truth, tree: Tree) -> dict[str, Any]:
    """All figures of one decoding."""
    answers, labels = results.answers, truth.labels
    return {
        "levels": {name: _level(answers, truth, level) for level, name in enumerate(LEVELS)},
        "consistent": _plain(metrics.consistent(answers.index, tree.ancestor)),
        "cities": _cities(answers, labels, tree),
        "continents": {
            "labels": tree.places.labels("continent"),
            "confusion": metrics.confusion(
                answers.index[:, CONTINENT], labels[:, CONTINENT], tree.counts[CONTINENT]
            ).tolist(),
        },
        "distance": _distances(answers, truth),
        "tracked": _tracked(results, truth),
    }


def promised(chosen: Results, chosen_truth: Truth, results: Results, truth: Truth, accuracy: float) -> dict[str, Any]:
    """What @accuracy costs: thresholds chosen on one part of the data (@chosen), judged on another (@results). One for
    each level by itself; and one for all levels, which is what the element's ``min-confidence`` takes."""
    told, labels = metrics.told_confidence(chosen.answers.confidence), chosen_truth.labels
    thresholds = {}
    for level, name in enumerate(LEVELS):
        known = labels[:, level] >= 0
        right = chosen.answers.index[:, level] == labels[:, level]
        thresholds[name] = metrics.least_threshold(told[known, level], right[known], accuracy)
    common = max(thresholds.values())
    return {
        "accuracy": accuracy,
        "windows": len(chosen_truth),
        "each": {name: _given(results, truth, level, thresholds[name]) for level, name in enumerate(LEVELS)},
        "common": {name: _given(results, truth, level, common) for level, name in enumerate(LEVELS)},
    }


def _given(results: Results, truth: Truth, level: int, threshold: float) -> dict[str, Any]:
    """One level at one threshold."""
    told = metrics.told_confidence(results.answers.confidence)[:, level]
    return _point(metrics.coverage_at(told, results.answers.index[:, level], truth.labels[:, level], threshold))


def unseen(results: Results, truth: Truth, thresholds: dict[str, float]) -> dict[str, Any]:
    """Of windows whose label the model does not have, the share that is not told one. @thresholds: by level"""
    told = metrics.told_confidence(results.answers.confidence)
    return {
        name: _plain(metrics.withheld(told[:, level], truth.labels[:, level] < 0, thresholds[name]))
        for level, name in enumerate(LEVELS)
    }


def at_thresholds(results: Results, truth: Truth, strange: tuple[Results, Truth] | None) -> list[dict[str, Any]]:
    """What the element's ``min-confidence`` does at THRESHOLDS. @strange: windows of places that the model does not
    know, and what is true of them"""
    rows = []
    for threshold in THRESHOLDS:
        row: dict[str, Any] = {"threshold": threshold}
        row["given"] = {name: _given(results, truth, level, threshold) for level, name in enumerate(LEVELS)}
        if strange:
            row["unseen"] = unseen(*strange, dict.fromkeys(LEVELS, threshold))
        rows.append(row)
    return rows


def _point(point: metrics.CoveragePoint) -> dict[str, Any]:
    return {
        "threshold": point.threshold,
        "told": point.told,
        "windows": point.windows,
        "coverage": _number(point.coverage),
        "accuracy": _number(point.right.value),
    }


def _top_1(answers: Answers, truth: Truth, level: int) -> dict[str, Any]:
    index, label = answers.index[:, level], truth.labels[:, level]
    known = label >= 0
    interval = metrics.interval((index == label)[known], truth.source[known])
    return {**_plain(metrics.top_1(index, label)), "interval": _plain(interval)}


def _level(answers: Answers, truth: Truth, level: int) -> dict[str, Any]:
    index, label = answers.index[:, level], truth.labels[:, level]
    told = metrics.told_confidence(answers.confidence)[:, level]
    return {
        "top1": _top_1(answers, truth, level),
        "top5": _plain(metrics.top_k(answers.top[level], label)),
        "unknown": int((label < 0).sum()),
        "macro_recall": _number(metrics.macro_recall(metrics.per_label(index, label))),
        **_calibration(answers.confidence[:, level], index, label),
        "risk_coverage": [_point(point) for point in metrics.risk_coverage(told, index, label)],
    }


def _calibration(confidence: np.ndarray, index: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    known = label >= 0
    bins = metrics.reliability(confidence[known], (index == label)[known])
    return {"ece": _number(metrics.expected_calibration_error(bins)), "reliability": [_plain(b) for b in bins]}


def _cities(answers: Answers, labels: np.ndarray, tree: Tree) -> list[dict[str, Any]]:
    names = tree.places.labels("city")
    rows = metrics.per_label(answers.index[:, CITY], labels[:, CITY])
    return [
        {
            "city": names[row.label],
            "windows": row.support,
            "right": row.right,
            "recall": row.right / row.support,
            "precision": row.right / row.told if row.told else None,
            "confused_with": names[row.confused_with] if row.confused else None,
            "confused": row.confused,
        }
        for row in rows
    ]


def _distances(answers: Answers, truth: Truth) -> dict[str, Any]:
    """From the answer's coordinates: to the centre of the true city, and to where the camera was."""
    found = {}
    for name, true in (("city", truth.city), ("location", truth.location)):
        known = np.isfinite(true).all(1)
        metres = metrics.great_circle(answers.latitude[known], answers.longitude[known], true[known, 0], true[known, 1])
        found[name] = _plain(metrics.distances(metres))
    return found


def _tracked(results: Results, truth: Truth) -> dict[str, Any]:
    """The filter over time beside the windows by themselves."""
    raw, tracked, labels = results.answers, results.tracked, truth.labels
    figures: dict[str, Any] = {"levels": {}, "distance": _distances(tracked, truth)}
    for level, name in enumerate(LEVELS):
        index, label = tracked.index[:, level], labels[:, level]
        after = {}
        for horizon in HORIZONS:
            when = (label, truth.end, truth.source, horizon, truth.duration)
            after[str(horizon)] = {
                "raw": _plain(metrics.accuracy_after(raw.index[:, level], *when)),
                "tracked": _plain(metrics.accuracy_after(index, *when)),
            }
        figures["levels"][name] = {
            "top1": _top_1(tracked, truth, level),
            "ece": _calibration(tracked.confidence[:, level], index, label)["ece"],
            "after": after,
            "flips_raw": _plain(metrics.flips(raw.index[:, level], truth.end, truth.stretch)),
            "flips_tracked": _plain(metrics.flips(index, truth.end, truth.stretch)),
        }
    stable = results.stable
    figures["stable"] = _plain(metrics.Share(int(stable.sum()), len(stable)))
    figures["stable_city"] = _plain(metrics.top_1(tracked.index[stable, CITY], labels[stable, CITY]))
    return figures


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> dict[str, Any]:
    """A dataclass of ``metrics`` for JSON: with its value, and null where there is none."""
    assert is_dataclass(value)
    plain = asdict(value)
    if isinstance(value, metrics.Share):
        plain["value"] = value.value
    if isinstance(value, metrics.Flips):
        plain["per_minute"] = value.per_minute
    if "within" in plain:
        plain["within"] = {str(far): _number(share) for far, share in plain["within"].items()}
    return {key: _number(item) if isinstance(item, float) else item for key, item in plain.items()}
