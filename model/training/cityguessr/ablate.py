# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each part of the method is worth: trains recipes with several seeds, and sets their figures side by side.

    python -m cityguessr.ablate RECIPE.toml … [--seeds 0 1 2] [--windows N] [--output FOLDER] [--set KEY.KEY=VALUE …]

Each recipe is a row. FOLDER (default: runs/ablation) takes a run of ``cityguessr.train`` for each recipe and seed, and
``ablation.md`` and ``ablation.json``, written anew after every run. Stopped at any moment, the same command goes on:
runs that are finished are not repeated. Judged is the test split, each window by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from . import checkpoint, modelfile
from .datasets import WindowShape, open_dataset
from .decode import DECODINGS, Tree, decode
from .distributed import choose_device
from .metrics import top_1
from .network import LEVELS
from .recipe import Recipe, different_keys, read_recipe
from .train import train
from .trainer import TrainError
from .validation import collect

RESULT = "result.json"
"""In the folder of a run, written last: it is finished."""


def run(recipe: Recipe, windows: int, folder: Path) -> dict[str, Any]:
    """Trains and judges, unless that is done; returns the figures. @windows: of the test split, 0 = all"""
    path, asked = folder / RESULT, {**recipe.to_json(), "test_windows": windows}
    if not path.exists():
        figures = judge(train(recipe, folder, resume=True), recipe, windows)
        checkpoint.write_text(path, json.dumps({"asked": asked, **figures}, indent=1, allow_nan=False) + "\n")
    result = json.loads(path.read_text(encoding="utf-8"))
    different = different_keys(result["asked"], asked)
    if different:
        raise TrainError(f"{path}: of another recipe or command; these keys differ: {', '.join(different)}")
    return result


def judge(path: Path, recipe: Recipe, windows: int) -> dict[str, Any]:
    """Top-1 of a model file on at most @windows of the test split, evenly over its drives."""
    model, card = modelfile.load(path)
    shape = WindowShape(model.geometry.frames, model.geometry.image, card.sample_interval)
    dataset = open_dataset(recipe.dataset, "test", shape, card.places)
    dataset.prepare(recipe.train.workers)
    model = model.to(choose_device(recipe.train.device))
    found = collect(model, dataset, batch=recipe.train.batch, workers=recipe.train.workers, most=windows)
    labels, tree, top1 = found.labels.numpy(), Tree(card.places), {}
    for decoding in DECODINGS:
        answers, _ = decode(found.logits.numpy(), tree, card.temperatures, decoding)
        shares = [top_1(answers.index[:, level], labels[:, level]) for level in range(len(LEVELS))]
        if not all(share.of for share in shares):
            raise TrainError("the test split has no window whose label is known")
        top1[decoding] = {level: share.value for level, share in zip(LEVELS, shares)}
    return {
        "top1": top1,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "windows": len(labels),
        "sources": len(dataset.sources()),
    }


def summary(rows: dict[str, dict[int, dict[str, Any]]]) -> dict[str, Any]:
    """@rows: name of the recipe -> seed -> ``run()``. Mean and standard deviation over the seeds; of a sample (n - 1),
    null for one seed."""
    return {
        "rows": [
            {
                "recipe": name,
                "description": next(iter(runs.values()))["asked"]["description"],
                "seeds": list(runs),
                "parameters": next(iter(runs.values()))["parameters"],
                "top1": {
                    decoding: {
                        level: _spread([result["top1"][decoding][level] for result in runs.values()])
                        for level in LEVELS
                    }
                    for decoding in DECODINGS
                },
            }
            for name, runs in rows.items()
        ],
        "runs": {name: {str(seed): result for seed, result in runs.items()} for name, runs in rows.items()},
    }


def _spread(values: list[float]) -> dict[str, Any]:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "deviation": deviation, "values": values}


def markdown(report: dict[str, Any]) -> str:
    """The table, as it came out."""
    every = [result for runs in report["runs"].values() for result in runs.values()]
    lines = ["# Ablation", ""]
    lines += [
        f"Top-1, per cent of {_all(every, 'windows')} windows, evenly over the {_all(every, 'sources')} sources of the "
        "test split, each by itself: mean ± standard deviation over the seeds (of a sample, n - 1). Rows and figures "
        "are as they came out.",
        "",
        "| recipe | what it is | parameters | seeds | trained on |",
        "|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        seeds = ", ".join(map(str, row["seeds"]))
        shown = " | ".join((row["recipe"], row["description"], f"{row['parameters']:,}", seeds))
        asked = next(iter(report["runs"][row["recipe"]].values()))["asked"]
        lines.append(f"| {shown} | {_trained_on(asked['train'])} |")
    for decoding in DECODINGS:
        lines += ["", f"## Decoding: {decoding}", "", f"| recipe | {' | '.join(LEVELS)} |", "|---" * 5 + "|"]
        for row in report["rows"]:
            cells = [_cell(row["top1"][decoding][level]) for level in LEVELS]
            lines.append(f"| {row['recipe']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _trained_on(options: dict[str, Any]) -> str:
    windows = f"{options['windows_per_epoch']} windows" if options["windows_per_epoch"] else "all windows"
    return f"{options['epochs']} epochs of {windows}, batch {options['batch']}"


def _all(results: list[dict[str, Any]], key: str) -> str:
    return " or ".join(map(str, sorted({result[key] for result in results})))


def _cell(spread: dict[str, Any]) -> str:
    shown = f"{100 * spread['mean']:.1f}"
    return shown if spread["deviation"] is None else f"{shown} ± {100 * spread['deviation']:.1f}"


def ablate(recipes: list[Path], seeds: list[int], windows: int, output: Path, changes: tuple[str, ...] = ()) -> str:
    """All runs, seed by seed, so that what is there after an interruption can be compared. Returns the page."""
    if len({path.stem for path in recipes}) < len(recipes) or len(set(seeds)) < len(seeds):
        raise TrainError("two recipes of one name, or a seed twice: their runs would be one")
    read = {path.stem: [read_recipe(path, (*changes, f"seed={seed}")) for seed in seeds] for path in recipes}
    rows: dict[str, dict[int, dict[str, Any]]] = {}
    page = ""
    for i, seed in enumerate(seeds):
        for name, of_seeds in read.items():
            rows.setdefault(name, {})[seed] = run(of_seeds[i], windows, output / f"{name}-seed-{seed}")
            report = summary(rows)
            page = markdown(report)
            checkpoint.write_text(output / "ablation.json", json.dumps(report, indent=1, allow_nan=False) + "\n")
            checkpoint.write_text(output / "ablation.md", page)
    return page


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cityguessr.ablate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", type=Path, nargs="+", metavar="RECIPE", help="TOML file: a row of the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the runs (default: 0 1 2)")
    parser.add_argument("--windows", type=int, default=0, help="to judge by, evenly over the test drives; 0: all")
    parser.add_argument("--output", type=Path, default=Path("runs/ablation"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.KEY=VALUE", help="put over each recipe's, as in TOML"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # see train
    arguments = _parser().parse_args(argv)
    try:
        page = ablate(arguments.recipes, arguments.seeds, arguments.windows, arguments.output, tuple(arguments.set))
    except (ValueError, OSError) as error:
        print(f"ablate: {error}", file=sys.stderr)
        return 1
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
