# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each figure of an evaluation against a script that counts it another way: with loops, window by window."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from cityguessr import metrics

RNG = np.random.default_rng(3)
N, LABELS = 400, 11
LABEL = RNG.integers(-1, LABELS - 1, N)  # label 10 never occurs, -1 does
TOP = np.stack([RNG.permutation(LABELS) for _ in range(N)])
TOP[::3, 0] = np.where(LABEL[::3] >= 0, LABEL[::3], TOP[::3, 0])
INDEX = TOP[:, 0]
CONFIDENCE = np.sort(RNG.random((N, 4)) ** 0.5, axis=1)[:, RNG.permutation(4)]


def test_top_1_and_top_5():
    pairs = [(list(top), label) for top, label in zip(TOP, LABEL) if label != -1]
    assert metrics.top_1(INDEX, LABEL) == metrics.Share(sum(top[0] == label for top, label in pairs), len(pairs))
    assert metrics.top_k(TOP, LABEL) == metrics.Share(sum(label in top[:5] for top, label in pairs), len(pairs))
    assert metrics.top_k(TOP[:, :3], LABEL, 5).right == sum(label in top[:3] for top, label in pairs)


def test_interval_by_drawing_sources_one_by_one():
    """The same draws, with lists of windows that are put together and counted."""
    right = RNG.random(90) < 0.7
    source = RNG.permutation(np.repeat([3, 5, 8, 13], (5, 40, 15, 30)))
    windows = {name: [bool(r) for r, s in zip(right, source) if s == name] for name in (3, 5, 8, 13)}
    random, shares = np.random.default_rng(0), []
    for _ in range(metrics.RESAMPLES):
        together = [w for place in random.integers(4, size=4) for w in list(windows.values())[place]]
        shares.append(sum(together) / len(together))
    found = metrics.interval(right, source)
    assert (found.low, found.high) == pytest.approx((np.quantile(shares, 0.025), np.quantile(shares, 0.975)))


def test_interval_is_that_of_the_sources_not_of_the_windows():
    """Windows of one source all alike: the standard error is that of the 400 sources, however many windows each has."""
    right = np.arange(400) < 320
    for windows in (1, 10):
        found = metrics.interval(np.repeat(right, windows), np.repeat(np.arange(400), windows))
        expected = 1.96 * math.sqrt(0.8 * 0.2 / 400)
        assert (found.low, found.high) == pytest.approx((0.8 - expected, 0.8 + expected), abs=0.006)


def test_nothing_known_is_not_a_number():
    nobody = np.full(3, -1)
    assert math.isnan(metrics.top_1(nobody, nobody).value)
    assert math.isnan(metrics.interval(np.ones(3, bool), np.zeros(3, int)).low), "one source tells nothing of others"
    assert math.isnan(metrics.macro_recall(metrics.per_label(nobody, nobody)))
    assert math.isnan(metrics.distances(np.zeros(0)).median)
    assert math.isnan(metrics.expected_calibration_error(metrics.reliability(np.zeros(0), np.zeros(0, bool))))


def test_per_label():
    rows = {row.label: row for row in metrics.per_label(INDEX, LABEL)}
    assert sorted(rows) == sorted({int(label) for label in LABEL} - {-1})
    for label, row in rows.items():
        told = [int(i) for i, truth in zip(INDEX, LABEL) if truth == label]
        wrong = Counter(i for i in told if i != label)
        assert row.support == len(told)
        assert row.right == told.count(label)
        assert row.told == sum(1 for i, truth in zip(INDEX, LABEL) if i == label and truth != -1)
        assert row.confused == max(wrong.values()) == wrong[row.confused_with]
    recalls = [row.right / row.support for row in rows.values()]
    assert metrics.macro_recall(list(rows.values())) == pytest.approx(sum(recalls) / len(recalls))


def test_a_label_that_is_always_right_is_confused_with_nothing():
    (row,) = metrics.per_label(np.array([4, 4]), np.array([4, 4]))
    assert row == metrics.LabelRow(4, 2, 2, 2, -1, 0)


def test_confusion():
    counts = metrics.confusion(INDEX, LABEL, LABELS)
    pairs = Counter(zip(LABEL.tolist(), INDEX.tolist()))
    assert all(counts[a, b] == pairs[a, b] for a in range(LABELS) for b in range(LABELS))
    assert counts.sum() == (LABEL >= 0).sum()


def test_consistent():
    ancestor = np.array([[0, 1, 2], [0, 1, 1], [0, 0, 0], [0, 0, 0]])
    index = np.array([[0, 0, 0, 0], [2, 1, 0, 0], [2, 0, 0, 0], [1, 1, 1, 0]])
    assert metrics.consistent(index, ancestor) == metrics.Share(2, 4)


# ---- distances ----


def by_vectors(a, b):
    """The angle between two unit vectors, by its tangent (Vincenty's form for the sphere)."""

    def vector(place):
        latitude, longitude = map(math.radians, place)
        return (
            math.cos(latitude) * math.cos(longitude),
            math.cos(latitude) * math.sin(longitude),
            math.sin(latitude),
        )

    u, v = vector(a), vector(b)
    cross = (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
    return 6371008.8 * math.atan2(math.hypot(*cross), sum(x * y for x, y in zip(u, v)))


def test_great_circle():
    a = np.column_stack((RNG.uniform(-90, 90, 200), RNG.uniform(-180, 180, 200)))
    b = np.column_stack((RNG.uniform(-90, 90, 200), RNG.uniform(-180, 180, 200)))
    b[:20] = a[:20] + 1e-4
    found = metrics.great_circle(a[:, 0], a[:, 1], b[:, 0], b[:, 1])
    assert found == pytest.approx([by_vectors(x, y) for x, y in zip(a, b)], rel=1e-6, abs=1e-3)
    assert metrics.great_circle(10.0, 179.9, 10.0, -179.9) == pytest.approx(by_vectors((10, 179.9), (10, -179.9)))
    assert metrics.great_circle(52.5, 13.4, 52.5, 13.4) == 0
    assert metrics.great_circle(90.0, 0.0, -90.0, 77.0) == pytest.approx(math.pi * 6371008.8)


def test_distances():
    metres = RNG.exponential(5e5, 301)
    found = metrics.distances(metres)
    ordered = sorted(metres.tolist())
    assert found.median == ordered[150]
    for kilometres in (25, 200, 750, 2500):
        assert found.within[kilometres] == sum(m <= kilometres * 1000 for m in ordered) / 301


# ---- probabilities ----


def test_reliability_and_ece():
    confidence = np.concatenate((RNG.random(500), [0.0, 1.0, 1 / 15, 2 / 15, 0.2, 0.6]))
    right = RNG.random(506) < confidence**2
    bins = metrics.reliability(confidence, right)
    error = 0.0
    for b in range(15):
        inside = [i for i, p in enumerate(confidence) if (b / 15 < p <= (b + 1) / 15) or (b == 0 and p == 0)]
        assert bins[b].windows == len(inside)
        assert bins[b].confidence == pytest.approx(sum(confidence[i] for i in inside) / len(inside))
        assert bins[b].accuracy == pytest.approx(sum(right[i] for i in inside) / len(inside))
        error += abs(sum(right[i] - confidence[i] for i in inside)) / 506
    assert sum(b.windows for b in bins) == 506
    assert metrics.expected_calibration_error(bins) == pytest.approx(error)


def test_a_calibrated_forecaster_has_a_small_ece_and_a_boaster_a_large_one():
    confidence = RNG.random(20000)
    right = RNG.random(20000) < confidence
    assert metrics.expected_calibration_error(metrics.reliability(confidence, right)) < 0.02
    assert metrics.expected_calibration_error(
        metrics.reliability(np.full(100, 0.9), np.arange(100) < 40)
    ) == pytest.approx(0.5)


def test_told_confidence_takes_finer_levels_along():
    told = metrics.told_confidence(CONFIDENCE)
    for row, found in zip(CONFIDENCE, told):
        assert list(found) == [min(row[level:]) for level in range(4)]


def test_risk_coverage():
    told = metrics.told_confidence(CONFIDENCE)[:, 0]
    points = metrics.risk_coverage(told, INDEX, LABEL)
    assert [p.threshold for p in points] == pytest.approx([i / 100 for i in range(101)])
    for point in points:
        given = [i for i in range(N) if LABEL[i] != -1 and all(p >= point.threshold for p in CONFIDENCE[i])]
        assert (point.told, point.windows) == (len(given), sum(truth != -1 for truth in LABEL))
        assert point.right == metrics.Share(sum(INDEX[i] == LABEL[i] for i in given), len(given))
    assert points[0].coverage == 1


def test_least_threshold():
    told = np.round(RNG.random(300), 2)  # many ties
    right = RNG.random(300) < told

    def accuracy(threshold):
        given = [r for t, r in zip(told, right) if t >= threshold]
        return sum(given) / len(given)

    found = metrics.least_threshold(told, right, 0.9)
    assert accuracy(found) >= 0.9
    assert all(accuracy(t) < 0.9 for t in set(told.tolist()) if t < found)


def test_a_promise_that_cannot_be_kept_answers_nothing():
    assert metrics.least_threshold(np.array([0.3, 0.9, 0.5]), np.zeros(3, bool), 0.95) == 1
    assert metrics.least_threshold(np.zeros(0), np.zeros(0, bool), 0.95) == 1


def test_withheld():
    told, chosen = np.array([0.1, 0.9, 0.4, 0.2]), np.array([True, True, True, False])
    assert metrics.withheld(told, chosen, 0.4) == metrics.Share(1, 3)


# ---- over time ----


def drives():
    """Three sources of windows of 4 s, one a second; the last one ends early."""
    source, end, index, label = [], [], [], []
    for number, windows in enumerate((30, 30, 5)):
        for i in range(windows):
            source.append(number)
            end.append(4.0 + i)
            index.append(number if (i + number) % 4 else 9)
            label.append(number)
    return map(np.array, (source, end, index, label))


@pytest.mark.parametrize("horizon", [3, 4, 10, 11.5, 30, 60])
def test_accuracy_after(horizon):
    source, end, index, label = drives()
    right = of = 0
    for number in range(3):
        newest = (
            max((e, i) for s, e, i in zip(source, end, index) if s == number and e <= horizon) if horizon >= 4 else None
        )
        if newest and horizon - newest[0] <= 4:
            of, right = of + 1, right + (newest[1] == number)
    found = metrics.accuracy_after(index, label, end, source, horizon, oldest=4.0)
    assert found == metrics.Share(right, of)


def test_flips():
    source, end, index, _label = drives()
    changes = minutes = 0
    for number in range(3):
        answers = [int(i) for s, i in zip(source, index) if s == number]
        changes += sum(a != b for a, b in itertools.pairwise(answers))
        minutes += (len(answers) - 1) / 60
    found = metrics.flips(index, end, source)
    assert found.changes == changes and found.minutes == pytest.approx(minutes)
    assert found.per_minute == pytest.approx(changes / minutes)
    assert math.isnan(metrics.flips(index[:1], end[:1], source[:1]).per_minute)
