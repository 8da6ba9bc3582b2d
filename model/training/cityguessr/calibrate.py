# SPDX-License-Identifier: LGPL-2.1-or-later
"""Temperatures: one number a level that the logits are divided by, so that a confidence of 0.8 is right in 80 % of
the cases (Guo et al., "On Calibration of Modern Neural Networks", 2017). Answers keep their order.

    python -m cityguessr.calibrate MODEL RECIPE [-o OUT] [--split validation]

computes the logits of a split of the recipe's dataset, fits the temperatures by negative log likelihood, and writes
them into the model file. The windows must be of sources that the model has not learnt: on its training data it is sure
of everything.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from .network import LEVELS
from .places import UNKNOWN

LOW, HIGH = 0.05, 20.0
"""Bounds of a temperature. A level that is always right, or too small a sample, would go to a limit."""

_GOLDEN = (math.sqrt(5) - 1) / 2


def nll(logits: Tensor, labels: Tensor, temperature: float) -> float:
    """Mean negative log likelihood. @logits: [N, C]; @labels: int64 [N], all known."""
    return F.cross_entropy(logits.double() / temperature, labels).item()


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature of the least NLL within LOW..HIGH, to 1e-4 of itself, by golden-section search. In the inverse
    temperature the NLL is convex, so in the logarithm it has one valley, and the search cannot be trapped."""
    known = labels != UNKNOWN
    logits, labels = logits[known], labels[known]
    if len(labels) == 0:
        return 1.0
    low, high = math.log(LOW), math.log(HIGH)
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_a, at_b = nll(logits, labels, math.exp(a)), nll(logits, labels, math.exp(b))
    while high - low > 1e-4:
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - _GOLDEN * (high - low)
            at_a = nll(logits, labels, math.exp(a))
        else:
            low, a, at_a = a, b, at_b
            b = low + _GOLDEN * (high - low)
            at_b = nll(logits, labels, math.exp(b))
    return math.exp((low + high) / 2)


def fit_temperatures(logits: Mapping[str, Tensor], labels: Tensor) -> dict[str, float]:
    """Level -> temperature. @logits: level -> [N, labels]; @labels: int64 [N, 4], city first, UNKNOWN left out."""
    return {level: fit_temperature(logits[level], labels[:, i]) for i, level in enumerate(LEVELS)}


def stored_dtype(path: Path) -> str:
    """How a model file stores its weights: a key of ``modelfile.DTYPES``."""
    with safe_open(path, framework="pt") as file:
        return file.get_slice(next(iter(file.keys()))).get_dtype().lower()


def main(argv: list[str] | None = None) -> int:
    from . import modelfile  # here, so that fit_temperatures() can be had without the rest
    from .datasets import WindowShape, open_dataset
    from .recipe import read_recipe
    from .validation import collect

    parser = argparse.ArgumentParser(
        prog="python -m cityguessr.calibrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("recipe", type=Path, help="recipe whose [dataset] is read")
    parser.add_argument("-o", "--output", type=Path, help="model file to write (default: the same)")
    parser.add_argument("--split", default="validation")
    arguments = parser.parse_args(argv)
    try:
        model, card = modelfile.load(arguments.model)
        recipe = read_recipe(arguments.recipe)
        shape = WindowShape(model.geometry.frames, model.geometry.image, card.sample_interval)
        dataset = open_dataset(recipe.dataset, arguments.split, shape, card.places)
        found = collect(model, dataset, batch=recipe.train.batch, workers=recipe.train.workers)
        fitted = fit_temperatures(model.split(found.logits), found.labels)
        card = replace(card, temperatures=tuple(fitted[level] for level in LEVELS))
        modelfile.save(arguments.output or arguments.model, model, card, stored_dtype(arguments.model))
    except (ValueError, OSError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 1
    for i, level in enumerate(LEVELS):
        logits, targets = model.split(found.logits)[level], found.labels[:, i]
        known = targets != UNKNOWN
        if known.any():
            before, after = (nll(logits[known], targets[known], t) for t in (1.0, fitted[level]))
            print(f"{level:9} temperature {fitted[level]:.4f}, NLL {before:.4f} -> {after:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
