# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each ready-to-run pipeline on real bytes, and the cookbook, which shows nothing else than these pipelines."""

from __future__ import annotations

import functools
import http.server
import itertools
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import gst
import numpy as np
import pytest
from running import PIPELINES, PYTHON, Running, camera, environment, make_drive, port_of, require, require_python, run

COOKBOOK = gst.ROOT / "docs" / "cookbook.md"
SCRIPTS = sorted(PIPELINES.glob("*.sh"))
NS = 10**9


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    """40 s in which the small model sees several places."""
    return make_drive(tmp_path_factory.mktemp("generated") / "drive.mp4", 42)


@pytest.fixture(params=["generated", "real"])
def drive(request, tmp_path) -> Path:
    """A video in a folder of its own, so that a script may write beside it."""
    if request.param == "real":
        require("h264parse")
        source = request.getfixturevalue("shared_data") / "clips" / "walk-carlsbad-gps.mp4"
    else:
        source = request.getfixturevalue("generated")
    return Path(shutil.copyfile(source, tmp_path / "drive.mp4"))


@pytest.fixture(scope="module")
def black(tmp_path_factory) -> Path:
    """A camera in the dark: what shines in its picture is not its own."""
    return make_drive(tmp_path_factory.mktemp("black") / "black.mp4", 60, ("black",))


def script(name: str) -> str:
    return str(PIPELINES / name)


def json_lines(text: str) -> list[dict]:
    """Of what a pipeline has printed so far: the last line may be half."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def of_the_window(answers: list[dict]) -> list[dict]:
    """Without what was measured."""
    return [{name: value for name, value in answer.items() if not name.startswith("latency")} for answer in answers]


def length(video: Path) -> float:
    """Seconds to the end of the last picture, by the container."""
    output = gst.launch(
        "-v", "filesrc", f"location={video}", "!", "qtdemux", "!", "video/x-h264", "!", "fakesink", "silent=false"
    )
    ends = re.findall(r"chain .*? pts: (\d+):(\d\d):(\d\d\.\d+), duration: \d+:\d\d:(\d\d\.\d+)", output)
    return max(
        3600 * int(hours) + 60 * int(minutes) + float(seconds) + float(duration)
        for hours, minutes, seconds, duration in ends
    )


# ---- files ----


def cues(text: str) -> list[tuple[float, float, str]]:
    """(start, end, text) of each cue, in seconds, of a SubRip or WebVTT file."""
    blocks = text.removeprefix("WEBVTT\n\n").strip("\n").split("\n\n")
    result = []
    for number, block in enumerate(blocks, 1):
        lines = block.splitlines()
        if lines[0] == str(number):  # SubRip counts
            lines.pop(0)
        found = re.fullmatch(r"(?:(\d\d):)?(\d\d):(\d\d)[,.](\d{3}) --> (?:(\d\d):)?(\d\d):(\d\d)[,.](\d{3})", lines[0])
        assert found, f"no times in cue {number}: {block!r}"
        h1, m1, s1, ms1, h2, m2, s2, ms2 = (int(part or 0) for part in found.groups())
        result.append(
            (3600 * h1 + 60 * m1 + s1 + ms1 / 1000, 3600 * h2 + 60 * m2 + s2 + ms2 / 1000, "\n".join(lines[1:]))
        )
    return result


def test_subtitles_say_the_place_of_each_window_in_both_formats(drive):
    require("srtenc")
    run(script("subtitles.sh"), drive)
    srt, vtt = drive.with_suffix(".srt").read_text(), drive.with_suffix(".vtt").read_text()
    assert vtt.startswith("WEBVTT\n\n") and srt.startswith("1\n"), srt[:100] + vtt[:100]
    assert cues(srt) == cues(vtt)

    answers = json_lines(run(script("json-lines.sh"), drive))
    windows = {round(answer["timestamp"] / NS, 3): answer["tracked"] for answer in answers}
    told = cues(srt)
    assert told[0][0] == min(windows) and told[-1][1] <= length(drive) + 0.001
    assert all(before[1] == after[0] for before, after in itertools.pairwise(told)), told
    for start, end, text in told:
        place = windows[start]
        percent = re.fullmatch(rf"{place['city']}, .*{place['country']}.* (\d+) %", text)
        assert start < end and percent, f"{text!r} for {place}"
        assert abs(int(percent[1]) - 100 * place["city-confidence"]) <= 0.51, f"{text!r} for {place}"
    assert len(told) >= (5 if "generated" in str(drive) or len(answers) > 5 else 1), told


def test_the_text_track_holds_the_same_cues_and_the_video_is_a_copy(drive, tmp_path):
    require("srtenc", "h264parse")
    output = tmp_path / "with-places.mp4"
    run(script("text-track.sh"), drive, output)

    gst.launch(
        *f"filesrc location={output} ! qtdemux name=file file.subtitle_0 ! queue ! srtenc".split(),
        *f"! filesink location={tmp_path / 'track.srt'}".split(),
        timeout=60,
    )
    run(script("subtitles.sh"), drive)
    track, subtitles = cues((tmp_path / "track.srt").read_text()), cues(drive.with_suffix(".srt").read_text())
    assert len(track) == len(subtitles) and [cue[2] for cue in track] == [cue[2] for cue in subtitles], track
    assert np.allclose([cue[:2] for cue in track], [cue[:2] for cue in subtitles], atol=0.002), (track, subtitles)

    def pictures(video: Path) -> list[str]:
        """Time and checksum of each."""
        words = "! qtdemux name=file file.video_0 ! queue ! decodebin ! checksumsink sync=false".split()
        return gst.launch("-q", "filesrc", f"location={video}", *words).split("\n")

    assert len(pictures(drive)) > 20 and pictures(output) == pictures(drive)


def test_json_lines_are_the_messages_of_the_bus(drive):
    answers = json_lines(run(script("json-lines.sh"), drive))
    messages = gst.answers(drive, "model=generated:tiny:1")
    assert len(answers) == len(messages) >= 1
    for answer, message in zip(answers, messages, strict=True):
        for name in "timestamp duration window-id samples city state country country-code continent".split():
            assert str(answer[name]) == message.fields[name], f"{name}: {answer[name]} is not {message.fields[name]}"
        for name in ("city-confidence", "latitude", "longitude"):
            assert answer[name] == pytest.approx(float(message.fields[name]), abs=1e-6), name
        best = {level: list(message.predictions[level]) for level in message.predictions}
        assert {level: [p["label"] for p in answer["predictions"] if p["level"] == level] for level in best} == best


def test_json_lines_of_a_file_are_the_same_each_time(generated):
    first, second = (of_the_window(json_lines(run(script("json-lines.sh"), generated))) for _ in range(2))
    assert len(first) > 5 and first == second


# ---- cameras ----


def test_the_overlay_writes_into_the_picture(tmp_path):
    """A dark room at 10 pictures a second: nothing shines until the first answer, then text does."""
    require()
    raw = tmp_path / "pictures"
    run(
        script("camera-overlay.sh"),
        SOURCE="videotestsrc is-live=true pattern=black num-buffers=60 "
        "! video/x-raw,format=I420,width=640,height=360,framerate=10/1",
        SINK=f"video/x-raw,format=I420 ! filesink location={raw}",
    )
    pictures = np.fromfile(raw, np.uint8).reshape(-1, 360 * 3 // 2, 640)[:, :360]
    shining = (pictures > 180).sum(axis=(1, 2))
    assert len(pictures) == 60 and not shining[:10].any(), shining
    assert shining[-5:].min() > 300, shining


def test_a_camera_that_goes_away_is_called_again(generated, tmp_path):
    require("rtspsrc", "h264parse")
    require_python("Gst", "GstRtspServer")
    server, url = camera(tmp_path, generated, sound=True)
    with Running(tmp_path, script("rtsp-reconnect.sh"), url) as pipeline:

        def starts_again() -> bool:
            windows = [answer["window-id"] for answer in json_lines(pipeline.said())]
            return any(later <= earlier for earlier, later in itertools.pairwise(windows))

        with server:
            pipeline.wait_for("answer", lambda: json_lines(pipeline.said()))
        pipeline.wait_for(
            "complaint", lambda: "ERROR" in pipeline.err.read_text() or "WARNING" in pipeline.err.read_text()
        )
        server, again = camera(tmp_path, generated, port_of(url), sound=True)
        assert again == url
        with server:
            pipeline.wait_for("answer after the loss", starts_again)
            assert pipeline.interrupt() == 0, pipeline.report()
    for answer in json_lines(pipeline.said()):
        assert answer["city"] and 0 < answer["city-confidence"] <= 1, answer


def test_two_cameras_share_one_engine(generated, black, tmp_path):
    require("rtspsrc", "h264parse")
    require_python("Gst", "GstRtspServer")
    front, front_url = camera(tmp_path, generated)
    with front:
        rear, rear_url = camera(tmp_path, black)
        with rear, Running(tmp_path, script("two-cameras.sh"), front_url, rear_url) as pipeline:
            for name in ("front", "rear"):
                pipeline.wait_for(
                    f"answer of {name}", lambda name=name: f'"{name}" (element): cityguessr,' in pipeline.said()
                )
            threads = [
                comm.read_text().strip()
                for process in pipeline.group()
                for comm in Path(f"/proc/{process}/task").glob("*/comm")
            ]
    assert threads.count("cg-engine") == 1, threads
    assert threads.count("cityguessr") == 2, threads  # that each element answers with


def test_recording_and_answers_lie_beside_each_other(generated, tmp_path):
    require("rtspsrc", "h264parse")
    require_python("Gst", "GstRtspServer")
    recording, answers = tmp_path / "recorded.mkv", tmp_path / "recorded.jsonl"
    server, url = camera(tmp_path, generated, sound=True)
    with server, Running(tmp_path, script("record-and-analyse.sh"), url, recording) as pipeline:
        pipeline.wait_for("answer", lambda: answers.exists() and json_lines(answers.read_text()))
        pipeline.interrupt()
    told = json_lines(answers.read_text())
    assert told and all(answer["city"] for answer in told)
    clip = gst.decode(recording, tmp_path)
    assert len(clip.frames) > 15 and clip.pts == sorted(clip.pts), clip.pts
    window = told[0]["timestamp"] + told[0]["duration"]
    assert clip.pts[-1] - clip.pts[0] > 0.5 * window, f"{clip.pts[-1]} ns recorded, {window} ns looked at"
    # Ended well: a file that was cut off has no index, nor its duration.
    assert b"\x1c\x53\xbb\x6b" in recording.read_bytes(), "no Cues in the Matroska file"


def test_a_playlist_on_the_web(generated, tmp_path):
    require("h264parse")
    gst.launch(
        *f"filesrc location={generated} ! qtdemux ! h264parse config-interval=-1 ! mpegtsmux".split(),
        *f"! multifilesink location={tmp_path}/segment%05d.ts next-file=key-frame".split(),
        "min-keyframe-distance=5000000000",
        timeout=60,
    )
    segments = sorted(tmp_path.glob("segment*.ts"))
    head = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:6", "#EXT-X-MEDIA-SEQUENCE:0"]
    pieces = [line for segment in segments for line in ("#EXTINF:5.0,", segment.name)]
    (tmp_path / "stream.m3u8").write_text("\n".join([*head, *pieces, "#EXT-X-ENDLIST", ""]))
    assert len(segments) > 3, segments

    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        output = run(script("hls.sh"), f"http://127.0.0.1:{server.server_port}/stream.m3u8")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    answers, of_the_file = json_lines(output), json_lines(run(script("json-lines.sh"), generated))
    assert {f"/{segment.name}" for segment in segments} <= set(asked), asked
    assert [answer["city"] for answer in answers] == [answer["city"] for answer in of_the_file], output[-2000:]
    last = max((answer["timestamp"] + answer["duration"] - answers[0]["timestamp"]) / NS for answer in answers)
    assert abs(last - length(generated)) < 1.5, last


def test_the_restreamed_picture_shows_the_place_to_every_player(black, tmp_path):
    require("rtspsrc", "h264parse", "x264enc")
    require_python("Gst", "GstRtspServer")
    server, url = camera(tmp_path, black)
    size = 320 * 180 * 3 // 2

    def play(place: str, raw: Path) -> Running:
        words = f"gst-launch-1.0 -q rtspsrc location={place} protocols=tcp ! rtph264depay ! avdec_h264"
        return Running(tmp_path, *words.split(), *f"! filesink location={raw}".split())

    def shining(raw: Path) -> bool:
        pictures = np.fromfile(raw, np.uint8) if raw.exists() else np.empty(0, np.uint8)
        pictures = pictures[: len(pictures) // size * size].reshape(-1, 180 * 3 // 2, 320)[:, :180]
        return len(pictures) > 20 and (pictures[-1] > 150).sum() > 100

    with server, Running(tmp_path, PYTHON, script("restream.py"), url, "0") as restream:
        place = restream.wait_for("address", lambda: re.fullmatch(r"(rtsp://.*:\d+/place)\n", restream.said()))[1]
        for number in range(2):  # the second is joined to what the first one started
            with play(place, tmp_path / f"{number}.i420") as player:
                player.wait_for("caption", lambda number=number: shining(tmp_path / f"{number}.i420"), 60)
        assert restream.interrupt() == 0, restream.report()


# ---- all of them, and the page ----


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_short_and_says_what_it_shows(path):
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == "#!/bin/sh" and lines[1].startswith("# ") and f"#   {path.name}" in text, lines[:3]
    assert "gst-launch-1.0" in text and path.stat().st_mode & 0o111
    code = [line for line in lines if line.strip() and not line.startswith("#")]
    assert len(code) <= 25, len(code)


@pytest.mark.parametrize("path", [path for path in SCRIPTS if "${1:?" in path.read_text()], ids=lambda path: path.name)
def test_a_script_without_arguments_tells_its_usage(path):
    done = subprocess.run([path], env=environment(), capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and f"usage: {path.name}" in done.stderr, done.stdout + done.stderr


def test_without_a_model_the_message_says_how_to_set_one(generated):
    require()
    done = subprocess.run(
        [script("json-lines.sh"), generated],
        env=environment(CITYGUESSR_MODEL=""),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0 and "CITYGUESSR_MODEL" in done.stderr, done.stdout + done.stderr


def sections() -> dict[str, str]:
    """{file in pipelines/: its section of the cookbook}"""
    result = {}
    for section in re.split(r"^## ", COOKBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        for name in re.findall(r"`pipelines/([\w.-]+)[ `]", section):
            result[name] = section
    return result


def test_the_cookbook_shows_every_pipeline_and_application():
    there = {path.name for path in SCRIPTS} | {"restream.py", "show-place.py", "show-place.c"}
    assert set(sections()) == there


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_what_the_cookbook_shows_stands_in_the_script(path):
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```$", sections()[path.name], re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1 and blocks[0].strip(), f"{len(blocks)} blocks"
    code = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert f"\n{blocks[0]}" in "\n".join(code) + "\n", blocks[0]
    assert blocks[0].lstrip().startswith(("gst-launch-1.0", "while")) and code[-1] == blocks[0].splitlines()[-1]
