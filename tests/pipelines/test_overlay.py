# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bin `cityguessroverlay`: what it draws can be read, and the launch lines of its documentation work."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from gst import ROOT, environment, launch, require_element

MODEL = ("device=null", "model=generated:tiny:1")  # 8 samples to a window
SIZES = {"360p": (640, 360), "1080p": (1920, 1080), "4K": (3840, 2160)}
NAME = "Ho Chi Minh City, Vietnam, Asia 93 %"
LONGEST = "Santa Cruz de Tenerife, Canary Islands, Spain, Europe 93 % (demo), and a second line"


@pytest.fixture(scope="module", autouse=True)
def element():
    require_element()
    found = subprocess.run(["gst-inspect-1.0", "textoverlay"], env=environment(), capture_output=True)
    assert found.returncode == 0, "no textoverlay: install gstreamer1.0-x"


def picture(folder: Path, size: tuple[int, int], pattern: str, text: str, format: str = "NV12") -> np.ndarray:
    """The last of ten pictures, when the caption has long been there. Returns: [height, width, 3] uint8, RGB."""
    width, height = size
    caps = f"video/x-raw,format={format},width={width},height={height},framerate=1/1"
    # fmt: off
    launch("-q", "videotestsrc", "num-buffers=10", f"pattern={pattern}", "!", caps, "!",
           "cityguessroverlay", *MODEL, "sample-interval=1000000000", "processing-mode=offline",
           f"caption-template={text}", "!", "videoconvert", "!", "video/x-raw,format=RGB", "!",
           "multifilesink", f"location={folder}/%d.raw", "max-files=1")
    # fmt: on
    (raw,) = folder.glob("*.raw")
    pixels = np.fromfile(raw, np.uint8).reshape(height, width, 3)
    raw.unlink()
    return pixels


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance as WCAG 2.2 defines it, 0 … 1."""
    c = rgb / 255.0
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def grow(mask: np.ndarray, radius: int) -> np.ndarray:
    """The mask and everything within a square of @radius around it."""
    for axis in (0, 1):
        grown = mask.copy()
        for step in range(1, radius + 1):
            grown |= np.roll(mask, step, axis) | np.roll(mask, -step, axis)
        mask = grown
    return mask


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory):
    """Where the text is: over black, whatever is bright. For a size: the inside of the letters, and the surroundings in
    which they have to stand out, as masks. Surroundings begin where nothing of the letter is left, and reach as far as
    the letters' strokes are thick (about a 240th of the width)."""
    known = {}

    def of(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        if size not in known:
            grey = picture(tmp_path_factory.mktemp("glyphs"), size, "black", NAME).max(axis=2)
            known[size] = grey >= 240, grow(grey >= 128, max(2, size[0] // 240)) & (grey <= 8)
        return known[size]

    return of


def contrast(pixels: np.ndarray, inside: np.ndarray, around: np.ndarray) -> tuple[float, float]:
    """WCAG contrast ratio of the text to its surroundings: to their mean, and to the brightest twentieth of them."""
    light = luminance(pixels)
    text = np.median(light[inside])
    mean, worst = light[around].mean(), np.quantile(light[around], 0.95)
    return (text + 0.05) / (mean + 0.05), (text + 0.05) / (worst + 0.05)


PATTERNS = {
    "360p": ["white", "black", "snow", "checkers-1", "checkers-8", "smpte"],
    "1080p": ["white", "black", "snow", "smpte"],
    "4K": ["white", "black", "snow"],
}


@pytest.mark.parametrize(
    "size, pattern", [(size, pattern) for size, patterns in PATTERNS.items() for pattern in patterns]
)
def test_text_stands_out(tmp_path, glyphs, size, pattern):
    """WCAG 2.2 asks for a contrast of 4.5 (3 for large text). Held here: 6 to the surroundings as a whole, and 4.5 to
    their brightest twentieth, whatever the picture is."""
    pixels = picture(tmp_path, SIZES[size], pattern, NAME)
    mean, worst = contrast(pixels, *glyphs(SIZES[size]))
    print(f"{size} {pattern}: contrast {mean:.1f} on the whole, {worst:.1f} to the brightest twentieth")
    assert mean >= 6, f"{size} {pattern}: contrast {mean:.2f}"
    assert worst >= 4.5, f"{size} {pattern}: contrast {worst:.2f} to the brightest surroundings"


@pytest.mark.parametrize("format, least", [("I420", 6), ("RGB", 4.5), ("BGRx", 4.5), ("GRAY8", 6)])
def test_text_stands_out_in_other_formats(tmp_path, glyphs, format, least):
    size = SIZES["360p"]
    pixels = picture(tmp_path, size, "white", NAME, format)
    mean, _ = contrast(pixels, *glyphs(size))
    assert mean >= least, f"{format}: contrast {mean:.2f}"


def test_outline_alone(tmp_path, glyphs):
    """P010 pictures are not shaded by textoverlay: the outline has to do, a thin line around each letter."""
    size = SIZES["1080p"]
    inside, _ = glyphs(size)
    pixels = picture(tmp_path, size, "white", NAME, "P010_10LE")
    line = luminance(pixels)[grow(inside, 3)]
    assert np.quantile(line, 0.1) < 0.1, "no dark outline"


@pytest.mark.parametrize("size", SIZES)
def test_text_is_large_and_inside(tmp_path, glyphs, size):
    """A letter is at least a fiftieth of the picture's width high in all sizes; the text keeps a margin, and what is
    too long for a line is broken into several that are inside as well."""
    width, height = SIZES[size]
    inside, _ = glyphs(SIZES[size])
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert rows[-1] - rows[0] >= width / 50
    assert columns[0] >= width * 0.1 and columns[-1] < width * 0.9
    assert rows[0] > height * 0.8 and rows[-1] < height * 0.97

    grey = picture(tmp_path, SIZES[size], "black", LONGEST).max(axis=2)
    long_rows = np.flatnonzero((grey >= 128).any(axis=1))
    assert long_rows[-1] - long_rows[0] >= 2 * (rows[-1] - rows[0]), "not broken into lines"
    assert long_rows[-1] < height * 0.97
    assert not (grey[:, : width // 200] >= 128).any() and not (grey[:, -width // 200 :] >= 128).any()


@pytest.mark.parametrize("name", ["Αθήνα, Ελλάδα", "Москва, Россия", "القاهرة", "São Paulo <&> Åre"])
def test_names_of_any_script(tmp_path, name):
    """They are drawn (with the fonts there are), and what would be markup is text."""
    grey = picture(tmp_path, SIZES["360p"], "black", name).max(axis=2)
    assert (grey >= 240).sum() > 100


# ---- the documentation ----


def launch_lines() -> list[str]:
    source = (ROOT / "gst-plugin" / "gstcityguessroverlay.c").read_text(encoding="utf-8")
    return re.findall(r"^ \* (gst-launch-1\.0 .*)$", source.split("*/")[0], re.MULTILINE)


def test_there_are_launch_lines():
    assert len(launch_lines()) == 3


@pytest.mark.parametrize("number", range(3))
def test_launch_line(tmp_path, number):
    """As it stands, but for what a test has not: a camera, a screen, a clip of that name, and a trained model."""
    launch(
        *"-q videotestsrc num-buffers=60 ! video/x-raw,width=320,height=180,framerate=2/1 ! jpegenc ! qtmux".split(),
        *f"! filesink location={tmp_path}/dashcam.mp4".split(),
    )
    line = launch_lines()[number]
    line = line.replace("v4l2src", "videotestsrc is-live=true num-buffers=30 ! video/x-raw,format=YUY2")
    line = line.replace("autovideosink", "fakesink sync=false")
    variables = {**environment(), "CITYGUESSR_MODEL": "generated:tiny:1"}
    result = subprocess.run(shlex.split(line), cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and "ERROR" not in result.stdout + result.stderr, (
        f"{line}\n{result.stdout}{result.stderr}"
    )
    if "places.mkv" in line:
        assert (tmp_path / "places.mkv").stat().st_size > 10_000
