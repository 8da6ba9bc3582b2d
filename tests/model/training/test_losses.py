# SPDX-License-Identifier: LGPL-2.1-or-later
"""The losses against values computed by hand, against the formulas written out in numpy, and against finite
differences."""

import math

import numpy as np
import pytest
import torch
from cityguessr.losses import (
    TERMS,
    LossOptions,
    Targets,
    divisors,
    geolocalization_loss,
    majority,
    scene_loss,
    term_sums,
    text_alignment_loss,
    total,
)
from cityguessr.network import LEVELS

COUNTS = {"city": 5, "state": 4, "country": 3, "continent": 2}
FULL = LossOptions(scene="soft", text="all")


def batch(n=6, seed=0, dtype=torch.float64):
    """Random logits, outputs and targets of @n windows."""
    random = torch.Generator().manual_seed(seed)
    levels = {level: torch.randn(n, c, generator=random, dtype=dtype) for level, c in COUNTS.items()}
    scene, text = (torch.randn(n, k, generator=random, dtype=dtype) for k in (16, 7))
    labels = torch.stack([torch.randint(c, (n,), generator=random) for c in COUNTS.values()], 1)
    soft = torch.rand(n, 16, generator=random, dtype=dtype)
    embeddings = torch.randn(n, 7, generator=random, dtype=dtype)
    return levels, scene, text, Targets(labels, soft / soft.sum(1, keepdim=True), embeddings)


def literal(levels, scene, text, targets, hard=False, reduction="sum"):
    """The formulas at the head of losses.py, one window and one class at a time."""

    def log_softmax(row, k):
        return row[k] - math.log(sum(math.exp(v) for v in row))

    n = len(targets.labels)
    geo = 0.0
    for i, level in enumerate(LEVELS):
        rows = levels[level].double().numpy()
        geo += -sum(log_softmax(rows[b], int(targets.labels[b, i])) for b in range(n)) / n
    p = targets.scene.double().numpy()
    if hard:
        p = np.array([[1.0 if s == int(np.argmax(row)) else 0.0 for s in range(16)] for row in p])
    rows = scene.double().numpy()
    scenes = -sum(p[b][s] * log_softmax(rows[b], s) for b in range(n) for s in range(16)) / n
    cosines = [
        float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
        for a, b in zip(text.double().numpy(), targets.text.double().numpy())
    ]
    return geo, scenes, -sum(cosines) / (n if reduction == "mean" else 1)


def loss_of(levels, scene, text, targets, options):
    return total(term_sums(levels, scene, text, targets, options) / divisors(targets.counts(), options), options)


# ---- by hand ----


def test_uniform_logits_cost_the_logarithm_of_the_number_of_labels():
    levels = {level: torch.zeros(3, c) for level, c in COUNTS.items()}
    loss = geolocalization_loss(levels, torch.zeros(3, 4, dtype=torch.int64))
    assert loss.item() == pytest.approx(math.log(5 * 4 * 3 * 2), abs=1e-6)


def test_geolocalization_of_two_windows_by_hand():
    # city: probabilities 3/4 and 1/4 for the right one; every other level has one label and costs nothing
    one = torch.zeros(2, 1)
    levels = {
        "city": torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]]),
        "state": one,
        "country": one,
        "continent": one,
    }
    labels = torch.tensor([[0, 0, 0, 0], [1, 0, 0, 0]])
    assert geolocalization_loss(levels, labels).item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2, abs=1e-6)


def test_soft_and_majority_scenes_by_hand():
    logits = torch.tensor([[math.log(2), math.log(1), math.log(1)]])  # probabilities 1/2, 1/4, 1/4
    target = torch.tensor([[0.25, 0.75, 0.0]])
    assert scene_loss(logits, target).item() == pytest.approx(0.25 * math.log(2) + 0.75 * math.log(4), abs=1e-6)
    assert scene_loss(logits, target, hard=True).item() == pytest.approx(math.log(4), abs=1e-6)


def test_majority_takes_the_first_of_equals():
    assert majority(torch.tensor([[0.1, 0.45, 0.45], [0.5, 0.3, 0.2]])).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_text_alignment_by_hand():
    predicted = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, -2.0]])
    embeddings = torch.tensor([[6.0, 8.0], [0.0, 5.0], [0.0, 1.0]])  # cosines 1, 0, -1
    assert text_alignment_loss(predicted[:2], embeddings[:2]).item() == pytest.approx(-1, abs=1e-6)
    assert text_alignment_loss(predicted, embeddings).item() == pytest.approx(0, abs=1e-6)
    assert text_alignment_loss(predicted[:2], embeddings[:2], "mean").item() == pytest.approx(-0.5, abs=1e-6)


# ---- the formulas, and the authors' oddities ----


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "majority"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_whole_loss_is_the_literal_one(hard, reduction):
    data = batch()
    options = LossOptions("majority" if hard else "soft", "all", reduction)
    expected = literal(*data, hard, reduction)
    assert loss_of(*data, options).item() == pytest.approx(sum(expected), abs=1e-12)
    levels, scene, text, targets = data
    assert geolocalization_loss(levels, targets.labels).item() == pytest.approx(expected[0], abs=1e-12)
    assert scene_loss(scene, targets.scene, hard).item() == pytest.approx(expected[1], abs=1e-12)
    assert text_alignment_loss(text, targets.text, reduction).item() == pytest.approx(expected[2], abs=1e-12)


def test_the_sum_of_the_text_term_weighs_as_much_as_the_batch_is_large():
    _levels, _scene, text, targets = batch(12)
    summed, mean = (text_alignment_loss(text, targets.text, r).item() for r in ("sum", "mean"))
    assert summed == pytest.approx(12 * mean)


def test_single_precision_differs_from_the_authors_promoted_terms_by_rounding_only():
    double, single = batch(12), batch(12, dtype=torch.float64)
    levels, scene, text, targets = single
    single = ({k: v.float() for k, v in levels.items()}, scene.float(), text.float(),
              Targets(targets.labels, targets.scene.float(), targets.text.float()))  # fmt: skip
    assert loss_of(*single, FULL).item() == pytest.approx(loss_of(*double, FULL).item(), abs=2e-6)


def test_weights_and_absent_terms():
    data = batch()
    geo, scenes, text = literal(*data)
    options = LossOptions("soft", "city", scene_weight=0.5, text_weight=2.0)
    assert loss_of(*data, options).item() == pytest.approx(geo + 0.5 * scenes + 2 * text)
    levels, _, _, targets = data
    bare = LossOptions("none", "none")
    assert loss_of(levels, None, None, Targets(targets.labels), bare).item() == pytest.approx(geo)


def test_label_smoothing_is_the_mixture_with_the_uniform_distribution():
    levels, *_, targets = batch()
    expected = 0.0
    for i, (level, n) in enumerate(COUNTS.items()):
        p = 0.9 * torch.nn.functional.one_hot(targets.labels[:, i], n) + 0.1 / n
        expected += -(p * levels[level].log_softmax(1)).sum(1).mean().item()
    assert geolocalization_loss(levels, targets.labels, 0.1).item() == pytest.approx(expected)


# ---- unknown targets, parts of a batch ----


def test_unknown_targets_count_in_no_term():
    levels, scene, text, targets = batch()
    targets.labels[0] = torch.tensor([-1, -1, 2, 1])  # a city that the tree does not have, in a country that it has
    targets.text[0] = math.nan
    keep = slice(1, None)
    rest = Targets(targets.labels[keep], targets.scene, targets.text[keep])
    options = LossOptions("none", "all", "mean")
    found = term_sums(levels, scene, text, targets, options) / divisors(targets.counts(), options)
    expected = literal({k: v[keep] for k, v in levels.items()}, scene[keep], text[keep], rest, reduction="mean")
    assert found[TERMS.index("text")].item() == pytest.approx(expected[2])
    city = -levels["city"].log_softmax(1)[keep].gather(1, targets.labels[keep, :1]).mean()
    assert found[0].item() == pytest.approx(city.item())


def test_an_unknown_text_target_leaves_no_nan_in_the_gradient():
    levels, scene, text, targets = batch()
    targets.text[2] = math.nan
    text.requires_grad_(True)
    loss_of(levels, scene, text, targets, FULL).backward()
    assert torch.isfinite(text.grad).all() and (text.grad[2] == 0).all() and (text.grad[1] != 0).any()


def test_a_batch_of_unknown_targets_costs_nothing():
    levels, scene, text, targets = batch(2)
    targets.labels[:] = -1
    assert loss_of(levels, scene, text, targets, LossOptions("none", "all", "mean")).item() == 0


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_batch_in_parts_has_the_loss_of_the_whole(reduction):
    options = LossOptions("soft", "all", reduction)
    levels, scene, text, targets = batch(7)
    targets.labels[3, 0] = -1
    counts, sums = 0, 0
    for part in (slice(0, 2), slice(2, 7)):
        some = Targets(targets.labels[part], targets.scene[part], targets.text[part])
        counts = counts + some.counts()
        sums = sums + term_sums({k: v[part] for k, v in levels.items()}, scene[part], text[part], some, options)
    parts = total(sums / divisors(counts, options), options)
    assert parts.item() == pytest.approx(loss_of(levels, scene, text, targets, options).item(), abs=1e-12)


# ---- gradients ----


@pytest.mark.parametrize("options", [FULL, LossOptions("majority", "all", "mean", label_smoothing=0.1)])
def test_gradient_is_that_of_finite_differences(options):
    levels, scene, text, targets = batch(3)
    inputs = [value.requires_grad_(True) for value in (*levels.values(), scene, text)]

    def loss(*values):
        return loss_of(dict(zip(LEVELS, values[:4])), values[4], values[5], targets, options)

    assert torch.autograd.gradcheck(loss, inputs, eps=1e-6, atol=1e-8)


def test_half_precision_logits_are_summed_in_single():
    levels, _scene, _text, targets = batch()
    half = {k: v.bfloat16() for k, v in levels.items()}
    exact = geolocalization_loss({k: v.float() for k, v in half.items()}, targets.labels)
    assert geolocalization_loss(half, targets.labels).dtype == torch.float32
    assert geolocalization_loss(half, targets.labels).item() == exact.item()


@pytest.mark.parametrize(
    "bad", [{"scene": "hard"}, {"text": "country"}, {"text_reduction": "max"}, {"text_weight": -1.0}]
)
def test_bad_options_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        LossOptions(**bad).check()
