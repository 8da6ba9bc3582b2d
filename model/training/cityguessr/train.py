# SPDX-License-Identifier: LGPL-2.1-or-later
"""Training on windows that fit in memory."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import LEVELS, CityGuessr, Outputs


def location_loss(model: CityGuessr, outputs: Outputs, targets: Tensor) -> Tensor:
    """Sum over the four levels of the cross entropy, each a mean over the batch (the paper's L_geo).
    @targets: [batch, 4] indices, city first."""
    logits = model.split(outputs.logits)
    return sum(F.cross_entropy(logits[level], targets[:, i]) for i, level in enumerate(LEVELS))


def scene_loss(outputs: Outputs, targets: Tensor) -> Tensor:
    """Cross entropy with soft targets, mean over the batch (the paper's L_scene). @targets: [batch, scenes]."""
    return F.cross_entropy(outputs.scene, targets)


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
    """Adam on random batches of @windows [n, frames, image, image, 3] uint8 with @places [n, 4] and, if given,
    soft @scenes [n, scenes]. Returns the loss of each step; the model is left in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    model.train()
    for _ in range(steps):
        chosen = torch.randint(len(windows), (min(batch, len(windows)),), generator=generator)
        outputs = model(windows[chosen])
        loss = location_loss(model, outputs, places[chosen])
        if scenes is not None:
            loss = loss + scene_loss(outputs, scenes[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses
