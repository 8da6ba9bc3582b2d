"""The front door: what it says of itself, what it refuses, and that its sum of results is right.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SUMMARY = TOP / "tests" / "house" / "summary.py"


def front_door(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TOP / "run", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=60
    )


def test_help_names_every_command() -> None:
    done = front_door("help")
    assert done.returncode == 0
    for command in ("demo", "train-demo", "test", "test-debian13", "soak", "bench", "build", "deps"):
        assert f"\n  {command} " in done.stdout, done.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    done = front_door("fly")
    assert done.returncode == 2
    assert "usage:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["VIDEO=/no/such/film.mp4"], "/no/such/film.mp4: there is no such file"), (["film.mp4"], 'not "film.mp4"')],
)
def test_the_demo_refuses_what_it_cannot_show(arguments: list[str], said: str) -> None:
    done = front_door("demo", *arguments)
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["soak", "long"], 'minutes, not "long"'),
        (["test-debian13", "a", "b"], "one argument"),
        (["test", "--fast"], 'not "--fast"'),
    ],
)
def test_a_wrong_argument_starts_nothing(arguments: list[str], said: str) -> None:
    done = front_door(*arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stdout == ""


def summary(folder: Path, programs: list[dict], junit: str = "<testsuites/>", *options: str) -> tuple[int, list[str]]:
    (folder / "testlog.json").write_text("\n".join(json.dumps(program) for program in programs))
    (folder / "pytest.xml").write_text(junit)
    done = subprocess.run(
        [sys.executable, SUMMARY, folder / "testlog.json", folder / "pytest.xml", *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines()


def program(stdout: str, result: str = "OK", returncode: int = 0) -> dict:
    return {"name": "model/x", "stdout": stdout, "result": result, "returncode": returncode}


def test_the_summary_counts_cases(tmp_path: Path) -> None:
    junit = """<testsuites><testsuite><testcase classname="a" name="good"/>
      <testcase classname="a" name="bad"><failure message="x"/></testcase>
      <testcase classname="a" name="left"><skipped message="no clip"/></testcase></testsuite></testsuites>"""
    status, lines = summary(tmp_path, [program("ok 1 /x/one\nok 2 /x/two # SKIP no table\n1..2")], junit)
    assert lines == ["skipped: model/x: /x/two (no table)", "skipped: a.left (no clip)", "failed: a.bad",
                     "2 passed, 1 failed, 2 skipped"]  # fmt: skip
    assert status == 1


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (program("ok 1 /x/one\nnot ok 2 /x/two", "FAIL", 1), "failed: model/x: /x/two"),
        (program("ok 1 /x/one\n", "ERROR", -11), "failed: model/x: error, exit status -11"),
        (program("", "TIMEOUT", -9), "failed: model/x: timeout, exit status -9"),
    ],
)
def test_the_summary_misses_no_failure(tmp_path: Path, failing: dict, said: str) -> None:
    status, lines = summary(tmp_path, [failing])
    assert status == 1
    assert said in lines
    assert ", 1 failed, " in lines[-1]


def test_a_report_that_is_missing_is_a_failure(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SUMMARY, tmp_path / "testlog.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.endswith("0 passed, 1 failed, 0 skipped\n")


@pytest.mark.parametrize("name", ("model - p:model/x", "p:model / model/x"))
def test_programs_left_out_are_named(tmp_path: Path, name: str) -> None:
    tests = [{"name": "model/x", "suite": ["p:model"]}, {"name": "model/y", "suite": ["p:model", "p:slow"]}]
    (tmp_path / "tests.json").write_text(json.dumps(tests))
    ran = program("ok 1 /x") | {"name": name}
    status, lines = summary(tmp_path, [ran], "<testsuites/>", "--all-of", tmp_path / "tests.json")
    assert (status, lines) == (
        0,
        ["skipped: model/y (left out; of p:model and p:slow)", "1 passed, 0 failed, 1 skipped"],
    )


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--strict"], 1)])
def test_files_left_out_are_named(tmp_path: Path, options: list[str], status: int) -> None:
    got, lines = summary(tmp_path, [program("ok 1 /x")], "<testsuites/>", *options, "--needs-pytorch", "tests/t.py")
    assert got == status
    assert any("tests/t.py" in line for line in lines)
