# SPDX-License-Identifier: LGPL-2.1-or-later
"""Scripts and servers as processes of their own, and the videos they are given."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import gst
import pytest

PIPELINES = gst.ROOT / "pipelines"
SERVER = Path(__file__).with_name("rtsp_server.py")
PYTHON = "/usr/bin/python3"  # Debian's, which has PyGObject; this one is a private environment's
PACKAGES = {
    "x264enc": "gstreamer1.0-plugins-ugly",
    "h264parse": "gstreamer1.0-plugins-bad",
    "srtenc": "gstreamer1.0-plugins-bad",
    "avenc_aac": "gstreamer1.0-libav",
    "rtspsrc": "gstreamer1.0-plugins-good",
}


def environment(**more: str) -> dict[str, str]:
    """Of a user with a small untrained model: 8 samples to a window, 1.4 s apart."""
    return {**gst.environment(), "CITYGUESSR_MODEL": "generated:tiny:1", "LC_ALL": "C.UTF-8", **more}


def require(*elements: str) -> None:
    gst.require_element()
    for element in elements:
        if subprocess.run(["gst-inspect-1.0", element], env=environment(), capture_output=True).returncode != 0:
            pytest.skip(f"no {element}: install {PACKAGES[element]}")


def require_python(*namespaces: str) -> None:
    """Debian's Python with PyGObject and these typelibs."""
    check = "import gi, sys; [gi.require_version (name, '1.0') for name in sys.argv[1:]]"
    found = subprocess.run([PYTHON, "-c", check, *namespaces], capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip(
            f"{PYTHON} cannot use {' '.join(namespaces)}: install python3-gi, gir1.2-gst-plugins-base-1.0 and "
            f"gir1.2-gst-rtsp-server-1.0 ({found.stderr.strip().splitlines()[-1]})"
        )


def run(*command: str | Path, seconds: float = 60, **variables: str) -> str:
    """What a command prints that must succeed within @seconds."""
    done = subprocess.run(
        [str(word) for word in command], env=environment(**variables), capture_output=True, timeout=seconds
    )
    said = done.stdout.decode(errors="surrogateescape")
    assert done.returncode == 0, f"{command}: exit status {done.returncode}\n{said[-3000:]}\n{done.stderr.decode()}"
    return said


class Running:
    """A command that runs in the background, in a process group of its own, which leaving the context ends."""

    def __init__(self, folder: Path, *command: str | Path, **variables: str) -> None:
        self.name = Path(command[0] if command[0] != PYTHON else command[1]).name
        number = len(list(folder.glob(f"{self.name}.*.out")))
        self.out, self.err = (folder / f"{self.name}.{number}.{kind}" for kind in ("out", "err"))
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                env=environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                # A shell's background job is born deaf to Ctrl-C, and would hand that on.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.group():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def group(self) -> list[int]:
        """The processes of its group that still run."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(group) == self.process.pid and state != "Z":
                found.append(int(stat.parent.name))
        return found

    def said(self) -> str:
        return self.out.read_text(encoding="utf-8", errors="surrogateescape")

    def wait_for(self, what: str, met: Callable[[], object], seconds: float = 40) -> object:
        """Waits until met() returns something true, and returns that. Fails, with all that was said, when @seconds are
        over, or at once if the process ends without it."""
        end = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None and not self.group()
            if result := met():
                return result
            assert not ended, f"{self.name} ended with {self.process.returncode} before {what}\n{self.report()}"
            assert time.monotonic() < end, f"{self.name}: no {what} in {seconds} s\n{self.report()}"
            time.sleep(0.05)

    def report(self) -> str:
        return f"it said:\n{self.said()[-4000:]}\nand as errors:\n{self.err.read_text(errors='replace')[-4000:]}"

    def interrupt(self, seconds: float = 20) -> int:
        """Ctrl-C, as the terminal sends it: to the whole group. Returns the exit status when all have ended."""
        os.killpg(self.process.pid, signal.SIGINT)
        end = time.monotonic() + seconds
        while self.process.poll() is None or self.group():
            assert time.monotonic() < end, f"{self.name} runs on {seconds} s after Ctrl-C\n{self.report()}"
            time.sleep(0.05)
        return self.process.returncode


def camera(folder: Path, video: Path, port: int = 0, sound: bool = False) -> tuple[Running, str]:
    """An RTSP server that plays @video to each client. Returns it with its URL."""
    server = Running(folder, PYTHON, SERVER, video, str(port), *(["sound"] if sound else []))
    try:
        found = server.wait_for("port", lambda: re.fullmatch(r"(\d+)\n", server.said()), 20)
    except BaseException:
        server.__exit__()
        raise
    return server, f"rtsp://127.0.0.1:{found[1]}/camera"


def port_of(url: str) -> int:
    return int(re.search(r":(\d+)/", url)[1])


def make_drive(path: Path, seconds: int = 30, patterns: tuple[str, ...] = ("smpte", "snow", "ball")) -> Path:
    """An H.264 file with AAC sound, 10 pictures a second, of one pattern after the other."""
    require("x264enc", "h264parse", "avenc_aac")
    scenes = [
        word
        for pattern in patterns
        for word in f"videotestsrc pattern={pattern} num-buffers={seconds * 10 // len(patterns)} ! scenes.".split()
    ]
    run(
        *"gst-launch-1.0 -q concat name=scenes ! video/x-raw,format=I420,width=320,height=180,framerate=10/1".split(),
        *"! x264enc speed-preset=ultrafast key-int-max=10 ! mp4mux name=mux ! filesink".split(),
        f"location={path}",
        *f"audiotestsrc wave=ticks num-buffers={10 * seconds} samplesperbuffer=4410".split(),
        *"! audio/x-raw,rate=44100,channels=1 ! avenc_aac ! mux.".split(),
        *scenes,
    )
    return path
