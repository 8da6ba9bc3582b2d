# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trains a model by a recipe.

    python -m cityguessr.train RECIPE.toml [--output FOLDER] [--resume] [--set KEY.KEY=VALUE …]
    torchrun --nproc-per-node N -m cityguessr.train RECIPE.toml …

The output folder (default: runs/NAME-OF-THE-RECIPE) takes model.safetensors, report.md, report.json, curves.png,
log.jsonl, tensorboard/, and checkpoint.pt and best.pt, from which --resume goes on after any interruption, as if there
had been none.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch
from torch import Tensor

from . import checkpoint, training_report
from .distributed import Group
from .losses import geolocalization_loss, scene_loss
from .network import CityGuessr
from .recipe import Recipe, read_recipe
from .trainer import Trainer, TrainError


def train(recipe: Recipe, output: Path, resume: bool = False, group: Group = Group()) -> Path:
    """A whole run; returns the model file."""
    if (output / "checkpoint.pt").exists() and not resume:
        raise TrainError(f"{output}: holds a run already: --resume goes on with it, --output names another folder")
    output.mkdir(parents=True, exist_ok=True)
    group.wait()
    trainer = Trainer(recipe, output, group)
    if group.first:
        checkpoint.remove_leftovers(output)
        print(_summary(trainer), file=sys.stderr)
    if resume and trainer.resume() and group.first:
        print(f"resumed at epoch {trainer.epoch + 1}, step {trainer.step}", file=sys.stderr)
    trainer.run()
    path, end = trainer.export()
    if group.first:
        training_report.write(output, trainer.recipe.to_json(), _facts(trainer), end, trainer.rows)
        shown = ", ".join(f"{level} {100 * score:.1f} %" for level, score in end["top1"].items())
        print(f"{path}: epoch {end['epoch']}, validation top-1 {shown}", file=sys.stderr)
    return path


def _summary(trainer: Trainer) -> str:
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    return (
        f"{trainer.recipe.name}: {parameters:,} parameters, scenes {trainer.recipe.loss.scene}, text "
        f"{trainer.recipe.loss.text}, labels {list(trainer.places.counts)}, "
        f"{len(trainer.train_set)} windows of {len(trainer.train_set.sources())} sources to train on, "
        f"{len(trainer.validation_set)} of {len(trainer.validation_set.sources())} to validate, "
        f"{trainer.steps} steps, on {trainer.device.type}"
    )


def _facts(trainer: Trainer) -> dict:
    """For the report."""
    steps = [row for row in trainer.rows if row["kind"] == "train"]
    rates = sorted(row["windows_per_second"] for row in steps)
    return {
        "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
        "labels": list(trainer.places.counts),
        "training_windows": len(trainer.train_set),
        "training_sources": len(trainer.train_set.sources()),
        "validation_windows": len(trainer.validation_set),
        "validation_sources": len(trainer.validation_set.sources()),
        "steps": trainer.steps,
        "device": torch.cuda.get_device_name() if trainer.device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processes": trainer.group.size,
        "pytorch": torch.__version__,
        "minutes_in_steps": trainer.seconds / 60,
        "windows_per_second_median": rates[len(rates) // 2] if rates else 0.0,
    }


def train_windows(
    model: CityGuessr,
    windows: Tensor,
    places: Tensor,
    scenes: Tensor | None = None,
    *,
    steps: int,
    batch: int = 12,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> list[float]:
    """Adam on random batches of a few windows in memory, without recipe or files: @windows [n, frames, image, image, 3]
    uint8 with @places int64 [n, 4] and, if given, soft @scenes [n, scenes]. Returns the loss of each step; the
    model is left in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    model.train()
    for _ in range(steps):
        chosen = torch.randint(len(windows), (min(batch, len(windows)),), generator=generator)
        outputs = model(windows[chosen])
        loss = geolocalization_loss(model.split(outputs.logits), places[chosen])
        if scenes is not None:
            loss = loss + scene_loss(outputs.scene, scenes[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cityguessr.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path, help="TOML file; model/training/recipes holds some")
    parser.add_argument("--output", type=Path, help="folder of the run")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in the output folder, if there is one"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.KEY=VALUE", help="put over the recipe's, as in TOML"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    # cuBLAS reads it when it starts; without it, deterministic algorithms are refused on a GPU
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    arguments = _parser().parse_args(argv)
    group = Group()
    try:
        recipe = read_recipe(arguments.recipe, tuple(arguments.set))
        wants_gpu = recipe.train.device != "cpu" and torch.cuda.is_available()
        group = Group.join("cuda" if wants_gpu else "cpu")
        train(recipe, arguments.output or Path("runs") / arguments.recipe.stem, arguments.resume, group)
    except (ValueError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    finally:
        group.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
