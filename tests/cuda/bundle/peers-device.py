#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""PyTorch and JAX on the same encoder and the same GPU, for tests/cuda/bundle/run.sh.

    peers-device.py [--repeats 200] [--batch N ...] [--quick] PEERS_PY OUTPUT [GEOMETRY ...]

PEERS_PY is pipelines/peers.py, which holds the encoder. OUTPUT gets JSON, anew after each result: ``{"results":
[{geometry, name, batch, median_ms, p99_ms, min_ms, clock, error}], "missing": [{geometry, name, batch, reason}],
"versions"}``. Times are of one batch in device memory, four random inputs in turn, weights already in fp16, by CUDA
events (``clock`` "device"), or from call to answer where there are none ("host"); compilation is not counted. ``error``
is the relative L2 distance of the features to the same network in fp32, without TF32.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

PICTURES = {"frames": 16, "tubelet": 2, "image": 224, "patch": 16}
GEOMETRIES = {
    "small-16": {**PICTURES, "width": 384, "depth": 12, "heads": 16, "mlp": 1536, "layer_norm_eps": 1e-12},
    "small-6": {**PICTURES, "width": 384, "depth": 12, "heads": 6, "mlp": 1536, "layer_norm_eps": 1e-6},
    "base": {**PICTURES, "width": 768, "depth": 12, "heads": 12, "mlp": 3072, "layer_norm_eps": 1e-12},
}
# For tests of this script.
TINY_PICTURES = {"frames": 4, "tubelet": 2, "image": 32, "patch": 16}
TINY = {**TINY_PICTURES, "width": 48, "depth": 2, "heads": 2, "mlp": 96, "layer_norm_eps": 1e-6}
SETS = 4
WARM = 20


def load(path: str):
    spec = importlib.util.spec_from_file_location("peers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quantiles(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    return {
        "median_ms": round(times[len(times) // 2], 4),
        "p99_ms": round(times[math.ceil(0.99 * len(times)) - 1], 4),  # the nearest rank, as in our own benchmark
        "min_ms": round(times[0], 4),
    }


def timed_by_host(run: Callable) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


class Torch:
    """Each peer is a list of functions, one for each of the inputs, which give its features on the device."""

    def __init__(self, peers, geometry: dict, device: str) -> None:
        import torch

        self.torch, self.geometry, self.device = torch, geometry, device
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True  # the convolution's fastest algorithm
        self.reference = peers.build(geometry).to(device)
        self.net = peers.build(geometry)
        self.net.load_state_dict(self.reference.state_dict())
        self.net = self.net.to(device).half()

    def inputs(self, batch: int) -> list:
        shape = (batch, 3, self.geometry["frames"], self.geometry["image"], self.geometry["image"])
        return [self.torch.rand(shape, device=self.device) for _ in range(SETS)]

    def error(self, found, x) -> float:
        with self.torch.inference_mode():
            expected = self.reference(x).double()
        return float((found.double() - expected).norm() / expected.norm())

    def time(self, runs: list[Callable], inputs: list, repeats: int) -> dict:
        timed = self.timed_by_events if self.device == "cuda" else timed_by_host
        with self.torch.inference_mode():
            error = self.error(runs[0](), inputs[0])
            for i in range(WARM):
                runs[i % SETS]()
            times = [timed(runs[i % SETS]) for i in range(repeats)]
        return {**quantiles(times), "clock": "device" if self.device == "cuda" else "host", "error": error}

    def timed_by_events(self, run: Callable) -> float:
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.torch.cuda.synchronize()
        start.record()
        run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    def eager(self, backend: str, inputs: list) -> list[Callable]:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        def run(x):
            with sdpa_kernel(getattr(SDPBackend, backend)):
                return self.net(x)

        return [lambda x=x.half(): run(x) for x in inputs]

    def graphs(self, runs: list[Callable]) -> list[Callable]:
        """The same as CUDA graphs, which take the launches' cost away."""
        return [self.graph(run) for run in runs]

    def graph(self, run: Callable) -> Callable:
        torch = self.torch
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(stream):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(graph):
            out = run()

        def replay():
            graph.replay()
            return out

        return replay

    def compiled(self, mode: str, inputs: list) -> list[Callable]:
        net = self.torch.compile(self.net, mode=mode, dynamic=False)
        return [lambda x=x.half(): net(x) for x in inputs]


def torch_peers(torch_side: Torch, quick: bool) -> dict[str, Callable]:
    """Name -> function that makes the peer for the inputs."""
    peers = {}
    on_gpu = torch_side.device == "cuda"
    for backend in ("FLASH_ATTENTION", *(("CUDNN_ATTENTION", "EFFICIENT_ATTENTION") if on_gpu else ()), "MATH"):
        name = backend.split("_")[0].lower()
        peers[f"pytorch eager fp16 {name}"] = lambda x, b=backend: torch_side.eager(b, x)
        if on_gpu and backend != "MATH":
            peers[f"pytorch eager fp16 {name} in a CUDA graph"] = lambda x, b=backend: torch_side.graphs(
                torch_side.eager(b, x)
            )
    peers["pytorch compiled fp16 reduce-overhead"] = lambda x: torch_side.compiled("reduce-overhead", x)
    if not quick:
        peers["pytorch compiled fp16 max-autotune"] = lambda x: torch_side.compiled("max-autotune", x)
    return peers


def jax_peer(torch_side: Torch, inputs: list, repeats: int) -> dict:
    """The same encoder in JAX, attention by cuDNN. JAX shows no events."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch holds memory, too
    import jax
    import jax.numpy as jnp

    half, single = jnp.float16, jnp.float32
    geometry = torch_side.geometry
    heads, eps = geometry["heads"], geometry["layer_norm_eps"]
    width = geometry["width"]
    # Layer norms compute in fp32, the rest in fp16.
    weights = {
        name: jnp.asarray(tensor.float().cpu().numpy(), single if ".norm" in name else half)
        for name, tensor in torch_side.reference.state_dict().items()
    }
    patch, tubelet = geometry["patch"], geometry["tubelet"]

    def norm(state, x, name):
        x = x.astype(single)
        mean = x.mean(-1, keepdims=True)
        scaled = (x - mean) * jax.lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True) + eps)
        return (scaled * state[f"{name}.weight"] + state[f"{name}.bias"]).astype(half)

    def linear(state, x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def attention(q, k, v):
        if torch_side.device == "cuda":
            return jax.nn.dot_product_attention(q, k, v, implementation="cudnn")
        # That of CPUs knows no fp16.
        return jax.nn.dot_product_attention(*(x.astype(single) for x in (q, k, v))).astype(half)

    @jax.jit
    def run(state, x):
        b = x.shape[0]
        side = geometry["image"] // patch
        x = x.reshape(b, 3, geometry["frames"] // tubelet, tubelet, side, patch, side, patch)
        x = x.transpose(0, 2, 4, 6, 1, 3, 5, 7).reshape(b, -1, 3 * tubelet * patch * patch)
        x = x @ state["patch_embed.weight"].reshape(width, -1).T
        x = x + state["patch_embed.bias"] + state["position"]
        n = x.shape[1]
        for i in range(geometry["depth"]):
            name = f"blocks.{i}"
            qkv = linear(state, norm(state, x, f"{name}.norm1"), f"{name}.qkv").reshape(b, n, 3, heads, width // heads)
            attended = attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
            x = x + linear(state, attended.reshape(b, n, width), f"{name}.proj")
            hidden = linear(state, norm(state, x, f"{name}.norm2"), f"{name}.fc1")
            x = x + linear(state, jax.nn.gelu(hidden, approximate=False), f"{name}.fc2")
        return x.astype(single).mean(1)

    arrays = [jax.device_put(jnp.asarray(x.cpu().numpy()).astype(half)) for x in inputs]
    found = torch_side.torch.tensor(jax.device_get(run(weights, arrays[0])), device=torch_side.device)
    error = torch_side.error(found, inputs[0])
    times = [
        timed_by_host(lambda i=i: run(weights, arrays[i % SETS]).block_until_ready()) for i in range(WARM + repeats)
    ]
    return {**quantiles(times[WARM:]), "clock": "host", "error": error}


def reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"


class Results:
    """Kept in a file, so that whatever ends this leaves what was measured."""

    def __init__(self, path: Path, versions: dict):
        self._path = path
        self._all = {"results": [], "missing": [], "versions": versions}
        self._write()

    def measure(self, about: dict, measure: Callable[[], dict]) -> None:
        """A peer that fails is reported, whatever it raises; the others go on."""
        try:
            self._all["results"].append({**about, **measure()})
            print(self._all["results"][-1], file=sys.stderr)
        except Exception as error:
            self._all["missing"].append({**about, "reason": reason(error)})
            print(self._all["missing"][-1], file=sys.stderr)
        self._write()

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._all, indent=1) + "\n")
        os.replace(new, self._path)


def tidy_up(torch) -> None:
    """After a peer. A lost GPU is the next one's to report."""
    try:
        torch._dynamo.reset()
        gc.collect()
        torch.cuda.empty_cache()
    except Exception as error:
        print(reason(error), file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--quick", action="store_true", help="without max-autotune, which compiles for minutes")
    parser.add_argument("--on-cpu", action="store_true", help=argparse.SUPPRESS)  # the geometry TINY, without a GPU
    parser.add_argument("peers")
    parser.add_argument("output", type=Path)
    parser.add_argument("geometry", nargs="*")
    options = parser.parse_args()

    import torch

    results = Results(options.output, {"torch": torch.__version__, "cudnn": torch.backends.cudnn.version()})
    peers = load(options.peers)
    if options.on_cpu:
        torch.set_num_threads(1)  # threads for so little would wait for each other
    device, geometries = ("cpu", {"tiny": TINY}) if options.on_cpu else ("cuda", GEOMETRIES)
    for name in options.geometry or geometries:
        torch_side = Torch(peers, geometries[name], device)
        for batch in options.batch or [1, 8, 32]:
            inputs = torch_side.inputs(batch)
            for peer, make in torch_peers(torch_side, options.quick).items():
                about = {"geometry": name, "name": peer, "batch": batch}
                results.measure(
                    about, lambda make=make, side=torch_side, x=inputs: side.time(make(x), x, options.repeats)
                )
                tidy_up(torch)
            results.measure(
                {"geometry": name, "name": "jax fp16 cudnn", "batch": batch},
                lambda side=torch_side, x=inputs: jax_peer(side, x, options.repeats),
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
