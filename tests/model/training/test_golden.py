# SPDX-License-Identifier: LGPL-2.1-or-later
"""The golden files that the C tests read are what PyTorch computes, here and now. `--all` takes the large
networks too."""

import sys
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))

import make_golden  # noqa: E402


def pytest_generate_tests(metafunc):
    if "geometry" in metafunc.fixturenames:
        every = metafunc.config.getoption("--all")
        metafunc.parametrize("geometry", make_golden.GEOMETRIES if every else ("tiny", "small-16"))


def stored(geometry: str) -> dict[str, np.ndarray]:
    values = {}
    for line in (GOLDEN / f"{geometry}.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, count, *numbers = line.split()
            values[name] = np.array(numbers, np.float64)
            assert len(numbers) == int(count), f"{name}: {len(numbers)} values after the count {count}"
    return values


def test_network_golden_file(geometry):
    found = stored(geometry)
    derived = make_golden.network_outputs(geometry, torch.float64)._asdict()
    assert list(found) == list(derived) == ["features", "logits", "scene", "text"]
    for name, expected in derived.items():
        expected = expected[0].numpy()
        difference = np.abs(found[name] - expected).max() / np.abs(expected).max()
        assert difference <= 1e-12, f"{geometry} {name}: differs by {difference:.3g} of the largest value"


def test_generator_golden_file():
    assert (GOLDEN / "generate.txt").read_text() == make_golden.generator_text()
