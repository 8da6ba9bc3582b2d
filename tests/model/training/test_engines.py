# SPDX-License-Identifier: LGPL-2.1-or-later
"""The decoding, the filter over time and the shot test of this package against those in C: the judge is the element, to
which pictures go and from which JSON lines come. And the cutting of windows into stretches."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from cityguessr import decode, engines, shot, stretches, track

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "pipelines"))

import drawn  # noqa: E402
import gst  # noqa: E402

LAYOUT = {
    "a": [0, 2, 4, 6, 7],  # the last window comes sooner
    "cut": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    "one": [0],
    "hole": [0, 3, 6, 20, 23, 26],
    "side-by-side": [0, 8, 16],
    "again": list(range(0, 40, 2)),
    "flicker": list(range(0, 40, 2)),
}


pytestmark = pytest.mark.usefixtures("one_thread")


def placed_windows(dataset, model):
    windows = ((i, dataset[i]) for _, indices in dataset.sources() for i in indices)
    return stretches.place(windows, model.geometry.frames, drawn.INTERVAL)


def element(monkeypatch):
    gst.require_element()
    for key, value in gst.environment().items():
        monkeypatch.setenv(key, value)
    if shutil.which("gst-inspect-1.0") and os.system("gst-inspect-1.0 gdpdepay > /dev/null 2>&1"):
        pytest.skip("no gdpdepay: install gstreamer1.0-plugins-bad")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    places = drawn.tree()
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    model, card = drawn.model_file(path, places)
    return path, model, card, decode.Tree(places)


@pytest.mark.parametrize("memory", [600.0, 2.0, 0.0])
def test_both_engines_answer_alike(network, memory, monkeypatch):
    element(monkeypatch)
    path, model, card, tree = network
    geometry = model.geometry
    dataset = drawn.Drives(card.places, geometry.frames, geometry.image, LAYOUT)
    options = engines.Options(memory=memory)
    ours, _ = engines.run_pytorch(model, card, tree, placed_windows(dataset, model), options)
    theirs = engines.run_element(
        path, card, geometry.frames, geometry.image, tree, placed_windows(dataset, model), options
    )
    assert list(ours) == list(theirs) == list(decode.DECODINGS)
    for decoding, found in theirs.items():
        assert found.windows.tolist() == ours[decoding].windows.tolist() == list(range(len(dataset)))
        assert found.stable.tolist() == ours[decoding].stable.tolist()
        for kind in ("answers", "tracked"):
            mine, judge = getattr(ours[decoding], kind), getattr(found, kind)
            where = f"{decoding}, {kind}"
            assert np.array_equal(mine.index, judge.index), where
            # float32 networks: PyTorch's and the element's sums differ in their last digits
            assert mine.confidence == pytest.approx(judge.confidence, abs=1e-4), where
            assert mine.latitude.tolist() == judge.latitude.tolist(), where
            assert mine.longitude.tolist() == judge.longitude.tolist(), where
            assert mine.horizontal_error == pytest.approx(judge.horizontal_error, abs=1e-3), where
        for mine, judge in zip(ours[decoding].answers.top, found.answers.top):
            assert np.array_equal(mine, judge)
    if memory == 600:  # or less would have been compared than it seems
        stable = np.concatenate([found.stable for found in ours.values()])
        assert stable.any() and not stable.all()


def test_rows_that_gstreamer_pads(network, monkeypatch, tmp_path):
    """66 pixels of three bytes end within a word."""
    element(monkeypatch)
    path, tree = tmp_path / "odd.safetensors", network[3]
    model, card = drawn.model_file(path, tree.places, {"image": 66, "patch": 6})
    dataset = drawn.Drives(card.places, model.geometry.frames, 66, {"a": [0, 2, 4]})
    options = engines.Options(("marginal",))
    ours, _ = engines.run_pytorch(model, card, tree, placed_windows(dataset, model), options)
    theirs = engines.run_element(path, card, model.geometry.frames, 66, tree, placed_windows(dataset, model), options)
    expected = pytest.approx(ours["marginal"].answers.confidence, abs=1e-4)
    assert theirs["marginal"].answers.confidence == expected


def lines_of(network, monkeypatch, tmp_path, properties: str, pattern: str = "ball", seconds: int = 20) -> list[dict]:
    """The element's answers to a test picture, one decoding after the other of those named in @properties."""
    element(monkeypatch)
    path = tmp_path / "lines.jsonl"
    gst.launch(
        *f"videotestsrc pattern={pattern} num-buffers={seconds * 4} !".split(),
        *"video/x-raw,format=RGB,width=96,height=64,framerate=4/1 !".split(),
        *f"cityguessr name=c model={network[0]} device=cpu precision=fp32 top-k=20 {properties} ! fakesink".split(),
        *f"c.json_src ! filesink location={path}".split(),
    )
    return list(map(engines.json.loads, path.read_text(encoding="utf-8").splitlines()))


def log_probabilities(network, lines: list[dict]) -> np.ndarray:
    """What independent heads said, [N, total labels]: logits divided by temperatures, but for a constant a level."""
    tree = network[3]
    logits = np.zeros((len(lines), sum(tree.counts)))
    begins = np.concatenate(([0], np.cumsum(tree.counts)))
    for row, line in zip(logits, lines):
        for p in line["predictions"]:
            level = decode.LEVELS.index(p["level"])
            row[begins[level] + tree.places.labels(p["level"]).index(p["label"])] = np.log(p["confidence"])
    return logits


@pytest.mark.parametrize("decoding", decode.DECODINGS)
@pytest.mark.parametrize("min_confidence", [0.0, 0.2, 0.3])
def test_decoding_is_that_of_c_to_the_last_digits(network, decoding, min_confidence, monkeypatch, tmp_path):
    """From the probabilities that the element itself tells of each head, so that no network is between."""
    tree = network[3]
    heads = log_probabilities(network, lines_of(network, monkeypatch, tmp_path, "decoding=independent"))
    judge = lines_of(network, monkeypatch, tmp_path, f"decoding={decoding} min-confidence={min_confidence}")
    answers, _ = decode.decode(heads, tree, decoding=decoding, min_confidence=min_confidence, top_k=20)
    assert len(judge) == len(heads) > 15
    for i, line in enumerate(judge):
        given = [level for level in decode.LEVELS if level in line]
        assert given == list(decode.LEVELS[answers.finest[i] :])
        assert [line[level] for level in given] == [
            tree.places.name_of(level, answers.index[i, decode.LEVELS.index(level)]) for level in given
        ]
        assert [line[f"{level}-confidence"] for level in decode.LEVELS] == pytest.approx(
            answers.confidence[i], rel=1e-9
        )
        assert (line["latitude"], line["longitude"]) == (answers.latitude[i], answers.longitude[i])
        assert line["horizontal-error"] == pytest.approx(answers.horizontal_error[i], rel=1e-9)
        tops = [[p["label"] for p in line["predictions"] if p["level"] == level] for level in decode.LEVELS]
        for level, found, mine in zip(decode.LEVELS, tops, answers.top):
            assert found == [tree.places.labels(level)[k] for k in mine[i]]


def test_some_levels_were_withheld_and_some_were_not(network, monkeypatch, tmp_path):
    """Or the test above would have shown little."""
    lines = lines_of(network, monkeypatch, tmp_path, "decoding=marginal min-confidence=0.3")
    assert len({sum(level in line for level in decode.LEVELS) for line in lines}) > 1


def test_a_logit_that_is_no_number_is_named(network):
    logits = np.zeros((2, sum(network[3].counts)))
    logits[1, 3] = np.nan
    with pytest.raises(ValueError, match="window 1: logit 3 is nan"):
        decode.decode(logits, network[3])
    with pytest.raises(ValueError, match="no decoding is named 'best'"):
        decode.decode(logits, network[3], decoding="best")


def test_marginal_by_the_formula(network):
    """Written again with sums over the cities, in probabilities."""
    tree, logits = network[3], np.random.default_rng(5).normal(size=(20, sum(network[3].counts))) * 2
    temperatures = (1.5, 0.8, 1.2, 2.0)
    answers, cities = decode.decode(logits, tree, temperatures)
    for row, found, index in zip(logits, cities, answers.index):
        heads, begin = [], 0
        for count, temperature in zip(tree.counts, temperatures):
            e = np.exp(row[begin : begin + count] / temperature)
            heads.append(e / e.sum())
            begin += count
        p = heads[0]
        for level in (3, 2, 1):
            m = [sum(p[c] for c in range(len(p)) if tree.ancestor[level, c] == a) for a in range(tree.counts[level])]
            p = np.array([p[c] * (heads[level][a] / m[a]) ** 0.5 for c, a in enumerate(tree.ancestor[level])])
            p = p / p.sum()
        assert found == pytest.approx(p, rel=1e-9)
        assert list(index) == list(tree.ancestor[:, index[0]])


# ---- the filter and the shot test ----


def test_stable_when_the_same_place_has_lasted_a_window():
    step = track.Step(elapsed=1.0, duration=4.0, fresh=0.25)
    stability, seen = track.Stability(), []
    for i in range(8):
        seen.append(stability.update(0, np.array([7, 1, 1, 1]), np.full(4, 0.8 if i < 6 else 0.4), step, i == 0))
    assert seen == [False] * 4 + [True, True, False, False]


def test_what_cannot_be_is_nothing():
    belief = track.Filter(3)
    found = belief.update(np.array([np.nan, -1.0, np.inf]), track.Step(np.nan, np.nan, np.nan))
    assert found == pytest.approx([1 / 3] * 3)


def test_a_shot_and_a_cut():
    dark, light = np.full((64, 64, 3), 20, np.uint8), np.full((64, 64, 3), 230, np.uint8)
    noisy = dark + np.random.default_rng(1).integers(0, 4, dark.shape, np.uint8)
    assert shot.distance(shot.signature(dark), shot.signature(dark)) == 0
    assert not shot.is_cut(shot.signature(dark), shot.signature(noisy))
    assert shot.is_cut(shot.signature(dark), shot.signature(light))


def test_the_cut_of_the_made_up_drive_is_seen(network):
    """So that the engines above were compared across one."""
    _, model, card, _ = network
    dataset = drawn.Drives(card.places, model.geometry.frames, model.geometry.image, LAYOUT)
    steps = stretches.Steps(model.geometry.frames, drawn.INTERVAL)
    told = [(each.window.source, steps.next(each)) for each in placed_windows(dataset, model)]
    assert [i for i, (source, step) in enumerate(told) if step.cut and source != "flicker"] == [len(LAYOUT["a"]) + 2]
    assert any(step.cut for source, step in told if source == "flicker")
    assert told[len(LAYOUT["a"]) + 2][1].since_cut == pytest.approx(1 / 8)


# ---- stretches ----


def test_stretches(network):
    _, model, card, _ = network
    dataset = drawn.Drives(card.places, model.geometry.frames, model.geometry.image, LAYOUT)
    placed = list(placed_windows(dataset, model))
    found = {}
    for each in placed:
        found.setdefault((each.window.source, each.stretch), []).append((each.first, each.fresh))
    assert found["a", 0] == [(0, 8), (2, 2), (4, 2), (6, 2), (7, 1)]
    assert found["one", 2] == [(0, 8)]
    assert found["hole", 3] == [(0, 8), (3, 3), (6, 3)] == found["hole", 4]
    assert found["side-by-side", 5] == [(0, 8), (8, 8), (16, 8)]
    assert [each.end for each in placed[:5]] == [4.0, 5.0, 6.0, 7.0, 7.5]


def test_windows_that_overlap_but_show_other_pictures_are_no_stretch(network):
    _, model, card, _ = network

    class Jumpy(drawn.Drives):
        def picture(self, source, sample):
            self.count = getattr(self, "count", 0) + 1
            return super().picture(source, self.count)

    dataset = Jumpy(card.places, model.geometry.frames, model.geometry.image, {"a": [0, 2, 4]})
    assert [each.stretch for each in placed_windows(dataset, model)] == [0, 1, 2]


def test_an_element_that_cannot_run_says_why(network, monkeypatch, tmp_path):
    element(monkeypatch)
    _, model, card, tree = network
    dataset = drawn.Drives(card.places, model.geometry.frames, model.geometry.image, {"a": [0, 2]})
    with pytest.raises(engines.EngineError, match="absent.safetensors"):
        engines.run_element(
            tmp_path / "absent.safetensors", card, 8, 64, tree, placed_windows(dataset, model), engines.Options()
        )
