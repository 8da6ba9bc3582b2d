# SPDX-License-Identifier: LGPL-2.1-or-later
"""Labels a folder of your own videos by the GPS in them, so that a model can be trained for where you drive.

    python -m cityguessr.label FOLDER [--output DIR]

DIR (default: FOLDER/cityguessr) gets

* ``videos.csv``: what the dataset ``videos`` reads: each piece of each video that lies in one place, and its split;
* ``places.json``: the label tree of these places, with their coordinates;
* ``tracks/``: the positions of each video, by its time;
* ``files.csv``: every video, the drive it belongs to, what was left out, and why;
* ``recipe.toml``: for ``cityguessr.train`` and ``cityguessr.evaluate``.

docs/your-own-drives.md shows the whole way.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from . import drives, geonames, gps, splits
from .drives import Piece
from .geonames import Labels, Town
from .gps import Track
from .metrics import mean_location

VIDEOS = frozenset(
    ".mp4 .m4v .mov .qt .3gp .3g2 .avi .mkv .webm .mts .m2ts .m2t .ts .mpg .mpeg .vob .wmv .asf .insv .360 .lrv".split()
)
"""What counts as a video; other files are only counted."""

FRACTIONS = (0.8, 0.1, 0.1)


class LabelError(ValueError):
    """The folder cannot be labelled; the message says why."""


@dataclass
class Video:
    """One file. @name: its path in the folder, with slashes; @drive: None if nothing of it is labelled"""

    name: str
    track: Track
    pieces: list[Piece] = field(default_factory=list)
    drive: int | None = None
    split: str = ""

    @property
    def labelled(self) -> float:
        return sum(piece.seconds for piece in self.pieces)

    @property
    def remarks(self) -> list[str]:
        """Why it, or a part of it, is left out, and what was odd about its GPS."""
        if self.track.problem:
            return [self.track.problem]
        left = self.track.seconds - self.labelled
        remarks = [f"{left:.0f} s too far in time from any position, or from any town: left out"] if left >= 1 else []
        return remarks + self.track.notes


@dataclass(frozen=True)
class Settings:
    """@reach, @shortest: seconds, see ``drives.pieces()``; @fractions: of train, validation and test"""

    reach: float = 30.0
    shortest: float = 30.0
    fractions: tuple[float, float, float] = FRACTIONS
    seed: int = 0


# ---- labelling ----


def find(folder: Path, leave_out: Path) -> tuple[list[Path], int]:
    """The videos under @folder, by name, and how many other files there are. What is in @leave_out is not looked at."""
    if not folder.is_dir():
        raise LabelError(f"{folder}: no such folder")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and leave_out not in path.parents]
    videos = [path for path in files if path.suffix.lower() in VIDEOS]
    return videos, len(files) - len(videos)


def label(folder: Path, paths: list[Path], settings: Settings) -> list[Video]:
    """Reads and names the positions of all videos, and divides them by drives."""
    videos = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, track in zip(paths, pool.map(gps.read, paths)):
            videos.append(Video(path.relative_to(folder).as_posix(), track))
            if sys.stderr.isatty():
                print(f"\rreading GPS: {len(videos)} of {len(paths)} videos", end="", file=sys.stderr)
    if videos and sys.stderr.isatty():
        print(file=sys.stderr)
    for video in videos:
        towns = geonames.nearest(video.track.points)
        video.pieces = drives.pieces(video.track, towns, settings.reach, settings.shortest)
    divide([video for video in videos if video.pieces], settings)
    return videos


def divide(videos: list[Video], settings: Settings) -> None:
    """Sets the drive and the split of each. A drive is of the place where it is longest."""
    for video, drive in zip(videos, drives.group([video.track for video in videos])):
        video.drive = drive
    seconds: dict[int, Counter[Town]] = defaultdict(Counter)
    for video in videos:
        for piece in video.pieces:
            seconds[video.drive][piece.place] += piece.seconds
    strata = {str(drive): str(max(sorted(places), key=places.get)) for drive, places in seconds.items()}
    assigned = splits.by_source(strata, settings.fractions, settings.seed)
    for video in videos:
        video.split = assigned[str(video.drive)]


# ---- writing ----


def write(folder: Path, output: Path, videos: list[Video]) -> Labels:
    """All files of @output. Raises LabelError if no video has a place."""
    labels = Labels(piece.place for video in videos for piece in video.pieces)
    output.mkdir(parents=True, exist_ok=True)
    _write_files(output / "files.csv", videos)
    if not labels.towns:
        raise LabelError(
            f"{folder}: none of its {len(videos)} videos has GPS that can be used; {output / 'files.csv'} says why"
        )
    (output / "places.json").write_text(labels.places(folder.resolve().name).to_json() + "\n", encoding="utf-8")
    for video in videos:
        if video.pieces:
            _write_track(output / "tracks" / f"{video.name}.csv", video.track)
    _write_videos(output / "videos.csv", folder, output, videos, labels)
    (output / "recipe.toml").write_text(_recipe(folder, output), encoding="utf-8")
    return labels


def _write_table(path: Path, header: str, rows: Iterable[list]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header.split(","))
        table.writerows(rows)


def _write_track(path: Path, track: Track) -> None:
    rows = ([f"{time:.3f}", f"{point[0]:.7f}", f"{point[1]:.7f}"] for time, point in zip(track.times, track.points))
    _write_table(path, "time,latitude,longitude", rows)


def _write_videos(path: Path, folder: Path, output: Path, videos: list[Video], labels: Labels) -> None:
    """Paths are relative to the folder of the videos, which is the dataset's root."""
    rows = []
    for video in videos:
        track = _relative(output / "tracks" / f"{video.name}.csv", folder)
        for piece in video.pieces:
            latitude, longitude = mean_location(video.track.points[list(piece.fixes)])
            whole = piece.begin < 0.5 and piece.end > video.track.seconds - 0.5
            times = ["", ""] if whole else [f"{piece.begin:.3f}", f"{piece.end:.3f}"]
            place = [*labels.path(piece.place), f"{latitude:.6f}", f"{longitude:.6f}"]
            rows.append([video.name, *place, track, video.split, *times])
    header = "video,city,state,country,continent,latitude,longitude,track,split,start,end"
    _write_table(path, header, rows)


def _write_files(path: Path, videos: list[Video]) -> None:
    rows = []
    for video in videos:
        drive = "" if video.drive is None else video.drive
        began = f"{video.track.began:%Y-%m-%dT%H:%M:%SZ}" if video.track.began else ""
        seconds = [f"{video.track.seconds:.1f}", f"{video.labelled:.1f}"]
        rows.append([video.name, *seconds, len(video.track.times), drive, video.split, began, "; ".join(video.remarks)])
    _write_table(path, "video,seconds,labelled,positions,drive,split,began,remarks", rows)


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _recipe(folder: Path, output: Path) -> str:
    name, root, table = (
        json.dumps(text, ensure_ascii=False)
        for text in (folder.resolve().name, str(folder.resolve()), _relative(output / "videos.csv", folder))
    )
    return f"""\
# Written by cityguessr.label. docs/your-own-drives.md tells what to do with it.
name = {name}

[dataset]
kind = "videos"
root = {root}
csv = {table}

# Of your videos only the places are known: no scenes, and no names of places nobody has seen.
[loss]
scene = "none"
text = "none"

# From a pretrained encoder it takes far less footage: a file that cityguessr.convert made of a VideoMAE checkpoint,
# whose licence the model then has.
# [init]
# encoder = "videomae-small.safetensors"
"""


# ---- what the user is told ----


def summary(videos: list[Video], others: int, labels: Labels) -> str:
    """Pages of figures are in the files; this is what must not be missed."""
    kept = [video for video in videos if video.pieces]
    n_drives = len({video.drive for video in kept})
    hours = sum(video.labelled for video in kept) / 3600
    lines = [
        f"{len(kept)} of {len(videos)} videos labelled: {hours:.2f} hours, {n_drives} drives, "
        f"{len(labels.towns)} cities."
    ]
    if others:
        lines.append(f"{others} other files are no videos.")
    lines += [f"  {video.name}: {'; '.join(video.remarks)}" for video in videos if video.remarks]
    by_city: dict[Town, Counter[str]] = defaultdict(Counter)
    for video in kept:
        for piece in video.pieces:
            by_city[piece.place][video.split] += piece.seconds
    lines.append("Minutes by city (train, validation, test):")
    for town in labels.towns:
        minutes = [by_city[town][split] / 60 for split in splits.SPLITS]
        remark = ""
        if not minutes[0]:
            remark = "  not in train: the model cannot learn it"
        elif not minutes[2]:
            remark = "  not in test: it takes more drives to judge it"
        lines.append(f"  {labels.path(town)[0]}: " + ", ".join(f"{value:.1f}" for value in minutes) + remark)
    return "\n".join(lines)


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cityguessr.label", description="Labels your own videos by their GPS."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the videos are, in any depth")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: FOLDER/cityguessr")
    parser.add_argument(
        "--reach",
        type=float,
        default=30.0,
        help="seconds that a position speaks for, to either side (default: %(default)g)",
    )
    parser.add_argument(
        "--shortest",
        type=float,
        default=30.0,
        help="seconds: shorter stays go to the place beside (default: %(default)g)",
    )
    parser.add_argument(
        "--fractions",
        type=float,
        nargs=3,
        default=FRACTIONS,
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="of the drives",
    )
    parser.add_argument("--seed", type=int, default=0, help="another one is another split")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    arguments = _arguments(words)
    folder, output = arguments.folder, arguments.output or arguments.folder / "cityguessr"
    settings = Settings(arguments.reach, arguments.shortest, tuple(arguments.fractions), arguments.seed)
    try:
        splits.check_fractions(settings.fractions)
        paths, others = find(folder, output)
        videos = label(folder, paths, settings)
        labels = write(folder, output, videos)
    except (ValueError, OSError, gps.GpsError, geonames.NamesError) as error:
        print(f"cityguessr.label: {error}", file=sys.stderr)
        return 1
    print(summary(videos, others, labels))
    print(f"Written to {output}. Next: python -m cityguessr.train {output / 'recipe.toml'} --output my-model")
    return 0


if __name__ == "__main__":
    sys.exit(main())
