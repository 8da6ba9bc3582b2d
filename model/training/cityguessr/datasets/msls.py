# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mapillary Street-Level Sequences: each sequence of pictures is taken as a video, as the paper does.

    <root>/train_val/<city>/{query,database}/raw.csv             , key, lon, lat, ca, captured_at, pano
    <root>/train_val/<city>/{query,database}/seq_info.csv        , key, sequence_key, frame_number
    <root>/train_val/<city>/{query,database}/images/<key>.jpg

The sequences of query and database, of MSLS's training and validation cities together, are split anew within each
city, as a classifier needs every city in each part. CityGuessr's own division of MSLS was never published, so that
figures on this one are not comparable with the paper's to the point. MSLS's test cities have no positions and are
not read. Pictures carry a date only, so the time in a sequence is nominal: one interval from sample to sample.

The tree of the 24 cities is below, with CityGuessr68k's labels for the cities that it has; ``places =
"cityguessr68k"`` indexes that one's 166 instead, and Trondheim, Toronto, São Paulo, Zurich, Paris, Ottawa, Phoenix,
Goa and San Francisco are then unknown at the levels that it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import splits
from ..metrics import mean_location
from ..options import one_of, within
from ..places import Places, PlacesError
from .base import (
    Clip,
    DatasetError,
    Span,
    WindowDataset,
    WindowShape,
    load_places,
    read_picture,
    require_folder,
    require_windows,
    some,
    spans_of,
)
from .tables import read_table

# folder: (city, state, country, continent), latitude, longitude. Labels, and places of shared cities, are those of
# CityGuessr68k's tree; the others' positions are the city centres of GeoNames, rounded.
CITIES = {
    "trondheim": (("Trondheim", "Trøndelag", "Norway", "Europe"), 63.43, 10.40),
    "london": "London",
    "boston": "Boston",
    "melbourne": "Melbourne",
    "amsterdam": "Amsterdam",
    "helsinki": "Helsinki",
    "tokyo": "Tokyo",
    "toronto": (("Toronto", "Ontario", "Canada", "North America"), 43.71, -79.40),
    "saopaulo": (("Sao_Paulo", "São Paulo", "Brazil", "South America"), -23.55, -46.64),
    "moscow": "Moscow",
    "zurich": (("Zurich", "Zürich", "Switzerland", "Europe"), 47.37, 8.55),
    "paris": (("Paris", "Île-de-France", "France", "Europe"), 48.85, 2.35),
    "bangkok": "Bangkok",
    "budapest": "Budapest",
    "austin": "Austin",
    "berlin": "Berlin",
    "ottawa": (("Ottawa", "Ontario", "Canada", "North America"), 45.41, -75.70),
    "phoenix": (("Phoenix", "Arizona", "United_States", "North America"), 33.45, -112.07),
    "goa": (("Goa", "Goa", "India", "Asia"), 15.50, 73.83),
    "amman": "Amman",
    "nairobi": "Nairobi",
    "manila": "Manila",
    "cph": "Copenhagen",
    "sf": (("San_Francisco", "California", "United_States", "North America"), 37.77, -122.42),
}


@dataclass(frozen=True)
class Options:
    """Keys of the ``[dataset]`` table."""

    root: str
    places: str = "msls"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = 0
    stride: int = 1  # pictures from sample to sample
    hop: int = 16  # samples from window to window
    minimum: int = 16  # pictures; a shorter sequence is left out
    panoramas: bool = False
    cities: tuple[str, ...] = ()  # folders; empty: all that are there

    def check(self) -> None:
        splits.check_fractions(self.fractions)
        for key in ("stride", "hop", "minimum"):
            within(key, getattr(self, key), 1, 10000)
        for city in self.cities:
            one_of("cities", city, tuple(CITIES))


def _city(folder: str) -> tuple[tuple[str, str, str, str], float, float]:
    entry = CITIES[folder]
    if not isinstance(entry, str):
        return entry
    tree = Places.cityguessr68k()
    index = tree.index("city", entry)
    return tree.named_path(index), *tree.location(index)


def msls_places() -> Places:
    """The tree of the 24 cities with positions."""
    return Places.from_paths("MSLS", {path: (lat, lon) for path, lat, lon in map(_city, CITIES)})


@dataclass(frozen=True)
class Picture:
    number: int
    path: Path
    location: tuple[float, float]


def read_sequences(folder: Path, panoramas: bool) -> dict[str, list[Picture]]:
    """The sequences of one query or database folder, pictures in order of their numbers."""
    facts = {}
    for row in read_table(folder / "raw.csv", ("key", "lon", "lat", "pano")):
        pano = row.text("pano").lower()
        if pano not in ("true", "false"):
            raise DatasetError(f"{row.where}: pano: found {row['pano']!r}, expected True or False")
        facts[row.text("key")] = (row.number("lat", -90, 90), row.number("lon", -180, 180)), pano == "true"
    sequences: dict[str, list[Picture]] = {}
    for row in read_table(folder / "seq_info.csv", ("key", "sequence_key", "frame_number")):
        key = row.text("key")
        if key not in facts:
            raise DatasetError(f"{row.where}: the picture {key!r} is not in {folder / 'raw.csv'}")
        location, pano = facts[key]
        if panoramas or not pano:
            number = int(row.number("frame_number", 0, 1e9))
            picture = Picture(number, folder / "images" / f"{key}.jpg", location)
            sequences.setdefault(row.text("sequence_key"), []).append(picture)
    for key, pictures in sequences.items():
        pictures.sort(key=lambda picture: picture.number)
        numbers = [picture.number for picture in pictures]
        if len(set(numbers)) != len(numbers):
            raise DatasetError(f"{folder / 'seq_info.csv'}: a frame_number twice in the sequence {key!r}")
    return sequences


class Msls(WindowDataset):
    """A source is a sequence."""

    Options = Options

    def __init__(self, options: Options, split: str, shape: WindowShape, places: Places | None = None):
        one_of("split of MSLS", split, splits.SPLITS)
        root = Path(options.root)
        require_folder(root / "train_val", "MSLS's training and validation cities")
        own = msls_places() if options.places == "msls" else load_places(options.places, root)
        super().__init__(shape, places or own)
        names = options.cities or sorted(path.name for path in (root / "train_val").iterdir() if path.is_dir())
        unknown = [name for name in names if name not in CITIES]
        if unknown:
            raise DatasetError(f"{root / 'train_val'}: no MSLS cities: {some(unknown)}")
        rows = [(city, *row) for city in names for row in self._sequences(root / "train_val" / city, options)]
        strata = {key: city for city, key, _ in rows}
        if len(strata) != len(rows):
            raise DatasetError(f"{root}: a sequence key stands in two folders")
        assigned = splits.by_source(strata, options.fractions, options.split_seed)
        self.rows: list[list[Picture]] = []
        self.clips = []
        for city, key, pictures in rows:
            if assigned[key] == split:
                self.rows.append(pictures[:: options.stride])
                self.clips.append(self._clip(city, key, len(self.rows[-1])))
        require_windows(len(self.clips), f"{root}: {split}")
        self.spans = spans_of(self.clips, shape.frames, options.hop)

    @staticmethod
    def _sequences(folder: Path, options: Options) -> list[tuple[str, list[Picture]]]:
        require_folder(folder, "a city of MSLS")
        parts = [folder / part for part in ("query", "database") if (folder / part).is_dir()]
        if not parts:
            raise DatasetError(f"{folder}: neither query nor database in it")
        found = [item for part in parts for item in sorted(read_sequences(part, options.panoramas).items())]
        return [(key, pictures) for key, pictures in found if len(pictures) >= options.minimum]

    def _clip(self, city: str, key: str, count: int) -> Clip:
        path, latitude, longitude = _city(city)
        try:
            labels = self.places.targets(*path)
        except PlacesError as error:
            raise DatasetError(f"MSLS's {city}: {error}") from None
        return Clip(key, key, labels, count, location=(latitude, longitude))

    def location(self, span: Span) -> tuple[float, float]:
        """The mean position of the pictures, on the sphere."""
        rows = self.rows[span.clip]
        return mean_location([rows[i].location for i in self.indices(span)])

    def samples(self, clip: int, indices: np.ndarray) -> np.ndarray:
        return np.stack([read_picture(self.rows[clip][i].path, self.shape.image) for i in indices])
