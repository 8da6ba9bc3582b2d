# SPDX-License-Identifier: LGPL-2.1-or-later
"""The small applications: what they print, how they end, and that they stay small."""

import os
import re
import socket
import subprocess
import time

import gst
import pytest
from running import PIPELINES, PYTHON, Running, camera, environment, make_drive, require, require_python

LINE = re.compile(r"(\d+):(\d\d):(\d\d) (.+), (.+), (.+) (\d+) %")


@pytest.fixture(params=["show-place.c", "show-place.py"])
def application(request) -> list[str]:
    """The command that runs it."""
    require()
    if request.param.endswith(".py"):
        require_python("Gst")
        return [PYTHON, str(PIPELINES / request.param)]
    folder = os.environ.get("CITYGUESSR_COMMAND", gst.ROOT / "build" / "pipelines" / "cityguessr")
    program = os.path.join(os.path.dirname(folder), "show-place")
    if not os.path.exists(program):
        pytest.skip(f"no {program}: build the project")
    return [program]


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    return make_drive(tmp_path_factory.mktemp("drive") / "drive.mp4", 42)


def run(command: list[str], **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=60)


def expected(video) -> list[tuple[str, ...]]:
    """What the messages of the bus say: end of the window in s, city, state, country, percent."""
    told = gst.answers(video, "model=generated:tiny:1")
    result = []
    for message in told:
        fields = message.fields
        end = (int(fields["stream-time"]) + int(fields["duration"])) // 10**9
        percent = f"{100 * float(fields['city-confidence']):.0f}"
        result.append((str(end), fields["city"], fields["state"], fields["country"], percent))
    return result


def shown(output: str) -> list[tuple[str, ...]]:
    result = []
    for line in output.splitlines():
        found = LINE.fullmatch(line)
        assert found, f"not a line of time, place and confidence: {line!r}"
        hours, minutes, seconds, *place = found.groups()
        result.append((str(3600 * int(hours) + 60 * int(minutes) + int(seconds)), *place))
    return result


def test_each_window_of_a_file_is_a_line(application, drive):
    """Complaint 16: answers that only a binding of their own can read. These are plain structures, in any language."""
    done = run([*application, str(drive)])
    assert done.returncode == 0, done.stderr
    answers = expected(drive)
    assert len(answers) > 5 and shown(done.stdout) == answers, done.stdout


def test_a_real_clip_with_sound_and_data_tracks(application, shared_data):
    clip = shared_data / "clips" / "walk-carlsbad-gps.mp4"
    done = run([*application, str(clip)])
    assert done.returncode == 0, done.stderr
    assert shown(done.stdout) == expected(clip), done.stdout


def test_a_uri_is_taken_as_it_is(application, drive):
    done = run([*application, drive.as_uri()])
    assert done.returncode == 0 and len(shown(done.stdout)) == len(expected(drive)), done.stdout + done.stderr


@pytest.mark.parametrize(
    "argument, variables, told",
    [
        ("/no/such/drive.mp4", {}, "not found"),
        (str(gst.ROOT / "COPYING"), {}, "show-place"),  # a text: no video in it
        ("rtsp://127.0.0.1:1/camera", {}, "Could not open resource"),
        ("{drive}", {"CITYGUESSR_MODEL": "/no/such/model.safetensors"}, "/no/such/model.safetensors"),
        ("{drive}", {"CITYGUESSR_MODEL": ""}, "CITYGUESSR_MODEL"),
    ],
)
def test_an_error_is_told_and_is_the_exit_status(application, drive, argument, variables, told):
    done = run([*application, argument.format(drive=drive)], **variables)
    assert done.returncode == 1, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    assert told in done.stderr and done.stdout == "", done.stdout + done.stderr


def test_without_an_argument_it_ends_with_an_error(application):
    done = run(application)
    assert done.returncode == 1 and "show-place" in done.stderr, done.stdout + done.stderr


def test_ctrl_c_ends_it_while_a_camera_runs(application, drive, tmp_path):
    require("rtspsrc", "h264parse")
    require_python("Gst", "GstRtspServer")
    server, url = camera(tmp_path, drive)
    with server, Running(tmp_path, *application, url) as showing:
        showing.wait_for("line", lambda: showing.said().count("\n") >= 1)
        began = time.monotonic()
        assert showing.interrupt() == 0, showing.report()
        assert time.monotonic() - began < 10
        shown(showing.said())


def test_ctrl_c_ends_it_while_a_camera_is_silent(application, tmp_path):
    """It takes the call, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        with Running(tmp_path, *application, f"rtsp://127.0.0.1:{silent.getsockname()[1]}/camera") as showing:
            call, _ = silent.accept()
            with call:
                assert showing.interrupt() == 0, showing.report()


def test_each_is_under_40_lines():
    """Of code: blank lines, comments, braces, includes and imports don't count, nor does a function's type alone."""
    counts = {}
    for name, dull in (
        ("show-place.c", r"\s*(/?\*.*|/\*.*\*/|[{}]|#include .*|(static )?\w+|)"),
        ("show-place.py", r"\s*(#.*|import .*|from .* import .*|)"),
    ):
        text = (PIPELINES / name).read_text(encoding="utf-8")
        text = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
        counts[name] = sum(re.fullmatch(dull, line) is None for line in text.splitlines())
    assert all(5 < count < 40 for count in counts.values()), counts
