# SPDX-License-Identifier: LGPL-2.1-or-later
"""Optimiser, learning rate, moving average of the weights. Defaults: the authors' Adam at a constant 1e-3."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .options import one_of, within


@dataclass(frozen=True)
class OptimizerOptions:
    """The ``[optimizer]`` table of a recipe."""

    kind: str = "adam"  # adam, adamw, muon
    learning_rate: float = 1e-3
    encoder_rate: float = 1.0  # factor of the learning rate for the encoder
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.95  # Muon's
    weight_decay: float = 0.0  # of matrices; biases and norms have none
    clip_norm: float = 0.0  # of the whole gradient; 0: not clipped
    schedule: str = "constant"  # constant, cosine, linear; after the warm-up
    warmup: float = 0.0  # share of all steps in which the rate rises from 0
    final_rate: float = 0.0  # share of the learning rate that cosine and linear end with
    ema: float = 0.0  # decay of the moving average that is validated and exported; 0: none

    def check(self) -> None:
        one_of("kind", self.kind, ("adam", "adamw", "muon"))
        one_of("schedule", self.schedule, ("constant", "cosine", "linear"))
        within("learning_rate", self.learning_rate, 0, 10)
        within("encoder_rate", self.encoder_rate, 0, 100)
        within("weight_decay", self.weight_decay, 0, 10)
        within("clip_norm", self.clip_norm, 0, 1e6)
        for name in ("warmup", "final_rate"):
            within(name, getattr(self, name), 0, 1)
        within("ema", self.ema, 0, 0.999999)
        for beta in (*self.betas, self.momentum):
            within("betas and momentum", beta, 0, 0.999999)
        if self.kind == "adam" and self.weight_decay:
            raise ValueError("weight_decay: Adam's is not what is meant by it; take kind = 'adamw'")


_ENCODER = ("patch_embed.", "blocks.")


class Muon:
    """Muon (Jordan et al., 2024; its steps as large as AdamW's: Liu et al., arXiv 2502.16982) for the matrices of the
    blocks, AdamW for all else: @parts, behind that part of an optimiser's interface which the trainer uses."""

    def __init__(self, matrices: list[dict], others: list[dict], options: OptimizerOptions):
        rate = options.learning_rate
        self.parts = (
            torch.optim.Muon(matrices, lr=rate, momentum=options.momentum, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=rate, betas=options.betas, fused=True),
        )

    @property
    def param_groups(self) -> list[dict]:
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict) -> None:
        for part, one in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(one)


def make_optimizer(model: nn.Module, options: OptimizerOptions) -> torch.optim.Optimizer | Muon:
    """Groups by (encoder or not, decayed or not); each remembers its factor of the learning rate."""
    groups: dict[tuple[bool, bool, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        muon = options.kind == "muon" and name.startswith("blocks.") and parameter.ndim == 2
        groups.setdefault((muon, name.startswith(_ENCODER), parameter.ndim > 1), []).append(parameter)

    def parameters(of_muon: bool) -> list[dict]:
        return [
            {
                "params": some,
                "weight_decay": options.weight_decay if matrices else 0.0,
                "factor": options.encoder_rate if encoder else 1.0,
            }
            for (muon, encoder, matrices), some in groups.items()
            if muon == of_muon
        ]

    if options.kind == "muon":
        return Muon(parameters(True), parameters(False), options)
    kind = torch.optim.Adam if options.kind == "adam" else torch.optim.AdamW
    return kind(parameters(False), lr=options.learning_rate, betas=options.betas, fused=True)


def rate(options: OptimizerOptions, step: int, steps: int) -> float:
    """Share of the learning rate at a step, 0 <= @step < @steps. A function of the step alone, so that a run which is
    taken up again needs no memory of it."""
    warmup = round(options.warmup * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if options.schedule == "constant":
        return 1.0
    done = (step - warmup) / max(steps - warmup, 1)
    left = 0.5 * (1 + math.cos(math.pi * done)) if options.schedule == "cosine" else 1 - done
    return options.final_rate + (1 - options.final_rate) * left


def set_rate(optimizer: torch.optim.Optimizer, options: OptimizerOptions, step: int, steps: int) -> float:
    """Sets the learning rates of a step; returns that of the heads."""
    value = options.learning_rate * rate(options, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = value * group["factor"]
    return value


class MovingAverage:
    """Exponential moving average of the weights. In its first steps the decay is less, (1 + n) / (10 + n), so that
    the initial weights are soon forgotten."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay, self.updates = decay, 0
        self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        state = model.state_dict()
        torch._foreach_lerp_(list(self.weights.values()), [state[name] for name in self.weights], 1 - decay)

    def state(self) -> dict:
        return {"updates": self.updates, "weights": self.weights}

    def load(self, state: dict) -> None:
        self.updates = state["updates"]
        for name, tensor in state["weights"].items():
            self.weights[name].copy_(tensor)
