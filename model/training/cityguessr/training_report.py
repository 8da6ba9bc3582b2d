# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a training run leaves to be read: report.md, report.json and curves.png."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

from . import checkpoint
from .losses import TERMS
from .network import LEVELS


def write(output: Path, recipe: dict, run: dict, end: dict, rows: list[dict]) -> None:
    """@recipe: ``Recipe.to_json()``; @run: facts of the run; @end: from ``Trainer.export()``; @rows: the log."""
    whole = {"recipe": recipe, "run": run, "end": end, "log": rows}
    checkpoint.write_text(output / "report.json", json.dumps(_finite(whole), indent=1) + "\n")
    checkpoint.write_text(output / "report.md", markdown(recipe, run, end, rows))
    picture = io.BytesIO()
    curves(rows, picture)
    checkpoint.write_atomically(output / "curves.png", lambda file: file.write(picture.getvalue()))


def _finite(value):
    """JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def markdown(recipe: dict, run: dict, end: dict, rows: list[dict]) -> str:
    lines = [f"# Training: {recipe['name']}", ""]
    if recipe["description"]:
        lines += [recipe["description"], ""]
    if recipe["export"]["demo"]:
        lines += ["A demonstration model: its figures hold in the world that it was trained on, and nowhere else.", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {key.replace('_', ' ')} | {_number(value)} |" for key, value in run.items()]
    lines += ["", "![curves](curves.png)", "", "## Validation", ""]
    lines += [
        f"Epoch {end['epoch']} was exported. {end['validation_windows']} windows of sources that were not trained on; "
        "each level by its own head.",
        "",
        "| | " + " | ".join(LEVELS) + " |",
        "|---|" + "---|" * len(LEVELS),
        "| top-1 % | " + " | ".join(f"{100 * end['top1'][level]:.1f}" for level in LEVELS) + " |",
        "| temperature | " + " | ".join(f"{end['temperatures'][level]:.3f}" for level in LEVELS) + " |",
        "",
        "The epoch was chosen, and the temperatures were fitted, on these windows: figures to be quoted come from",
        "`cityguessr.evaluate` on the test split.",
        "",
        "| epoch | loss | " + " | ".join(TERMS) + " | " + " | ".join(f"top-1 {level} %" for level in LEVELS) + " |",
        "|---|---|" + "---|" * (len(TERMS) + len(LEVELS)),
    ]
    for row in rows:
        if row["kind"] == "validation":
            terms = " | ".join(f"{row[term]:.4f}" for term in TERMS)
            scores = " | ".join(f"{100 * row[f'top1_{level}']:.1f}" for level in LEVELS)
            lines.append(f"| {row['epoch']} | {row['loss']:.4f} | {terms} | {scores} |")
    lines += ["", "## Recipe", "", "Defaults written out.", "", "```json", json.dumps(recipe, indent=1), "```", ""]
    return "\n".join(lines)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def curves(rows: list[dict], file: io.BytesIO) -> None:
    """Loss and top-1 over steps."""
    from matplotlib.figure import Figure  # not pyplot: no window system, no global state

    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for kind, style in (("train", "-"), ("validation", "o--")):
        some = [row for row in rows if row["kind"] == kind]
        left.plot([row["step"] for row in some], [row["loss"] for row in some], style, ms=4, lw=1, label=kind)
    left.set(xlabel="step", ylabel="loss")
    some = [row for row in rows if row["kind"] == "validation"]
    for level in LEVELS:
        scores = [100 * row[f"top1_{level}"] for row in some]
        right.plot([row["step"] for row in some], scores, "o-", ms=4, lw=1, label=level)
    right.set(xlabel="step", ylabel="validation top-1, %", ylim=(0, 100))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(file, format="png", dpi=100)
