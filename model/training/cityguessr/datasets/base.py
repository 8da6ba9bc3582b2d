# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every dataset is: clips, each a row of samples of one place, and windows cut from them."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..places import Places

SCENES = 16


class DatasetError(ValueError):
    """A dataset that cannot be read as its layout says; the message names the file and what to do."""


class Window(NamedTuple):
    """One window: what the network takes, and what is true of it."""

    frames: Tensor  # uint8 [frames, image, image, 3], RGB, resized by the model's rule
    labels: Tensor  # int64 [4], city first; UNKNOWN (-1) where the tree has no such place
    scene: Tensor | None  # float32 [16], probabilities
    source: str  # the drive, video or sequence: what splits are grouped by
    start: float  # time of the first sample in its source, seconds
    location: tuple[float, float] | None  # latitude, longitude, degrees
    slots: Tensor | None = None  # int64 [tubelets], rising: those that frames holds; None: all of the window


@dataclass(frozen=True)
class WindowShape:
    """What a reader must know of the network. ``Geometry`` can stand in its place; its interval is then 1.4 s."""

    frames: int = 16
    image: int = 224
    sample_interval: float = 1.4

    @classmethod
    def of(cls, config: object) -> WindowShape:
        return cls(config.frames, config.image, getattr(config, "sample_interval", cls.sample_interval))


@dataclass(frozen=True)
class Clip:
    """A row of @count samples of one place. @key names it within the dataset, @start is its place in its source."""

    key: str
    source: str
    labels: tuple[int, int, int, int]
    count: int
    start: float = 0.0
    scene: tuple[float, ...] | None = None
    location: tuple[float, float] | None = None


class Span(NamedTuple):
    """A window's place: number of its clip, and its first sample."""

    clip: int
    first: int


class WindowDataset(torch.utils.data.Dataset, abc.ABC):
    """Map-style: ``len (ds)``, ``ds[i]`` -> Window, windows of one source in time order.

    ``places`` is the tree that labels index. A subclass fills ``clips`` and ``spans``, those of one source in time
    order, and says how samples are read. Instances travel to worker processes, so they hold no open files.
    """

    def __init__(self, shape: WindowShape, places: Places):
        self.shape, self.places = shape, places
        self.clips: Sequence[Clip] = []
        self.spans: list[Span] = []

    @abc.abstractmethod
    def samples(self, clip: int, indices: np.ndarray) -> np.ndarray:
        """Some samples of a clip: uint8 [len (indices), image, image, 3]."""

    def indices(self, span: Span) -> np.ndarray:
        """The samples of a window, [frames]: consecutive ones; a clip that is too short is spread over what it has."""
        if self.clips[span.clip].count < self.shape.frames:
            return spread(self.clips[span.clip].count, self.shape.frames)
        return span.first + np.arange(self.shape.frames)

    def start(self, span: Span) -> float:
        """Time of a window's first sample in its source, seconds."""
        return self.clips[span.clip].start + span.first * self.shape.sample_interval

    def location(self, span: Span) -> tuple[float, float] | None:
        """Where a window was filmed, degrees."""
        return self.clips[span.clip].location

    def latest_first(self, clip: int) -> int:
        """The last sample of a clip with which a window can begin; jitter in time stays within it."""
        return max(self.clips[clip].count - self.shape.frames, 0)

    def prepare(self, workers: int = 0) -> None:
        """Does ahead, and once, what would be slow again in each epoch. Nothing, where nothing is."""

    @property
    def has_scenes(self) -> bool:
        return all(clip.scene is not None for clip in self.clips)

    def text_table(self) -> Tensor | None:
        """Text embeddings that the dataset itself brings, float32 [cities, width], or None."""
        return None

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, index: int) -> Window:
        return self.window(self.spans[index])

    def window(self, span: Span, slots: np.ndarray | None = None, tubelet: int = 1) -> Window:
        """@slots: only these tubelets, of @tubelet frames each, are read."""
        clip = self.clips[span.clip]
        indices = self.indices(span)
        if slots is not None:
            indices = indices.reshape(-1, tubelet)[slots].reshape(-1)
        frames = self.samples(span.clip, indices)
        scene = None if clip.scene is None else torch.tensor(clip.scene, dtype=torch.float32)
        labels = torch.tensor(clip.labels, dtype=torch.int64)
        chosen = None if slots is None else torch.from_numpy(slots)
        return Window(
            torch.from_numpy(frames), labels, scene, clip.source, self.start(span), self.location(span), chosen
        )

    def sources(self) -> list[tuple[str, list[int]]]:
        """Each source, in the order of its first window, with its windows in time order."""
        found: dict[str, list[int]] = {}
        for index, span in enumerate(self.spans):
            found.setdefault(self.clips[span.clip].source, []).append(index)
        return list(found.items())

    def labels_of(self, index: int) -> tuple[int, int, int, int]:
        """Targets of a window, without reading its frames."""
        return self.clips[self.spans[index].clip].labels


def resize(picture: Image.Image, image: int) -> np.ndarray:
    """The model's rule (``modelfile.RESIZE``): antialiased bilinear to a square, the aspect not kept, by PIL, as
    torchvision's Resize did it for the authors. uint8 [image, image, 3]."""
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    if picture.size != (image, image):
        picture = picture.resize((image, image), Image.Resampling.BILINEAR)
    return np.array(picture)


def read_picture(path: Path, image: int) -> np.ndarray:
    """A file as the model sees it, uint8 [image, image, 3]."""
    try:
        with Image.open(path) as picture:
            return resize(picture, image)
    except FileNotFoundError:
        raise DatasetError(f"{path}: the picture is missing") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable picture: {error}") from None


def spread(available: int, wanted: int) -> np.ndarray:
    """@wanted sample numbers spread evenly over @available: floor (i (n - 1) / (wanted - 1) + 1/2), the rule of the
    element for a stream that is shorter than one window."""
    i = np.arange(wanted)
    return np.floor(i * (available - 1) / max(wanted - 1, 1) + 0.5).astype(np.int64)


def spans_of(clips: Sequence[Clip], frames: int, hop: int) -> list[Span]:
    """The windows of @clips: every @hop samples, and one more that ends with a clip's last sample if the hops leave
    some over, as in the element. A short clip has one window."""
    spans = []
    for number, clip in enumerate(clips):
        last = max(clip.count - frames, 0)
        spans += [Span(number, first) for first in sorted({*range(0, last + 1, hop), last})]
    return spans


def load_places(name: str, root: Path) -> Places:
    """``cityguessr68k``, or a JSON file, relative to @root."""
    if name == "cityguessr68k":
        return Places.cityguessr68k()
    path = root / name
    try:
        return Places.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: no label tree can be read: {error}; 'cityguessr68k' names the built-in") from None


def require_folder(path: Path, what: str) -> None:
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder; expected {what}")


def require_windows(count: int, what: str) -> None:
    if count == 0:
        raise DatasetError(f"{what}: no windows are left")


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names of many, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
