# SPDX-License-Identifier: LGPL-2.1-or-later
"""The report of an evaluation as a page (Markdown) and as a picture (PNG). Both show what ``evaluation.json`` holds and
compute nothing. The details are those of the first decoding that was evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .measure import HORIZONS
from .metrics import DISTANCES
from .network import LEVELS

FEW = 30
"""Cities that the page lists at either end; the JSON has all."""


def markdown(report: dict[str, Any]) -> str:
    name, detail = next(iter(report["decodings"].items()))
    sections = [
        _introduction(report),
        _accuracy(report["decodings"]),
        _distance(report["decodings"]),
        f"The rest of this page is about the decoding `{name}`.",
        "![Reliability, coverage, continents, and accuracy over time](evaluation.png)",
        _calibration(detail),
        _promise(report, detail) if "promise" in detail else "",
        _thresholds(detail["thresholds"]),
        _over_time(report, detail["tracked"]),
        _continents(detail["continents"]),
        _cities(detail["cities"]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def headline(report: dict[str, Any]) -> str:
    """A few lines for a terminal."""
    return _introduction(report, title=False) + "\n\n" + _accuracy(report["decodings"], title=False)


# ---- sections ----


def _introduction(report: dict[str, Any], title: bool = True) -> str:
    model = report["model"]
    dataset = report.get("dataset", {})
    demo = " It is a **demo** model: on real footage its places mean nothing." if model["demo"] else ""
    where = f" of the split `{dataset['split']}` of `{dataset['recipe']}`" if dataset else ""
    engine = {"pytorch": "PyTorch", "element": "the GStreamer element (CPU, fp32)"}[report["engine"]]
    text = (
        f"Model `{model['name']}` ({model['file']}, SHA-256 {model['sha256'][:16]}…).{demo}\n"
        f"{report['windows']} windows of {report['window_seconds']:.3g} s from {report['sources']} sources{where}, "
        f"in {report['stretches']} stretches without a break; computed by {engine}."
    )
    return f"# Evaluation of {model['name']}\n\n{text}" if title else text


def _accuracy(decodings: dict[str, Any], title: bool = True) -> str:
    rows = []
    for decoding, figures in decodings.items():
        top1, top5, tracked = (
            [figures["levels"][level]["top1"] for level in LEVELS],
            [figures["levels"][level]["top5"] for level in LEVELS],
            [figures["tracked"]["levels"][level]["top1"] for level in LEVELS],
        )
        rows.append([decoding, "top-1", *map(_with_interval, top1), _percent(figures["consistent"]["value"])])
        rows.append(["", "top-5", *(_percent(share["value"]) for share in top5), ""])
        rows.append(["", "tracked, top-1", *map(_with_interval, tracked), ""])
    table = _table(["decoding", "", *LEVELS, "on one path"], rows)
    if not title:
        return table
    first = next(iter(decodings.values()))["levels"]
    counted = ", ".join(f"{level} {first[level]['top1']['of']}" for level in LEVELS)
    return (
        "## Accuracy\n\nPer cent of the windows whose label is known and is one of the model's "
        f"({counted}); in brackets the 95 % interval by the bootstrap over sources. *On one path*: the four answers do "
        "not contradict each other. *Tracked*: after the filter over time. Top-5 is by each level's own probabilities."
        f"\n\n{table}"
    )


def _distance(decodings: dict[str, Any]) -> str:
    rows = []
    for decoding, figures in decodings.items():
        for kind, found in (("", figures["distance"]), (", tracked", figures["tracked"]["distance"])):
            for to, name in (("city", "centre of the true city"), ("location", "where the camera was")):
                distances = found[to]
                if distances["windows"]:
                    within = [_percent(distances["within"][str(far)]) for far in DISTANCES]
                    rows.append(
                        [decoding + kind, name, distances["windows"], _kilometres(distances["median"]), *within]
                    )
    if not rows:
        return ""
    heads = ["decoding", "to", "windows", "median, km", *(f"≤ {far} km, %" for far in DISTANCES)]
    return f"## Great-circle error\n\n{_table(heads, rows)}"


def _calibration(detail: dict[str, Any]) -> str:
    rows = [
        [
            level,
            _number(detail["levels"][level]["ece"], 4),
            _number(detail["tracked"]["levels"][level]["ece"], 4),
            _percent(detail["levels"][level]["macro_recall"]),
        ]
        for level in LEVELS
    ]
    return (
        "## Calibration\n\nExpected calibration error over 15 bins of equal width; and the mean of the labels' "
        "recalls, in which every label counts the same.\n\n"
        + _table(["level", "ECE", "ECE, tracked", "macro recall, %"], rows)
    )


def _promise(report: dict[str, Any], detail: dict[str, Any]) -> str:
    promise = detail["promise"]
    parts = []
    for kind, words in (
        ("each", "each level with a threshold of its own"),
        ("common", "one threshold for all levels: the element's `min-confidence`"),
    ):
        rows = []
        for level in LEVELS:
            point = promise[kind][level]
            row = [level, _number(point["threshold"], 4), _percent(point["coverage"]), _percent(point["accuracy"])]
            if f"unseen_{kind}" in promise:
                row.append(_percent(promise[f"unseen_{kind}"][level]["value"]))
            rows.append(row)
        heads = ["level", "threshold", "answered, %", "of these right, %"]
        heads += ["withheld where the label is unknown to the model, %"] if f"unseen_{kind}" in promise else []
        parts.append(f"{words[0].upper()}{words[1:]}:\n\n{_table(heads, rows)}")
    part = report.get("dataset", {}).get("promise_split", "other")
    return (
        f"## At a promised accuracy of {100 * promise['accuracy']:g} %\n\nThe least thresholds that keep the promise "
        f"on the {promise['windows']} windows of the `{part}` part, applied here. A threshold of 1 that answers "
        "nothing: none keeps it.\n\n" + "\n\n".join(parts)
    )


def _thresholds(rows: list[dict[str, Any]]) -> str:
    heads = ["min-confidence"]
    heads += [f"{level}: {what}, %" for level in ("city", "country") for what in ("answered", "right")]
    heads += ["city withheld where it is unknown to the model, %"] if "unseen" in rows[0] else []
    cells = []
    for row in rows:
        cells.append([_number(row["threshold"], 2)])
        for level in ("city", "country"):
            cells[-1] += [_percent(row["given"][level][what]) for what in ("coverage", "accuracy")]
        if "unseen" in row:
            cells[-1].append(_percent(row["unseen"]["city"]["value"]))
    return "## At a given `min-confidence`\n\nOf the windows; and of those answered.\n\n" + _table(heads, cells)


def _over_time(report: dict[str, Any], tracked: dict[str, Any]) -> str:
    rows = []
    for level in LEVELS:
        figures = tracked["levels"][level]
        for kind in ("raw", "tracked"):
            after = [figures["after"][str(horizon)][kind] for horizon in HORIZONS]
            cells = [f"{_percent(share['value'])} ({share['of']})" for share in after]
            rows.append(
                [level if kind == "raw" else "", kind, *cells, _number(figures[f"flips_{kind}"]["per_minute"], 2)]
            )
    heads = ["level", "", *(f"after {horizon} s, %" for horizon in HORIZONS), "flips per minute"]
    stable, right = tracked["stable"], tracked["stable_city"]
    return (
        "## Over time\n\nEach source watched from its beginning: the answer in force after so many seconds, the newest "
        f"window that has ended and is at most a window old (in brackets the sources that have one; a window lasts "
        f"{report['window_seconds']:.3g} s). The filter's memory is {report['track_memory']:g} s. A flip is a change "
        "of the answer from window to window.\n\n"
        f"{_table(heads, rows)}\n\nStable in {_percent(stable['value'])} % of the windows; the city of these is "
        f"right in {_percent(right['value'])} %."
    )


def _continents(continents: dict[str, Any]) -> str:
    labels, counts = continents["labels"], continents["confusion"]
    rows = [[label, *row] for label, row in zip(labels, counts)]
    table = _table(["", *labels], rows)
    return f"## Continents\n\nWindows by their continent (rows) and by the answer (columns).\n\n{table}"


def _cities(cities: list[dict[str, Any]]) -> str:
    def row(city: dict[str, Any]) -> list:
        confused = f"{city['confused_with']} ({city['confused']})" if city["confused_with"] else ""
        return [city["city"], city["windows"], _percent(city["recall"]), _percent(city["precision"]), confused]

    heads = ["city", "windows", "recall, %", "precision, %", "most often told instead"]
    ordered = sorted(cities, key=lambda city: (-city["recall"], city["city"]))
    if len(ordered) <= 2 * FEW:
        return f"## Cities\n\n{_table(heads, map(row, ordered))}" if ordered else ""
    return (
        f"## Cities\n\nThe best {FEW} and the worst {FEW} of {len(ordered)}; `evaluation.json` has all.\n\n"
        f"{_table(heads, map(row, ordered[:FEW]))}\n\n{_table(heads, map(row, ordered[-FEW:]))}"
    )


# ---- the picture ----


def draw(report: dict[str, Any], path: Path) -> None:
    """Four panels: reliability, accuracy against coverage, continents, and the city's accuracy over time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    name, detail = next(iter(report["decodings"].items()))
    figure = Figure(figsize=(11, 9), layout="constrained")
    FigureCanvasAgg(figure)
    demo = " (demo)" if report["model"]["demo"] else ""
    figure.suptitle(
        f"{report['model']['name']}{demo}, {name}: {report['windows']} windows, {report['sources']} sources"
    )
    panels = figure.subplots(2, 2)
    _draw_reliability(panels[0, 0], detail)
    _draw_coverage(panels[0, 1], detail)
    _draw_continents(panels[1, 0], detail["continents"])
    _draw_time(panels[1, 1], detail["tracked"])
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _draw_reliability(panel: Any, detail: dict[str, Any]) -> None:
    panel.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    for level in LEVELS:
        bins = [b for b in detail["levels"][level]["reliability"] if b["windows"]]
        error = _number(detail["levels"][level]["ece"], 3)
        panel.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], "o-", label=f"{level}, ECE {error}")
    panel.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean confidence", ylabel="share that is right", title="Reliability")
    panel.legend(fontsize="small")


def _draw_coverage(panel: Any, detail: dict[str, Any]) -> None:
    for level in LEVELS:
        points = [p for p in detail["levels"][level]["risk_coverage"] if p["accuracy"] is not None]
        panel.plot([p["coverage"] for p in points], [p["accuracy"] for p in points], label=level)
    panel.set(
        xlim=(0, 1), ylim=(0, 1.02), xlabel="share of windows that are answered", ylabel="share of these that is right"
    )
    panel.set_title("Withheld levels: accuracy against coverage")
    panel.legend(fontsize="small")


def _draw_continents(panel: Any, continents: dict[str, Any]) -> None:
    labels, counts = continents["labels"], continents["confusion"]
    shares = [[n / max(sum(row), 1) for n in row] for row in counts]
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(counts):
        for x, n in enumerate(row):
            panel.text(
                x, y, str(n), ha="center", va="center", color="white" if shares[y][x] > 0.5 else "black", fontsize=8
            )
    panel.set_xticks(range(len(labels)), labels, rotation=30, ha="right", fontsize=8)
    panel.set_yticks(range(len(labels)), labels, fontsize=8)
    panel.set(xlabel="answer", ylabel="truth", title="Continents")


def _draw_time(panel: Any, tracked: dict[str, Any]) -> None:
    for kind, style in (("raw", "s--"), ("tracked", "o-")):
        for level, colour in zip(LEVELS, ("C0", "C1", "C2", "C3")):
            after = tracked["levels"][level]["after"]
            found = [(h, after[str(h)][kind]["value"]) for h in HORIZONS if after[str(h)][kind]["value"] is not None]
            panel.plot(*(zip(*found) if found else ([], [])), style, color=colour, label=f"{level}, {kind}")
    panel.set(ylim=(0, 1.02), xlabel="seconds watched", ylabel="share of sources that is right", title="Over time")
    panel.legend(fontsize="x-small", ncols=2)


# ---- words ----


def _table(heads: list, rows: Iterable[list]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _with_interval(share: dict[str, Any]) -> str:
    low, high = share["interval"]["low"], share["interval"]["high"]
    return _percent(share["value"]) + ("" if low is None else f" ({_percent(low)}–{_percent(high)})")


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _kilometres(metres: float | None) -> str:
    return "–" if metres is None else f"{metres / 1000:.1f}"
