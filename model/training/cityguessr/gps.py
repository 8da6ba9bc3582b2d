# SPDX-License-Identifier: LGPL-2.1-or-later
"""The GPS that cameras embed in their videos, read by ``exiftool``: GoPro's GPMF, NMEA sentences, and the blocks of the
dashcam makers. What is found is checked: cameras write positions before they have any, and clocks that nobody set."""

from __future__ import annotations

import json
import math
import re
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from .metrics import great_circle

TAGS = ("SampleTime", "SampleDuration", "GPSLatitude", "GPSLongitude", "GPSDateTime", "GPSMeasureMode", "GPSStatus")
EPOCH = datetime(2005, 1, 1, tzinfo=UTC)
"""No camera with GPS in its videos is older; a clock that was never set says 1970, 1980 or 2000."""

SLACK = 5.0
"""Seconds by which the fixes of a video may last longer than its pictures."""

FAR = 2000.0
"""Metres that a fix may lie from the median of its neighbours."""

_WHOLE = ("-MIMEType", "-Duration", "-Error", "-Warning")
_KEY = re.compile(r"Doc(?P<sample>\d+)(?:-(?P<part>\d+))?:(?P<tag>\w+)")


class GpsError(RuntimeError):
    """Nothing can be read; the message says what to do."""


@dataclass
class Track:
    """Where the camera was.

    @times: [n] seconds since the video's beginning, ascending; @points: [n, 2] degrees, latitude and longitude
    @duration: of the video, seconds; nan if not known
    @began: what the GPS clock said when the video began; None if it has none that can be trusted
    @notes: what was wrong and what was done about it; @problem: why there is no track ("" if there is one)
    """

    times: np.ndarray
    points: np.ndarray
    duration: float
    began: datetime | None = None
    notes: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def seconds(self) -> float:
        """Of the video; if its duration is not known, to the last position."""
        if math.isfinite(self.duration):
            return self.duration
        return float(self.times[-1]) if len(self.times) else 0.0


@dataclass
class Fix:
    """One position as the camera wrote it. @sample: seconds in the video; @clock: what its clock said."""

    latitude: float
    longitude: float
    sample: float | None
    clock: datetime | None


def read(path: Path) -> Track:
    """The track of a video. Raises GpsError if there is no exiftool; a file without GPS, or one that cannot be read,
    is a Track with a ``problem``."""
    command = ["exiftool", "-ee3", "-json", "-n", "-G3", "-api", "LargeFileSupport=1", *_WHOLE]
    try:
        done = subprocess.run([*command, *(f"-{tag}" for tag in TAGS), str(path.absolute())], capture_output=True)
    except FileNotFoundError:
        raise GpsError("there is no exiftool: install libimage-exiftool-perl (Debian) or exiftool.org") from None
    try:
        (tags,) = json.loads(done.stdout.decode(errors="replace"))
    except ValueError:
        said = done.stderr.decode(errors="replace").strip() or "it said nothing"
        return _no_track(math.nan, f"exiftool cannot read it: {said.splitlines()[-1]}")
    return from_tags(tags)


def from_tags(tags: dict) -> Track:
    """The track of what ``exiftool -ee3 -json -n -G3`` gives of one file. Never raises."""
    duration = _number(tags.get("Main:Duration"))
    duration = math.nan if duration is None or duration <= 0 else duration
    if "Main:Error" in tags:
        return _no_track(duration, f"exiftool cannot read it: {tags['Main:Error']}")
    kind = str(tags.get("Main:MIMEType", "video/"))
    if not kind.startswith("video/"):
        return _no_track(duration, f"not a video, but {kind}")
    warnings = [str(value) for key, value in tags.items() if key.endswith(":Warning")]
    if wrong := next((text for text in warnings if "will be wrong" in text), None):
        return _no_track(duration, f"exiftool cannot decode its GPS: {wrong}")
    notes: list[str] = []
    fixes = _fixes(tags, notes)
    if not fixes:
        return _no_track(duration, "; ".join(["no GPS in it" if not notes else "no usable position", *notes]), notes)
    times = _times(fixes, duration, notes)
    fixes, times = _in_order(fixes, times, notes)
    points = np.array([(fix.latitude, fix.longitude) for fix in fixes])
    kept = ~_outliers(points)
    if not kept.all():
        notes.append(
            f"{(~kept).sum()} of {len(kept)} positions lie more than {FAR / 1000:g} km off their neighbours: dropped"
        )
    began = _began(fixes, times, notes)
    return Track(times[kept], points[kept], duration, began, notes)


# ---- positions ----


def _no_track(duration: float, problem: str, notes: list[str] | None = None) -> Track:
    return Track(np.zeros(0), np.zeros((0, 2)), duration, None, notes or [], problem)


def _fixes(tags: dict, notes: list[str]) -> list[Fix]:
    """In the order of the file. Positions that the camera itself calls void are dropped, and are noted."""
    samples: dict[tuple[int, int], dict] = {}
    for key, value in tags.items():
        if match := _KEY.fullmatch(key):
            samples.setdefault((int(match["sample"]), int(match["part"] or 0)), {})[match["tag"]] = value
    written = {at: found for at, found in sorted(samples.items()) if "GPSLatitude" in found and "GPSLongitude" in found}
    fixes, void = [], 0
    for (sample, part), found in written.items():
        time = _sample_time(samples, sample, part)
        latitude, longitude = _number(found["GPSLatitude"]), _number(found["GPSLongitude"])
        lost = str(found.get("GPSStatus", "A")).upper().startswith("V")
        lost = lost or _number(found.get("GPSMeasureMode", 3)) in (0, 1)
        if lost or not _is_position(latitude, longitude):
            void += 1
            continue
        fixes.append(Fix(latitude, longitude, time, _clock(found.get("GPSDateTime"))))
    if void:
        notes.append(f"{void} of {len(written)} positions were written without satellites: dropped")
    if not written and _is_position(
        *(one := [_number(tags.get(f"Main:GPS{axis}")) for axis in ("Latitude", "Longitude")])
    ):
        notes.append("one position for the whole file")
        fixes.append(Fix(*one, 0.0, _clock(tags.get("Main:GPSDateTime"))))
    return fixes


def _sample_time(samples: dict, sample: int, part: int) -> float | None:
    """Of the parts of a sample, which has several positions, each has its share of the sample's duration."""
    whole = samples.get((sample, 0), {})
    begin = _number(samples[sample, part].get("SampleTime", whole.get("SampleTime")))
    if begin is None or part == 0:
        return begin
    parts = max(other for number, other in samples if number == sample)
    return begin + (_number(whole.get("SampleDuration")) or 0.0) * (part - 1) / parts


def _is_position(latitude: float | None, longitude: float | None) -> bool:
    """0, 0 is what cameras write for nothing."""
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return False
    return abs(latitude) > 1e-6 or abs(longitude) > 1e-6


def _outliers(points: np.ndarray) -> np.ndarray:
    """[n] bool: farther than FAR from the median of the five positions around (of fewer at the ends)."""
    if len(points) < 3:
        return np.zeros(len(points), bool)
    east = (points[:, 1] - points[0, 1] + 180) % 360 - 180  # no step at the date line
    ends = np.full((2, 2), np.nan)
    around = np.concatenate((ends, np.column_stack((points[:, 0], east)), ends))
    middle = np.nanmedian(np.lib.stride_tricks.sliding_window_view(around, 5, axis=0), axis=-1)  # [n, 2]
    return great_circle(points[:, 0], points[:, 1], middle[:, 0], points[0, 1] + middle[:, 1]) > FAR


# ---- times ----


def _times(fixes: list[Fix], duration: float, notes: list[str]) -> np.ndarray:
    """[n] seconds in the video: its own sample times where it has them; else by the GPS clock from the first fix on, if
    that runs forward and no longer than the video; else evenly over the video, or one a second."""
    if all(fix.sample is not None for fix in fixes):
        return np.array([fix.sample for fix in fixes])
    clocks = [fix.clock for fix in fixes]
    if any(clock is None for clock in clocks):
        notes.append("positions without times: " + _by_count(duration))
        return _even(len(fixes), duration)
    times = np.array([(clock - clocks[0]).total_seconds() for clock in clocks])
    back = int((np.diff(times) < 0).sum())
    if back:
        notes.append(f"the GPS clock jumps back {back} times: not used, " + _by_count(duration))
    elif math.isfinite(duration) and times[-1] > duration + SLACK:
        notes.append(
            f"the GPS clock runs {times[-1]:.0f} s in a video of {duration:.0f} s: not used, " + _by_count(duration)
        )
    else:
        if math.isfinite(duration) and duration - times[-1] > 2 * SLACK:
            notes.append(f"positions for {times[-1]:.0f} of {duration:.0f} s: taken from the video's beginning on")
        return times
    return _even(len(fixes), duration)


def _by_count(duration: float) -> str:
    return "they are taken as even over the video" if math.isfinite(duration) else "they are taken as one a second"


def _even(n: int, duration: float) -> np.ndarray:
    return np.arange(n) * (duration / n if math.isfinite(duration) else 1.0)


def _in_order(fixes: list[Fix], times: np.ndarray, notes: list[str]) -> tuple[list[Fix], np.ndarray]:
    """By time; of fixes of one time, the first. Sample times that run back are told."""
    if (np.diff(times) < 0).any():
        notes.append("sample times run back: positions are put in the order of their times")
    order = np.argsort(times, kind="stable")
    kept = [int(i) for k, i in enumerate(order) if k == 0 or times[i] > times[order[k - 1]]]
    return [fixes[i] for i in kept], times[kept]


def _began(fixes: list[Fix], times: np.ndarray, notes: list[str]) -> datetime | None:
    """The absolute time at which the video began: the median over the fixes, as single ones may be wrong (the first
    of a GoPro is often seconds late)."""
    began = [fix.clock - timedelta(seconds=float(time)) for fix, time in zip(fixes, times) if fix.clock is not None]
    if not began:
        notes.append("no GPS clock: drives are told apart by place alone")
        return None
    spread = max(began) - min(began)
    middle = sorted(began)[len(began) // 2]
    if not EPOCH <= middle <= datetime.now(UTC) + timedelta(days=2):
        notes.append(f"the GPS clock says {middle:%Y-%m-%d}, which cannot be: drives are told apart by place alone")
        return None
    if spread > timedelta(minutes=10):
        notes.append(f"the GPS clock jumps by {spread}: drives are told apart by place alone")
        return None
    return middle


def _clock(text: object) -> datetime | None:
    """exiftool's form of a time, "2019:11:18 23:45:14.000" with or without a Z. A day that no calendar has is None."""
    match = re.match(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)(\.\d+)?", str(text or ""))
    if not match:
        return None
    try:
        whole = datetime(*(int(match[i]) for i in range(1, 7)), tzinfo=UTC)
    except ValueError:
        return None
    return whole + timedelta(seconds=float(match[7] or 0))


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
