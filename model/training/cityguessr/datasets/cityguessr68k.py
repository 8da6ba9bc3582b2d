# SPDX-License-Identifier: LGPL-2.1-or-later
"""CityGuessr68k as it is released: folders of frames, and one annotation line for each clip.

    <root>/<folder>/<City>/<video_id>/<n>.jpg      n = 1 … about 100, not padded with zeros
    <root>/<annotations>                           one line a clip, separated by commas:
        id, city, state, country, continent [, text values …] [, 16 scene probabilities]

``id`` is the video id, alone or as the end of a path. The four labels are names, or numbers of the tree. The lines
of a file have all the same number of values: without or with text values (512 in the authors' files, see
``text_columns``), without or with the scenes.

**Frames.** The authors take the frames at the positions 0, 5, …, 75 of the folder's listing. Here the listing is
in numeric order. Theirs was ``sorted (os.listdir ())``, which puts 10.jpg before 2.jpg, so that the frames are
not in time order; ``compat = "lexicographic"`` does the same. A clip with fewer frames than that is spread over what
it has (theirs failed).

**Splits.** ``split = "published"``: the two annotation files as they are. They put neighbouring clips of one video
on both sides, so that figures on them flatter. Validation is cut from the training clips by source video;
``validation = "test"`` selects the model on the test clips instead, as the authors did.
``split = "source-disjoint"``: all clips together, divided anew by source video (``<City>_<source>_<clip>``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import splits
from ..options import one_of, within
from ..places import LEVELS, UNKNOWN, Places, PlacesError
from .base import (
    SCENES,
    Clip,
    DatasetError,
    WindowDataset,
    WindowShape,
    load_places,
    read_picture,
    require_folder,
    require_windows,
    some,
    spans_of,
    spread,
)

CLIP_SECONDS = 30.0
"""Nominal time from clip to clip of one source: 800 to 900 video frames at 30 a second. Only orders clips."""

_ID = re.compile(r"(?P<source>.+_\d+)_(?P<clip>\d+)")


@dataclass(frozen=True)
class Options:
    """Keys of the ``[dataset]`` table."""

    root: str
    annotations: dict[str, str] = field(default_factory=lambda: {"train": "train_labels.txt", "test": "val_labels.txt"})
    folders: dict[str, str] = field(default_factory=lambda: {"train": "train", "test": "val"})
    places: str = "cityguessr68k"
    split: str = "published"
    validation: str = "train"  # where the validation part of the published split comes from
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = 0
    compat: str = "numeric"
    stride: int = 5  # listing positions from sample to sample
    text_columns: int = 512
    missing: str = "error"  # a clip without folder: an error, or left out

    def check(self) -> None:
        one_of("split", self.split, ("published", "source-disjoint"))
        one_of("validation", self.validation, ("train", "test"))
        one_of("compat", self.compat, ("numeric", "lexicographic"))
        one_of("missing", self.missing, ("error", "skip"))
        within("stride", self.stride, 1, 1000)
        within("text_columns", self.text_columns, 1, 8192)
        splits.check_fractions(self.fractions)
        for key in ("annotations", "folders"):
            if set(getattr(self, key)) != {"train", "test"}:
                raise ValueError(f"{key}: found {sorted(getattr(self, key))}, expected train and test")


@dataclass(frozen=True)
class Annotation:
    """One line. @where is the file and line, for messages."""

    where: str
    video: str
    labels: tuple[int, int, int, int]
    city: str
    text: tuple[float, ...] | None
    scene: tuple[float, ...] | None


def read_annotations(path: Path, places: Places, text_columns: int) -> list[Annotation]:
    """Every line of an annotation file, checked. DatasetError names the file and the line."""
    if not path.is_file():
        raise DatasetError(f"{path}: no such annotation file; name it with the dataset's key 'annotations'")
    result, first, seen = [], None, {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        fields = [value.strip() for value in line.split(",")]
        first = first or (where, len(fields))
        if len(fields) != first[1]:
            raise DatasetError(f"{where}: {len(fields)} values; {first[0]} has {first[1]}")
        annotation = _annotation(where, fields, places, text_columns)
        if annotation.video in seen:
            raise DatasetError(f"{where}: the clip {annotation.video!r} again; first in {seen[annotation.video]}")
        seen[annotation.video] = where
        result.append(annotation)
    if not result:
        raise DatasetError(f"{path}: no lines in it")
    return result


def _annotation(where: str, fields: list[str], places: Places, text_columns: int) -> Annotation:
    extra = len(fields) - 1 - len(LEVELS)
    layouts = {0: (0, 0), SCENES: (0, SCENES), text_columns: (text_columns, 0)}
    layouts[text_columns + SCENES] = (text_columns, SCENES)
    if extra not in layouts:
        expected = ", ".join(str(1 + len(LEVELS) + n) for n in sorted(layouts))
        raise DatasetError(
            f"{where}: {len(fields)} values, expected {expected}: id, city, state, country, continent, and perhaps "
            f"{text_columns} text values ('text_columns') and {SCENES} scene probabilities"
        )
    video = fields[0].rstrip("/").rsplit("/", 1)[-1]
    if not video:
        raise DatasetError(f"{where}: the video id is empty")
    labels = _labels(where, fields[1:5], places)
    texts, scenes = layouts[extra]
    values = _numbers(where, fields[5:])
    scene = tuple(values[texts:]) if scenes else None
    if scene and (min(scene) < 0 or abs(sum(scene) - 1) > 1e-2):
        raise DatasetError(f"{where}: the last {SCENES} values sum to {sum(scene):.4g}: not scene probabilities")
    return Annotation(where, video, labels, places.labels("city")[labels[0]], tuple(values[:texts]) or None, scene)


def _labels(where: str, fields: list[str], places: Places) -> tuple[int, int, int, int]:
    """Indices of four labels, names or numbers, which must be a path of the tree."""
    numbers = all(re.fullmatch(r"\d+(\.0*)?", value) for value in fields)
    found = tuple(int(float(v)) if numbers else places.index(level, v) for level, v in zip(LEVELS, fields))
    for level, value, index, count in zip(LEVELS, fields, found, places.counts):
        if not 0 <= index < count:
            raise DatasetError(f"{where}: the places {places.name!r} have no {level} {value!r}")
    if found != places.path(found[0]):
        raise DatasetError(
            f"{where}: the places {places.name!r} put the city {fields[0]!r} into "
            f"{list(places.named_path(found[0])[1:])}, not into {fields[1:]}; another tree is named "
            "with the dataset's key 'places'"
        )
    return found


def _numbers(where: str, fields: list[str]) -> list[float]:
    values = []
    for column, value in enumerate(fields, 5):
        try:
            values.append(float(value))
        except ValueError:
            values.append(math.nan)
        if not math.isfinite(values[-1]):
            raise DatasetError(f"{where}: value {column}: found {value!r}, expected a number")
    return values


def source_of(video: str) -> str:
    """``<City>_<source>`` of an id ``<City>_<source>_<clip>``. An id of another form is a source of its own."""
    match = _ID.fullmatch(video)
    return match["source"] if match else video


def clip_number(video: str) -> int:
    match = _ID.fullmatch(video)
    return int(match["clip"]) if match else 0


def listing(folder: Path, compat: str) -> list[Path]:
    """The frames of a clip, in numeric order, or in that of ``sorted (os.listdir ())``."""
    frames = [path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    if compat == "lexicographic":
        return sorted(frames, key=lambda path: path.name)
    odd = [path.name for path in frames if not path.stem.isdecimal()]
    if odd:
        raise DatasetError(f"{folder}: frames are named by their number; found {some(sorted(odd))}")
    return sorted(frames, key=lambda path: int(path.stem))


class CityGuessr68k(WindowDataset):
    """One window a clip."""

    Options = Options

    def __init__(self, options: Options, split: str, shape: WindowShape, places: Places | None = None):
        root = Path(options.root)
        require_folder(root, "CityGuessr68k's folders")
        own = load_places(options.places, root)
        super().__init__(shape, places or own)
        self._compat, self._stride = options.compat, options.stride
        chosen = list(self._choose(options, split, root, own))
        absent = [str(folder) for _, folder in chosen if not folder.is_dir()]
        if absent and options.missing == "error":
            raise DatasetError(
                f"{len(absent)} of {len(chosen)} clips have no folder: {some(absent)}; extract them, or leave them "
                "out with missing = 'skip'"
            )
        chosen = [(line, folder) for line, folder in chosen if folder.is_dir()]
        require_windows(len(chosen), f"{root}: {split}")
        chosen.sort(key=lambda c: (source_of(c[0].video), clip_number(c[0].video), c[0].video))
        self.folders = [folder for _, folder in chosen]
        self.clips = [self._clip(line, own) for line, _ in chosen]
        self.spans = spans_of(self.clips, shape.frames, 1)
        self._texts = [(line.text, line.where) for line, _ in chosen]

    def _clip(self, line: Annotation, own: Places) -> Clip:
        try:
            labels = line.labels if self.places is own else self.places.targets(*own.named_path(line.labels[0]))
        except PlacesError as error:
            raise DatasetError(f"{line.where}: {error}") from None
        start = clip_number(line.video) * CLIP_SECONDS
        location = own.location(line.labels[0])
        return Clip(line.video, source_of(line.video), labels, self.shape.frames, start, line.scene, location)

    def _choose(self, options: Options, split: str, root: Path, own: Places) -> Iterator[tuple[Annotation, Path]]:
        """The lines of a split, each with its folder of frames."""
        one_of("split of CityGuessr68k", split, splits.SPLITS)
        lines = {
            part: read_annotations(root / options.annotations[part], own, options.text_columns)
            for part in ("train", "test")
        }
        pool = [(part, line) for part in ("train", "test") for line in lines[part]]
        _check_disjoint(pool)
        if options.split == "published":
            rest = options.fractions[0] + options.fractions[1]
            shares = (options.fractions[0] / rest, options.fractions[1] / rest, 0.0)
            if options.validation == "test":
                assigned = {}
                split = "test" if split == "validation" else split
            else:
                train = {source_of(line.video): line.city for line in lines["train"]}
                assigned = splits.by_source(train, shares, options.split_seed)
            for part, line in pool:
                if split == (assigned.get(source_of(line.video), "train") if part == "train" else "test"):
                    yield line, root / options.folders[part] / line.city / line.video
            return
        strata = {source_of(line.video): line.city for _, line in pool}
        assigned = splits.by_source(strata, options.fractions, options.split_seed)
        for part, line in pool:
            if assigned[source_of(line.video)] == split:
                yield line, root / options.folders[part] / line.city / line.video

    def samples(self, clip: int, indices: np.ndarray) -> np.ndarray:
        folder = self.folders[clip]
        frames = listing(folder, self._compat)
        if not frames:
            raise DatasetError(f"{folder}: no frames in it; expected 1.jpg, 2.jpg, …")
        positions = np.arange(self.shape.frames) * self._stride
        if positions[-1] >= len(frames):
            positions = spread(len(frames), self.shape.frames)
        return np.stack([read_picture(frames[positions[i]], self.shape.image) for i in indices])

    def text_table(self) -> Tensor | None:
        """The text values of the annotation lines, [cities, text_columns]. They are made of labels, so the clips of
        one city must agree; a city without a clip is NaN."""
        if any(text is None for text, _ in self._texts):
            return None
        table: dict[int, tuple] = {}
        for clip, (text, where) in zip(self.clips, self._texts):
            city = clip.labels[0]
            if city == UNKNOWN:
                continue
            if city not in table:
                table[city] = (text, where)
            elif not np.allclose(text, table[city][0], rtol=1e-3, atol=1e-4):
                raise DatasetError(f"{where}: other text values than {table[city][1]}, which is the same city")
        width = len(self._texts[0][0])
        result = torch.full((self.places.counts[0], width), math.nan)
        for city, (text, _) in table.items():
            result[city] = torch.tensor(text)
        return result


def _check_disjoint(pool: list[tuple[str, Annotation]]) -> None:
    """No clip is in both annotation files."""
    seen: dict[str, str] = {}
    for _, line in pool:
        if line.video in seen:
            raise DatasetError(
                f"{line.where}: the clip {line.video!r} is in {seen[line.video]} too: train and test mix"
            )
        seen[line.video] = line.where
