# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drives through the drawn world (``gst-plugin/world``), drawn by its program ``draw-world``.

The program is the key ``program``, or the environment's ``CITYGUESSR_DRAW_WORLD``, or
``build/gst-plugin/world/draw-world`` of the source tree. ``draw-world --list`` prints its cities: a JSON array of
objects with ``city`` (a label of CityGuessr68k's tree), ``held_out`` and perhaps ``scene`` (16 probabilities). If they
have these, ``draw-world --scenes`` answers each line ``CITY <tab> SEED`` with the 16 of that drive. Else it reads lines

    CITY <tab> SEED <tab> TIME_NS <tab> WIDTH <tab> HEIGHT

and writes for each one picture, raw RGB, rows from the top, without padding.

A drive is a city and a seed. ``drives`` gives each split a range of seeds, first and end, that no other split
touches: every known city is driven with each seed of it. The split ``unseen`` drives the held-out cities, which
are not in the tree, with the seeds of ``test`` (or of its own range).

With ``cache`` a drive is drawn once, at the first use of its first window; without, each window is drawn anew.
Pictures are drawn ``draw`` pixels large and resized by the model's rule, as the element would do.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ..options import one_of, within
from ..places import Places
from .base import SCENES, Clip, DatasetError, WindowDataset, WindowShape, require_windows, resize, spans_of
from .store import FORMATS, SampleStore, fill

VARIABLE = "CITYGUESSR_DRAW_WORLD"
REQUESTS = 64
"""Lines written before their pictures are read: few enough to lie in a pipe's buffer."""


@dataclass(frozen=True)
class Options:
    """Keys of the ``[dataset]`` table."""

    drives: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {"train": (0, 40), "validation": (1000, 1005), "test": (2000, 2010)}
    )
    duration: float = 60.0  # seconds of a drive
    hop: int = 2  # samples from window to window
    draw: tuple[int, int] = (320, 180)  # width and height of the drawn picture
    cities: tuple[str, ...] = ()  # of the known ones; empty: all
    program: str = ""
    cache: str = ""
    cache_format: str = "jpeg"

    def check(self) -> None:
        one_of("cache_format", self.cache_format, FORMATS)
        within("hop", self.hop, 1, 10000)
        within("duration", self.duration, 0.1, 86400)
        for size in self.draw:
            within("draw", size, 16, 4096)
        missing = {"train", "validation", "test"} - set(self.drives)
        if missing:
            raise ValueError(f"drives: the seeds of {', '.join(sorted(missing))} are missing")
        ranges = sorted((first, end, split) for split, (first, end) in self.drives.items())
        for first, end, split in ranges:
            if not 0 <= first < end <= 2**31:
                raise ValueError(f"drives.{split}: found {[first, end]}, expected first < end within 0..2147483648")
        for (_, end, one), (first, _, other) in itertools.pairwise(ranges):
            if first < end:
                raise ValueError(f"drives: {one} and {other} share the seeds {first}..{end - 1}")


@dataclass(frozen=True)
class City:
    label: str
    held_out: bool
    scene: tuple[float, ...] | None = None


def find_program(program: str = "") -> Path:
    """``draw-world``, by the key, the environment, or the build folder of the source tree."""
    top = Path(__file__).resolve().parents[4]
    for where, name in (("program", program), (VARIABLE, os.environ.get(VARIABLE, ""))):
        if name:
            if not os.access(name, os.X_OK):
                raise DatasetError(f"{where}: {name}: not a program")
            return Path(name)
    built = top / "build" / "gst-plugin" / "world" / "draw-world"
    if not os.access(built, os.X_OK):
        raise DatasetError(f"draw-world is not in {built.parent}: build it (./run build), or name it in {VARIABLE}")
    return built


@functools.lru_cache(maxsize=8)
def list_cities(program: Path) -> tuple[City, ...]:
    """The cities that a program can draw."""
    try:
        done = subprocess.run([program, "--list"], capture_output=True, timeout=60, check=True)
        cities = tuple(_city(entry) for entry in json.loads(done.stdout))
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise DatasetError(f"{program} --list: exit status {error.returncode}: {said}") from None
    except (OSError, subprocess.TimeoutExpired, ValueError, TypeError, KeyError) as error:
        raise DatasetError(
            f"{program} --list: expected an array of objects with city and held_out ({error!r})"
        ) from None
    if len({city.label for city in cities}) != len(cities):
        raise DatasetError(f"{program} --list: a city stands twice")
    return cities


def list_scenes(program: Path, drives: Sequence[tuple[str, int]]) -> list[tuple[float, ...]]:
    """What each drive shows: 16 probabilities. @drives: city and seed"""
    lines = "".join(f"{city}\t{seed}\n" for city, seed in drives)
    try:
        done = subprocess.run([program, "--scenes"], input=lines.encode(), capture_output=True, timeout=60, check=True)
        scenes = [tuple(map(float, line.split())) for line in done.stdout.decode().splitlines()]
        for drive, scene in zip(drives, scenes, strict=True):
            _check_scene(scene, f"{drive[0]}/{drive[1]}")
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise DatasetError(f"{program} --scenes: exit status {error.returncode}: {said}") from None
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise DatasetError(f"{program} --scenes: expected a line of {SCENES} numbers a drive ({error!r})") from None
    return scenes


def _check_scene(scene: Sequence[float], of: str) -> None:
    if len(scene) != SCENES or abs(sum(scene) - 1) > 1e-3 or min(scene) < 0:
        raise ValueError(f"scene of {of!r}: not {SCENES} probabilities")


def _city(entry: dict) -> City:
    scene = entry.get("scene")
    if scene is not None:
        _check_scene(scene, entry["city"])
    if not isinstance(entry["held_out"], bool):
        raise ValueError(f"held_out of {entry['city']!r}: not true or false")
    return City(str(entry["city"]), entry["held_out"], None if scene is None else tuple(map(float, scene)))


class Painter:
    """The running program. It starts at the first request, and anew in a process that was forked."""

    def __init__(self, program: Path):
        self._program, self._process, self._owner = program, None, 0

    def __getstate__(self) -> dict:
        return {"_program": self._program, "_process": None, "_owner": 0}

    def draw(self, requests: Sequence[tuple[str, int, int]], width: int, height: int) -> list[Image.Image]:
        """One picture for each (city, seed, time in ns)."""
        pictures = []
        for i in range(0, len(requests), REQUESTS):
            some = requests[i : i + REQUESTS]
            process = self._start()
            lines = "".join(f"{city}\t{seed}\t{time}\t{width}\t{height}\n" for city, seed, time in some)
            try:
                process.stdin.write(lines.encode())
                process.stdin.flush()
            except BrokenPipeError:
                self._fail(some[0])
            for request in some:
                data = process.stdout.read(3 * width * height)
                if len(data) != 3 * width * height:
                    self._fail(request)
                pictures.append(Image.frombytes("RGB", (width, height), data))
        return pictures

    def _start(self) -> subprocess.Popen:
        if self._process is None or self._owner != os.getpid():
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the program
            self._process = subprocess.Popen(
                [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
            self._owner = os.getpid()
        return self._process

    def _fail(self, request: tuple[str, int, int]) -> None:
        self._process.stdin.close()
        status = self._process.wait(timeout=10)
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        self._process = None
        raise DatasetError(
            f"{self._program} drew nothing for {request[0]}, drive {request[1]}, {request[2]} ns: "
            f"exit status {status}" + (f": {said}" if said else "")
        )

    def close(self) -> None:
        """Ends the program. Another request starts it again."""
        if self._process is not None and self._owner == os.getpid():
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait(timeout=10)
            self._errors.close()
        self._process = None

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # the interpreter may be half gone; the program ends with its standard input
            pass


class World(WindowDataset):
    """A source is a drive, ``<City>/<seed>``."""

    Options = Options

    def __init__(self, options: Options, split: str, shape: WindowShape, places: Places | None = None):
        one_of("split of the drawn world", split, ("train", "validation", "test", "unseen"))
        self.program = find_program(options.program)
        cities = list_cities(self.program)
        every = Places.cityguessr68k()
        strangers = [city.label for city in cities if every.index("city", city.label) < 0]
        if strangers:
            raise DatasetError(f"{self.program} draws cities that CityGuessr68k does not have: {', '.join(strangers)}")
        known = [city for city in cities if not city.held_out]
        if options.cities:
            absent = set(options.cities) - {city.label for city in known}
            if absent:
                raise DatasetError(f"{self.program} does not draw the known cities {', '.join(sorted(absent))}")
            known = [city for city in known if city.label in options.cities]
        super().__init__(shape, places or every.subset([city.label for city in known], "drawn world"))
        seeds = options.drives["test" if split == "unseen" and split not in options.drives else split]
        driven = [city for city in cities if city.held_out] if split == "unseen" else known
        self._options, self._painter = options, Painter(self.program)
        self.store = SampleStore(options.cache, options.cache_format) if options.cache else None
        self._version = _digest(self.program) if options.cache else ""
        count = math.floor(options.duration / shape.sample_interval) + 1
        self.drives: list[tuple[str, int]] = [(city.label, seed) for city in driven for seed in range(*seeds)]
        about = {city.label: self._about(every, city) for city in driven}
        scenes = [None] * len(self.drives)
        if all(city.scene for city in driven):
            scenes = list_scenes(self.program, self.drives)
        self.clips = [
            Clip(f"{city}/{seed}", f"{city}/{seed}", about[city][0], count, 0.0, scene, about[city][1])
            for (city, seed), scene in zip(self.drives, scenes)
        ]
        self.spans = spans_of(self.clips, shape.frames, options.hop)
        require_windows(len(self.spans), f"{self.program}: {split}")

    def _about(self, every: Places, city: City) -> tuple:
        """Labels and location of a city; of one that is held out, the parents that the tree knows."""
        index = every.index("city", city.label)
        return self.places.targets(*every.named_path(index)), every.location(index)

    def prepare(self, workers: int = 0) -> None:
        """Draws the drives that the cache does not hold."""
        if self.store is None:
            return
        todo = [i for i, clip in enumerate(self.clips) if self.store.times(self._key(clip.key)) is None]
        fill(self._draw_drive, todo, workers, "drawing", "drive")

    def _draw(self, clip: int, indices: np.ndarray) -> np.ndarray:
        city, seed = self.drives[clip]
        requests = [(city, seed, round(i * self.shape.sample_interval * 1e9)) for i in indices.tolist()]
        pictures = self._painter.draw(requests, *self._options.draw)
        return np.stack([resize(picture, self.shape.image) for picture in pictures])

    def _draw_drive(self, clip: int) -> None:
        indices = np.arange(self.clips[clip].count)
        frames = self._draw(clip, indices)
        self.store.write(self._key(self.clips[clip].key), frames, indices * self.shape.sample_interval)

    def _key(self, drive: str) -> str:
        """Changes with everything that the samples depend on, the program itself included."""
        width, height = self._options.draw
        shape = self.shape
        return (
            f"{drive}|{self._version}|{width}x{height}|{shape.image}|{shape.sample_interval}|{self._options.duration}"
        )

    def samples(self, clip: int, indices: np.ndarray) -> np.ndarray:
        if self.store is None:
            return self._draw(clip, indices)
        if self.store.times(self._key(self.clips[clip].key)) is None:
            self._draw_drive(clip)
        return self.store.read(self._key(self.clips[clip].key), indices)


@functools.lru_cache(maxsize=8)
def _digest(program: Path) -> str:
    """Of the program's bytes: another build may draw other pictures."""
    return hashlib.sha256(program.read_bytes()).hexdigest()[:16]
