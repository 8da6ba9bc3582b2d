#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The element on this machine's GPU, by gst-launch-1.0 and the plugins of the bundle, as TAP for run.sh.

    element.py BUNDLE LIBRARIES [LOADER]

Of 1080p NV12 from system memory, and from the GPU's memory (cudaupload), the answers must come from the GPU and be the
same. LIBRARIES: folders, joined by colons, where the dynamic linker looks, which is LOADER, or the system's.
CITYGUESSR_ELEMENT_DEVICE: the element's device, default cuda.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

DEVICE = os.environ.get("CITYGUESSR_ELEMENT_DEVICE", "cuda")
SECONDS = 150  # for a pipeline
SAMPLES = 32  # each picture is one
SOURCE = (
    f"videotestsrc num-buffers={SAMPLES} pattern=ball ! video/x-raw,format=NV12,width=1920,height=1080,framerate=10/1"
).split()
UPLOAD = "! cudaupload ! video/x-raw(memory:CUDAMemory),format=NV12".split()
ELEMENT = f"! cityguessr device={DEVICE} model=generated:small-16:1 sample-interval=100000000 ! fakesink".split()
WINDOWS = 9  # of 16 samples, 2 samples apart
MOST_APART = 1e-3  # confidences of one window, in fp16


class Skipped(Exception):
    pass


@dataclass(frozen=True)
class Answer:
    time: int
    city: str
    confidence: float
    device: str


def answers(output: str) -> list[Answer]:
    """What gst-launch-1.0 -m printed of the element's messages."""
    found = []
    for line in re.findall(r"\(element\): cityguessr, (.*);", output):
        # What is nested comes between, and has all its quotes and equals signs escaped.
        fields = dict(re.findall(r"(?:^|, )([\w-]+)=\(\w+\)(\"(?:[^\"\\]|\\.)*\"|[^,]*)", line))
        values = (
            fields["running-time"],
            fields.get("city", ""),
            fields.get("city-confidence", "nan"),
            fields["device"],
        )
        time, city, confidence, device = (re.sub(r"\\(.)", r"\1", value.strip('"')) for value in values)
        found.append(Answer(int(time), city, float(confidence), device))
    return found


def has(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


class Machine:
    """GStreamer of the bundle, and nothing of any that is installed."""

    def __init__(self, bundle: Path, libraries: str, loader: str, scratch: Path) -> None:
        self._launch = [str(bundle / "bin" / "gst-launch-1.0"), "-m"]
        # The plugin with cudaupload is of use only beside the driver's decoder, which a container may lack.
        if not has("libnvcuvid.so.1"):
            libraries += f":{bundle / 'gst' / 'no-decoder'}"
        if loader:
            self._launch[:0] = [loader, "--library-path", libraries]
        self._bundle, self._scratch = bundle, scratch
        self._variables = {name: value for name, value in os.environ.items() if not name.startswith("GST_")}
        self._variables |= {} if loader else {"LD_LIBRARY_PATH": libraries}

    def _environment(self, plugins: str) -> dict[str, str]:
        return {
            **self._variables,
            "LC_ALL": "C.UTF-8",
            "GST_DEBUG_NO_COLOR": "1",
            "GST_PLUGIN_SYSTEM_PATH_1_0": str(self._bundle / "gst" / "plugins"),
            "GST_PLUGIN_PATH_1_0": plugins,
            "GST_REGISTRY_1_0": str(self._scratch / f"registry-{Path(plugins).name}"),
            "GST_REGISTRY_FORK": "no",  # the helper that scans plugins would want a loader, too
        }

    def run(self, *words: str, plugins: str = "") -> list[Answer]:
        running = subprocess.Popen(
            [*self._launch, *words], env=self._environment(plugins), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        timers = [threading.Timer(SECONDS, running.kill)]
        timers[0].start()
        said = []
        for line in running.stdout:
            said.append(line)
            if line.startswith("ERROR: from") and len(timers) == 1:
                timers.append(threading.Timer(5, running.kill))  # gst-launch-1.0 can wait for ever after an error
                timers[1].start()
        status = running.wait()
        for timer in timers:
            timer.cancel()
        output = "".join(said)
        print(output, file=sys.stderr)
        if re.search(r'no element "cudaupload"', output):
            raise Skipped("GStreamer's nvcodec plugin offers no cudaupload on this machine")
        complaints = re.findall(
            r"^(?:ERROR: from element \S+: |WARNING: erroneous pipeline: )(.*)$", output, re.MULTILINE
        )
        assert status == 0 and not complaints, "; ".join(complaints) or f"gst-launch-1.0 ended with {status}"
        return answers(output)


def check(found: list[Answer]) -> None:
    devices = sorted({answer.device for answer in found})
    cities = len({answer.city for answer in found})
    print(f"# {len(found)} answers from {', '.join(devices)}; different cities: {cities}")
    assert len(found) == WINDOWS, f"{len(found)} answers, expected {WINDOWS}"
    assert all(device.split()[0] == DEVICE for device in devices), f"expected them from {DEVICE}"
    assert all(answer.city for answer in found), "an answer names no city"


def compare(ways: dict[str, list[Answer]]) -> None:
    if len(ways) < 2:
        raise Skipped("there are no two ways to compare")
    system, device = ways.values()
    assert [answer.time for answer in system] == [answer.time for answer in device], "they are of other times"
    apart = max(abs(a.confidence - b.confidence) for a, b in zip(system, device))
    print(f"# confidence from system memory and from the device's: {apart:.2e}, bound {MOST_APART:.0e}")
    other = [(a.time, a.city, b.city) for a, b in zip(system, device) if a.city != b.city]
    assert not other, f"other cities: {other}"
    assert apart <= MOST_APART


def main() -> int:
    bundle, libraries, loader = Path(sys.argv[1]), sys.argv[2], "".join(sys.argv[3:])
    ways: dict[str, list[Answer]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        machine = Machine(bundle, libraries, loader, Path(scratch))

        def way(name: str, upload: list[str], plugins: str = "") -> None:
            found = machine.run(*SOURCE, *upload, *ELEMENT, plugins=plugins)
            check(found)
            ways[name] = found

        cases = {
            "system-memory": lambda: way("system", []),
            "device-memory": lambda: way("device", UPLOAD, str(bundle / "gst" / "nvcodec")),
            "same-answers": lambda: compare(ways),
        }
        print(f"1..{len(cases)}")
        failed = 0
        for number, (name, case) in enumerate(cases.items(), 1):
            verdict, skip = "ok", ""
            try:
                case()
            except Skipped as reason:
                skip = f" # SKIP {reason}"
            except AssertionError as problem:
                print(f"# {problem}")
                verdict, failed = "not ok", 1
            print(f"{verdict} {number} /element/{name}{skip}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
