# SPDX-License-Identifier: LGPL-2.1-or-later
"""Temperatures: known ones are found again, the NLL falls, and the search is where a fine grid is."""

import numpy as np
import pytest
import torch
from cityguessr.calibrate import HIGH, LOW, fit_temperature, fit_temperatures, nll
from cityguessr.network import LEVELS


def drawn(temperature: float, n=20000, classes=8, seed=0):
    """Logits, and labels drawn from softmax (logits / temperature)."""
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, classes, generator=random)
    labels = torch.multinomial((logits / temperature).softmax(1), 1, generator=random)[:, 0]
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_labels_were_drawn_with(temperature):
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.03)


def test_it_is_the_minimum_of_a_grid():
    logits, labels = drawn(1.7, 300)
    found = fit_temperature(logits, labels)
    grid = np.exp(np.linspace(np.log(LOW), np.log(HIGH), 601))
    best = min(grid, key=lambda t: nll(logits, labels, t))
    assert found == pytest.approx(best, rel=1e-2) and nll(logits, labels, found) <= nll(logits, labels, best) + 1e-9


def test_confidence_is_accuracy_afterwards():
    logits, labels = drawn(3.0)
    confidence, answer = (logits / fit_temperature(logits, labels)).softmax(1).max(1)
    assert confidence.mean().item() == pytest.approx((answer == labels).double().mean().item(), abs=0.01)


def test_always_right_and_always_wrong_end_at_the_limits():
    logits = 5 * torch.eye(4)
    assert fit_temperature(logits, torch.arange(4)) == pytest.approx(LOW, rel=1e-3)
    assert fit_temperature(logits, (torch.arange(4) + 1) % 4) == pytest.approx(HIGH, rel=1e-3)


def test_levels_are_fitted_alone_and_unknown_labels_left_out():
    parts = {level: drawn(t, 8000, seed=i) for i, (level, t) in enumerate(zip(LEVELS, (0.7, 1.0, 1.5, 2.0)))}
    labels = torch.stack([parts[level][1] for level in LEVELS], 1)
    labels[::7, 0] = -1
    found = fit_temperatures({level: parts[level][0] for level in LEVELS}, labels)
    assert list(found) == list(LEVELS)
    assert list(found.values()) == pytest.approx([0.7, 1.0, 1.5, 2.0], rel=0.06)


def test_without_known_labels_the_temperature_is_one():
    assert fit_temperature(torch.randn(5, 3), torch.full((5,), -1)) == 1.0
