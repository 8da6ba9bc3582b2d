# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lines of JSON against docs/answer.schema.json: every line fits it, and what is not an answer does not."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from gst import ROOT, environment, launch, require_element
from jsonschema import Draft202012Validator

SCHEMA = json.loads((ROOT / "docs" / "answer.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
BUILD = Path(os.environ.get("CITYGUESSR_BUILD_DIR", ROOT / "build"))
WRITER = BUILD / "tests" / "gst-plugin" / "test-element-answer-json"


def read(path: Path) -> list[dict]:
    """One object a line, each with its keys once, nothing that RFC 8259 does not have."""

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs), f"a key twice: {pairs}"
        return dict(pairs)

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line, object_pairs_hook=unique, parse_constant=refuse) for line in text.splitlines()]


@pytest.fixture(scope="module")
def lines(tmp_path_factory) -> list[dict]:
    """Many answers, as the C code writes them."""
    if not WRITER.exists():
        pytest.skip(f"no {WRITER}: build the tests in C, or set CITYGUESSR_BUILD_DIR")
    path = tmp_path_factory.mktemp("json") / "lines.json"
    # The registry of GStreamer is not wanted: no element is made.
    variables = dict(environment(), CITYGUESSR_JSON_LINES=str(path), GST_REGISTRY_UPDATE="no", CK_FORK="no")
    subprocess.run([WRITER], env=variables, check=True, capture_output=True, timeout=60)
    return read(path)


def errors(answer) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(answer)]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("example", SCHEMA["examples"])
def test_an_example_fits(example):
    assert errors(example) == []


def test_every_answer_fits(lines):
    assert len(lines) == 500
    assert {number: found for number, line in enumerate(lines) if (found := errors(line))} == {}


def test_every_key_of_the_schema_is_written_in_its_order(lines):
    order = list(SCHEMA["properties"])
    for line in lines:
        assert list(line) == [key for key in order if key in line]
    assert {key for line in lines for key in line} == set(order)
    place = set(SCHEMA["properties"]["tracked"]["properties"])
    assert {key for line in lines for key in line["tracked"]} == place


def test_some_answers_have_all_and_some_lack_what_they_may(lines):
    for key in SCHEMA["properties"]:
        seen = {key in line for line in lines}
        assert seen == ({True} if key in SCHEMA["required"] else {True, False}), key


def test_seconds_are_the_nanoseconds(lines):
    for line in lines:
        for key in ("timestamp", "stream-time", "running-time", "duration", "latency"):
            whole, seconds = line[key], line[f"{key}-seconds"]
            if whole is None:
                assert seconds is None
            else:
                assert isinstance(whole, int) and round(seconds * 10**9) == whole, (key, whole, seconds)


def test_an_answer_without_a_required_key_does_not_fit(lines):
    for key in SCHEMA["required"]:
        assert errors({other: value for other, value in lines[0].items() if other != key}), key


WRONG = {
    "another key": {"town": "Rome"},
    "a time as text": {"timestamp": "1400000000"},
    "a time with a fraction": {"timestamp": 1.5},
    "a negative time": {"latency": -1},
    "an unsure confidence": {"city-confidence": None},
    "a confidence in per cent": {"city-confidence": 93},
    "a latitude off the globe": {"latitude": 91},
    "a longitude off the globe": {"longitude": -180.5},
    "a negative error": {"horizontal-error": -1},
    "no sample": {"samples": 0},
    "a flag as a number": {"partial": 1},
    "an empty name": {"city": ""},
    "a country for a code": {"country-code": "Italy"},
    "a place without a structure": {"tracked": "Rome"},
    "a place without coordinates": {"tracked": {"city": "Rome"}},
    "predictions of something else": {"predictions": [{"level": "planet"}]},
    "a list of names": {"predictions": ["Rome"]},
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_answer_does_not_fit(lines, case):
    whole = next(line for line in lines if "country-code" in line and "city" in line)
    assert errors({**whole, **WRONG[case]}), f"{case} fits"


@pytest.mark.parametrize("coarser", ["state", "country", "continent"])
@pytest.mark.parametrize("tracked", [False, True])
def test_a_name_without_a_coarser_one_does_not_fit(lines, coarser, tracked):
    line = next(line for line in lines if "city" in (line["tracked"] if tracked else line))
    if tracked:
        line = {**line, "tracked": {key: value for key, value in line["tracked"].items() if key != coarser}}
    else:
        line = {key: value for key, value in line.items() if key != coarser}
    assert errors(line)


def test_the_pad_gives_lines_that_fit(tmp_path):
    require_element()
    path = tmp_path / "answers.json"
    launch(
        *"videotestsrc num-buffers=100 ! video/x-raw,framerate=10/1".split(),
        *"! cityguessr name=c device=null model=generated:tiny:1 sample-interval=100000000 ! fakesink".split(),
        *f"c.json_src ! filesink location={path}".split(),
    )
    answers = read(path)
    assert len(answers) > 10
    assert {number: found for number, line in enumerate(answers) if (found := errors(line))} == {}
    assert [line["window-id"] for line in answers] == list(range(len(answers)))
