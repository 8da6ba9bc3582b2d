# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo model that lies in the tree: honest about what it is, and as good as its documentation says, measured anew
on a few of the drives that it never saw. The bars are the figures of model/demo/evaluation.md, on ten times as many
windows, less three standard errors."""

import json
import math
import tomllib
from pathlib import Path

import pytest
import torch
from cityguessr import modelfile
from cityguessr.datasets import WindowShape, open_dataset
from cityguessr.network import LEVELS
from cityguessr.recipe import read_recipe
from cityguessr.validation import collect, top_1

TOP = Path(__file__).resolve().parents[3]
DEMO = TOP / "model" / "demo"
RECIPE = TOP / "model" / "training" / "recipes" / "demo.toml"
DRIVES = 2  # of each city


@pytest.fixture(scope="module")
def demo():
    return modelfile.load(DEMO / "demo.safetensors")


def test_it_says_that_it_is_a_demo(demo):
    _model, card = demo
    assert card.demo and "demo" in card.name.lower() and "world" in card.provenance
    assert card.places.counts[0] == 44
    assert (DEMO / "demo.safetensors").stat().st_size <= 8_000_000


def test_it_was_made_by_the_recipe_that_lies_beside_it(demo):
    model, card = demo
    recipe = read_recipe(RECIPE)
    report = json.loads((DEMO / "report.json").read_text(encoding="utf-8"))
    assert report["recipe"] == recipe.to_json()
    geometry = recipe.geometry.base()
    for field in ("frames", "tubelet", "image", "patch", "width", "depth", "heads", "mlp"):
        assert getattr(model.geometry, field) == getattr(geometry, field), field
    assert card.name == recipe.name and card.sample_interval == recipe.input.sample_interval


def test_it_is_as_good_as_its_report_says(demo):
    model, card = demo
    table = tomllib.loads(RECIPE.read_text(encoding="utf-8"))["dataset"]
    first = table["drives"]["test"][0]
    table["drives"]["test"] = [first, first + DRIVES]
    table |= {"duration": 25.0, "cache": ""}
    geometry = model.geometry
    shape = WindowShape(geometry.frames, geometry.image, card.sample_interval)
    dataset = open_dataset(table, "test", shape, card.places)
    with torch.inference_mode():
        found = collect(model, dataset)
    scores = top_1(model, found)
    reported = json.loads((DEMO / "evaluation.json").read_text(encoding="utf-8"))
    figures = reported["decodings"]["independent"]["levels"]
    for level in LEVELS:
        promised = figures[level]["top1"]["value"]
        # windows of one drive are alike: the drives count
        error = math.sqrt(promised * (1 - promised) / (44 * DRIVES))
        assert scores[level] >= promised - 3 * error, f"{level}: {scores[level]:.3f}, the report says {promised:.3f}"
