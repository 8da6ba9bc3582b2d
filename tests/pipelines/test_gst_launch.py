# SPDX-License-Identifier: LGPL-2.1-or-later
"""The element as users meet it first: gst-inspect-1.0 and gst-launch-1.0, from the build folder, uninstalled."""

import re
import subprocess
from pathlib import Path

import pytest
from gst import environment, launch, messages, require_element

MODEL = "model=generated:tiny:1"  # 8 samples to a window, 1.4 s apart, 166 cities
PROPERTIES = {
    # name: what gst-inspect-1.0 says of its default, and whether it may change while playing
    "model": ("String. Default: null", False),
    "device": ('Default: 0, "auto"', False),
    "precision": ('Default: 0, "auto"', False),
    "cuda-device-id": ("Range: 0 - 1023 Default: 0", False),
    "cpu-threads": ("Default: 0", False),
    "sample-interval": ("Range: 0 - 3600000000000 Default: 0", False),
    "hop": ("Default: 2", True),
    "min-samples": ("Default: 4", True),
    "decoding": ('Default: 0, "marginal"', True),
    "top-k": ("Range: 0 - 20 Default: 5", True),
    "min-confidence": ("Range:               0 -               1 Default:               0", True),
    "processing-mode": ('Default: 0, "auto"', True),
    "early-results": ("Default: false", True),
    "track-memory": ("Default: 600000000000", True),
    "on-device-loss": ('Default: 0, "fallback"', True),
    "post-tags": ('Default: 0, "none"', True),
    "caption-template": ('Default: "[{place}', True),
    "caption-timing": ('Default: 0, "video"', True),
    "active-device": ("String. Default: null", None),
    "stats": ('Boxed pointer of type "GstStructure"', None),
}


@pytest.fixture(scope="module", autouse=True)
def element():
    require_element()


@pytest.fixture(scope="module")
def inspected() -> str:
    variables = environment()
    variables.pop("CITYGUESSR_MODEL", None)
    return subprocess.run(
        ["gst-inspect-1.0", "cityguessr"], env=variables, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("name", PROPERTIES)
def test_inspect_shows_property(inspected, name):
    default, playing = PROPERTIES[name]
    found = re.search(rf"^  {name} +: (.+)\n((?:                       .*\n)+)", inspected, re.MULTILINE)
    assert found, f"no property {name} in:\n{inspected}"
    blurb, rest = found.groups()
    assert len(blurb) > 10, blurb
    assert default in rest, rest
    if playing is None:
        assert "flags: readable\n" in rest, rest
    else:
        state = (
            "changeable in NULL, READY, PAUSED or PLAYING state"
            if playing
            else "changeable only in NULL or READY state"
        )
        assert f"flags: readable, writable, {state}" in rest, rest


def test_inspect_shows_nothing_undocumented(inspected):
    listed = set(re.findall(r"^  ([a-z-]+) +: ", inspected.split("Element Properties:")[1], re.MULTILINE))
    assert listed == set(PROPERTIES) | {"name", "parent", "qos"}


def watch(path: Path, *properties: str) -> str:
    """A file, with all messages: what gst-launch-1.0 printed."""
    words = f"! decodebin ! cityguessr device=null {MODEL}".split()
    return launch("-m", "filesrc", f"location={path}", *words, *properties, "!", "fakesink")


@pytest.mark.parametrize(
    "clip, seconds", [("walk-carlsbad-gps.mp4", 10.5), ("drive-i280-720p.mp4", 3.5), ("walk-lund-5fps.mp4", 5.8)]
)
def test_clip(shared_data, clip, seconds):
    """A clip shorter than 8 samples of 1.4 s is spread over one window, with all its fields."""
    output = watch(shared_data / "clips" / clip)
    told = messages(output)
    assert len(told) == 1, output
    fields = told[0].fields
    assert fields["window-id"] == "0" and fields["device"] == "null" and fields["demo"] == "false"
    assert fields["partial"] == "false" and fields["samples"] == "8"
    assert 0.85 * seconds < int(fields["duration"]) / 1e9 <= seconds
    assert fields["stream-time"] == fields["running-time"] == "0"
    assert fields["city"] and fields["state"] and fields["country"] and fields["continent"]
    assert len(fields["country-code"]) == 2
    assert -90 <= float(fields["latitude"]) <= 90 and -180 <= float(fields["longitude"]) <= 180
    confidences = [float(fields[f"{level}-confidence"]) for level in ("city", "state", "country", "continent")]
    assert 0 < confidences[0] <= confidences[1] <= confidences[2] <= confidences[3] <= 1
    for level, ranked in told[0].predictions.items():
        assert len(ranked) == 5 and list(ranked.values()) == sorted(ranked.values(), reverse=True), level
    assert list(told[0].predictions) == ["city", "state", "country", "continent"]
    assert output.index("cityguessr, timestamp") < output.index("Got EOS"), "EOS came before the answer"


def test_same_file_same_answers(shared_data):
    def once():
        told = messages(watch(shared_data / "clips" / "walk-carlsbad-gps.mp4", "sample-interval=100000000"))
        return [
            ({name: value for name, value in message.fields.items() if name != "latency"}, message.predictions)
            for message in told
        ]

    runs = once(), once()
    assert len(runs[0]) > 40
    assert runs[0] == runs[1]


def failure(*properties: str) -> str:
    """What gst-launch-1.0 says of a pipeline that fails at the state change, and so ends by itself. (An error that is
    posted later, but before its main loop runs, leaves the one of GStreamer 1.22 waiting for ever.)"""
    words = "gst-launch-1.0", "videotestsrc", "num-buffers=1", "!", "cityguessr", *properties, "!", "fakesink"
    variables = {**environment(), "CITYGUESSR_MODEL": ""}
    done = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "Failed to set pipeline to PAUSED" in done.stderr, done
    return done.stderr


def test_no_model_says_how_to_set_one():
    told = failure()
    assert "No model is set" in told and "CITYGUESSR_MODEL" in told and "model" in told, told


def test_wrong_model_names_the_file(tmp_path):
    assert "/no/such/model.safetensors" in failure("model=/no/such/model.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("this is no model file at all")
    assert str(text) in failure(f"model={text}")
    assert "no-such-preset" in failure("model=generated:no-such-preset:1")
