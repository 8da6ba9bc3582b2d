# SPDX-License-Identifier: LGPL-2.1-or-later
"""Judges a model on a dataset, and writes a report.

    python -m cityguessr.evaluate MODEL DATASET [--split test] [--engine pytorch|element] [--output DIR]

MODEL is a model file; DATASET a recipe (TOML) whose table ``[dataset]`` says where the windows are. The engine is
PyTorch, or the GStreamer element as users run it (``engines``): both give the same figures. DIR gets
``evaluation.md``, ``evaluation.json`` and ``evaluation.png``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from . import engines, evaluation_report, measure, modelfile
from .decode import DECODINGS, Tree
from .engines import EngineError, Options, Results
from .modelfile import Card
from .network import LEVELS, CityGuessr
from .recipe import read_tables
from .stretches import place
from .track import MEMORY

ENGINES = ("pytorch", "element")
PROMISE = 0.95
"""The accuracy that thresholds are chosen for."""


class Judge:
    """A model and the engine that computes it."""

    def __init__(self, path: Path, engine: str, options: Options, workers: int = 0):
        self.path, self.engine, self.options, self.workers = path, engine, options, workers
        self.model: CityGuessr
        self.card: Card
        self.model, self.card = modelfile.load(path)
        self.tree = Tree(self.card.places)

    def answer(self, dataset: Any, title: str) -> tuple[dict[str, Results], measure.Truth]:
        """Every window of @dataset (a ``WindowDataset`` whose labels are of this model's places): the results of each
        decoding, and what is true. @title: for the progress line"""
        geometry = self.model.geometry
        recorder = measure.Recorder(self.tree, geometry.frames * self.card.sample_interval)
        windows = _progress(_in_order(dataset, self.workers), len(dataset), title)
        placed = recorder.watch(place(windows, geometry.frames, self.card.sample_interval))
        if self.engine == "pytorch":
            results, _ = engines.run_pytorch(self.model, self.card, self.tree, placed, self.options)
        else:
            results = engines.run_element(
                self.path, self.card, geometry.frames, geometry.image, self.tree, placed, self.options
            )
        return results, recorder.truth()


def _in_order(dataset: Any, workers: int) -> Iterator[tuple[int, Any]]:
    """Each window with its number: one source after the other, each in the order of time."""
    order = [index for _, indices in dataset.sources() for index in indices]
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=None, sampler=order, num_workers=workers, collate_fn=_unchanged
    )
    return zip(order, loader)


def _unchanged(window: Any) -> Any:
    return window


def _progress(windows: Iterator, total: int, title: str) -> Iterator:
    """Says now and then how far it is, on a terminal only."""
    said = 0.0
    for done, each in enumerate(windows, 1):
        if sys.stderr.isatty() and (time.monotonic() - said > 1 or done == total):
            said = time.monotonic()
            print(f"\r{title}: {done} of {total} windows", end="\n" if done == total else "", file=sys.stderr)
        yield each


def evaluate(
    judge: Judge, dataset: Any, promise: Any = None, unseen: Any = None, accuracy: float = PROMISE
) -> dict[str, Any]:
    """The whole report as JSON can hold it.

    @dataset: the windows to judge by; @promise: others, by which thresholds for @accuracy are chosen (None: no such
    section); @unseen: windows of places that the model does not know (None: none)
    """
    if dataset is None or not len(dataset):
        raise ValueError("there are no windows to judge by")
    results, truth = judge.answer(dataset, "judging")
    chosen = judge.answer(promise, "choosing thresholds") if promise is not None and len(promise) else None
    strange = judge.answer(unseen, "unseen places") if unseen is not None and len(unseen) else None
    figures = {}
    for decoding, found in results.items():
        figures[decoding] = measure.measure(found, truth, judge.tree)
        figures[decoding]["thresholds"] = measure.at_thresholds(
            found, truth, (strange[0][decoding], strange[1]) if strange else None
        )
        if chosen:
            promised = measure.promised(chosen[0][decoding], chosen[1], found, truth, accuracy)
            figures[decoding]["promise"] = promised
            if strange:
                for kind in ("each", "common"):
                    thresholds = {name: promised[kind][name]["threshold"] for name in LEVELS}
                    found_strange = measure.unseen(strange[0][decoding], strange[1], thresholds)
                    promised[f"unseen_{kind}"] = found_strange
    return {
        "model": _describe(judge),
        "engine": judge.engine,
        "track_memory": judge.options.memory,
        "windows": len(truth),
        "sources": len(truth.sources),
        "stretches": len(set(truth.stretch.tolist())),
        "window_seconds": truth.duration,
        "decodings": figures,
    }


def _describe(judge: Judge) -> dict[str, Any]:
    card = judge.card
    return {
        "file": judge.path.name,
        "sha256": hashlib.sha256(judge.path.read_bytes()).hexdigest(),
        "name": card.name,
        "demo": card.demo,
        "places": card.places.name,
        "labels": dict(zip(LEVELS, card.places.counts)),
        "temperatures": dict(zip(LEVELS, card.temperatures)),
    }


# ---- the command ----


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cityguessr.evaluate", description="Judges a model on a dataset.")
    parser.add_argument("model", type=Path, metavar="MODEL", help="model file (.safetensors)")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="recipe (.toml) with a table [dataset]")
    parser.add_argument("--split", default="test", help="the part that is judged by (default: %(default)s)")
    parser.add_argument("--engine", choices=ENGINES, default="pytorch", help="who computes (default: %(default)s)")
    parser.add_argument(
        "--decoding",
        choices=("all", *DECODINGS),
        default="all",
        help="how levels become a place (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, default=Path("evaluation"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--promise", type=float, default=PROMISE, help="accuracy to choose min-confidence for (default: %(default)s)"
    )
    parser.add_argument(
        "--promise-split",
        metavar="SPLIT",
        help='the part it is chosen by, or "none" (default: validation, if there is one)',
    )
    parser.add_argument("--unseen", default="none", metavar="SPLIT", help="a part with places the model does not know")
    parser.add_argument(
        "--track-memory", type=float, default=MEMORY, help="seconds, of the filter over time (default: %(default)s)"
    )
    parser.add_argument("--batch", type=int, default=8, help="windows that PyTorch computes at once")
    parser.add_argument("--device", default="cpu", help="PyTorch's device, such as cpu or cuda")
    parser.add_argument("--workers", type=int, default=0, help="processes that read windows")
    return parser.parse_args(words)


def _open(recipe: Path, split: str, judge: Judge) -> Any:
    """One part of the dataset of a recipe; None for the part "none"."""
    from .datasets import WindowShape, open_dataset

    if split == "none":
        return None
    spec = read_tables(recipe).get("dataset")
    if not isinstance(spec, dict):
        raise ValueError(f"{recipe}: there is no table [dataset]")
    geometry = judge.model.geometry
    shape = WindowShape(geometry.frames, geometry.image, judge.card.sample_interval)
    return open_dataset(spec, split, shape, judge.card.places)


def _open_promise(arguments: argparse.Namespace, judge: Judge) -> tuple[str, Any]:
    """The part that thresholds are chosen by, and its name. One that was not asked for may be absent: that is said."""
    from .datasets import DatasetError

    name = arguments.promise_split or "validation"
    try:
        return name, _open(arguments.dataset, name, judge)
    except DatasetError as error:
        if arguments.promise_split:
            raise
        print(f"cityguessr.evaluate: no thresholds are chosen, as there is no part for it: {error}", file=sys.stderr)
        return "none", None


def run(words: list[str] | None = None) -> dict[str, Any]:
    """The command. Returns the report."""
    arguments = _arguments(words)
    decodings = DECODINGS if arguments.decoding == "all" else (arguments.decoding,)
    options = Options(decodings, arguments.track_memory, arguments.batch, arguments.device)
    judge = Judge(arguments.model, arguments.engine, options, arguments.workers)
    dataset = _open(arguments.dataset, arguments.split, judge)
    promise_split, promise = _open_promise(arguments, judge)
    unseen = _open(arguments.dataset, arguments.unseen, judge)
    named = {"split": arguments.split, "promise_split": promise_split, "unseen_split": arguments.unseen}
    report = {
        "dataset": {"recipe": arguments.dataset.name, **named},
        **evaluate(judge, dataset, promise, unseen, arguments.promise),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "evaluation.json").write_text(json.dumps(report, indent=1, allow_nan=False), encoding="utf-8")
    (arguments.output / "evaluation.md").write_text(evaluation_report.markdown(report), encoding="utf-8")
    evaluation_report.draw(report, arguments.output / "evaluation.png")
    return report


def main(words: list[str] | None = None) -> int:
    try:
        report = run(words)
    except (EngineError, ValueError, OSError) as error:
        print(f"cityguessr.evaluate: {error}", file=sys.stderr)
        return 1
    print(evaluation_report.headline(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
