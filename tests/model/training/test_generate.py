# SPDX-License-Identifier: LGPL-2.1-or-later
"""The counter-based generator against published sequences, and its own golden numbers, which C checks too."""

from pathlib import Path

import numpy as np
import pytest
from cityguessr import generate, network

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "generate.txt"


def test_draw_is_splitmix64():
    """The known first outputs of splitmix64 with the state 1234567."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert generate.draw(np.uint64(1234567), np.arange(5)).tolist() == known


@pytest.mark.parametrize(
    "text, known", [("", 0xCBF29CE484222325), ("a", 0xAF63DC4C8601EC8C), ("foobar", 0x85944171F73967E8)]
)
def test_key_is_fnv1a_when_the_seed_is_zero(text, known):
    assert int(generate.key(0, text)) == known


def test_key_depends_on_the_seed():
    assert generate.key(1, "a") != generate.key(2, "a")


def test_units_are_exact_in_float_and_fill_the_interval():
    units = generate.unit(generate.key(1, "units"), np.arange(100_000))
    assert np.array_equal(units, units.astype(np.float32).astype(np.float64))
    assert -1 < units.min() < -0.999 and 0.999 < units.max() < 1
    assert abs(units.mean()) < 0.01 and abs(units.std() - 3**-0.5) < 0.01


def test_golden_numbers():
    kinds = set()
    for line in GOLDEN.read_text().splitlines():
        kind, *fields = line.split()
        if kind == "key":
            found, expected = int(generate.key(1, fields[0])), int(fields[1])
        elif kind == "unit":
            found, expected = generate.unit(generate.key(1, fields[0]), int(fields[1]))[0], float(fields[2])
        elif kind == "weight":
            shape = network.preset(fields[0]).tensors()[fields[1]]
            found, expected = generate.weight(1, fields[1], shape).flat[int(fields[2])], np.float32(fields[3])
        elif kind == "frame":
            seed, window, sample, image, y, x, c, expected = map(int, fields)
            found = generate.frame(seed, window, sample, image)[y, x, c]
        else:
            assert kind == "#", line
            continue
        assert found == expected, line
        kinds.add(kind)
    assert kinds == {"key", "unit", "weight", "frame"}


def test_windows_differ_and_stack_frames():
    window = generate.window(1, 5, 4, 48)
    assert window.shape == (4, 48, 48, 3) and window.dtype == np.uint8
    assert np.array_equal(window[3], generate.frame(1, 5, 3, 48))
    assert not np.array_equal(window, generate.window(1, 6, 4, 48))
