# SPDX-License-Identifier: LGPL-2.1-or-later
"""From logits to one consistent place: the twin of ``model/decode.c``, for many windows at once, in double.

The formulas, and why, stand in ``model/decode.h``.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

import numpy as np

from .metrics import great_circle
from .network import LEVELS
from .places import Places

DECODINGS = ("marginal", "codependent", "independent")
HORIZONTAL_SHARE = 0.9
"""The part of p(c) that lies within the horizontal error."""

CITY, STATE, COUNTRY, CONTINENT = range(len(LEVELS))
NOTHING = len(LEVELS)
"""``finest`` of an answer of which every level is withheld."""


class Tree:
    """A label tree as arrays.

    @counts: labels of each level; @parent: [level] of [labels], index in the next coarser level (none for continents)
    @ancestor: [4, cities], the label above each city, of CITY itself; @coordinates: [cities, 2], degrees
    @names: [level] of [labels], as they are shown
    """

    def __init__(self, places: Places):
        tree = json.loads(places.to_json())
        arrays = [tree[name] for name in ("cities", "states", "countries", "continents")]
        self.places = places
        self.counts = places.counts
        self.parent = [
            np.array([place[coarser] for place in array], np.int64) for array, coarser in zip(arrays, LEVELS[1:])
        ]
        self.coordinates = np.array([(city["latitude"], city["longitude"]) for city in arrays[CITY]], np.float64)
        self.names = [[place.get("name", place["label"].replace("_", " ")) for place in array] for array in arrays]
        ancestors = [np.arange(self.counts[CITY])]
        for parent in self.parent:
            ancestors.append(parent[ancestors[-1]])
        self.ancestor = np.stack(ancestors)

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - a tree lives as long as its evaluation
    def neighbours(self, city: int) -> tuple[np.ndarray, np.ndarray]:
        """The cities by their distance from @city, and these distances in metres; both [cities]."""
        here = self.coordinates[city]
        metres = great_circle(here[0], here[1], self.coordinates[:, 0], self.coordinates[:, 1])
        order = np.argsort(metres, kind="stable")
        return order, metres[order]


@dataclass(frozen=True)
class Answers:
    """``CgAnswer`` of N windows.

    @index, @confidence: [N, 4]: the decoded label of each level and its probability, also of withheld levels
    @finest: [N]: the finest level that is given; NOTHING if none
    @top: [level] of [N, at most k]: the most probable labels
    @latitude, @longitude: [N] degrees; @horizontal_error: [N] metres
    """

    index: np.ndarray
    confidence: np.ndarray
    finest: np.ndarray
    top: list[np.ndarray]
    latitude: np.ndarray
    longitude: np.ndarray
    horizontal_error: np.ndarray


def log_softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Along the last axis, in double."""
    return _log_normalise(np.asarray(logits, np.float64) / temperature)


def decode(
    logits: np.ndarray,
    tree: Tree,
    temperatures: tuple[float, float, float, float] = (1, 1, 1, 1),
    decoding: str = "marginal",
    min_confidence: float = 0.0,
    top_k: int = 5,
) -> tuple[Answers, np.ndarray]:
    """``cg_decode()``. @logits: [N, total labels], city | state | country | continent. Returns the answers, and p(c),
    [N, cities]. Raises ValueError if a logit is not finite."""
    if decoding not in DECODINGS:
        raise ValueError(f"no decoding is named {decoding!r}; there are {', '.join(DECODINGS)}")
    if not np.isfinite(logits).all():
        window, place = np.argwhere(~np.isfinite(logits))[0]
        raise ValueError(f"window {window}: logit {place} is {logits[window, place]}: expected a finite number")
    heads = np.split(logits, np.cumsum(tree.counts)[:-1], axis=1)
    opinions = [log_softmax(head, temperature) for head, temperature in zip(heads, temperatures)]
    if decoding == "marginal":
        cities = np.exp(_pool(opinions, tree))
        return decode_cities(cities, tree, min_confidence, top_k), cities
    levels = [np.exp(opinion) for opinion in opinions]
    best = [level.argmax(1) for level in levels]
    if decoding == "codependent":
        best = list(tree.ancestor[:, best[CITY]])
    return _complete(levels, levels[CITY], np.stack(best, 1), tree, min_confidence, top_k), levels[CITY]


def decode_cities(cities: np.ndarray, tree: Tree, min_confidence: float = 0.0, top_k: int = 5) -> Answers:
    """``cg_decode_cities()``: the places that distributions over cities mean. @cities: [N, cities], rows sum to 1."""
    levels = [_sum_up(cities, tree.ancestor[level], tree.counts[level]) for level in range(len(LEVELS))]
    return _complete(levels, cities, _descend(levels, tree), tree, min_confidence, top_k)


def finest_given(confidence: np.ndarray, min_confidence: float) -> np.ndarray:
    """[N, 4] -> [N]: a level under @min_confidence is withheld, and with it every finer one."""
    given = np.logical_and.accumulate((confidence >= min_confidence)[:, ::-1], axis=1)
    return len(LEVELS) - given.sum(1)


def _log_normalise(x: np.ndarray) -> np.ndarray:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _pool(opinions: list[np.ndarray], tree: Tree) -> np.ndarray:
    """log p(c), [N, cities], of MARGINAL: from continent to state, p(c) *= sqrt (p_l(a) / m(a)), normalised."""
    log_city = opinions[CITY]
    for level in (CONTINENT, COUNTRY, STATE):
        above = tree.ancestor[level]
        largest = np.full((tree.counts[level], len(log_city)), -np.inf)
        np.maximum.at(largest, above, log_city.T)
        largest = largest.T
        sums = _sum_up(np.exp(log_city - largest[:, above]), above, tree.counts[level], most=np.inf)
        marginal = largest + np.log(sums)
        log_city = _log_normalise(log_city + 0.5 * (opinions[level] - marginal)[:, above])
    return log_city


def _sum_up(cities: np.ndarray, above: np.ndarray, labels: int, most: float = 1.0) -> np.ndarray:
    """[N, cities] -> [N, labels]; rounding may take a sum of probabilities past one, so past @most."""
    sums = np.zeros((labels, len(cities)))
    np.add.at(sums, above, cities.T)
    return np.minimum(sums.T, most)


def _descend(levels: list[np.ndarray], tree: Tree) -> np.ndarray:
    """[N, 4]: the most probable continent, in it the most probable country, and so on."""
    index = [levels[CONTINENT].argmax(1)]
    for level in (COUNTRY, STATE, CITY):
        inside = tree.parent[level] == index[0][:, None]
        index.insert(0, np.where(inside, levels[level], -1).argmax(1))
    return np.stack(index, 1)


def _complete(
    levels: list[np.ndarray], cities: np.ndarray, index: np.ndarray, tree: Tree, min_confidence: float, top_k: int
) -> Answers:
    confidence = np.stack([np.take_along_axis(p, index[:, [i]], 1)[:, 0] for i, p in enumerate(levels)], 1)
    finest = finest_given(confidence, min_confidence)
    centre = _centre(cities, index, finest, tree)
    return Answers(
        index,
        confidence,
        finest,
        [np.argsort(-p, axis=1, kind="stable")[:, :top_k] for p in levels],
        tree.coordinates[centre, 0],
        tree.coordinates[centre, 1],
        np.array([_radius(p, *tree.neighbours(int(city))) for p, city in zip(cities, centre)]),
    )


def _centre(cities: np.ndarray, index: np.ndarray, finest: np.ndarray, tree: Tree) -> np.ndarray:
    """[N]: the most probable city in the finest level that is given; of all cities if none is."""
    inside = np.ones(cities.shape, bool)
    for level in range(len(LEVELS)):
        rows = finest == level
        inside[rows] = tree.ancestor[level] == index[rows, level][:, None]
    return np.where(inside, cities, -1).argmax(1)


def _radius(cities: np.ndarray, order: np.ndarray, metres: np.ndarray) -> float:
    """The least radius that holds HORIZONTAL_SHARE of @cities."""
    enough = np.cumsum(cities[order]) >= HORIZONTAL_SHARE
    return float(metres[enough.argmax() if enough.any() else -1])
