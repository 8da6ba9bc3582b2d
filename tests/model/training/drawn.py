# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small models, label trees and datasets that the tests of the evaluation make up."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from cityguessr import generate, modelfile
from cityguessr.network import CityGuessr, preset
from cityguessr.places import Places

INTERVAL = 0.5


def tree(cities: int = 12, states: int = 8, countries: int = 5, continents: int = 3) -> Places:
    """A tree of at most 20 labels a level, so that the element's predictions can list all of them. Two cities, of
    different states, are shown under one name."""
    place = np.random.default_rng(7)
    names = {0: "Springfield", 1: "Springfield"}
    return Places(
        {
            "version": 1,
            "name": "made up",
            "continents": [{"label": f"Continent_{i}"} for i in range(continents)],
            "countries": [{"label": f"Country_{i}", "continent": i % continents} for i in range(countries)],
            "states": [{"label": f"State_{i}", "country": i % countries} for i in range(states)],
            "cities": [
                {
                    "label": f"City_{i}",
                    "name": names.get(i, f"City {i}"),
                    "state": i % states,
                    "latitude": round(float(place.uniform(-60, 60)), 5),
                    "longitude": round(float(place.uniform(-180, 180)), 5),
                }
                for i in range(cities)
            ],
        }
    )


def model_file(path: Path, places: Places, geometry: dict | None = None, **card) -> tuple[CityGuessr, modelfile.Card]:
    """A tiny network with generated weights, whose heads are unsure and contradict each other. @geometry: what
    differs from the preset; @card: from the usual card"""
    model = generate.fill(CityGuessr(preset("tiny", labels=places.counts, **(geometry or {}))), 1).eval()
    with torch.no_grad():
        for head in model.heads.values():
            head.weight *= 0.1
    made = modelfile.Card("tiny", "generated weights: untrained", "CC0-1.0", places, sample_interval=INTERVAL)
    made = replace(made, temperatures=(1.5, 0.8, 1.2, 2.0), **card)
    modelfile.save(path, model, made)
    return model, made


@dataclass(frozen=True)
class Window:
    frames: torch.Tensor
    labels: torch.Tensor
    scene: torch.Tensor | None
    source: str
    start: float
    location: tuple[float, float] | None


class Drives:
    """Videos of generated pictures, in the form of ``cityguessr.datasets.WindowDataset``.

    @layout: by source, the numbers of the samples at which its windows begin. A source's place is its number; source 0
    has a label of -1 for its city, and no location. A source is one shot that slowly turns; in "cut" the shot changes
    with sample 9, in "flicker" all the time."""

    def __init__(self, places: Places, frames: int, image: int, layout: dict[str, list[int]]):
        self.places, self._frames, self._image = places, frames, image
        self._sources = list(layout)
        self._windows = [(source, first) for source, begins in layout.items() for first in begins]

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, i: int) -> Window:
        source, first = self._windows[i]
        number = self._sources.index(source)
        city = number % self.places.counts[0]
        labels = torch.tensor(self.places.path(city))
        labels[0] = -1 if number == 0 else labels[0]
        return Window(
            torch.from_numpy(np.stack([self.picture(number, first + k) for k in range(self._frames)])),
            labels,
            None,
            source,
            10.0 + first * INTERVAL,
            None if number == 0 else (1.0 + number, 2.0 + first / 100),
        )

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - overlapping windows show a picture again and again
    def picture(self, source: int, sample: int) -> np.ndarray:
        name = self._sources[source]
        if name == "flicker":
            return generate.frame(source, 0, sample, self._image)
        shot = generate.frame(source, 0, 0, self._image)
        return np.roll(255 - shot if name == "cut" and sample >= 9 else shot, 3 * sample, axis=1)

    def sources(self) -> list[tuple[str, list[int]]]:
        return [
            (source, [i for i, window in enumerate(self._windows) if window[0] == source]) for source in self._sources
        ]
