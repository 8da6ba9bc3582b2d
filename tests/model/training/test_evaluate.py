# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole evaluation: the same figures by both engines, figures counted again by hand, the files of the report."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import drawn
import numpy as np
import pytest
import torch
from cityguessr import datasets, engines, evaluate, evaluation_report
from cityguessr.network import LEVELS

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "pipelines"))

import gst  # noqa: E402

LAYOUT = {f"drive-{i}": [*range(0, 24 + 8 * i, 2 + i % 2)] for i in range(4)}
LAYOUT |= {"cut": [0, 2, 4, 6, 8, 10, 12], "flicker": list(range(0, 40, 2)), "hole": [0, 2, 4, 30, 32]}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return path, *drawn.model_file(path, drawn.tree(), demo=True)


@pytest.fixture(scope="module")
def dataset(model):
    _, network, card = model
    return drawn.Drives(card.places, network.geometry.frames, network.geometry.image, LAYOUT)


@pytest.fixture(scope="module")
def report(model, dataset):
    judge = evaluate.Judge(model[0], "pytorch", engines.Options(batch=16))
    return evaluate.evaluate(judge, dataset, dataset, dataset, accuracy=0.5)


def leaves(value, where=""):
    """Every number or word of a report by its path."""
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, f"{where}/{key}")
    else:
        yield where, value


def test_the_element_gives_the_same_figures_within_a_tenth_of_a_point(model, dataset, report, monkeypatch):
    gst.require_element()
    for key, value in gst.environment().items():
        monkeypatch.setenv(key, value)
    judge = evaluate.Judge(model[0], "element", engines.Options())
    found = dict(leaves(evaluate.evaluate(judge, dataset, dataset, dataset, accuracy=0.5)))
    expected = dict(leaves(report))
    assert found.keys() == expected.keys()
    assert found.pop("/engine") == "element" and expected.pop("/engine") == "pytorch"
    different = {
        where: (value, found[where])
        for where, value in expected.items()
        if value != found[where] and (not isinstance(value, float) or abs(value - found[where]) > 1e-3)
    }
    assert not different


def test_a_report_counted_by_hand(model, dataset, report):
    """Window by window, with the network called on each by itself."""
    _, network, _card = model
    right, known, tracked_sources = dict.fromkeys(LEVELS, 0), dict.fromkeys(LEVELS, 0), set()
    for i in range(len(dataset)):
        window = dataset[i]
        tracked_sources.add(window.source)
        with torch.inference_mode():
            heads = network.split(network(window.frames[None]).logits)
        for level, label in zip(LEVELS, window.labels.tolist()):
            known[level] += label >= 0
            right[level] += label >= 0 and int(heads[level].argmax()) == label
    figures = report["decodings"]["independent"]["levels"]
    for level in LEVELS:
        assert figures[level]["top1"]["right"] == right[level]
        assert figures[level]["top1"]["of"] == known[level]
    assert report["windows"] == len(dataset) and report["sources"] == len(tracked_sources) == len(LAYOUT)
    assert report["stretches"] == len(LAYOUT) + 1  # one has a hole
    assert figures["city"]["unknown"] == len(LAYOUT["drive-0"])


def test_what_must_hold_of_every_report(report):
    for decoding, figures in report["decodings"].items():
        for level in LEVELS:
            found = figures["levels"][level]
            assert found["top1"]["right"] <= found["top5"]["right"] or decoding == "codependent"
            assert sum(b["windows"] for b in found["reliability"]) == found["top1"]["of"]
            coverage = [point["coverage"] for point in found["risk_coverage"]]
            assert coverage == sorted(coverage, reverse=True) and coverage[0] == 1
        if decoding != "independent":
            assert figures["consistent"]["value"] == 1
        cities = figures["cities"]
        assert sum(city["right"] for city in cities) == figures["levels"]["city"]["top1"]["right"]
        assert np.sum(figures["continents"]["confusion"]) == figures["levels"]["continent"]["top1"]["of"]
        # codependent and marginal lead to the same place by the coordinates as by the name
        if decoding != "independent":
            assert figures["distance"]["city"]["within"]["25"] >= figures["levels"]["city"]["top1"]["value"]


def test_the_thresholds_of_a_promise_keep_it_where_they_were_chosen(report):
    """Here they are judged by the windows that they were chosen by."""
    promise = report["decodings"]["marginal"]["promise"]
    for level in LEVELS:
        for kind in ("each", "common"):
            point = promise[kind][level]
            # A common threshold may keep a level's promise worse than its own: accuracy need not rise with it.
            assert kind == "common" or point["told"] == 0 or point["accuracy"] >= 0.5
    assert {promise["common"][level]["threshold"] for level in LEVELS} == {
        max(promise["each"][level]["threshold"] for level in LEVELS)
    }
    assert promise["unseen_each"]["city"]["of"] == len(LAYOUT["drive-0"])


def test_given_thresholds_agree_with_the_curve(report):
    for figures in report["decodings"].values():
        for row in figures["thresholds"]:
            for level in LEVELS:
                point = figures["levels"][level]["risk_coverage"][round(100 * row["threshold"])]
                assert row["given"][level] == point | {"threshold": row["threshold"]}
            assert row["unseen"]["city"]["of"] == len(LAYOUT["drive-0"])
        shares = [row["unseen"]["city"]["value"] for row in figures["thresholds"]]
        assert shares == sorted(shares)


def test_the_command_writes_three_files(model, dataset, tmp_path, monkeypatch, capsys):
    asked = []

    def open_dataset(spec, split, shape, places):
        asked.append((spec, split, shape.frames, shape.image, shape.sample_interval, places.counts))
        return dataset

    monkeypatch.setattr(datasets, "open_dataset", open_dataset)
    (tmp_path / "recipe.toml").write_text('[dataset]\nkind = "made up"\n')
    words = [str(model[0]), str(tmp_path / "recipe.toml"), "--output", str(tmp_path / "out"), "--unseen", "unseen"]
    assert evaluate.main(words) == 0
    assert [split for _, split, *_ in asked] == ["test", "validation", "unseen"]
    assert asked[0][0] == {"kind": "made up"} and asked[0][2:] == (8, 64, drawn.INTERVAL, (12, 8, 5, 3))
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    page = (tmp_path / "out" / "evaluation.md").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    top = 100 * report["decodings"]["marginal"]["levels"]["country"]["top1"]["value"]
    assert f"{top:.1f}" in page and "**demo**" in page
    assert "**demo**" in capsys.readouterr().out
    for table in re.findall(r"(?:^\|.*\n)+", page, re.M):  # each is whole
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "No such file"),
        ("[dataset", "recipe.toml: "),
        ("name = 'a'", r"no table \[dataset\]"),
        ("[dataset]\nkind = 'a'", "kind"),
    ],
)
def test_a_bad_recipe_is_an_error_of_one_line(model, tmp_path, text, message, capsys):
    recipe = tmp_path / "recipe.toml"
    if text is not None:
        recipe.write_text(text)
    assert evaluate.main([str(model[0]), str(recipe), "--output", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and re.search(message, said)
    assert not (tmp_path / "out").exists()


def test_without_a_validation_part_no_thresholds_are_chosen(model, dataset, tmp_path, monkeypatch, capsys):
    def open_dataset(spec, split, shape, places):
        if split == "validation":
            raise datasets.DatasetError("no windows are left")
        return dataset

    monkeypatch.setattr(datasets, "open_dataset", open_dataset)
    (tmp_path / "recipe.toml").write_text('[dataset]\nkind = "made up"\n')
    words = [str(model[0]), str(tmp_path / "recipe.toml"), "--output", str(tmp_path), "--decoding", "codependent"]
    assert evaluate.main(words) == 0
    assert "no thresholds are chosen" in capsys.readouterr().err
    report = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert list(report["decodings"]) == ["codependent"] and "promise" not in report["decodings"]["codependent"]
    assert evaluate.main([*words, "--promise-split", "validation"]) == 1  # one that was asked for
    assert evaluate.main([*words, "--split", "none"]) == 1
    assert "no windows to judge by" in capsys.readouterr().err


def test_a_level_that_nobody_knows_is_a_dash(model, tmp_path):
    """Without a validation part, and with no label at all."""

    class Unlabelled(drawn.Drives):
        def __getitem__(self, i):
            return dataclasses.replace(super().__getitem__(i), labels=torch.full((4,), -1), location=None)

    _, network, card = model
    dataset = Unlabelled(card.places, network.geometry.frames, network.geometry.image, {"a": [0, 2]})
    found = evaluate.evaluate(evaluate.Judge(model[0], "pytorch", engines.Options(("marginal",))), dataset)
    json.dumps(found, allow_nan=False)
    page = evaluation_report.markdown(found)
    evaluation_report.draw(found, tmp_path / "empty.png")
    assert "| marginal | top-1 | – | – | – | – | 100.0 |" in page
    assert "promised" not in page and "Great-circle" not in page
