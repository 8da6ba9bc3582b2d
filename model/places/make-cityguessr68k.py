#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes cityguessr68k.json, the label tree of CityGuessr68k, from a table of its cities.

    make-cityguessr68k.py cityguessr68k-places.tsv > cityguessr68k.json

The table has one line a city in the order of the logits: the data set's name, the index of its state,
country and continent, and from GeoNames (CC BY 4.0) the name, coordinates, first-level division (admin1),
ISO 3166-1 code and country.

Labels of cities and countries keep the data set's own spelling. Of states and continents it publishes
indices, not names: our states are GeoNames' first-level divisions, except where the data set's state is
smaller or larger than one.
"""

import csv
import json
import sys

CONTINENTS = ["Asia", "Africa", "Oceania", "Europe", "North America", "South America"]

# By index of the state.
STATES = {
    # England and Scotland are first-level divisions in GeoNames, countries in the data set: here the
    # regions of England, and of Scotland, itself one region, the council areas.
    32: "South West England",
    99: "North West England",
    101: "Greater London",
    128: "East Midlands",
    62: "City of Edinburgh",
    66: "Glasgow City",
    # Two divisions, Incheon and Seoul, are one state of the data set.
    77: "Seoul Capital Area",
}

# The data set's label of a country where it isn't the table's name, by index, and how it is shown.
COUNTRIES = {
    25: ("England", None),
    43: ("Scotland", None),
    46: ("Gautemala", "Guatemala"),
    79: ("Czechia", None),
}


def fail(text):
    sys.exit(f"make-cityguessr68k.py: {text}")


def entry(label, name=None, **rest):
    """One entry of a level; the name is left out where it is the label with spaces for '_'."""
    made = {"label": label}
    if name and name != label.replace("_", " "):
        made["name"] = name
    made.update(rest)
    return made


def put(level, index, value):
    if level.setdefault(index, value) != value:
        fail(f"index {index}: {level[index]} and {value}")


def read(path):
    states, countries, continents, cities = {}, {}, {}, []
    with open(path, encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            if int(row["city_idx"]) != len(cities):
                fail(f"city {row['city_idx']} where {len(cities)} should be")
            state, country, continent = (int(row[key]) for key in ("state_idx", "country_idx", "continent_idx"))
            cities.append(
                entry(
                    row["cityguessr_name"],
                    row["geonames_name"],
                    state=state,
                    latitude=float(row["lat"]),
                    longitude=float(row["lon"]),
                )
            )
            put(states, state, (STATES.get(state, row["admin1"]), country))
            label, name = COUNTRIES.get(country, (row["country"].replace(" ", "_"), None))
            put(countries, country, entry(label, name, code=row["cc"], continent=continent))
            put(continents, continent, entry(CONTINENTS[continent]))
    return cities, states, countries, continents


def in_order(level):
    if sorted(level) != list(range(len(level))):
        fail("an index is missing")
    return [level[index] for index in range(len(level))]


def name_states(states, countries):
    """Labels are unique: a state named like another's carries its country's label."""
    made = []
    for label, country in states:
        if sum(label == other for other, _ in states) > 1:
            unique = f"{label} ({countries[country]['label']})"
            made.append(entry(unique, label, country=country))
        else:
            made.append(entry(label, country=country))
    return made


def write(tree, out):
    """One line an entry, to be read and compared by people."""
    out.write('{ "version": 1, "name": "CityGuessr68k"')
    for level, entries in tree.items():
        lines = (json.dumps(made, ensure_ascii=False) for made in entries)
        out.write(f',\n  "{level}": [\n    ' + ",\n    ".join(lines) + "\n  ]")
    out.write("\n}\n")


def main():
    if len(sys.argv) != 2:
        fail("usage: make-cityguessr68k.py TABLE.tsv > cityguessr68k.json")
    cities, states, countries, continents = read(sys.argv[1])
    countries = in_order(countries)
    tree = {
        "continents": in_order(continents),
        "countries": countries,
        "states": name_states(in_order(states), countries),
        "cities": cities,
    }
    sys.stdout.reconfigure(encoding="utf-8")
    write(tree, sys.stdout)


if __name__ == "__main__":
    main()
