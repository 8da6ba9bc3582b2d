# SPDX-License-Identifier: LGPL-2.1-or-later
"""The label tree city -> state -> country -> continent, as JSON (the schema is in ``model/places.h``)."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from .network import LEVELS

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
