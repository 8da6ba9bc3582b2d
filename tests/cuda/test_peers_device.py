# SPDX-License-Identifier: LGPL-2.1-or-later
"""The peers that the bundle takes to a GPU, at a tiny size on the CPU: that they compute the same network."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PEERS = (
    "pytorch eager fp16 flash",
    "pytorch eager fp16 math",
    "pytorch compiled fp16 reduce-overhead",
    "pytorch compiled fp16 max-autotune",
    "jax fp16 cudnn",
)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict:
    pytest.importorskip("torch", reason="the peers need PyTorch")
    output = tmp_path_factory.mktemp("peers") / "peers.json"
    script = HERE / "bundle" / "peers-device.py"
    peers = HERE.parents[1] / "pipelines" / "peers.py"
    done = subprocess.run(
        [sys.executable, script, "--on-cpu", "--repeats", "5", "--batch", "2", peers, output],
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text())


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_computes_the_same_features(told, name):
    missing = {entry["name"]: entry["reason"] for entry in told["missing"]}
    if missing.get(name, "").startswith("ModuleNotFoundError"):
        pytest.skip(f"{name}: {missing[name]}")
    assert name not in missing, missing[name]
    (peer,) = [entry for entry in told["results"] if entry["name"] == name]
    assert (peer["geometry"], peer["batch"], peer["clock"]) == ("tiny", 2, "host")
    assert 0 < peer["error"] < 5e-3  # fp16, and not fp32 against itself
    assert 0 < peer["min_ms"] <= peer["median_ms"] <= peer["p99_ms"]


def test_each_peer_is_told_once_and_with_it_the_versions(told):
    names = [entry["name"] for entry in (*told["results"], *told["missing"])]
    assert sorted(names) == sorted(PEERS)
    assert told["versions"]["torch"]
    assert all(math.isfinite(entry["error"]) for entry in told["results"])
