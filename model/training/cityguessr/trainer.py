# SPDX-License-Identifier: LGPL-2.1-or-later
"""One training run: from a recipe to a model file, in one process or several, to be stopped and taken up at will.

The weights after a step are a function of the recipe alone: data order and chance are derived from (seed, epoch,
step), never from a generator's state, and a checkpoint holds all the rest. So a run that was killed at any moment ends
with the same bits as one that was not, on the same machine with the same number of threads and processes.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from . import checkpoint, modelfile, text
from .augment import TrainingWindows
from .batches import Batch, EpochPlan, training_batches
from .calibrate import fit_temperatures
from .datasets import DatasetError, WindowShape, open_dataset
from .distributed import Group, choose_device
from .losses import TERMS, divisors, term_sums, total
from .network import LEVELS, CityGuessr
from .optim import MovingAverage, make_optimizer, set_rate
from .recipe import Recipe, different_keys
from .validation import Collected, autocast, collect, targets_of, top_1

VERSION = 1


class TrainError(ValueError):
    """A run that cannot start or go on; the message says why and what to do."""


class Trainer:
    """@output: the folder that takes everything the run writes."""

    def __init__(self, recipe: Recipe, output: Path, group: Group = Group()):
        self.recipe, self.output, self.group = recipe, output, group
        self.device = choose_device(recipe.train.device, group.local_rank)
        if recipe.train.threads:
            torch.set_num_threads(recipe.train.threads)
        if recipe.train.deterministic:
            torch.use_deterministic_algorithms(True)
        if recipe.train.batch < group.size:
            raise TrainError(f"train.batch: {recipe.train.batch} windows are too few for {group.size} processes")
        self._init = self._read_init()
        self._open_data()
        self.model = self._make_model().to(self.device)
        self.optimizer = make_optimizer(self.model, recipe.optimizer)
        self.average = MovingAverage(self.model, recipe.optimizer.ema) if recipe.optimizer.ema else None
        self.net = self._wrap(self.model)
        self.epoch = self.step = 0  # of the next step; step counts within the epoch
        self.best = {"score": -math.inf, "epoch": -1}
        self.rows: list[dict] = []
        self.seconds = 0.0
        # sums since the last row of the log (loss, terms, norm of the gradient), and of how many steps
        self._running = torch.zeros(len(TERMS) + 2, dtype=torch.float64, device=self.device)
        self._runs = 0

    # ---- what is made at the start ----

    def _read_init(self) -> tuple[CityGuessr, modelfile.Card] | None:
        path = self.recipe.init.encoder or self.recipe.init.model
        return modelfile.load(path) if path else None

    def _open_data(self) -> None:
        recipe, group = self.recipe, self.group
        geometry = recipe.geometry.base()
        shape = WindowShape(geometry.frames, geometry.image, recipe.input.sample_interval)
        self.train_set = open_dataset(recipe.dataset, "train", shape)
        self.validation_set = open_dataset(recipe.dataset, "validation", shape, self.train_set.places)
        for dataset in (self.train_set, self.validation_set):
            if group.first:
                dataset.prepare(recipe.train.workers)
            group.wait()
            dataset.prepare()
        self.places = self.train_set.places
        scenes = self.train_set.has_scenes and self.validation_set.has_scenes
        if recipe.loss.scene in ("soft", "majority") and not scenes:
            raise DatasetError(f"loss.scene is {recipe.loss.scene!r}, but the dataset brings no scene probabilities")
        if recipe.loss.scene == "auto":
            recipe = replace(recipe, loss=replace(recipe.loss, scene="soft" if scenes else "none"))
            self.recipe = recipe
        self.text_table, self._encoder = self._make_text_table()
        train = recipe.train
        self.plan = EpochPlan(len(self.train_set), train.batch, train.windows_per_epoch, recipe.seed, group.size)
        if self.plan.steps == 0:
            raise TrainError(f"{len(self.train_set)} windows are too few for {group.size} processes")
        self.windows = TrainingWindows(
            self.train_set, recipe.augment, recipe.seed, recipe.train.epochs, geometry.tubelet
        )

    def _make_text_table(self) -> tuple[Tensor | None, str]:
        """F_t of each city, and the encoder's description."""
        options = self.recipe.text
        if self.recipe.loss.text == "none":
            return None, ""
        if options.encoder == "columns":
            table = self.train_set.text_table()
            if table is None:
                raise DatasetError("text.encoder is 'columns', but the dataset's annotation lines bring no text values")
            return table.to(self.device), "the dataset's text values"
        encoder = text.open_encoder(options)
        levels = LEVELS[:1] if self.recipe.loss.text == "city" else LEVELS
        return text.label_embeddings(encoder, self.places, levels).to(self.device), encoder.description

    def _make_model(self) -> CityGuessr:
        recipe = self.recipe
        width = 0 if self.text_table is None else self.text_table.shape[1]
        geometry = recipe.geometry.complete(self.places, recipe.loss, width)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            model = CityGuessr(geometry, recipe.input.input())
        if self._init:
            start_from(model, self._init[0], recipe.init.encoder or recipe.init.model, bool(recipe.init.model))
        model.set_stochastic_depth(recipe.augment.stochastic_depth)
        return model

    def _wrap(self, model: CityGuessr) -> torch.nn.Module:
        net = torch.compile(model) if self.recipe.train.compile else model
        if self.group.size == 1:
            return net
        return DistributedDataParallel(net, device_ids=[self.device.index] if self.device.type == "cuda" else None)

    # ---- steps ----

    @property
    def steps_done(self) -> int:
        return self.epoch * self.plan.steps + self.step

    @property
    def steps(self) -> int:
        return self.recipe.train.epochs * self.plan.steps

    def train_step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One optimiser step on this process's share of a batch. Returns the whole batch's terms, [terms], and the
        norm of its gradient."""
        recipe, group = self.recipe, self.group
        torch.manual_seed((recipe.seed * 1_000_003 + self.steps_done) * 4096 + group.rank)  # for stochastic depth
        batch = batch.to(self.device)
        parts = batch.parts(recipe.train.micro_batch)
        whole = targets_of(batch.labels, batch.scene, self.text_table, recipe.loss)
        divide_by = divisors(group.sum(whole.counts()), recipe.loss)
        terms = torch.zeros(len(TERMS), dtype=torch.float64, device=self.device)
        for i, part in enumerate(parts):
            last = i == len(parts) - 1
            # DistributedDataParallel sums gradients of the last part only, and divides them by the processes.
            quiet = contextlib.nullcontext() if last or group.size == 1 else self.net.no_sync()
            targets = targets_of(part.labels, part.scene, self.text_table, recipe.loss)
            with quiet:
                with autocast(self.device, recipe.train.precision):
                    outputs = self.net(part.frames, part.slots)
                levels = self.model.split(outputs.logits)
                found = term_sums(levels, outputs.scene, outputs.text, targets, recipe.loss) / divide_by
                (total(found, recipe.loss) * group.size).backward()
            terms += found.detach()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.optimizer.clip_norm or math.inf)
        set_rate(self.optimizer, recipe.optimizer, self.steps_done, self.steps)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update(self.model)
        return group.sum(terms), norm

    def run(self) -> None:
        """Trains to the end from where the run is, then exports."""
        recipe = self.recipe
        with self._tensorboard() as board:
            while self.epoch < recipe.train.epochs:
                self._train_epoch(board)
                self._validate(board)
                self.epoch, self.step = self.epoch + 1, 0
                if self.group.first:
                    self._write_log()
                    self.save()
        self.group.wait()

    def _train_epoch(self, board) -> None:
        train, group = self.recipe.train, self.group
        shares = self.plan.shares(self.epoch, self.step, group.rank, group.size)
        if not shares:
            return
        self.net.train()
        batches = training_batches(self.windows, shares, train.workers, self.device.type == "cuda")
        bar = tqdm(
            batches, f"epoch {self.epoch + 1}/{train.epochs}", self.plan.steps, initial=self.step, unit="step",
            disable=not group.first or not sys.stderr.isatty(),
        )  # fmt: skip
        began, waited = time.monotonic(), 0.0
        asked = began
        for batch in bar:
            waited += time.monotonic() - asked
            terms, norm = self.train_step(batch)
            self._running += torch.cat((total(terms, self.recipe.loss)[None], terms, norm.double()[None]))
            self._runs += 1
            self.step += 1
            if self.step % train.log_steps == 0 or self.step == self.plan.steps:
                now = time.monotonic()
                row = self._log_training(now - began, waited)
                bar.set_postfix(loss=f"{row['loss']:.3f}")
                self._show(board, row)
                self.seconds += now - began
                began, waited = now, 0.0
            if self.step % train.checkpoint_steps == 0 and group.first and self.step < self.plan.steps:
                self.save()
            asked = time.monotonic()

    def _log_training(self, seconds: float, waited: float) -> dict:
        values = (self._running / self._runs).tolist()
        if not all(map(math.isfinite, values)):
            raise TrainError(
                f"epoch {self.epoch + 1}, step {self.step}: the loss is {values[0]}: lower optimizer.learning_rate, "
                "add a warm-up or clip_norm; the last checkpoint is from before"
            )
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        row = {"kind": "train", "epoch": self.epoch + 1, "step": self.steps_done, "learning_rate": rate}
        row |= dict(zip(("loss", *TERMS, "gradient_norm"), values))
        row |= {"windows_per_second": self._runs * self.plan.batch / seconds, "waiting": waited / seconds}
        self.rows.append(row)
        self._running.zero_()
        self._runs = 0
        return row

    # ---- between epochs ----

    def validated_model(self) -> CityGuessr:
        """The weights that count: the moving average's, if there is one."""
        if self.average is None:
            return self.model
        model = CityGuessr(self.model.geometry, self.model.input).to(self.device)
        model.load_state_dict(self.average.weights)
        return model

    def _validate(self, board) -> None:
        found = self.judge(self.validated_model())
        scores = top_1(self.model, found)
        loss = total(found.terms, self.recipe.loss).item()
        row = {"kind": "validation", "epoch": self.epoch + 1, "step": (self.epoch + 1) * self.plan.steps, "loss": loss}
        row |= dict(zip(TERMS, found.terms.tolist())) | {f"top1_{level}": score for level, score in scores.items()}
        self.rows.append(row)
        self._show(board, row)
        if self.recipe.train.select == "last" or self.best["epoch"] < 0 or scores["city"] > self.best["score"]:
            self.best = {"score": scores["city"], "epoch": self.epoch + 1}
            if self.group.first:
                checkpoint.save(self.output / "best.pt", {"epoch": self.epoch + 1, "model": self._weights()})

    def judge(self, model: CityGuessr) -> Collected:
        """@model on the validation split."""
        train = self.recipe.train
        return collect(
            model,
            self.validation_set,
            batch=train.batch,
            workers=train.workers,
            most=train.validation_windows,
            precision=train.precision,
            loss=self.recipe.loss,
            text_table=self.text_table,
            group=self.group,
        )

    def _weights(self) -> dict[str, Tensor]:
        weights = self.average.weights if self.average else self.model.state_dict()
        return {name: tensor.detach().cpu() for name, tensor in weights.items()}

    @contextlib.contextmanager
    def _tensorboard(self) -> Iterator[object | None]:
        if not (self.group.first and self.recipe.train.tensorboard):
            yield None
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise TrainError("pip install tensorboard, or set train.tensorboard = false") from None
        # what a killed run had logged beyond its checkpoint is logged again, and shown once
        with SummaryWriter(str(self.output / "tensorboard"), purge_step=self.steps_done) as board:
            yield board

    @staticmethod
    def _show(board, row: dict) -> None:
        if board is not None:
            for key, value in row.items():
                if key not in ("kind", "epoch", "step"):
                    board.add_scalar(f"{row['kind']}/{key}", value, row["step"])

    def _write_log(self) -> None:
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        checkpoint.write_text(self.output / "log.jsonl", lines)

    # ---- checkpoints ----

    @property
    def checkpoint_path(self) -> Path:
        return self.output / "checkpoint.pt"

    def save(self) -> None:
        checkpoint.save(
            self.checkpoint_path,
            {
                "version": VERSION,
                "recipe": json.dumps(self.recipe.to_json()),
                "processes": self.group.size,
                "epoch": self.epoch,
                "step": self.step,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average.state() if self.average else None,
                "best": self.best,
                "rows": json.dumps(self.rows),
                "running": self._running.cpu(),
                "runs": self._runs,
                "seconds": self.seconds,
            },
        )

    def resume(self) -> bool:
        """Goes on from the checkpoint in the output folder; False if there is none."""
        path = self.checkpoint_path
        if not path.is_file():
            return False
        state = checkpoint.load(path)
        if state.get("version") != VERSION:
            raise checkpoint.CheckpointError(f"{path}: version {state.get('version')!r}; this reads {VERSION}")
        different = different_keys(json.loads(state["recipe"]), self.recipe.to_json())
        if different:
            raise TrainError(f"{path}: made by another recipe; these keys differ: {', '.join(different)}")
        if state["processes"] != self.group.size:
            raise TrainError(f"{path}: made by {state['processes']} processes; there are {self.group.size} now")
        self.epoch, self.step = state["epoch"], state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.load(state["average"])
        self.best, self.rows, self.seconds = state["best"], json.loads(state["rows"]), state["seconds"]
        self._running, self._runs = state["running"].to(self.device), state["runs"]
        return True

    # ---- the end ----

    def export(self) -> tuple[Path, dict]:
        """Writes the model file of the best epoch. Returns it, and what the report says of the end."""
        best = checkpoint.load(self.output / "best.pt")
        model = CityGuessr(self.model.geometry, self.model.input).to(self.device)
        model.load_state_dict(best["model"])
        found = self.judge(model)
        temperatures = dict.fromkeys(LEVELS, 1.0)
        if self.recipe.export.temperatures:
            temperatures = fit_temperatures(model.split(found.logits), found.labels)
        path = self.output / "model.safetensors"
        end = {
            "epoch": best["epoch"],
            "validation_windows": len(found.labels),
            "loss": total(found.terms, self.recipe.loss).item(),
            "top1": top_1(model, found),
            "temperatures": temperatures,
        }
        if self.group.first:
            modelfile.save(path, model, self._card(best["epoch"], temperatures), self.recipe.export.dtype)
        return path, end

    def _card(self, epoch: int, temperatures: dict[str, float]) -> modelfile.Card:
        recipe = self.recipe
        said = [recipe.export.provenance] if recipe.export.provenance else []
        said.append(
            f"trained by the recipe {recipe.name!r} on {recipe.dataset['kind']}, epoch {epoch} of {recipe.train.epochs}"
        )
        licence = recipe.export.licence
        if self._encoder:
            said.append(f"text targets by {self._encoder}")
        if self._init:
            card = self._init[1]
            said.append(f"started from {card.name!r} ({card.provenance})")
            licence = licence or card.licence
        return modelfile.Card(
            recipe.name,
            "; ".join(said),
            licence or "not stated",
            self.places,
            modelfile.SCENES if self.model.geometry.scene else (),
            recipe.export.demo,
            recipe.input.sample_interval,
            tuple(temperatures[level] for level in LEVELS),
        )


def start_from(model: CityGuessr, start: CityGuessr, name: str, complete: bool) -> None:
    """Gives @model the weights of @start: all, or the encoder's. What the shapes do not show must agree too."""
    ours, theirs = model.geometry, start.geometry
    fields = ("frames", "tubelet", "image", "patch", "width", "depth", "heads", "mlp", "layer_norm_eps")
    for field in (*fields, "labels", "scene", "text") if complete else fields:
        a, b = getattr(ours, field), getattr(theirs, field)
        if a != b:
            raise TrainError(f"{name}: geometry.{field} is {b} there, {a} in the recipe")
    state = {
        key: value
        for key, value in start.state_dict().items()
        if complete or key.startswith(("patch_embed.", "blocks."))
    }
    model.load_state_dict(state, strict=complete)
