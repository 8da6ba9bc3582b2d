# SPDX-License-Identifier: LGPL-2.1-or-later
"""What outlives the pipeline that saw the place: metas behind an encoder and a payloader, tags in a file."""

import json
import shutil
import subprocess
from pathlib import Path

import gst
import pytest
from running import PYTHON, require, require_python, run

READER = Path(__file__).with_name("read_metas.py")
VIDEO = "video/x-raw,format=I420,width=64,height=48,framerate=25/1"
GUESS = "cityguessr device=null model=generated:tiny:1 sample-interval=200000000 hop=2 min-confidence=0 track-memory=0"


def metas(behind: str) -> list[tuple[str, str]]:
    """(window-id, city) of each meta at the end of 60 frames; a frame that is cut into packets counts once."""
    pipeline = f"videotestsrc num-buffers=60 ! {VIDEO} ! {GUESS} ! {behind} ! fakesink name=sink signal-handoffs=true"
    seen = {}
    for line in run(PYTHON, READER, pipeline).splitlines():
        time, window, city = line.split(" ", 2)
        assert seen.setdefault((time, window), city) == city
    return [(window, city) for (_, window), city in seen.items()]


@pytest.mark.parametrize(
    "behind",
    [
        "videoconvert ! video/x-raw,format=RGB ! videoscale ! video/x-raw,width=32,height=24",
        "x264enc",
        "x264enc ! h264parse ! rtph264pay mtu=100",
    ],
)
def test_metas_come_through(behind):
    require("x264enc", "h264parse")
    require_python("Gst")
    plain = metas("identity")
    assert [window for window, _ in plain] == ["0", "1", "2"]  # completed by the frames 35, 45, 55
    assert sorted(metas(behind)) == plain


def ffprobe_tags(path: Path) -> str:
    """All tags of the file and its streams, as `name=value` lines."""
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "json", path],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    found = json.loads(shown.stdout)
    owners = [found.get("format", {}), *found.get("streams", [])]
    return "\n".join(f"{name}={value}" for owner in owners for name, value in owner.get("tags", {}).items())


@pytest.mark.parametrize("muxer", ["mp4mux", "matroskamux"])
@pytest.mark.parametrize("post_tags", ["final", "none"])
def test_a_muxed_file_tells_the_place(muxer, post_tags, tmp_path):
    require("x264enc", "h264parse")
    if shutil.which("ffprobe") is None:
        pytest.skip("no ffprobe: install ffmpeg")
    path = tmp_path / "drive"
    said = run(
        *f"gst-launch-1.0 -m videotestsrc num-buffers=60 ! {VIDEO} ! {GUESS} post-tags={post_tags}".split(),
        *f"! x264enc ! h264parse ! {muxer} ! filesink location={path}".split(),
    )
    last = gst.messages(said)[-1].fields
    tags = ffprobe_tags(path).replace("\\", "")  # matroskamux escapes each blank
    assert ("Place seen by CityGuessr" in tags) == (post_tags == "final"), tags
    assert (last["city"] in tags) == (post_tags == "final"), tags
