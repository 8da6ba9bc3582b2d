# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two engines that answer the windows of a dataset: PyTorch with the decoding of this package, and the GStreamer
element with all that it is made of. Both give the same ``Results``."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from . import decode as decoding_of
from .decode import Answers, Tree, decode_cities
from .modelfile import Card
from .network import LEVELS, CityGuessr
from .stretches import Placed, Steps
from .track import Filter, Stability

SECOND = 10**9
PATIENCE = 600  # seconds: for the element to answer what it holds when its input has ended


class EngineError(RuntimeError):
    """The element could not answer; the message says why, and what to do."""


@dataclass(frozen=True)
class Results:
    """What one decoding says of N windows. @windows: [N] their numbers in the dataset, in the order of the answers;
    @tracked: by the filter over time; @stable: [N] bool."""

    windows: np.ndarray
    answers: Answers
    tracked: Answers
    stable: np.ndarray


@dataclass(frozen=True)
class Options:
    """@decodings: names of ``decode.DECODINGS``; @memory: seconds, of the filter over time; @batch: windows that
    PyTorch computes together; @device: PyTorch's name of one; @threads: of the element, 0 = all"""

    decodings: tuple[str, ...] = decoding_of.DECODINGS
    memory: float = 600.0
    batch: int = 8
    device: str = "cpu"
    threads: int = 0


# ---- PyTorch ----


def run_pytorch(
    model: CityGuessr, card: Card, tree: Tree, placed: Iterable[Placed], options: Options
) -> tuple[dict[str, Results], np.ndarray]:
    """Returns results by decoding, and the logits, [N, total labels] float32, in the same order of windows."""
    geometry = model.geometry
    model = model.to(options.device).eval()
    steps = Steps(geometry.frames, card.sample_interval)
    numbers, stretches, told, logits, batch = [], [], [], [], []

    def compute() -> None:
        with torch.inference_mode():
            logits.append(model(torch.from_numpy(np.stack(batch)).to(options.device)).logits.float().cpu().numpy())
        batch.clear()

    for each in placed:
        numbers.append(each.number)
        stretches.append(each.stretch)
        told.append(steps.next(each))
        batch.append(each.pictures)
        if len(batch) == options.batch:
            compute()
    if batch:
        compute()
    every = np.concatenate(logits) if logits else np.zeros((0, geometry.total_labels), np.float32)

    results = {}
    for decoding in options.decodings:
        answers, cities = decoding_of.decode(every, tree, card.temperatures, decoding)
        tracked, stable = _follow(cities, stretches, told, tree, options.memory)
        results[decoding] = Results(np.array(numbers, np.int64), answers, tracked, stable)
    return results, every


def _follow(cities: np.ndarray, stretches: list[int], told: list, tree: Tree, memory: float) -> tuple:
    """The filter over all windows, beginning anew with each stretch. Returns tracked answers, and [N] stable."""
    beliefs, last = np.empty_like(cities), None
    belief = Filter(tree.counts[0], memory)
    for i, (stretch, step) in enumerate(zip(stretches, told)):
        if stretch != last:
            belief.forget()
            last = stretch
        beliefs[i] = belief.update(cities[i], step)
    tracked = decode_cities(beliefs, tree)

    stable, last = np.zeros(len(cities), bool), None
    for i, (stretch, step) in enumerate(zip(stretches, told)):
        if stretch != last:
            stability = Stability()
        finest, index, confidence = int(tracked.finest[i]), tracked.index[i], tracked.confidence[i]
        stable[i] = stability.update(finest, index, confidence, step, stretch != last)
        last = stretch
    return tracked, stable


# ---- the element ----


def run_element(
    model: Path, card: Card, frames: int, image: int, tree: Tree, placed: Iterable[Placed], options: Options
) -> dict[str, Results]:
    """The samples of each stretch go through ``gst-launch-1.0``, at the model's size and with their times, into one
    element for each decoding; its JSON lines come back. @frames, @image: of the model. Raises EngineError."""
    interval = round(card.sample_interval * SECOND)
    windows: list[tuple[int, int]] = []  # number in the dataset; the time at which it begins
    with tempfile.TemporaryDirectory(prefix="cityguessr-") as scratch:
        pipelines: dict[int, _Pipeline] = {}
        lines: dict[str, dict[int, dict]] = {decoding: {} for decoding in options.decodings}
        clock = 0
        try:
            for hop, stretch in _by_stretch(placed):
                if hop not in pipelines:
                    pipelines[hop] = _Pipeline(model, hop, frames, image, interval, Path(scratch), options)
                clock = _feed(pipelines[hop], stretch, frames, interval, clock, windows)
            for pipeline in pipelines.values():
                for decoding, answers in pipeline.finish().items():
                    lines[decoding].update(answers)
        finally:
            for pipeline in pipelines.values():
                pipeline.end()
    return {decoding: _read(answers, windows, decoding, tree) for decoding, answers in lines.items()}


def _by_stretch(placed: Iterable[Placed]) -> Iterator[tuple[int, list[Placed]]]:
    """Each stretch with its hop (of one window: 1)."""
    stretch: list[Placed] = []
    for each in placed:
        if stretch and each.stretch != stretch[0].stretch:
            yield stretch[1].fresh if len(stretch) > 1 else 1, stretch
            stretch = []
        stretch.append(each)
    if stretch:
        yield stretch[1].fresh if len(stretch) > 1 else 1, stretch


def _feed(pipeline: _Pipeline, stretch: list[Placed], frames: int, interval: int, clock: int, windows: list) -> int:
    """Writes the samples of @stretch from the time @clock on. Returns a time late enough to begin a new stretch: the
    element ends one at a hole of more than two intervals."""
    for each in stretch:
        windows.append((each.number, clock + each.first * interval))
        newest = each.first + frames
        for i, picture in enumerate(each.pictures[frames - each.fresh :], newest - each.fresh):
            pipeline.write(picture, clock + i * interval)
    return clock + (newest + 3) * interval


class _Pipeline:
    """A gst-launch-1.0 that reads raw pictures with times from its standard input, as the GStreamer Data Protocol
    (gdpdepay of gst-plugins-bad): a header of 62 bytes, big-endian, before each event, each caps and each buffer."""

    _STREAM_START, _CAPS, _SEGMENT, _BUFFER = 0x284E, 0x0002, 0x464E, 0x0001
    _NONE = 2**64 - 1

    def __init__(self, model: Path, hop: int, frames: int, image: int, interval: int, scratch: Path, options: Options):
        self._interval = interval
        self._answers = {name: scratch / f"{hop}.{name}.jsonl" for name in options.decodings}
        self._errors = (scratch / f"{hop}.errors").open("w+b")
        words = "gst-launch-1.0 -q fdsrc fd=0 ! gdpdepay".split()
        for name in options.decodings:
            words += ["!", "cityguessr", f"name={name}", f"decoding={name}", f"model={model}", "device=cpu"]
            words += ["precision=fp32", f"cpu-threads={options.threads}", f"hop={hop}", f"sample-interval={interval}"]
            words += [f"track-memory={round(options.memory * SECOND)}", "processing-mode=offline"]
            words += ["top-k=5", "min-confidence=0", f"min-samples={frames}"]
        words += ["!", "fakesink"]
        for name, path in self._answers.items():
            words += [f"{name}.json_src", "!", "filesink", f"location={path}"]
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=self._errors, stderr=self._errors, env=os.environ
            )
        except FileNotFoundError:
            raise EngineError("there is no gst-launch-1.0: install gstreamer1.0-tools") from None
        caps = f"video/x-raw, format=RGB, width={image}, height={image}, framerate=0/1, pixel-aspect-ratio=1/1"
        self._packet(self._STREAM_START, b"GstEventStreamStart, stream-id=(string)evaluation;\0")
        self._packet(self._CAPS, caps.encode() + b"\0")
        self._packet(self._SEGMENT, _TIME_SEGMENT)
        self._stride = -(-3 * image // 4) * 4

    def write(self, picture: np.ndarray, time: int) -> None:
        """@picture: [image, image, 3] uint8, RGB; @time: ns."""
        rows = picture.reshape(len(picture), -1)
        padded = np.pad(rows, ((0, 0), (0, self._stride - rows.shape[1])))  # GStreamer's rows are whole words
        self._packet(self._BUFFER, padded.tobytes(), time, self._interval)

    def finish(self) -> dict[str, dict[int, dict]]:
        """Ends the stream. Returns, by decoding, the answers by the time at which their windows begin."""
        watchdog = threading.Timer(PATIENCE, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        status = self._process.wait()
        late = not watchdog.is_alive()
        watchdog.cancel()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        self._errors.close()
        if late:
            raise EngineError(
                f"the element did not end in {PATIENCE} s after its input, and was killed. It said:\n{said[-2000:]}"
            )
        if status != 0 or "ERROR" in said:
            raise EngineError(
                "the element did not answer. It is found if GST_PLUGIN_PATH_1_0 names its folder (./run build makes "
                f"build/gst-plugin), and gdpdepay is in gstreamer1.0-plugins-bad. It said:\n{said[-2000:]}"
            )
        return {name: _by_time(path) for name, path in self._answers.items()}

    def end(self) -> None:
        """Whatever it is doing."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _packet(self, kind: int, payload: bytes, time: int = _NONE, duration: int = 0) -> None:
        header = struct.pack(
            ">BBBxHIQQQQH14xHH", 1, 0, 0, kind, len(payload), time, duration, self._NONE, self._NONE, 0, 0, 0
        )
        try:
            self._process.stdin.write(header + payload)
        except BrokenPipeError:
            self.finish()
            raise EngineError("the element ended before its input did") from None


_TIME_SEGMENT = (
    b'GstEventSegment, segment=(GstSegment)"segment, flags=(GstSegmentFlags)GST_SEGMENT_FLAG_NONE, rate=(double)1, '
    b"applied-rate=(double)1, format=(GstFormat)time, base=(guint64)0, offset=(guint64)0, start=(guint64)0, "
    b"stop=(guint64)18446744073709551615, time=(guint64)0, position=(guint64)0, "
    b'duration=(guint64)18446744073709551615;";\0'
)


def _by_time(path: Path) -> dict[int, dict]:
    answers = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {answer["timestamp"]: answer for answer in answers}


def _read(lines: dict[int, dict], windows: list[tuple[int, int]], decoding: str, tree: Tree) -> Results:
    missing = [number for number, time in windows if time not in lines]
    if missing or len(lines) != len(windows):
        raise EngineError(
            f"{decoding}: {len(windows)} windows, {len(lines)} answers; none for the windows {missing[:9]}"
        )
    found = [lines[time] for _, time in windows]
    names = _Names(tree)
    return Results(
        np.array([number for number, _ in windows], np.int64),
        _answers(found, [names.top(line) for line in found], names, decoding),
        _answers([line["tracked"] for line in found], None, names, "marginal"),
        np.array([line["stable"] for line in found], bool),
    )


def _answers(places: list[dict], tops: list | None, names: _Names, decoding: str) -> Answers:
    """@places: objects with the fields from city to horizontal-error; @tops: by window, [level] of indices."""

    def column(key: str) -> np.ndarray:
        return np.array([place[key] for place in places], np.float64)

    if decoding == "independent":  # the levels may contradict each other: each says its own most probable label
        index = [[level[0] for level in top] for top in tops]
    else:
        index = [names.path(place) for place in places]
    return Answers(
        np.array(index, np.int64).reshape(-1, len(LEVELS)),
        np.stack([column(f"{level}-confidence") for level in LEVELS], 1),
        np.zeros(len(places), np.int64),
        [np.array([top[level] for top in tops], np.int64) for level in range(len(LEVELS))] if tops else [],
        column("latitude"),
        column("longitude"),
        column("horizontal-error"),
    )


class _Names:
    """From names and labels back to indices. Two cities may be shown under one name: the path above them and their
    coordinates tell which."""

    def __init__(self, tree: Tree):
        self._tree = tree
        self._labels = [{label: i for i, label in enumerate(tree.places.labels(level))} for level in LEVELS]
        self._paths: dict[tuple[str, ...], list[int]] = {}
        for city, path in enumerate(tree.ancestor.T):
            name = tuple(tree.names[level][index] for level, index in enumerate(path))
            self._paths.setdefault(name, []).append(city)

    def path(self, place: dict) -> tuple[int, ...]:
        cities = self._paths[tuple(place[level] for level in LEVELS)]
        here = np.array((place["latitude"], place["longitude"]))
        city = min(cities, key=lambda city: float(np.abs(self._tree.coordinates[city] - here).sum()))
        return tuple(self._tree.ancestor[:, city])

    def top(self, line: dict) -> list[list[int]]:
        top: list[list[int]] = [[] for _ in LEVELS]
        for prediction in line["predictions"]:
            level = LEVELS.index(prediction["level"])
            top[level].append(self._labels[level][prediction["label"]])
        return top
