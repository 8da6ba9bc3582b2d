# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `./run gpu-bundle` takes to a GPU, without one: run.sh and its summary, with stand-ins for all that computes."""

import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

BUNDLE = Path(__file__).with_name("bundle")
NETWORKS = ("small-16", "small-6", "base")

BENCH = """#!/bin/sh
for option; do geometry=${option#--geometry=}; done
if [ "$geometry" = "$FAIL" ]; then
  echo '{"results": [], "error": "no room"}'
  exit 1
fi
cat <<END
{"results": [{"geometry": "$geometry", "engine": "cuda Test fp16", "batch": 8, "median_ms": 2.0, "p99_ms": 2.1}],
 "pictures": [{"geometry": "$geometry", "from": "device", "width": 1920, "height": 1080, "median_us": 20.0},
              {"geometry": "$geometry", "from": "device-in-a-row", "width": 1920, "height": 1080, "median_us": 12.0},
              {"geometry": "$geometry", "from": "system", "width": 1920, "height": 1080, "median_us": 400.0}],
 "end_to_end": [{"geometry": "$geometry", "median_ms": 0.6}],
 "live": [{"geometry": "$geometry", "streams": 64, "share": 0.1}],
 "errors": [{"geometry": "$geometry", "relative_error": 2e-4}]}
END
mkdir -p "$XDG_CACHE_HOME/cityguessr"
echo choices > "$XDG_CACHE_HOME/cityguessr/cuda-tuning"
"""

TESTS = """#!/bin/sh
[ -z "$HANG" ] || exec sleep 600
[ "$2" != "$BAIL" ] || { echo "Bail out! lost"; exit 134; }
echo "# a distance of 2e-4"
echo "ok 1 $2"
echo 1..1
"""

PEERS = """
import json, sys
*_, output, geometry = sys.argv[1:]
peer = {"geometry": geometry, "batch": 8, "clock": "device"}
results = [{**peer, "name": "right", "median_ms": 3.0, "error": 1e-3}, {**peer, "name": "wrong", "median_ms": 1.0,
           "error": 0.3}, {**peer, "name": "nothing", "median_ms": 0.5, "error": float("nan")}]
missing = [{"geometry": geometry, "batch": 8, "name": "absent", "reason": "ImportError: no absent"}]
json.dump({"results": results, "missing": missing, "versions": {"torch": "1"}}, open(output, "w"))
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "bin").mkdir(parents=True)
    for name in ("run.sh", "summary.py", "nvidia-libraries.py"):
        shutil.copy(BUNDLE / name, folder)
    (folder / "peers-device.py").write_text(PEERS)
    for name, text in (("cityguessr", BENCH), ("test-device", TESTS)):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    return folder


def environment(**variables: str) -> dict[str, str]:
    """Of stand-ins that do all well but what @variables say."""
    return {**os.environ, "FAIL": "", "HANG": "", "BAIL": "", **variables}


def run(bundle: Path, *options: str, **variables: str) -> tuple[int, dict, str]:
    """The exit status, summary.json and summary.txt. The results are three files, whatever happens."""
    results = bundle / "out"
    done = subprocess.run(
        [bundle / "run.sh", *options, results], env=environment(**variables),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert sorted(path.name for path in results.iterdir()) == ["logs.tar.gz", "summary.json", "summary.txt"], done
    text = (results / "summary.txt").read_text()
    assert done.stdout == text
    return done.returncode, json.loads((results / "summary.json").read_text()), text


def test_all_that_was_measured_stands_beside_its_bar(bundle):
    status, summary, text = run(bundle, "--only", "bench peers device bench-again")
    assert status == 0, text
    assert [row["geometry"] for row in summary["table"]] == list(NETWORKS)
    for row in summary["table"]:
        assert (row["median_ms"], row["again_ms"], row["engine"]) == (2.0, 2.0, "cuda Test fp16")
        assert (row["best_peer"], row["ratio"], row["ratio_reached"]) == ("right", 1.5, True)  # not the wrong ones
    assert {row["geometry"]: row["reached"] for row in summary["table"]} == {
        "small-16": True, "small-6": False, "base": True,
    }  # fmt: skip
    verdicts = {entry["from"]: entry.get("reached") for entry in summary["pictures"]}
    assert verdicts == {"device": False, "device-in-a-row": True, "system": None}
    assert [entry.get("reached") for entry in summary["end_to_end"]] == [True, False, None]
    assert all(entry["reached"] for entry in summary["live"])
    assert set(summary["tests"]) == {f"device-{name}" for name in ("clients", "parity", "batches", "pictures")}
    for told in summary["tests"].values():
        assert told == {"passed": 1, "failed": 0, "skipped": 0, "missing": 0, "says": ["a distance of 2e-4"]}
    assert "wrong, whose answers are WRONG" in text and "absent: ImportError: no absent" in text
    assert [peer["error"] for peer in summary["peers"]["results"]] == [1e-3, 0.3, None] * 3


def test_the_logs_hold_what_was_said_and_what_the_tuner_chose(bundle):
    run(bundle, "--only", "bench")
    with tarfile.open(bundle / "out" / "logs.tar.gz") as logs:
        names = logs.getnames()
    assert {"./bench-base.json", "./bench-base.json.log", "./parts.tsv", "./cache/cityguessr/cuda-tuning"} <= set(names)


def test_a_part_that_fails_takes_nothing_along(bundle):
    status, summary, text = run(bundle, "--only", "bench device", FAIL="small-6", BAIL="/cuda/device/clients")
    assert status == 1
    assert [row["geometry"] for row in summary["table"]] == ["small-16", "base"]
    assert summary["bench"]["error"] == {"small-6": "no room"}
    states = {part["name"]: part["status"] for part in summary["parts"]}
    assert states["bench-small-6.json"] == "1" and states["bench-base.json"] == states["device-parity.tap"] == "0"
    assert "ended early: no room" in text
    counts = {"passed": 0, "failed": 1, "skipped": 0, "missing": 1}
    assert summary["tests"]["device-clients"] == {**counts, "says": ["Bail out! lost"]}


def test_a_part_that_hangs_is_ended_and_what_finds_no_time_is_named(bundle):
    status, summary, _ = run(bundle, "--seconds", "20", "--only", "device bench", HANG="yes")
    assert status == 1
    states = [part["status"] for part in summary["parts"]]
    assert states == ["124"] + ["left out"] * 6
    assert summary["tests"]["device-clients"]["missing"] == 1


def test_a_signal_ends_the_part_and_leaves_what_there_is(bundle):
    text, end = bundle / "out" / "summary.txt", time.monotonic() + 60
    running = subprocess.Popen(
        [bundle / "run.sh", "--only", "bench device", bundle / "out"], env=environment(HANG="yes")
    )
    try:
        while not text.is_file() or "bench-base" not in text.read_text():
            assert time.monotonic() < end
            time.sleep(0.1)
        running.terminate()
        assert running.wait(30) == 130
    finally:
        running.kill()
    summary = json.loads((bundle / "out" / "summary.json").read_text())
    assert [row["geometry"] for row in summary["table"]] == list(NETWORKS)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--fast"], "there is no option --fast"),
        (["--seconds"], "--seconds needs a value"),
        (["--seconds", "soon"], "--seconds soon is no number"),
        (["--only", "bench lunch"], "there is no part lunch"),
    ],
)
def test_misuse(bundle, options, complaint):
    done = subprocess.run([bundle / "run.sh", *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and complaint in done.stderr and "usage: run.sh" in done.stderr
