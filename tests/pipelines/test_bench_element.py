# SPDX-License-Identifier: LGPL-2.1-or-later
"""``cityguessr bench-element``: the shape of what it prints. Short rounds; no time is held against anything here."""

import json
import os
import re
import shutil
import subprocess

import pytest

MEASURES = ("cpu", "hold", "streams", "hour", "stop")
VERDICTS = re.compile(r"reached|missed|cannot be shown (here|in this run): .+|not measured in this run")


@pytest.fixture(scope="module")
def command():
    path = os.environ.get("CITYGUESSR_COMMAND") or shutil.which("cityguessr")
    if not path:
        pytest.skip("no cityguessr command: set CITYGUESSR_COMMAND")

    def run(*arguments, **options):
        return subprocess.run(
            [path, "bench-element", *arguments], capture_output=True, text=True, timeout=300, check=False, **options
        )

    return run


@pytest.fixture(scope="module")
def everything(command) -> dict:
    """All measures in one short run, as JSON."""
    result = command("--rounds=1", "--streams=3", "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_help_and_misuse(command) -> None:
    done = command("--help")
    assert done.returncode == 0
    for option in ("--rounds", "--streams", "--only", "--json"):
        assert option in done.stdout
    for arguments, told in (
        (["--only=speed"], "not speed"),
        (["--rounds=0"], "--rounds"),
        (["--streams=1000"], "--streams"),
        (["hour"], "only options"),
        (["--frobnicate"], "--frobnicate"),
    ):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert told in done.stderr and "--help" in done.stderr


def test_without_the_element_it_says_what_to_do(command, tmp_path) -> None:
    environment = {
        **os.environ,
        "GST_PLUGIN_PATH_1_0": str(tmp_path),
        "GST_PLUGIN_SYSTEM_PATH_1_0": str(tmp_path),
        "GST_REGISTRY_1_0": str(tmp_path / "registry"),
    }
    done = command("--only=stop", env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cityguessr" in done.stderr and "GST_PLUGIN_PATH_1_0" in done.stderr


def test_the_other_commands_need_no_gstreamer(command, tmp_path) -> None:
    """GStreamer writes its registry where it is told as soon as it is initialised."""
    registry = tmp_path / "registry"
    path = os.environ.get("CITYGUESSR_COMMAND") or shutil.which("cityguessr")
    done = subprocess.run(
        [path, "generate", "tiny", "-o", tmp_path / "model.safetensors"],
        env={**os.environ, "GST_REGISTRY_1_0": str(registry)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not registry.exists()


def test_json_names_the_machine_and_every_measure(everything) -> None:
    assert everything.keys() == {"machine", "results", "bars"}
    assert everything["machine"].keys() == {"cpu", "cpus", "gstreamer"}
    assert everything["machine"]["cpus"] >= 1
    assert {result["measure"] for result in everything["results"]} == set(MEASURES)
    names = [(result["measure"], result["what"]) for result in everything["results"]]
    assert len(names) == len(set(names))


def test_each_result_is_in_order_and_was_measured(everything) -> None:
    for result in everything["results"]:
        assert result.keys() == {"measure", "what", "unit", "n", "min", "median", "p99"}
        assert result["n"] >= 1, result
        assert result["min"] <= result["median"] <= result["p99"], result


def test_each_bar_has_a_verdict_that_follows_from_its_numbers(everything) -> None:
    bars = everything["bars"]
    assert len(bars) == 12
    for bar in bars:
        assert bar.keys() == {"bar", "found", "limit", "at_least", "verdict"}
        assert VERDICTS.fullmatch(bar["verdict"]), bar
        if bar["verdict"] in ("reached", "missed"):
            good = bar["found"] >= bar["limit"] if bar["at_least"] else bar["found"] <= bar["limit"]
            assert good == (bar["verdict"] == "reached"), bar
        else:
            assert bar["found"] is None, bar


def test_the_table_says_the_same_things(command, everything) -> None:
    done = command("--rounds=1", "--only=stop", "--only=hour")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("measure ")]
    wanted = [result for result in everything["results"] if result["measure"] in ("stop", "hour")]
    for result in wanted:
        row = re.compile(
            rf"^{result['measure']} +{re.escape(result['what'])}.*( +-?\d+\.\d\d){{3}} +\d+$", re.MULTILINE
        )
        assert row.search(done.stdout), (result["what"], done.stdout)
    assert "streams " not in done.stdout
    bars = done.stdout.split("\nbars\n")[1].splitlines()
    assert len(bars) == 4
    assert all(re.search(r"at (most|least) [\d.]+ +(reached|missed|cannot|not measured)", bar) for bar in bars), bars
