# SPDX-License-Identifier: LGPL-2.1-or-later
"""The label tree: the default one, and each rule that a tree can break."""

import json

import pytest
from cityguessr.places import Places, PlacesError


def small_tree() -> dict:
    return {
        "version": 1,
        "name": "two cities",
        "continents": [{"label": "Europe"}],
        "countries": [{"label": "Sweden", "code": "SE", "continent": 0}],
        "states": [{"label": "Skåne", "country": 0}],
        "cities": [
            {"label": "Malm", "name": "Malmö", "state": 0, "latitude": 55.60587, "longitude": 13.00073},
            {"label": "Lund", "state": 0, "latitude": 55.70584, "longitude": 13.19321},
        ],
    }


def test_default_tree():
    places = Places.cityguessr68k()
    assert places.counts == (166, 157, 91, 6)
    malmo = places.labels("city").index("Malm")
    path = [places.labels(level)[i] for level, i in zip(("city", "state", "country", "continent"), places.path(malmo))]
    assert path[0] == "Malm" and path[2:] == ["Sweden", "Europe"]


def test_json_round_trip():
    places = Places(small_tree())
    assert places.counts == (2, 1, 1, 1) and places.path(1) == (1, 0, 0, 0)
    text = places.to_json()
    assert json.loads(text) == small_tree()
    assert "\n" not in text and "Malmö" in text
    assert Places.parse(text).to_json() == text


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t.update(version=2), "version: found 2"),
        (lambda t: t.update(extra=1), "expected an object"),
        (lambda t: t["cities"].clear(), "cities: expected an array of 1"),
        (lambda t: t["cities"][1].update(label="Malm"), r"cities\[1\].label: 'Malm' twice"),
        (lambda t: t["cities"][1].update(state=1), r"cities\[1\].state: found 1, expected 0..0"),
        (lambda t: t["cities"][1].update(state=True), r"cities\[1\].state: found True"),
        (lambda t: t["cities"][0].update(latitude=91), r"cities\[0\].latitude: found 91, expected -90..90"),
        (lambda t: t["cities"][0].update(longitude="13"), r"cities\[0\].longitude: found '13'"),
        (lambda t: t["cities"][0].pop("longitude"), r"cities\[0\]: expected an object"),
        (lambda t: t["cities"][0].update(altitude=1), r"cities\[0\]: expected an object"),
        (lambda t: t["cities"][0].update(name=""), r"cities\[0\].name: found ''"),
        (lambda t: t["cities"][0].update(name="a\nb"), r"cities\[0\].name: found 'a\\nb'"),
        (lambda t: t["countries"][0].update(code="se"), r"countries\[0\].code: found 'se'"),
        (lambda t: t["states"].append({"label": "Halland", "country": 0}), r"states\[1\]: 'Halland' has no city"),
    ],
)
def test_broken_tree_is_named(change, message):
    tree = small_tree()
    change(tree)
    with pytest.raises(PlacesError, match=message):
        Places(tree)


@pytest.mark.parametrize(
    "text, message", [("{", "not JSON"), ("[]", "expected an object"), ('{"a":1,"a":2}', "'a' twice")]
)
def test_broken_json_is_named(text, message):
    with pytest.raises(PlacesError, match=message):
        Places.parse(text)


def test_targets_by_labels():
    places = Places(small_tree())
    assert places.targets("Lund", "Skåne", "Sweden", "Europe") == (1, 0, 0, 0)
    assert places.targets("Ystad", "Skåne", "Sweden", "Europe") == (-1, 0, 0, 0)
    assert places.targets("Lima", "Lima", "Peru", "South America") == (-1, -1, -1, -1)
    with pytest.raises(PlacesError, match="'Lund' lies in"):
        places.targets("Lund", "Skåne", "Denmark", "Europe")


def test_names_that_people_write():
    places = Places(small_tree())
    assert places.name_of("city", 0) == "Malmö" and places.location(1) == (55.70584, 13.19321)
    default = Places.cityguessr68k()
    assert default.name_of("city", default.index("city", "Abu_Dhabi")) == "Abu Dhabi"


def test_subset_keeps_order_parents_and_facts():
    default = Places.cityguessr68k()
    cities = ["Tokyo", "Osaka", "Berlin"]
    small = default.subset(cities, "three")
    assert small.name == "three" and small.counts == (3, 3, 2, 2)
    assert small.labels("city") == [c for c in default.labels("city") if c in cities]
    for city in cities:
        ours, theirs = small.index("city", city), default.index("city", city)
        assert small.named_path(ours) == default.named_path(theirs) and small.location(ours) == default.location(theirs)
    with pytest.raises(PlacesError, match="no city is labelled 'Atlantis'"):
        default.subset(["Atlantis"], "x")


def test_tree_from_paths():
    paths = {("Lund", "Skåne", "Sweden", "Europe"): (55.7, 13.2), ("Kyoto", "Kyoto", "Japan", "Asia"): (35.0, 135.8)}
    places = Places.from_paths("made", paths)
    assert places.labels("city") == ["Kyoto", "Lund"] and places.labels("continent") == ["Asia", "Europe"]
    assert {places.named_path(i): places.location(i) for i in range(2)} == paths
    with pytest.raises(PlacesError, match="the state 'Skåne' lies in 'Sweden' and in 'Denmark'"):
        Places.from_paths("made", paths | {("Ystad", "Skåne", "Denmark", "Europe"): (55.4, 13.8)})
