# SPDX-License-Identifier: LGPL-2.1-or-later
"""What training must know of a model between epochs: logits of a split, losses, top-1. ``cityguessr.evaluate`` tells
everything else."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .batches import evaluation_batches
from .datasets.base import WindowDataset
from .distributed import Group
from .losses import LossOptions, Targets, term_sums
from .network import LEVELS, CityGuessr
from .places import UNKNOWN


@dataclass
class Collected:
    """Of N windows. @logits: float32 [N, total labels]; @labels: int64 [N, 4]; @terms: mean loss terms, or None."""

    logits: Tensor
    labels: Tensor
    terms: Tensor | None = None


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()


def targets_of(labels: Tensor, scene: Tensor | None, text_table: Tensor | None, options: LossOptions) -> Targets:
    """Targets of a batch. @text_table: [cities, width], or None if the text term is not computed."""
    scene = scene if options.scene != "none" else None
    text = None
    if text_table is not None and options.text != "none":
        text = text_table[labels[:, 0].clamp(min=0)]
    return Targets(labels, scene, text)


def evenly(count: int, most: int) -> np.ndarray:
    """At most @most numbers of 0 .. @count - 1, evenly spread; 0: all."""
    if most == 0 or most >= count:
        return np.arange(count)
    return np.arange(most) * count // most


@torch.inference_mode()
def collect(
    model: CityGuessr,
    dataset: WindowDataset,
    *,
    batch: int = 12,
    workers: int = 0,
    most: int = 0,
    precision: str = "fp32",
    loss: LossOptions | None = None,
    text_table: Tensor | None = None,
    group: Group = Group(),
) -> Collected:
    """Runs @model over a dataset, or over @most windows of it; with @loss, its terms too. In a group each process
    takes a share, and each returns the whole."""
    device = model.patch_embed.weight.device
    chosen = evenly(len(dataset), most)
    mine = chosen[group.rank :: group.size]
    logits, labels = [], []
    sums, counts = torch.zeros(len(LEVELS) + 2, dtype=torch.float64), torch.zeros(len(LEVELS) + 2, dtype=torch.float64)
    model.eval()
    for windows in evaluation_batches(dataset, mine, batch, workers, device.type == "cuda"):
        windows = windows.to(device)
        with autocast(device, precision):
            outputs = model(windows.frames)
        if loss is not None:
            targets = targets_of(windows.labels, windows.scene, text_table, loss)
            sums += term_sums(model.split(outputs.logits), outputs.scene, outputs.text, targets, loss).double().cpu()
            counts += targets.counts().double().cpu()
        logits.append(outputs.logits.float().cpu())
        labels.append(windows.labels.cpu())
    n = sum(model.geometry.labels)
    mine_logits = torch.cat([torch.empty(0, n), *logits])
    mine_labels = torch.cat([torch.empty(0, 4, dtype=torch.int64), *labels])
    parts = group.gather((mine_logits.numpy(), mine_labels.numpy(), mine, sums.numpy(), counts.numpy()))
    order = np.argsort(np.concatenate([part[2] for part in parts]), kind="stable")
    terms = None
    if loss is not None:
        # a mean over the windows for every term, the text's too: a sum over a split would tell its size
        whole = torch.from_numpy(sum(part[4] for part in parts)).clamp(min=1)
        terms = torch.from_numpy(sum(part[3] for part in parts)) / whole
    return Collected(
        torch.from_numpy(np.concatenate([part[0] for part in parts])[order]),
        torch.from_numpy(np.concatenate([part[1] for part in parts])[order]),
        terms,
    )


def top_1(model: CityGuessr, found: Collected) -> dict[str, float]:
    """Level -> share of windows whose own head is right, among those with a known label; NaN without any."""
    result = {}
    for i, (level, logits) in enumerate(model.split(found.logits).items()):
        known = found.labels[:, i] != UNKNOWN
        result[level] = (logits.argmax(1) == found.labels[:, i])[known].double().mean().item()
    return result
