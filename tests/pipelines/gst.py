# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pipelines through gst-launch-1.0: clips decoded to pictures with their times, and the element's messages."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    """As it is, and with the plugin of the build folder: CITYGUESSR_BUILD_DIR, or build/ in the tree, unless
    GST_PLUGIN_PATH_1_0 names one already, as `meson devenv` and `meson test` do."""
    variables = dict(os.environ)
    build = Path(variables.get("CITYGUESSR_BUILD_DIR", ROOT / "build"))
    if "GST_PLUGIN_PATH_1_0" not in variables and (build / "gst-plugin").is_dir():
        variables["GST_PLUGIN_PATH_1_0"] = str(build / "gst-plugin")
        variables["GST_REGISTRY_1_0"] = str(build / "gst-registry.bin")
    return variables


def launch(*description: str, timeout: float = 300) -> str:
    """Runs gst-launch-1.0 with these words; returns what it printed, or fails with it."""
    result = subprocess.run(["gst-launch-1.0", *description], env=environment(), capture_output=True, timeout=timeout)
    output = result.stdout.decode(errors="surrogateescape")
    assert result.returncode == 0, f"{' '.join(description)}\n{output}\n{result.stderr.decode(errors='replace')}"
    return output


def require_element() -> None:
    # Not --exists: that compares the plugin's version with GStreamer's.
    found = subprocess.run(["gst-inspect-1.0", "cityguessr"], env=environment(), capture_output=True)
    if found.returncode != 0:
        pytest.skip(
            "no cityguessr element: build the project, and run under `meson devenv` or set CITYGUESSR_BUILD_DIR"
        )


@dataclass(frozen=True)
class Clip:
    """A decoded file. @frames: [n, bytes of a frame] uint8, as I420; @pts and @durations: ns, [n]."""

    width: int
    height: int
    rate: Fraction
    matrix: str
    chroma_site: str
    frames: np.ndarray
    pts: list[int]
    durations: list[int]

    def rgb(self, index: int) -> Image.Image:
        """A frame as RGB, by the textbook: chroma interpolated linearly from where it was sampled, limited
        range, the matrix of the caps, all in double and rounded once."""
        w, h = self.width, self.height
        y, cb, cr = np.split(self.frames[index].astype(np.float64), [w * h, w * h * 5 // 4])
        y = (y.reshape(h, w) - 16) / 219
        cosited_h, cosited_v = {"mpeg2": (True, False), "jpeg": (False, False)}[self.chroma_site]
        cb, cr = (
            (_double(_double(c.reshape(h // 2, w // 2), 1, cosited_h), 0, cosited_v) - 128) / 224 for c in (cb, cr)
        )
        kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[self.matrix]
        r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
        g = (y - kr * r - kb * b) / (1 - kr - kb)
        return Image.fromarray(np.clip(np.rint(np.stack((r, g, b), -1) * 255), 0, 255).astype(np.uint8))

    def model_frame(self, index: int, image: int) -> np.ndarray:
        """A frame as the model takes it: [image, image, 3] uint8, resized by PIL, aspect not kept."""
        return np.asarray(self.rgb(index).resize((image, image), Image.Resampling.BILINEAR))

    def model_frames(self, indices, image: int) -> np.ndarray:
        return np.stack([self.model_frame(i, image) for i in indices])


def _double(c: np.ndarray, axis: int, cosited: bool) -> np.ndarray:
    """Twice as many samples along @axis: on and between the old ones, or a quarter beside each."""
    last = c.shape[axis] - 1
    before, after = (np.take(c, np.clip(np.arange(last + 1) + step, 0, last), axis) for step in (-1, 1))
    pair = (c, (c + after) / 2) if cosited else ((before + 3 * c) / 4, (3 * c + after) / 4)
    shape = list(c.shape)
    shape[axis] *= 2
    return np.stack(pair, axis + 1).reshape(shape)


def decode(path: Path, scratch: Path) -> Clip:
    """Every frame that decodebin shows of @path. @scratch: a folder for the raw pictures."""
    raw = scratch / f"{path.stem}.i420"
    output = launch(
        "-v",
        "filesrc",
        f"location={path}",
        "!",
        "decodebin",
        "!",
        "videoconvert",
        "!",
        "video/x-raw,format=I420",
        "!",
        "identity",
        "name=tap",
        "silent=false",
        "!",
        "filesink",
        f"location={raw}",
    )
    caps = re.search(r"tap\.GstPad:src: caps = (.*)", output)[1]

    def field(name: str) -> str:
        return re.search(rf"\b{name}=\(\w+\)([^,\s]+)", caps)[1]

    width, height = int(field("width")), int(field("height"))
    assert width % 8 == 0 and height % 2 == 0, f"{path}: rows of {width}x{height} would be padded"
    # Caps write matrices that have no name of their own as range:matrix:transfer:primaries; 4 is BT.601.
    matrix = {"bt709": "bt709", "bt601": "bt601", "2:4:0:0": "bt601"}[field("colorimetry")]
    times = [
        (_nanoseconds(pts), _nanoseconds(duration))
        for pts, duration in re.findall(r"chain .*? pts: ([\d:.]+), duration: ([\d:.]+)", output)
    ]
    frames = np.fromfile(raw, np.uint8).reshape(-1, width * height * 3 // 2)
    raw.unlink()
    assert len(frames) == len(times), f"{path}: {len(frames)} pictures, {len(times)} times"
    return Clip(
        width,
        height,
        Fraction(field("framerate")),
        matrix,
        field("chroma-site"),
        frames,
        [pts for pts, _ in times],
        [duration for _, duration in times],
    )


def _nanoseconds(text: str) -> int:
    hours, minutes, seconds = text.split(":")
    whole, fraction = seconds.split(".")
    return ((int(hours) * 60 + int(minutes)) * 60 + int(whole)) * 10**9 + int(fraction)


def write_cut(clip: Clip, first: int, path: Path) -> None:
    """The frames of @clip from @first on, without loss, as a file of its own that begins at time 0."""
    raw = path.with_suffix(".i420")
    clip.frames[first:].tofile(raw)
    launch(
        "filesrc",
        f"location={raw}",
        "!",
        "rawvideoparse",
        f"width={clip.width}",
        f"height={clip.height}",
        "format=i420",
        f"framerate={clip.rate.numerator}/{clip.rate.denominator}",
        f"colorimetry={clip.matrix}",
        "!",
        "matroskamux",
        "!",
        "filesink",
        f"location={path}",
    )
    raw.unlink()


def windows_of(clip: Clip, frames: int, interval: int, hop: int, min_samples: int = 4) -> list[list[int]]:
    """The windows that the element makes of a file that is one stretch, each as indices of frames: the rule of
    gst-plugin/sampler.h, written again. @interval: ns."""
    tolerance = min(10**6, interval // 8)
    level, held, last, full, uncovered, result = 5, [], None, False, 0, []  # held: (frame, coarsest level)
    for i, pts in enumerate(clip.pts):
        since = pts - clip.pts[0] + tolerance
        cells = [(since << grid) // interval for grid in range(6)]
        reached = [grid for grid in range(6) if last is None or cells[grid] != last[grid]]
        last = cells
        if not reached or reached[0] > level:
            continue
        held.append((i, reached[0]))
        if full:
            held.pop(0)
            uncovered += 1
            if uncovered == hop:
                result.append([frame for frame, _ in held])
                uncovered = 0
            continue
        coarse = [sample for sample in held if sample[1] == 0]
        if len(coarse) == frames:
            held, level, full = coarse, 0, True
            result.append([frame for frame, _ in held])
        while not full and len(held) == 2 * frames:
            level -= 1
            held = [sample for sample in held if sample[1] <= level]
    if full and uncovered:
        result.append([frame for frame, _ in held])
    elif not full and len(held) >= min_samples:
        n = len(held)
        result.append([held[(2 * i * (n - 1) + frames - 1) // (2 * (frames - 1))][0] for i in range(frames)])
    return result


@dataclass(frozen=True)
class Message:
    """One `cityguessr` message. @fields: its flat values as text. @predictions: {level: {label: confidence}}."""

    fields: dict[str, str]
    predictions: dict[str, dict[str, float]]


def messages(output: str) -> list[Message]:
    """What `gst-launch-1.0 -m` printed of the element's answers, in order."""
    result = []
    for line in re.findall(r"\(element\): cityguessr, (.*);", output):
        flat, _, rest = line.partition("predictions=")
        predictions: dict[str, dict[str, float]] = {}
        for level, label, confidence in re.findall(
            r"level=\(string\)(\w+),.*?label=\(string\)(\"[^\"]*\"|[^,]*),.*?confidence=\(double\)([^,;]+)",
            _unescape(rest),
        ):
            predictions.setdefault(level, {})[label.strip('"')] = float(confidence)
        pairs = re.findall(r"([\w-]+)=\(\w+\)(\"(?:[^\"\\]|\\.)*\"|[^,]*)", flat)
        pairs += re.findall(r"\b(device|model|demo)=\(\w+\)(\"(?:[^\"\\]|\\.)*\"|[^,]*)", rest.rpartition(">")[2])
        result.append(Message({name: _unescape(value).strip('"') for name, value in pairs}, predictions))
    return result


def _unescape(text: str) -> str:
    """GStreamer escapes strings, and strings in structures in arrays again: backslash and octal digits for a
    byte, or backslash and the character."""
    data = text.encode(errors="surrogateescape")
    while b"\\" in data:
        data = re.sub(rb"\\([0-3][0-7]{2}|.)", lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else m[1], data)
    return data.decode(errors="replace")


def answers(path: Path, *element: str) -> list[Message]:
    """Runs the element, with these properties, over the file."""
    return messages(
        launch("-m", "filesrc", f"location={path}", "!", "decodebin", "!", "cityguessr", *element, "!", "fakesink")
    )
