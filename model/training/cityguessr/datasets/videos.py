# SPDX-License-Identifier: LGPL-2.1-or-later
"""A folder of videos and a CSV that says where they were filmed.

    <root>/<csv>: video, city, state, country, continent [, latitude, longitude, track, split, source, start, end]

``video`` is a path relative to the root. A video may stand in several lines, with different ``start`` and ``end``
(seconds): a drive that passes several cities. ``source`` (default: the video) is what splits are grouped by: give
the files of one drive the same. (A window's source is its video all the same, as times are those of the video.)
``split`` (train, validation or test; all lines or none) is the division; without it, sources are divided by
``fractions`` within each city. ``track`` is a CSV ``time, latitude, longitude`` (seconds from the video's beginning),
relative to the root: it gives each window its own position.

The label tree is ``places``: a JSON file, ``cityguessr68k``, or "" (default): the ``places.json`` beside the CSV, and
if there is none, the tree of the CSV's own labels, with each city's position the mean of its lines'.

Samples are taken by timestamp as the element takes them (``gst-plugin/sampler.h``): the sample of the target t0 + k *
interval is the first frame whose time is not more than min (1 ms, interval/8) before it. A gap of more than two
intervals behind a frame's end begins a new stretch, with a t0 of its own, and no window reaches over it. Samples are
decoded once, and kept at the model's size in ``cache`` (default: ``$XDG_CACHE_HOME/cityguessr/samples``).
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

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
    require_folder,
    require_windows,
    resize,
    some,
    spans_of,
)
from .store import FORMATS, SampleStore, fill
from .tables import Row, read_table

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_GAP_INTERVALS = 2  # as in gst-plugin/sampler.c

_REQUIRED = ("video", "city", "state", "country", "continent")
_OPTIONAL = ("latitude", "longitude", "track", "split", "source", "start", "end")


@dataclass(frozen=True)
class Options:
    """Keys of the ``[dataset]`` table."""

    root: str
    csv: str = "videos.csv"
    places: str = ""
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = 0
    hop: int = 2  # samples from window to window
    minimum: int = 2  # samples; a line with fewer is left out
    cache: str = ""
    cache_format: str = "npy"

    def check(self) -> None:
        splits.check_fractions(self.fractions)
        one_of("cache_format", self.cache_format, FORMATS)
        within("hop", self.hop, 1, 10000)
        within("minimum", self.minimum, 1, 10000)


@dataclass(frozen=True)
class Track:
    """Positions over time. @times: ascending seconds; @points: degrees, [n, 2]."""

    times: np.ndarray
    points: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Track:
        rows = [
            (row.where, row.number("time"), *row.location())
            for row in read_table(path, ("time", "latitude", "longitude"))
            if row.location() is not None
        ]
        if not rows:
            raise DatasetError(f"{path}: no positions in it")
        times = np.array([row[1] for row in rows])
        if np.any(np.diff(times) < 0):
            where = rows[int(np.argmax(np.diff(times) < 0)) + 1][0]
            raise DatasetError(f"{where}: time runs backwards")
        return cls(times, np.array([row[2:] for row in rows]))

    def at(self, time: float) -> tuple[float, float]:
        """Position at a time, interpolated; outside the track, its nearest end."""
        i = int(np.searchsorted(self.times, time))
        if i in (0, len(self.times)) or self.times[i] == self.times[i - 1]:
            return tuple(map(float, self.points[min(i, len(self.times) - 1)]))
        share = (time - self.times[i - 1]) / (self.times[i] - self.times[i - 1])
        (lat0, lon0), (lat1, lon1) = self.points[i - 1], self.points[i]
        step = (lon1 - lon0 + 180) % 360 - 180  # the short way, also across the date line
        return float(lat0 + share * (lat1 - lat0)), float((lon0 + share * step + 180) % 360 - 180)


class Videos(WindowDataset):
    """A clip is a line of the CSV, or the part of one that lies in one stretch."""

    Options = Options

    def __init__(self, options: Options, split: str, shape: WindowShape, places: Places | None = None):
        one_of("split of videos", split, splits.SPLITS)
        root = Path(options.root)
        require_folder(root, "a folder of videos")
        rows = list(read_table(root / options.csv, _REQUIRED, _OPTIONAL))
        require_windows(len(rows), str(root / options.csv))
        super().__init__(shape, places or self._places(options, rows))
        self.store = SampleStore(_cache_folder(options.cache), options.cache_format)
        absent = sorted({row.text("video") for row in rows if not (root / row.text("video")).is_file()})
        if absent:
            raise DatasetError(f"{root / options.csv}: {len(absent)} videos do not exist: {some(absent)}")
        self._options, self._root = options, root
        self._rows = [row for row, where in zip(rows, _assign(rows, options)) if where == split]
        require_windows(len(self._rows), f"{root / options.csv}: {split}")
        self._ready = False

    @staticmethod
    def _places(options: Options, rows: list[Row]) -> Places:
        beside = (Path(options.root) / options.csv).parent / "places.json"
        if options.places or beside.is_file():
            return load_places(options.places or str(beside.absolute()), Path(options.root))
        points: dict[tuple, list[tuple[float, float]]] = {}
        for row in rows:
            path = tuple(row.text(level) for level in _REQUIRED[1:])
            points.setdefault(path, [])
            if row.location() is not None:
                points[path].append(row.location())
        bare = sorted(path[0] for path, found in points.items() if not found)
        if bare:
            raise DatasetError(
                f"{Path(options.root) / options.csv}: no latitude and longitude for {some(bare)}: give a line of "
                "each city its position, or name a label tree with 'places'"
            )
        return Places.from_paths(options.csv, {path: mean_location(found) for path, found in points.items()})

    # The number of samples of a video is known when it has been decoded, so clips and windows are made on demand.

    @property
    def clips(self) -> list[Clip]:
        self.prepare()
        return self._clips

    @clips.setter
    def clips(self, value: list[Clip]) -> None:
        self._clips = value

    @property
    def spans(self) -> list[Span]:
        self.prepare()
        return self._spans

    @spans.setter
    def spans(self, value: list[Span]) -> None:
        self._spans = value

    def prepare(self, workers: int = 0) -> None:
        """Decodes the videos that the cache does not hold."""
        if self._ready:
            return
        videos = sorted({row.text("video") for row in self._rows})
        todo = [name for name in videos if self.store.times(self._key(name)) is None]
        fill(self._decode, todo, workers, "decoding", "video")
        self._ready = True
        self._clips, self._firsts, self._tracks = [], [], []
        for row in self._rows:
            self._add(row)
        require_windows(len(self._clips), f"{self._root / self._options.csv}")
        self._spans = spans_of(self._clips, self.shape.frames, self._options.hop)

    def _add(self, row: Row) -> None:
        key = self._key(row.text("video"))
        times = self.store.times(key)
        begin = row.number("start", 0) if row.has("start") else 0.0
        end = row.number("end", 0) if row.has("end") else math.inf
        if end <= begin:
            raise DatasetError(f"{row.where}: end {end:g} is not after start {begin:g}")
        first, last = np.searchsorted(times, (begin, end))
        if last - first < self._options.minimum:
            return
        try:
            labels = self.places.targets(*(row.text(level) for level in _REQUIRED[1:]))
        except PlacesError as error:
            raise DatasetError(f"{row.where}: {error}") from None
        track = Track.read(self._root / row.text("track")) if row.has("track") else None
        edges = [first, *(n for n in self.store.stretches(key) if first < n < last), last]
        for first, last in itertools.pairwise(edges):
            if last - first >= self._options.minimum:
                video, start = row.text("video"), float(times[first])
                self._clips.append(Clip(video, video, labels, int(last - first), start, location=row.location()))
                self._firsts.append(int(first))
                self._tracks.append(track)

    def _key(self, name: str) -> str:
        """Changes with everything that the samples depend on; "stretches" is the rule by which they are taken."""
        path = self._root / name
        status = path.stat()
        file = f"{path.name}|{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        return f"{file}|{self.shape.image}|{self.shape.sample_interval}|stretches"

    def _decode(self, name: str) -> None:
        samples = list(read_samples(self._root / name, self.shape.sample_interval, self.shape.image))
        if not samples:
            raise DatasetError(f"{self._root / name}: no pictures in it")
        stretches = [n for n, sample in enumerate(samples) if sample.begins]
        frames, times = np.stack([sample.frame for sample in samples]), np.array([sample.time for sample in samples])
        self.store.write(self._key(name), frames, times, stretches)

    def start(self, span: Span) -> float:
        return float(self.store.times(self._key(self._clips[span.clip].key))[self._firsts[span.clip] + span.first])

    def location(self, span: Span) -> tuple[float, float] | None:
        """By the track, at the middle of the window; without one, that of the CSV's line."""
        track = self._tracks[span.clip]
        if track is None:
            return self._clips[span.clip].location
        middle = self.start(span) + self.shape.sample_interval * (self.shape.frames - 1) / 2
        return track.at(middle)

    def samples(self, clip: int, indices: np.ndarray) -> np.ndarray:
        return self.store.read(self._key(self.clips[clip].key), self._firsts[clip] + indices)


class Sample(NamedTuple):
    """@time: seconds from the video's first frame; @frame: uint8 [image, image, 3]; @begins: a stretch"""

    time: float
    frame: np.ndarray
    begins: bool


def read_samples(path: Path, interval: float, image: int) -> Iterator[Sample]:
    """A frame without timestamp is passed over, and where time runs backwards, those before it has caught up (there the
    element begins a stretch). Rotation told by the container is not applied, as in the element without
    ``videoflip``."""
    try:
        import av
    except ImportError:
        raise DatasetError("videos are decoded with PyAV: pip install av") from None
    tolerance, first, end = min(1e-3, interval / 8), None, None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DatasetError(f"{path}: no video in it")
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                if frame.time is None:
                    continue
                first = frame.time if first is None else first
                time = frame.time - first
                begins = end is None or time - end > _GAP_INTERVALS * interval
                if begins:
                    origin = target = time
                end = time + float((frame.duration or 0) * frame.time_base)
                if time >= target - tolerance:
                    yield Sample(time, resize(_picture(frame), image), begins)
                    # a frame that is first for several targets is one sample
                    target = origin + interval * (math.floor((time - origin + tolerance) / interval) + 1)
    except av.FFmpegError as error:
        raise DatasetError(f"{path}: cannot be decoded: {error}") from None


def _picture(frame) -> Image.Image:
    """A decoded frame in RGB. Where the stream does not tell its colour matrix, GStreamer takes BT.709 for more than
    576 lines, FFmpeg BT.601 always; the element is the measure."""
    if frame.colorspace == _UNSPECIFIED and frame.height > 576 and not frame.format.is_rgb:
        return Image.fromarray(frame.to_ndarray(format="rgb24", src_colorspace="itu709"))
    return frame.to_image()


def _assign(rows: list[Row], options: Options) -> list[str]:
    """The split of each line."""
    sources = [row.text("source") if row.has("source") else row.text("video") for row in rows]
    told = [row.has("split") for row in rows]
    if not any(told):
        # A source that passes several cities counts for the first one.
        strata: dict[str, str] = {}
        for source, row in zip(sources, rows):
            strata.setdefault(source, row.text("city"))
        assigned = splits.by_source(strata, options.fractions, options.split_seed)
        return [assigned[source] for source in sources]
    found: dict[str, str] = {}
    for source, row in zip(sources, rows):
        part = row["split"].strip()
        if part not in splits.SPLITS:
            raise DatasetError(f"{row.where}: split: found {part!r}, expected one of {', '.join(splits.SPLITS)}")
        if found.setdefault(source, part) != part:
            raise DatasetError(f"{row.where}: the source {source!r} is in {found[source]} and in {part}: parts mix")
    return [found[source] for source in sources]


def _cache_folder(name: str) -> Path:
    if name:
        return Path(name)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cityguessr" / "samples"
