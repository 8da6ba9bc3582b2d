# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `./run gpu-bundle` takes to a GPU, without one: run.sh and its summary, with stand-ins for all that computes."""

import json
import os
import re
import shutil
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

BUNDLE = Path(__file__).with_name("bundle")
BUILD = Path(os.environ.get("CITYGUESSR_BUILD_DIR", BUNDLE.parents[2] / "build"))
TOOLKITS = "cuda*/bin/compute-sanitizer"
NETWORKS = ("small-16", "small-6", "base")

BENCH = """#!/bin/sh
for option; do geometry=${option#--geometry=}; done
if [ "$geometry" = "$FAIL" ]; then
  echo '{"results": [], "error": "no room"}'
  echo "cityguessr: no room" >&2
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

# As GLib prints it: the plan, comments of its own, what the test says, the case.
TESTS = """#!/bin/sh
[ -z "$HANG" ] || exec sleep 600
echo "# random seed: R02S0"
echo "1..1"
echo "# Start of cuda tests"
[ "$2" != "$BAIL" ] || { echo "Bail out! lost"; exit 134; }
[ "$2" != "$SKIP" ] || { echo "ok 1 $2 # SKIP There is no NVIDIA driver"; exit 0; }
[ ! -f "$SAYS" ] || sed "s/^/# /" "$SAYS"
echo "ok 1 $2"
echo "# End of cuda tests"
"""

# Nine answers, 0.2 s apart. What is FAULTY is so only of pictures in the GPU's memory.
GST_LAUNCH = """#!/bin/sh
city=Kabul confidence=0.97 device="cuda\\ Test\\,\\ fp16" last=8 fault=
case $* in *cudaupload*) fault=$FAULTY ;; esac
case $fault in
  city) city=Ljubljana ;;
  nobody) city= ;;
  confidence) confidence=0.96 ;;
  device) device=cpu ;;
  last) last=7 ;;
  error)
    echo "ERROR: from element /GstPipeline:pipeline0/GstCityGuessr:cityguessr0: There is no room"
    exec sleep 600
    ;;
esac
for i in $(seq 0 $last); do
  echo "Got message #9 from element \\"cityguessr0\\" (element): cityguessr, running-time=(guint64)${i}00000000," \
    "${city:+city=(string)$city, city-confidence=(double)$confidence, }scene=(string)\\"a\\,\\ b\\"," \
    "predictions=(structure)< \\"prediction\\\\,\\\\ label\\\\=\\\\(string\\\\)Lima\\\\;\\" >," \
    "device=(string)\\"$device\\", demo=(boolean)false;"
done
"""

NVIDIA_SMI = """#!/bin/sh
echo "Test, 580.1, 1 MiB, 1 MHz, 1 W"
"""

SANITIZER = """#!/bin/sh
for option; do
  case $option in /*) break ;; esac
  shift
done
echo "========= COMPUTE-SANITIZER"
"$@"
echo "========= ERROR SUMMARY: 0 errors"
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
    for name in ("run.sh", "summary.py", "nvidia-libraries.py", "element.py"):
        shutil.copy(BUNDLE / name, folder)
    (folder / "peers-device.py").write_text(PEERS)
    (folder / "tools").mkdir()
    for name, text in (
        ("bin/cityguessr", BENCH),
        ("bin/test-device", TESTS),
        ("bin/test-engine", TESTS.replace("$2", "/engine/order")),
        ("bin/gst-launch-1.0", GST_LAUNCH),
        ("tools/nvidia-smi", NVIDIA_SMI),
        ("tools/compute-sanitizer", SANITIZER),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def environment(bundle: Path, **variables: str) -> dict[str, str]:
    """Of stand-ins that do all well but what @variables say."""
    plain = dict.fromkeys(("FAIL", "HANG", "BAIL", "SKIP", "SAYS", "FAULTY"), "")
    return {**os.environ, **plain, "PATH": f"{bundle / 'tools'}:{os.environ['PATH']}", **variables}


def run(bundle: Path, *options: str, **variables: str) -> tuple[int, dict, str]:
    """The exit status, summary.json and summary.txt. The results are three files, whatever happens."""
    results = bundle / "out"
    done = subprocess.run(
        [bundle / "run.sh", *options, results], env=environment(bundle, **variables),
        capture_output=True, text=True, timeout=600,
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
    counts = {"passed": 1, "failed": 0, "skipped": 0, "missing": 0}
    for told in summary["tests"].values():
        assert told == {**counts, "figures": [], "says": [], "skips": []}
    assert summary["wanting"] == [] and "Wanting" not in text
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
    told = summary["tests"]["device-clients"]
    assert (told["passed"], told["failed"], told["missing"], told["says"]) == (0, 1, 1, ["Bail out! lost"])
    for problem in ("bench-small-6.json: exit status 1: cityguessr: no room", "device-clients: 1 failed"):
        assert problem in summary["wanting"] and problem in text


@pytest.mark.parametrize(("part", "test"), [("device-parity", "/cuda/device/parity"), ("engine", "/engine/order")])
def test_a_skipped_test_fails_the_run_and_is_named(bundle, part, test):
    status, summary, text = run(bundle, "--only", "device engine", SKIP=test)
    assert status == 1
    problem = f"{part}: skipped: {test}: There is no NVIDIA driver"
    assert summary["wanting"] == [problem] and problem in text
    assert len(summary["tests"]) == 5  # the others went on
    assert all(told["passed"] == (name != part) for name, told in summary["tests"].items())


def test_a_missing_tool_fails_the_run_and_is_named(bundle):
    status, summary, text = run(bundle, "--only", "sanitizer device")
    assert status == 0 and len(summary["parts"]) == 3 * 3 + 4, text
    status, summary, text = run(bundle, "--quick", "--only", "sanitizer device")
    assert status == 0 and len(summary["parts"]) == 3 + 1 + 1 + 4, text
    (bundle / "tools" / "nvidia-smi").unlink()
    (bundle / "tools" / "compute-sanitizer").unlink()
    if shutil.which("nvidia-smi") or shutil.which("compute-sanitizer") or list(Path("/usr/local").glob(TOOLKITS)):
        pytest.skip("this machine has NVIDIA's tools")
    status, summary, text = run(bundle, "--only", "sanitizer device")
    assert status == 1
    assert summary["wanting"] == [
        "no GPU: nvidia-smi shows none",
        "compute-sanitizer: neither on this machine nor in the bundle",
    ]
    assert all(problem in text for problem in summary["wanting"])
    assert all(told["passed"] == 1 for told in summary["tests"].values()) and len(summary["tests"]) == 4


def test_the_machines_compute_sanitizer_is_taken_before_the_one_that_came_along(bundle):
    brought = f"{SANITIZER}\necho brought >> {bundle}/brought"
    with zipfile.ZipFile(bundle / "nvidia_cuda_sanitizer_api-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("nvidia/cu13/compute-sanitizer/compute-sanitizer", brought)
        wheel.writestr("nvidia/cu13/bin/compute-sanitizer", "what calls the other")
    status, _, text = run(bundle, "--only", "sanitizer")
    assert status == 0 and not (bundle / "brought").exists(), text
    assert text.count("========= ERROR SUMMARY: 0 errors") == 9
    (bundle / "tools" / "compute-sanitizer").unlink()
    if shutil.which("compute-sanitizer") or list(Path("/usr/local").glob(TOOLKITS)):
        pytest.skip("this machine has a compute-sanitizer")
    status, summary, text = run(bundle, "--only", "sanitizer")
    assert status == 0, text
    assert len((bundle / "brought").read_text().splitlines()) == len(summary["parts"]) == 9
    with tarfile.open(bundle / "out" / "logs.tar.gz") as logs:
        assert not [name for name in logs.getnames() if "tools" in name]


def test_a_network_without_a_right_peer_is_named(bundle):
    (bundle / "peers-device.py").write_text(PEERS.replace('"error": 1e-3', '"error": 0.1'))
    status, summary, _ = run(bundle, "--only", "peers")
    assert status == 1
    assert summary["wanting"] == [f"peers-{network}: no peer's answers are right" for network in NETWORKS]


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("city", "other cities: [(0, 'Kabul', 'Ljubljana'), "),
        ("nobody", "an answer names no city"),
        ("confidence", "confidence from system memory and from the device's: 1.00e-02, bound 1e-03"),
        ("device", "expected them from cuda"),
        ("last", "8 answers, expected 9"),
        ("error", "There is no room"),
    ],
)
def test_the_elements_answers_are_judged(bundle, fault, complaint):
    status, summary, text = run(bundle, "--only", "element")
    assert status == 0, text
    assert summary["tests"]["element"]["says"] == ["9 answers from cuda Test, fp16; different cities: 1"] * 2
    status, summary, text = run(bundle, "--only", "element", FAULTY=fault)
    assert status == 1 and "element: 1 failed" in summary["wanting"]
    assert complaint in text


# ---- what the programs print ----


def messages_of(source: str) -> list[str]:
    """One line for each g_test_message() of a program in C, with values for what it formats."""
    formats = re.findall(r'g_test_message \(\s*((?:"[^"]*"\s*)+)', source)
    values = {"s": "cuda Test, fp16", "u": "7", "g": "0.25", ".2e": "4.68e-04", ".0e": "8e-04"}
    return [
        re.sub(r"%(\.?\d?[a-z])", lambda match: values[match[1]], "".join(re.findall(r'"([^"]*)"', text)))
        for text in formats
    ]


def test_all_that_the_device_tests_say_is_in_the_summary(bundle):
    said = messages_of(BUNDLE.with_name("test-device.c").read_text())
    assert "cuda Test, fp16: 4.68e-04, bound 8e-04" in said  # parity
    assert any("are near" in line for line in said)
    (bundle / "says").write_text("".join(line + "\n" for line in said))
    _, summary, text = run(bundle, "--only", "device", SAYS=str(bundle / "says"))
    for told in summary["tests"].values():
        assert told["figures"] == [{"what": "cuda Test, fp16", "worst": 4.68e-4, "bound": 8e-4, "of": 1}]
        assert told["says"] == [line for line in said if "bound" not in line]
    assert all(text.count(f"    {line}\n") == 4 for line in said)


def test_figures_of_one_name_are_one_and_no_number_is_the_worst(bundle):
    said = ["a window: 1.00e-04, bound 1e-03", "a window: 3.00e-04, bound 1e-03", "b: nan, bound 1e-03"]
    (bundle / "says").write_text("".join(line + "\n" for line in said))
    _, summary, text = run(bundle, "--only", "device", SAYS=str(bundle / "says"))
    assert summary["tests"]["device-parity"]["figures"] == [
        {"what": "a window", "worst": 3e-4, "bound": 1e-3, "of": 2},
        {"what": "b", "worst": None, "bound": 1e-3, "of": 1},
    ]
    assert "a window: 3.00e-04, bound 1e-03, worst of 2" in text and "b: no number, bound 1e-03" in text


def test_what_a_real_run_of_the_device_tests_prints(bundle):
    """Over the fakes of NVIDIA's libraries."""
    program = BUILD / "tests" / "cuda" / "test-cuda-device-fake"
    if not program.exists():
        pytest.skip(f"no {program}: the build says why")
    (bundle / "bin" / "test-device").unlink()
    (bundle / "bin" / "test-device").symlink_to(program)
    status, summary, text = run(bundle, "--only", "device", CG_TEST_DEVICE="short")
    assert status == 0, text
    assert all((told["passed"], told["skips"]) == (1, []) for told in summary["tests"].values())
    parity = summary["tests"]["device-parity"]["figures"]
    assert parity and all(0 < figure["worst"] <= figure["bound"] and figure["of"] >= 2 for figure in parity)
    assert all("fp16" in figure["what"] for figure in parity), parity
    assert summary["tests"]["device-batches"]["figures"][0]["what"] == "a window in a batch and alone"
    assert any("the CPU engine's bytes" in line for line in summary["tests"]["device-pictures"]["says"])


def test_a_part_that_hangs_is_ended_and_what_finds_no_time_is_named(bundle):
    status, summary, _ = run(bundle, "--seconds", "20", "--only", "device bench", HANG="yes")
    assert status == 1
    states = [part["status"] for part in summary["parts"]]
    assert states == ["124"] + ["left out"] * 6
    assert summary["tests"]["device-clients"]["missing"] == 1


def test_a_signal_ends_the_part_and_leaves_what_there_is(bundle):
    text, end = bundle / "out" / "summary.txt", time.monotonic() + 60
    running = subprocess.Popen(
        [bundle / "run.sh", "--only", "bench device", bundle / "out"], env=environment(bundle, HANG="yes")
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
