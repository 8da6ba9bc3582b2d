# SPDX-License-Identifier: LGPL-2.1-or-later
"""The label tree city -> state -> country -> continent, as JSON (the schema is in ``model/places.h``)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .network import LEVELS

UNKNOWN = -1
"""Index of a label that a tree does not have, as PyTorch's losses ignore it on request."""

_ARRAYS = {"city": "cities", "state": "states", "country": "countries", "continent": "continents"}
_PARENT = {"city": "state", "state": "country", "country": "continent"}
_KEYS = {  # level: required keys, optional keys
    "city": ({"label", "state", "latitude", "longitude"}, {"name"}),
    "state": ({"label", "country"}, {"name"}),
    "country": ({"label", "continent"}, {"name", "code"}),
    "continent": ({"label"}, {"name"}),
}


class PlacesError(ValueError):
    """A label tree that breaks a rule of ``model/places.h``; the message says which and where."""


class Places:
    """A checked tree. Immutable by convention; the position in an array is the index in the logits."""

    def __init__(self, tree: dict):
        _check(tree)
        self._tree = tree
        self._indices = {level: {label: i for i, label in enumerate(self.labels(level))} for level in LEVELS}

    @classmethod
    def parse(cls, text: str) -> Places:
        try:
            tree = json.loads(text, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            raise PlacesError(f"places: not JSON: {error}") from None
        return cls(tree)

    @classmethod
    def cityguessr68k(cls) -> Places:
        """The 166 cities of CityGuessr68k. One file serves C and Python: it lies in ``model/places`` of the
        source tree, and a built wheel carries it inside the package."""
        here = Path(__file__).resolve()
        for path in (here.with_name("cityguessr68k.json"), here.parents[2] / "places" / "cityguessr68k.json"):
            if path.is_file():
                return cls.parse(path.read_text(encoding="utf-8"))
        raise PlacesError(
            f"the default places, cityguessr68k.json, lie neither in {here.parent} nor in "
            f"{here.parents[2] / 'places'}: run from the source tree, or name a file of places"
        )

    @property
    def name(self) -> str:
        return self._tree["name"]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Labels per level, city first: ``Geometry.labels``."""
        return tuple(len(self._tree[_ARRAYS[level]]) for level in LEVELS)

    def labels(self, level: str) -> list[str]:
        return [place["label"] for place in self._tree[_ARRAYS[level]]]

    def parent(self, level: str, index: int) -> int:
        """Index in the next coarser level."""
        return self._tree[_ARRAYS[level]][index][_PARENT[level]]

    def path(self, city: int) -> tuple[int, int, int, int]:
        """The indices of a city and of its state, country and continent: the targets of the four heads."""
        indices = [city]
        for level in LEVELS[:-1]:
            indices.append(self.parent(level, indices[-1]))
        return tuple(indices)

    def index(self, level: str, label: str) -> int:
        """Index of a label, or UNKNOWN."""
        return self._indices[level].get(label, UNKNOWN)

    def targets(self, city: str, state: str, country: str, continent: str) -> tuple[int, int, int, int]:
        """The targets of a place given by its labels; UNKNOWN where this tree has no such label. A city that
        the tree has elsewhere is a PlacesError: its labels contradict the tree."""
        labels = dict(zip(LEVELS, (city, state, country, continent)))
        found = tuple(self.index(level, label) for level, label in labels.items())
        if found[0] != UNKNOWN and found != self.path(found[0]):
            real = [self.labels(level)[i] for level, i in zip(LEVELS, self.path(found[0]))]
            raise PlacesError(
                f"places {self.name!r}: {city!r} lies in {real[1:]}, not in {[state, country, continent]}"
            )
        return found

    def named_path(self, city: int) -> tuple[str, str, str, str]:
        """The labels of a city and of its parents."""
        return tuple(self.labels(level)[i] for level, i in zip(LEVELS, self.path(city)))

    def location(self, city: int) -> tuple[float, float]:
        """Latitude and longitude of a city, degrees."""
        place = self._tree["cities"][city]
        return float(place["latitude"]), float(place["longitude"])

    def name_of(self, level: str, index: int) -> str:
        """The label as a person writes it: the place's ``name`` if it has one, else the label with blanks for
        underscores."""
        place = self._tree[_ARRAYS[level]][index]
        return place.get("name", place["label"].replace("_", " "))

    def subset(self, cities: Iterable[str], name: str) -> Places:
        """The tree of some of its cities, by label, in this tree's order, with the parents that they need."""
        cities = set(cities)
        absent = sorted(cities - set(self.labels("city")))
        if absent:
            raise PlacesError(f"places {self.name!r}: no city is labelled {', '.join(map(repr, absent))}")
        tree = {"version": 1, "name": name}
        kept = [i for i, label in enumerate(self.labels("city")) if label in cities]
        for level in LEVELS:
            array, parent = _ARRAYS[level], _PARENT.get(level)
            tree[array] = [dict(self._tree[array][i]) for i in kept]
            if parent is None:
                break
            parents = sorted({place[parent] for place in tree[array]})
            for place in tree[array]:
                place[parent] = parents.index(place[parent])
            kept = parents
        return Places(tree)

    @classmethod
    def from_paths(cls, name: str, cities: Mapping[tuple[str, str, str, str], tuple[float, float]]) -> Places:
        """A tree from each city's labels (city, state, country, continent) and its (latitude, longitude). Labels
        are sorted. A label under two parents is a PlacesError: it needs two labels."""
        tree: dict = {"version": 1, "name": name}
        parents: dict[str, dict[str, str]] = {level: {} for level in LEVELS}
        for path in cities:
            for level, label, parent in zip(LEVELS, path, (*path[1:], "")):
                other = parents[level].setdefault(label, parent)
                if other != parent:
                    raise PlacesError(
                        f"places {name!r}: the {level} {label!r} lies in {other!r} and in {parent!r}: "
                        "give the two different labels"
                    )
        order = {level: sorted(labels) for level, labels in parents.items()}
        for level in LEVELS:
            tree[_ARRAYS[level]] = [{"label": label} for label in order[level]]
            if level in _PARENT:
                for place in tree[_ARRAYS[level]]:
                    place[_PARENT[level]] = order[_PARENT[level]].index(parents[level][place["label"]])
        for path, (latitude, longitude) in cities.items():
            tree["cities"][order["city"].index(path[0])] |= {"latitude": latitude, "longitude": longitude}
        return cls(tree)

    def to_json(self) -> str:
        """Compact and in UTF-8: the metadata of a model file takes no escapes but the quote's."""
        return json.dumps(self._tree, ensure_ascii=False, separators=(",", ":"))


def _object(pairs: list) -> dict:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise PlacesError(f"places: key {next(k for k in keys if keys.count(k) > 1)!r} twice in one object")
    return result


def _check(tree: dict) -> None:
    def require(good: bool, message: str) -> None:
        if not good:
            raise PlacesError(f"places: {message}")

    expected = {"version", "name", *_ARRAYS.values()}
    require(isinstance(tree, dict) and set(tree) == expected, f"expected an object of {sorted(expected)}")
    require(tree["version"] == 1, f"version: found {tree['version']!r}, expected 1")
    require(isinstance(tree["name"], str), f"name: found {tree['name']!r}, expected a string")
    for array in _ARRAYS.values():
        require(
            isinstance(tree[array], list) and 1 <= len(tree[array]) <= 65535, f"{array}: expected an array of 1..65535"
        )
    for level, array in _ARRAYS.items():
        required, optional = _KEYS[level]
        seen = set()
        for i, place in enumerate(tree[array]):
            where = f"{array}[{i}]"
            require(
                isinstance(place, dict) and required <= set(place) <= required | optional,
                f"{where}: expected an object of {sorted(required)}, and perhaps {sorted(optional)}",
            )
            for key in {"label", "name", "code"} & set(place):
                text = place[key]
                require(
                    isinstance(text, str) and 0 < len(text.encode()) <= 200 and not re.search(r"[\x00-\x1f\x7f]", text),
                    f"{where}.{key}: found {text!r}, expected 1..200 bytes of text without control characters",
                )
            require(place["label"] not in seen, f"{where}.label: {place['label']!r} twice in {array}")
            seen.add(place["label"])
            code = place.get("code", "AA")
            require(
                len(code) == 2 and code.isascii() and code.isalpha() and code.isupper(),
                f"{where}.code: found {code!r}, expected two capital letters",
            )
            for key, limit in (("latitude", 90), ("longitude", 180)) if level == "city" else ():
                value = place[key]
                require(
                    type(value) in (int, float) and math.isfinite(value) and abs(value) <= limit,
                    f"{where}.{key}: found {value!r}, expected {-limit}..{limit}",
                )
    for level, parent in _PARENT.items():
        count, children = len(tree[_ARRAYS[parent]]), set()
        for i, place in enumerate(tree[_ARRAYS[level]]):
            index = place[parent]
            require(
                type(index) is int and 0 <= index < count,
                f"{_ARRAYS[level]}[{i}].{parent}: found {index!r}, expected 0..{count - 1}",
            )
            children.add(index)
        for i in range(count):
            require(i in children, f"{_ARRAYS[parent]}[{i}]: {tree[_ARRAYS[parent]][i]['label']!r} has no {level}")
