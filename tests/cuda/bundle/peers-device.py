#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""PyTorch and JAX on the same encoder and the same GPU, for tests/cuda/bundle/run.sh.

    peers-device.py [--repeats 100] [--batch N ...] [--quick] PEERS_PY [GEOMETRY ...]

PEERS_PY is pipelines/peers.py, which holds the encoder. Prints JSON: ``{"results": [{geometry, name, batch, median_ms,
p99_ms, min_ms, error}], "missing": [{geometry, name, batch, reason}], "versions"}``. Times are of CUDA events around
one batch in device memory, four random inputs in turn, weights already in fp16; compilation is not counted. ``error``
is the relative L2 distance of the features to the same network in fp32, without TF32.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import sys
import time

GEOMETRIES = {
    "small-16": {"width": 384, "depth": 12, "heads": 16, "mlp": 1536, "layer_norm_eps": 1e-12},
    "small-6": {"width": 384, "depth": 12, "heads": 6, "mlp": 1536, "layer_norm_eps": 1e-6},
    "base": {"width": 768, "depth": 12, "heads": 12, "mlp": 3072, "layer_norm_eps": 1e-12},
}
PICTURES = {"frames": 16, "tubelet": 2, "image": 224, "patch": 16}
SETS = 4


def load(path: str):
    spec = importlib.util.spec_from_file_location("peers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quantiles(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    return {
        "median_ms": round(times[len(times) // 2], 4),
        "p99_ms": round(times[min(len(times) - 1, int(0.99 * len(times)))], 4),
        "min_ms": round(times[0], 4),
    }


class Torch:
    """Each peer is a function from an input on the GPU to features on the GPU."""

    def __init__(self, peers, geometry: dict) -> None:
        import torch

        self.torch = torch
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        self.reference = peers.build({**geometry, **PICTURES}).cuda()
        self.net = peers.build({**geometry, **PICTURES})
        self.net.load_state_dict(self.reference.state_dict())
        self.net = self.net.cuda().half()

    def inputs(self, batch: int) -> list:
        shape = (batch, 3, PICTURES["frames"], PICTURES["image"], PICTURES["image"])
        return [self.torch.rand(shape, device="cuda") for _ in range(SETS)]

    def error(self, run, x) -> float:
        with self.torch.inference_mode():
            expected = self.reference(x).double()
            found = run(x.half()).double()
        return float((found - expected).norm() / expected.norm())

    def time(self, run, inputs: list, repeats: int) -> dict[str, float]:
        torch = self.torch
        inputs = [x.half() for x in inputs]
        times = []
        with torch.inference_mode():
            for i in range(20):
                run(inputs[i % SETS])
            torch.cuda.synchronize()
            for i in range(repeats):
                start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                start.record()
                run(inputs[i % SETS])
                end.record()
                end.synchronize()
                times.append(start.elapsed_time(end))
        return quantiles(times)

    def eager(self, backend: str):
        from torch.nn.attention import SDPBackend, sdpa_kernel

        def run(x):
            with sdpa_kernel(getattr(SDPBackend, backend)):
                return self.net(x)

        return run

    def graph(self, run, x):
        """The same in a CUDA graph, which takes the launches' cost away."""
        torch = self.torch
        still = x.half().clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(stream):
            for _ in range(3):
                run(still)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(graph):
            out = run(still)

        def replay(y):
            still.copy_(y)
            graph.replay()
            return out

        return replay

    def compiled(self, mode: str):
        return self.torch.compile(self.net, mode=mode, dynamic=False)


def torch_peers(torch_side: Torch, quick: bool) -> dict:
    """Name -> function that makes the peer for one input."""
    peers = {}
    for backend in ("FLASH_ATTENTION", "CUDNN_ATTENTION", "EFFICIENT_ATTENTION", "MATH"):
        name = backend.split("_")[0].lower()
        peers[f"pytorch eager fp16 {name}"] = lambda x, b=backend: torch_side.eager(b)
        if backend != "MATH":
            peers[f"pytorch eager fp16 {name} in a CUDA graph"] = lambda x, b=backend: torch_side.graph(
                torch_side.eager(b), x
            )
    peers["pytorch compiled fp16 reduce-overhead"] = lambda x: torch_side.compiled("reduce-overhead")
    if not quick:
        peers["pytorch compiled fp16 max-autotune"] = lambda x: torch_side.compiled("max-autotune")
    return peers


def jax_peer(geometry: dict, torch_side: Torch, inputs: list, repeats: int) -> dict:
    """The same encoder in JAX, attention by cuDNN; host clock, because JAX shows no events."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch holds memory, too
    import jax
    import jax.numpy as jnp

    half, single = jnp.float16, jnp.float32
    heads, eps = geometry["heads"], geometry["layer_norm_eps"]
    state = {k: jnp.asarray(v.float().cpu().numpy()) for k, v in torch_side.reference.state_dict().items()}
    width = geometry["width"]
    patch, tubelet = PICTURES["patch"], PICTURES["tubelet"]

    def norm(x, name):
        x = x.astype(single)
        mean = x.mean(-1, keepdims=True)
        scaled = (x - mean) * jax.lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True) + eps)
        return (scaled * state[f"{name}.weight"] + state[f"{name}.bias"]).astype(half)

    def linear(x, name):
        return x @ state[f"{name}.weight"].astype(half).T + state[f"{name}.bias"].astype(half)

    @jax.jit
    def run(x):
        b = x.shape[0]
        side = PICTURES["image"] // patch
        x = x.reshape(b, 3, PICTURES["frames"] // tubelet, tubelet, side, patch, side, patch)
        x = x.transpose(0, 2, 4, 6, 1, 3, 5, 7).reshape(b, -1, 3 * tubelet * patch * patch).astype(half)
        x = x @ state["patch_embed.weight"].reshape(width, -1).astype(half).T
        x = (x + state["patch_embed.bias"].astype(half) + state["position"].astype(half)).astype(half)
        n = x.shape[1]
        for i in range(geometry["depth"]):
            name = f"blocks.{i}"
            qkv = linear(norm(x, f"{name}.norm1"), f"{name}.qkv").reshape(b, n, 3, heads, width // heads)
            attended = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], implementation="cudnn")
            x = x + linear(attended.reshape(b, n, width), f"{name}.proj")
            hidden = jax.nn.gelu(linear(norm(x, f"{name}.norm2"), f"{name}.fc1"), approximate=False)
            x = x + linear(hidden, f"{name}.fc2")
        return x.astype(single).mean(1)

    arrays = [jax.device_put(jnp.asarray(x.cpu().numpy()).astype(half)) for x in inputs]
    found = torch_side.torch.tensor(jax.device_get(run(arrays[0]))).double()
    with torch_side.torch.inference_mode():
        expected = torch_side.reference(inputs[0]).double().cpu()
    times = []
    for i in range(repeats + 20):
        start = time.perf_counter()
        run(arrays[i % SETS]).block_until_ready()
        if i >= 20:
            times.append(1e3 * (time.perf_counter() - start))
    return {**quantiles(times), "error": float((found - expected).norm() / expected.norm())}


def reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--quick", action="store_true", help="without max-autotune, which compiles for minutes")
    parser.add_argument("peers")
    parser.add_argument("geometry", nargs="*", default=list(GEOMETRIES))
    options = parser.parse_args()
    out = {"results": [], "missing": [], "versions": {}}
    with contextlib.redirect_stdout(sys.stderr):
        import torch

        out["versions"] = {"torch": torch.__version__, "cudnn": torch.backends.cudnn.version()}
        peers = load(options.peers)
        for name in options.geometry:
            torch_side = Torch(peers, GEOMETRIES[name])
            for batch in options.batch or [1, 8, 32]:
                inputs = torch_side.inputs(batch)
                for peer, make in torch_peers(torch_side, options.quick).items():
                    about = {"geometry": name, "name": peer, "batch": batch}
                    try:
                        run = make(inputs[0])
                        error = torch_side.error(run, inputs[0])
                        out["results"].append(
                            {**about, **torch_side.time(run, inputs, options.repeats), "error": error}
                        )
                        print(out["results"][-1])
                    except Exception as error:  # a peer that fails is reported, whatever it raises; the others go on
                        out["missing"].append({**about, "reason": reason(error)})
                    torch._dynamo.reset()
                    gc.collect()
                    torch.cuda.empty_cache()
                about = {"geometry": name, "name": "jax fp16 cudnn", "batch": batch}
                try:
                    out["results"].append({**about, **jax_peer(GEOMETRIES[name], torch_side, inputs, options.repeats)})
                except Exception as error:  # as above
                    out["missing"].append({**about, "reason": reason(error)})
    print(json.dumps(out, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
