# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which videos belong to one drive, and which places a video passes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from .gps import Track
from .metrics import great_circle

PAUSE = 30 * 60.0
"""Seconds from the end of one video to the beginning of the next of the same drive, at most."""

NEAR = 2000.0
"""Metres between the tracks of two videos of one drive, at most."""

CELL = 0.01
"""Degrees: videos without a trusted clock are of one drive if they come into the same or neighbouring cells of this
size, about a kilometre."""


@dataclass(frozen=True)
class Piece:
    """A part of a video in one place. @begin, @end: seconds; @fixes: numbers of the track's positions in it"""

    place: Hashable
    begin: float
    end: float
    fixes: tuple[int, ...]

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def pieces(track: Track, places: Sequence[Hashable | None], reach: float, shortest: float) -> list[Piece]:
    """The parts of a video by their place, in the order of time.

    A position speaks for the time halfway to its neighbours, but for no more than @reach seconds to either side: what
    lies farther from any position is in no piece, and neither is what has no place (None). A piece of less than
    @shortest seconds goes to the longer one of those that touch it, as the nearest town flickers along a border.
    """
    result: list[Piece] = []
    middles = (track.times[1:] + track.times[:-1]) / 2
    for i, (time, place) in enumerate(zip(track.times, places)):
        before = middles[i - 1] if i > 0 else 0.0
        last = track.duration if math.isfinite(track.duration) else math.inf
        after = middles[i] if i < len(middles) else max(last, time)
        begin, end = max(float(before), time - reach, 0.0), min(float(after), time + reach)
        if place is None or end <= begin:
            continue
        if result and result[-1].place == place and begin - result[-1].end < 1e-6:
            result[-1] = Piece(place, result[-1].begin, float(end), (*result[-1].fixes, i))
        else:
            result.append(Piece(place, float(begin), float(end), (i,)))
    return _merge(result, shortest)


def _merge(found: list[Piece], shortest: float) -> list[Piece]:
    """The shortest piece goes first."""
    while True:
        found = _join_equal(found)
        short = sorted((p.seconds, i) for i, p in enumerate(found) if p.seconds < shortest)
        for _, i in short:
            beside = [j for j in (i - 1, i + 1) if 0 <= j < len(found) and _touch(found[min(i, j)], found[max(i, j)])]
            if beside:
                j = max(beside, key=lambda j: found[j].seconds)
                first, second = found[min(i, j)], found[max(i, j)]
                joined = Piece(found[j].place, first.begin, second.end, first.fixes + second.fixes)
                found[min(i, j) : max(i, j) + 1] = [joined]
                break
        else:
            return found


def _touch(first: Piece, second: Piece) -> bool:
    return second.begin - first.end < 1e-6


def _join_equal(found: list[Piece]) -> list[Piece]:
    """Pieces of one place that touch are one."""
    result: list[Piece] = []
    for piece in found:
        if result and result[-1].place == piece.place and _touch(result[-1], piece):
            last = result.pop()
            piece = Piece(piece.place, last.begin, piece.end, last.fixes + piece.fixes)
        result.append(piece)
    return result


def group(tracks: Sequence[Track]) -> list[int]:
    """The drive of each track, counted from 0 in the order of their first tracks.

    Two videos are of one drive if at most PAUSE lies between them and their tracks come within NEAR of each other (the
    files that a dashcam cuts a drive into; a front and a rear camera), or if one of them has no clock to be trusted and
    they come near each other at any time. Rather one drive too few than test videos of a drive that was trained on.
    """
    parent = list(range(len(tracks)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(i: int, j: int) -> None:
        parent[max(root(i), root(j))] = min(root(i), root(j))

    _join_in_time(tracks, join)
    _join_untimed(tracks, join)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(i), len(numbers)) for i in range(len(tracks))]


def _join_in_time(tracks: Sequence[Track], join: Callable[[int, int], None]) -> None:
    timed = sorted((t.began.timestamp(), i) for i, t in enumerate(tracks) if t.began is not None and len(t.times))
    running: list[tuple[float, int]] = []  # end, number: those that a later one may belong to
    for begin, i in timed:
        running = [(end, j) for end, j in running if end + PAUSE >= begin]
        for _, j in running:
            if _distance(tracks[i], tracks[j]) <= NEAR:
                join(i, j)
        running.append((begin + tracks[i].seconds, i))


def _distance(a: Track, b: Track, most: int = 32) -> float:
    """Metres between the nearest of at most @most positions of each, its first and last among them."""
    one, other = (
        t.points[np.unique(np.linspace(0, len(t.points) - 1, min(most, len(t.points))).astype(int))] for t in (a, b)
    )
    return float(great_circle(one[:, None, 0], one[:, None, 1], other[None, :, 0], other[None, :, 1]).min())


def _join_untimed(tracks: Sequence[Track], join: Callable[[int, int], None]) -> None:
    inside = [{_cell(*point) for point in track.points} for track in tracks]
    of_cell = defaultdict(list)
    for i, cells in enumerate(inside):
        for cell in cells:
            of_cell[cell].append(i)
    for i, track in enumerate(tracks):
        if track.began is not None:
            continue
        for row, column in inside[i]:
            for beside in ((row + y, (column + x) % round(360 / CELL)) for y in (-1, 0, 1) for x in (-1, 0, 1)):
                for j in of_cell.get(beside, ()):
                    join(i, j)


def _cell(latitude: float, longitude: float) -> tuple[int, int]:
    return int(latitude // CELL), int(longitude // CELL) % round(360 / CELL)
