# SPDX-License-Identifier: LGPL-2.1-or-later
"""The paper's loss, L = L_geo + L_scene + L_TLA, over a batch of B windows:

    L_geo   = sum over the four levels h of  1/B sum_b -log softmax (logits_h,b) [y_h,b]
    L_scene = 1/B sum_b -sum_s p_b,s log softmax (scene_b) [s]           p: soft labels, or one-hot majority
    L_TLA   = -sum_b cos (text_b, F_t,b)                                 F_t: mean text embedding of the labels

(Kulkarni, Nayak, Shah, ECCV 2024, and the authors' train.py.) What the authors' code does besides, and what becomes
of it here:

* TLA is summed over the batch, the other terms are means, so that TLA weighs as much as the batch is large (12 times):
  ``text_reduction = "sum"``, the default because their figures were made so. "mean" makes it independent of the batch.
* Their targets collate to float64, which promotes the text and scene terms to double: not done. It changes the loss by
  rounding only (a test measures it) and would make these terms the slowest of a GPU's step.
* The constant 1 of 1 - cos is left out, as theirs: it has no gradient. The loss is therefore negative at the end.

Every term is a sum over windows over a count of the whole batch. So a batch in parts (gradient accumulation, several
processes) has exactly the loss and gradient of the batch in one. Unknown targets (-1) count in no term.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import LEVELS
from .options import one_of, within
from .places import UNKNOWN

TERMS = (*LEVELS, "scene", "text")
"""Order of the values in every vector of terms and of counts."""


@dataclass(frozen=True)
class LossOptions:
    """The ``[loss]`` table of a recipe."""

    scene: str = "auto"  # none, majority, soft; auto: soft if the dataset brings scenes, else none
    text: str = "all"  # none, city, all: which labels' names F_t is the mean of
    text_reduction: str = "sum"  # sum, mean: over the batch
    scene_weight: float = 1.0
    text_weight: float = 1.0
    level_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    label_smoothing: float = 0.0

    def check(self) -> None:
        one_of("scene", self.scene, ("auto", "none", "majority", "soft"))
        one_of("text", self.text, ("none", "city", "all"))
        one_of("text_reduction", self.text_reduction, ("sum", "mean"))
        within("label_smoothing", self.label_smoothing, 0, 0.999)
        for name in ("scene_weight", "text_weight"):
            within(name, getattr(self, name), 0, 1e6)
        for weight in self.level_weights:
            within("level_weights", weight, 0, 1e6)

    def weights(self) -> Tensor:
        """[terms]"""
        return torch.tensor((*self.level_weights, self.scene_weight, self.text_weight))


@dataclass
class Targets:
    """Of a batch. @labels: int64 [B, 4]; @scene: [B, scenes], probabilities; @text: [B, width]."""

    labels: Tensor
    scene: Tensor | None = None
    text: Tensor | None = None  # a row of NaN: no embedding is known

    def text_known(self) -> Tensor:
        """bool [B]: the windows that count in the text term."""
        return (self.labels[:, 0] != UNKNOWN) & self.text.isfinite().all(1)

    def counts(self) -> Tensor:
        """[terms]: the windows that count in each term. The counts of the parts of a batch add up."""
        known = (self.labels != UNKNOWN).sum(0).to(torch.float32)
        scenes = float(len(self.labels)) if self.scene is not None else 0.0
        texts = self.text_known().sum() if self.text is not None else 0.0
        return torch.cat((known, known.new_tensor((scenes, texts))))


def divisors(counts: Tensor, options: LossOptions) -> Tensor:
    """[terms], from the counts of the whole batch: never zero, and 1 for a text term that is a sum."""
    result = counts.clamp(min=1)
    if options.text_reduction == "sum":
        result[TERMS.index("text")] = 1
    return result


def at_least_float(x: Tensor) -> Tensor:
    """Half precision to float32: exponentials and sums over classes need it."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def level_sum(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Sum over the batch of one level's cross entropy. @logits: [B, labels]; @targets: int64 [B], or UNKNOWN."""
    return F.cross_entropy(
        at_least_float(logits), targets, ignore_index=UNKNOWN, reduction="sum", label_smoothing=label_smoothing
    )


def scene_sum(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum over the batch of the cross entropy with probabilities. @logits, @targets: [B, scenes]."""
    logits = at_least_float(logits)
    return F.cross_entropy(logits, targets.to(logits), reduction="sum")


def text_sum(predicted: Tensor, embeddings: Tensor, known: Tensor) -> Tensor:
    """Minus the sum over the windows that are @known [B] of the cosine. @predicted, @embeddings: [B, width]."""
    predicted = at_least_float(predicted)
    # A NaN that is masked only afterwards would still be the gradient's factor.
    cosine = F.cosine_similarity(predicted, embeddings.to(predicted).nan_to_num(), dim=1)
    return -torch.where(known, cosine, 0).sum()


def majority(scene: Tensor) -> Tensor:
    """Hard labels of soft ones [B, scenes]: one-hot of the most probable scene, the first of equals. The paper's
    majority is a vote of frames; where only a window's distribution is known, its mode is that vote's result."""
    return F.one_hot(scene.argmax(-1), scene.shape[-1]).to(scene)


def term_sums(
    levels: dict[str, Tensor], scene: Tensor | None, text: Tensor | None, targets: Targets, options: LossOptions
) -> Tensor:
    """[terms]: the sum over the batch of each term, unweighted; zero for a term that the options leave out.

    @levels: level -> logits; @scene, @text: raw outputs of FFN_s and FFN_t, or None if the network has none.
    """
    labels = targets.labels
    sums = [level_sum(levels[level], labels[:, i], options.label_smoothing) for i, level in enumerate(LEVELS)]
    nothing = torch.zeros_like(sums[0])
    if options.scene == "none":
        sums.append(nothing)
    else:
        sums.append(scene_sum(scene, majority(targets.scene) if options.scene == "majority" else targets.scene))
    sums.append(nothing if options.text == "none" else text_sum(text, targets.text, targets.text_known()))
    return torch.stack(sums)


def total(terms: Tensor, options: LossOptions) -> Tensor:
    """The loss: terms [terms], already divided, by their weights."""
    return (terms * options.weights().to(terms)).sum()


# ---- the three terms of the paper on one whole batch ----


def geolocalization_loss(levels: dict[str, Tensor], labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """L_geo: sum over the levels of the mean cross entropy. @labels: int64 [B, 4]."""
    return sum(
        level_sum(levels[level], labels[:, i], label_smoothing) / (labels[:, i] != UNKNOWN).sum().clamp(min=1)
        for i, level in enumerate(LEVELS)
    )


def scene_loss(logits: Tensor, targets: Tensor, hard: bool = False) -> Tensor:
    """L_scene, a mean over the batch; with the majority's label if @hard."""
    return scene_sum(logits, majority(targets) if hard else targets) / len(logits)


def text_alignment_loss(predicted: Tensor, embeddings: Tensor, reduction: str = "sum") -> Tensor:
    """L_TLA, summed over the batch as the authors', or its mean."""
    every = torch.ones(len(predicted), dtype=torch.bool, device=predicted.device)
    result = text_sum(predicted, embeddings, every)
    return result / len(predicted) if reduction == "mean" else result
