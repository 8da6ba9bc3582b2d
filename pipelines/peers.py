#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Other runtimes on the same network, for ``cityguessr bench`` to compare with.

    peers.py '{"frames": 16, "tubelet": 2, "image": 224, ..., "threads": 2, "batch": 1, "only": []}'

Speaks lines of JSON on standard output. First one line for each peer, either ``{"name", "engine", "precision",
"version", "error"}`` (relative L2 error of the features against PyTorch fp32) or ``{"name", "engine", "precision",
"missing"}`` with the reason, then ``{"ready": true}``. After that it answers each line ``run NAME`` with ``{"ms"}``
for one batch, or ``{"failed"}``, until its input ends. What the runtimes themselves print goes to standard error.

The network is the encoder with the mean of its tokens, weights random: speed does not depend on them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

NAMES = [
    ("openvino", "bf16", ""),
    ("openvino", "fp32", ""),
    ("pytorch", "fp32", "eager"),
    ("pytorch", "bf16", "eager"),
    ("pytorch", "fp32", "compiled"),
    ("pytorch", "bf16", "compiled"),
    ("onnxruntime", "fp32", ""),
]


def cpu_has_bf16() -> bool:
    """Without the instructions bf16 is emulated, or silently computed in fp32: nothing to compare with."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(flag in text.split() for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def build(config: dict):
    """The encoder as one writes it in PyTorch."""
    import torch
    from torch import nn
    from torch.nn import functional

    width, heads, mlp = config["width"], config["heads"], config["mlp"]
    tubelet, patch = config["tubelet"], config["patch"]
    tokens = config["frames"] // tubelet * (config["image"] // patch) ** 2

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(width, eps=config["layer_norm_eps"])
            self.norm2 = nn.LayerNorm(width, eps=config["layer_norm_eps"])
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.fc1, self.fc2 = nn.Linear(width, mlp), nn.Linear(mlp, width)

        def forward(self, x):
            b, n, _ = x.shape
            qkv = self.qkv(self.norm1(x)).reshape(b, n, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            attended = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
            x = x + self.proj(attended.transpose(1, 2).reshape(b, n, width))
            return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            size = (tubelet, patch, patch)
            self.patch_embed = nn.Conv3d(3, width, kernel_size=size, stride=size)
            self.position = nn.Parameter(torch.randn(1, tokens, width))
            self.blocks = nn.Sequential(*[Block() for _ in range(config["depth"])])

        def forward(self, x):  # [batch][3][frames][image][image]
            x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.position
            return self.blocks(x).mean(1)

    torch.manual_seed(0)
    return Encoder().eval()


class Peers:
    """Each method gives a function that runs one batch and returns the features as a numpy array."""

    def __init__(self, config: dict) -> None:
        import torch

        self.torch, self.config = torch, config
        torch.set_num_threads(config["threads"])
        self.net = build(config)
        shape = (config["batch"], 3, config["frames"], config["image"], config["image"])
        self.inputs = [torch.rand(shape) for _ in range(3)]
        self.folder = tempfile.TemporaryDirectory(prefix="cityguessr-peers-")
        with torch.inference_mode():
            self.reference = self.net(self.inputs[0]).numpy()

    def pytorch(self, precision: str, how: str) -> Callable:
        torch, net = self.torch, self.net
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        if kind != torch.float32:
            net = build(self.config)
            net.load_state_dict(self.net.state_dict())
            net = net.to(kind)
        if how == "compiled":
            import torch._inductor.config as inductor

            inductor.freezing = True
            net = torch.compile(net)

        def run(x):
            with torch.inference_mode():
                return net(x.to(kind)).float().numpy()

        return run

    def openvino(self, precision: str, how: str) -> Callable:
        import openvino

        model = openvino.convert_model(self.net, example_input=self.inputs[0], input=list(self.inputs[0].shape))
        hints = {
            "INFERENCE_NUM_THREADS": self.config["threads"],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        }
        compiled = openvino.Core().compile_model(model, "CPU", hints)
        return lambda x: compiled(x.numpy())[0]

    def onnxruntime(self, precision: str, how: str) -> Callable:
        import onnxruntime

        path = str(Path(self.folder.name) / "encoder.onnx")
        self.torch.onnx.export(
            self.net, (self.inputs[0],), path, opset_version=18, dynamo=False, input_names=["x"], output_names=["y"]
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.config["threads"]
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda x: session.run(None, {"x": x.numpy()})[0]


def version(engine: str) -> str:
    return importlib.import_module({"pytorch": "torch"}.get(engine, engine)).__version__.split("-")[0]


def main() -> int:
    config = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**answer) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        import numpy

        peers = Peers(config)
        reason = None
    except ImportError as error:
        reason = f"{error}; the peers are built with PyTorch"

    runs: dict[str, Callable] = {}
    for engine, precision, how in NAMES:
        name = " ".join(filter(None, (engine, precision, how)))
        about = {"name": name, "engine": engine, "precision": precision}
        if config["only"] and engine not in config["only"]:
            continue
        if reason:
            say(**about, missing=reason)
            continue
        if precision == "bf16" and not cpu_has_bf16():
            say(**about, missing="this CPU does not compute in bf16")
            continue
        try:
            run = getattr(peers, engine)(precision, how)
            features = run(peers.inputs[0])
            run(peers.inputs[1])
        except Exception as error:  # a peer that fails is reported, whatever it raises; the others go on
            say(**about, missing=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}")
            continue
        off = numpy.linalg.norm(features - peers.reference) / numpy.linalg.norm(peers.reference)
        runs[name] = run
        say(**about, version=version(engine), error=float(off))
    say(ready=True)

    for count, line in enumerate(sys.stdin):
        command, _, name = line.strip().partition(" ")
        if command != "run" or name not in runs:
            say(failed=f"unknown command: {line.strip()}")
            continue
        x = peers.inputs[count % len(peers.inputs)]
        start = time.perf_counter()
        try:
            runs[name](x)
        except Exception as error:
            say(failed=f"{type(error).__name__}: {error}")
            continue
        say(ms=1e3 * (time.perf_counter() - start))
    return 0


if __name__ == "__main__":
    sys.exit(main())
