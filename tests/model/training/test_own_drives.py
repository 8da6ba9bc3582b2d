# SPDX-License-Identifier: LGPL-2.1-or-later
"""The three commands of docs/your-own-drives.md, as they stand there, on footage made here: from dashcam files to a
model file and a report."""

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dashcam
import pytest

TOP = Path(__file__).resolve().parents[3]
PAGE = (TOP / "docs" / "your-own-drives.md").read_text(encoding="utf-8")
PLACES = ((55.606, 13.001), (59.913, 10.739))
SMALL = (
    'geometry.preset="tiny"',
    "train.epochs=1",
    "train.workers=0",
    "train.threads=1",
    'train.device="cpu"',
    "train.tensorboard=false",
)
"""Put over the recipe: the page's own network takes hours."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two towns, three drives each."""
    dashcam.require_tools()
    for package in ("torch", "av", "reverse_geocoder", "matplotlib"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("own")
    for town, (latitude, longitude) in enumerate(PLACES):
        for day in range(3):
            begin = datetime(2024, 5, 1 + day, 12, tzinfo=UTC)
            fixes = [(begin + timedelta(seconds=i), latitude + 2e-5 * i, longitude) for i in range(30)]
            dashcam.write(folder / "my-videos" / f"{town}-{day}.mp4", 30, fixes)
    return folder


def test_three_commands_make_a_model(folder):
    commands = re.search(r"```console\n(.*?)```", PAGE, re.DOTALL)[1].strip().splitlines()
    assert [re.search(r"cityguessr\.(\w+)", command)[1] for command in commands] == ["label", "train", "evaluate"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(TOP / "model" / "training")
    for command in commands:
        words = shlex.split(command.removeprefix("PYTHONPATH=model/training .venv/bin/python "))
        if "cityguessr.train" in words:
            words += [word for change in SMALL for word in ("--set", change)]
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    report = json.loads((folder / "my-evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    assert report["sources"] == 2 and report["model"]["labels"]["city"] == 2
    figures = report["decodings"]["marginal"]
    assert figures["levels"]["city"]["top1"]["of"] == report["windows"] > 0
    # To the track, not to the town's centre: the two differ.
    assert figures["distance"]["location"]["windows"] == report["windows"]
    assert figures["distance"]["location"]["median"] != figures["distance"]["city"]["median"]
    assert "promise" in figures
    page = (folder / "my-evaluation" / "evaluation.md").read_text(encoding="utf-8")
    assert "where the camera was" in page
