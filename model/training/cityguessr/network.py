# SPDX-License-Identifier: LGPL-2.1-or-later
"""The network in PyTorch: the same function, under the same tensor names, as ``model/network.h`` says.

CityGuessr (Kulkarni, Nayak, Shah, ECCV 2024, arXiv 2411.06344): a VideoMAE encoder without final
norm, the mean of its tokens as feature, four linear heads (city, state, country, continent),
Self-Cross Attention (SCA) over their concatenated logits, and two multi-layer perceptrons on its
output: FFN_s (scenes) and FFN_t (text alignment).

``state_dict()`` holds exactly the tensors of the model file: the position table is computed, not stored.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = ("city", "state", "country", "continent")
"""Fine to coarse: the order of the logits."""

SCA_WIDTH = 6
SCA_HEADS = 2

MAX_TOKENS = 32768
MAX_MLP_LAYERS = 8
MAX_MLP_SIZE = 8192

CITYGUESSR68K_LABELS = (166, 157, 91, 6)


@dataclass(frozen=True)
class Geometry:
    """Every size of the network. The same fields, limits and presets as ``CgGeometry``.

    ``scene`` and ``text`` are the output sizes of the layers of FFN_s and FFN_t; empty: absent. SCA
    exists if one of them does. ``heads`` and ``layer_norm_eps`` cannot be seen in the tensors' shapes.
    """

    frames: int = 16
    tubelet: int = 2
    image: int = 224
    patch: int = 16
    width: int = 384
    depth: int = 12
    heads: int = 16
    mlp: int = 1536
    layer_norm_eps: float = 1e-12
    labels: tuple[int, int, int, int] = CITYGUESSR68K_LABELS
    scene: tuple[int, ...] = (256, 128, 64, 32, 16, 16)
    text: tuple[int, ...] = (466, 512)

    @property
    def tokens(self) -> int:
        """Tokens of a window, ordered time-major, then row, then column."""
        return self.frames // self.tubelet * (self.image // self.patch) ** 2

    @property
    def total_labels(self) -> int:
        return sum(self.labels)

    @property
    def has_sca(self) -> bool:
        return bool(self.scene or self.text)

    def check(self) -> None:
        """Raises ValueError naming the first field that is out of range."""

        def require(good: bool, field: str, expected: str) -> None:
            if not good:
                raise ValueError(f"geometry.{field}: found {getattr(self, field)!r}, expected {expected}")

        def within(field: str, low: int, high: int) -> None:
            value = getattr(self, field)
            good = type(value) is int and low <= value <= high
            require(good, field, f"an integer {low}..{high}")

        within("tubelet", 1, 8)
        within("frames", 2, 64)
        require(self.frames % self.tubelet == 0, "frames", f"a multiple of the tubelet, {self.tubelet}")
        within("patch", 4, 32)
        within("image", 16, 512)
        require(self.image % self.patch == 0, "image", f"a multiple of the patch, {self.patch}")
        require(self.tokens <= MAX_TOKENS, "image", f"at most {MAX_TOKENS} tokens, not {self.tokens}")
        within("heads", 1, 1280)
        within("width", 32, 1280)
        require(self.width % 16 == 0, "width", "a multiple of 16")
        require(self.width % self.heads == 0, "width", f"a multiple of the {self.heads} heads")
        head_width = self.width // self.heads
        require(
            head_width % 4 == 0 and head_width <= 128,
            "heads",
            f"heads of a multiple of 4 and at most 128 values (width {self.width})",
        )
        within("depth", 1, 48)
        within("mlp", 16, 8192)
        require(self.mlp % 16 == 0, "mlp", "a multiple of 16")
        require(0 < self.layer_norm_eps <= 1e-2, "layer_norm_eps", "more than 0 and at most 0.01")
        require(
            len(self.labels) == len(LEVELS) and all(1 <= n <= 65535 for n in self.labels),
            "labels",
            "four counts 1..65535",
        )
        for field in ("scene", "text"):
            sizes = getattr(self, field)
            good = len(sizes) <= MAX_MLP_LAYERS and all(type(n) is int and 1 <= n <= MAX_MLP_SIZE for n in sizes)
            require(good, field, f"at most {MAX_MLP_LAYERS} layers of 1..{MAX_MLP_SIZE} values")

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor, in the order of ``cg_geometry_tensors()``."""
        width, table = self.width, {}

        def linear(name: str, n_out: int, n_in: int) -> None:
            table[f"{name}.weight"] = (n_out, n_in)
            table[f"{name}.bias"] = (n_out,)

        table["patch_embed.weight"] = (width, 3, self.tubelet, self.patch, self.patch)
        table["patch_embed.bias"] = (width,)
        for block in (f"blocks.{i}" for i in range(self.depth)):
            table[f"{block}.norm1.weight"] = table[f"{block}.norm1.bias"] = (width,)
            table[f"{block}.attn.qkv.weight"] = (3 * width, width)
            table[f"{block}.attn.q_bias"] = table[f"{block}.attn.v_bias"] = (width,)
            linear(f"{block}.attn.proj", width, width)
            table[f"{block}.norm2.weight"] = table[f"{block}.norm2.bias"] = (width,)
            linear(f"{block}.mlp.fc1", self.mlp, width)
            linear(f"{block}.mlp.fc2", width, self.mlp)
        for level, labels in zip(LEVELS, self.labels):
            linear(f"heads.{level}", labels, width)
        if self.has_sca:
            for name in ("query", "key", "value"):
                linear(f"sca.{name}", SCA_WIDTH, 1)
            linear("sca.in_proj", 3 * SCA_WIDTH, SCA_WIDTH)
            linear("sca.out_proj", SCA_WIDTH, SCA_WIDTH)
            linear("sca.final", 1, SCA_WIDTH)
        for name, sizes in (("scene", self.scene), ("text", self.text)):
            for i, (n_in, n_out) in enumerate(zip((self.total_labels, *sizes), sizes)):
                linear(f"{name}.{i}", n_out, n_in)
        return table


PRESETS = {
    # The authors' checkpoint is Hugging Face's "small": 16 heads of 24. MCG-NJU's own has 6 of 64.
    "small-16": Geometry(),
    "small-6": Geometry(heads=6, layer_norm_eps=1e-6),
    "base": Geometry(width=768, heads=12, mlp=3072),
    "large": Geometry(width=1024, depth=24, heads=16, mlp=4096),
    "tiny": Geometry(frames=8, image=64, width=64, depth=2, heads=4, mlp=256, layer_norm_eps=1e-6),
}


def preset(name: str, **changes) -> Geometry:
    """A named geometry (``cg_geometry_preset()``), with fields changed at will."""
    if name not in PRESETS:
        raise ValueError(f"no geometry is named {name!r}; there are {', '.join(PRESETS)}")
    return replace(PRESETS[name], **changes)


@dataclass(frozen=True)
class Input:
    """Input scaling: x = (pixel * scale - mean[c]) / std[c], pixel in 0..255, c in R, G, B."""

    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


class Outputs(NamedTuple):
    """What a batch of windows gives. ``logits``: city | state | country | continent, raw."""

    features: Tensor  # [batch, width]
    logits: Tensor  # [batch, total labels]
    scene: Tensor | None  # [batch, scenes], raw
    text: Tensor | None  # [batch, text values]


@functools.lru_cache(maxsize=8)
def position_table(tokens: int, width: int) -> Tensor:
    """VideoMAE's fixed sinusoids, [tokens, width] in double: position p and component j have the angle
    p / 10000^(2 floor(j/2) / width); its sine for even j, its cosine for odd j."""
    j = torch.arange(width, dtype=torch.float64)
    position = torch.arange(tokens, dtype=torch.float64)[:, None]
    angle = position / 10000.0 ** (2 * torch.floor(j / 2) / width)
    return torch.where(j % 2 == 0, angle.sin(), angle.cos())


class Attention(nn.Module):
    """Multi-head self-attention: q and v have a bias, k has none."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)  # rows: q, k, v; head-major inside
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] -> the same."""
        bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        qkv = F.linear(x, self.qkv.weight, bias)
        # [batch, tokens, 3 width] -> three of [batch, heads, tokens, head width]
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)  # scale 1 / sqrt (head width)
        return self.proj(y.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # the exact gelu, with erf


class StochasticDepth(nn.Module):
    """In training, passes over a branch with the chance @rate for each window, and makes up for it in the others
    (Huang et al., 2016). Otherwise, and at rate 0, the identity."""

    def __init__(self, rate: float = 0.0):
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """[batch, …] -> the same."""
        if not self.training or self.rate == 0:
            return branch
        kept = torch.rand(len(branch), device=branch.device) >= self.rate
        return branch * (kept / (1 - self.rate)).to(branch.dtype).view(-1, *[1] * (branch.ndim - 1))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, geometry: Geometry):
        super().__init__()
        self.depth = StochasticDepth()
        self.norm1 = nn.LayerNorm(geometry.width, eps=geometry.layer_norm_eps)
        self.attn = Attention(geometry.width, geometry.heads)
        self.norm2 = nn.LayerNorm(geometry.width, eps=geometry.layer_norm_eps)
        self.mlp = Mlp(geometry.width, geometry.mlp)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.depth(self.attn(self.norm1(x)))
        return x + self.depth(self.mlp(self.norm2(x)))


class SelfCrossAttention(nn.Module):
    """Attention over the logits: each is a token of width 1, projected to 6; two heads of 3. The
    projections of ``nn.MultiheadAttention`` (``in_proj``, ``out_proj``) are written out."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(1, SCA_WIDTH)
        self.key = nn.Linear(1, SCA_WIDTH)
        self.value = nn.Linear(1, SCA_WIDTH)
        self.in_proj = nn.Linear(SCA_WIDTH, 3 * SCA_WIDTH)
        self.out_proj = nn.Linear(SCA_WIDTH, SCA_WIDTH)
        self.final = nn.Linear(SCA_WIDTH, 1)

    def forward(self, logits: Tensor) -> Tensor:
        """PV [batch, labels] -> PV' [batch, labels]."""
        x = logits[..., None]
        weights, biases = self.in_proj.weight.chunk(3), self.in_proj.bias.chunk(3)
        q, k, v = (
            F.linear(project(x), weight, bias).unflatten(-1, (SCA_HEADS, -1)).transpose(1, 2)
            for project, weight, bias in zip((self.query, self.key, self.value), weights, biases)
        )  # each [batch, heads, labels, 3]
        y = F.scaled_dot_product_attention(q, k, v)
        return self.final(self.out_proj(y.transpose(1, 2).flatten(2)))[..., 0]


class LinearStack(nn.ModuleList):
    """Linear layers with ReLU between them and none at the end. Its own list, so that the tensors are
    named ``scene.0.weight``, ``scene.1.weight``, … without holes."""

    def __init__(self, n_in: int, sizes: tuple[int, ...]):
        super().__init__(nn.Linear(a, b) for a, b in zip((n_in, *sizes), sizes))

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self):
            x = layer(F.relu(x) if i else x)
        return x


class CityGuessr(nn.Module):
    """The whole network. Fresh weights are PyTorch's defaults for each layer."""

    def __init__(self, geometry: Geometry, input: Input = Input()):
        super().__init__()
        geometry.check()
        self.geometry, self.input = geometry, input
        kernel = (geometry.tubelet, geometry.patch, geometry.patch)
        self.patch_embed = nn.Conv3d(3, geometry.width, kernel_size=kernel, stride=kernel)
        self.blocks = nn.ModuleList(Block(geometry) for _ in range(geometry.depth))
        self.heads = nn.ModuleDict({level: nn.Linear(geometry.width, n) for level, n in zip(LEVELS, geometry.labels)})
        self.sca = SelfCrossAttention() if geometry.has_sca else None
        self.scene = LinearStack(geometry.total_labels, geometry.scene) if geometry.scene else None
        self.text = LinearStack(geometry.total_labels, geometry.text) if geometry.text else None

    def set_stochastic_depth(self, rate: float) -> None:
        """For training: the last block's rate is @rate, the first one's 0, those between on a line."""
        for i, block in enumerate(self.blocks):
            block.depth.rate = rate * i / max(len(self.blocks) - 1, 1)

    def scale_pixels(self, frames: Tensor) -> Tensor:
        """Pixels 0..255 of any dtype, RGB in the last place -> the network's input, in its own dtype."""
        like = self.patch_embed.weight
        mean, std = (torch.tensor(v, dtype=torch.float64) for v in (self.input.mean, self.input.std))
        return ((frames.to(torch.float64) * self.input.scale - mean) / std).to(like)

    def positions(self, slots: Tensor | None) -> Tensor:
        """Rows of the position table: all, [tokens, width], or those of some tubelets, [batch, tokens, width]."""
        g = self.geometry
        table = position_table(g.tokens, g.width)
        if slots is None:
            return table
        return table.unflatten(0, (g.frames // g.tubelet, -1))[slots.cpu()].flatten(1, 2)

    def tokens(self, values: Tensor, slots: Tensor | None = None) -> Tensor:
        """Scaled values [batch, frames, image, image, 3] -> last block's raw output [batch, tokens, width]. @slots,
        [batch, tubelets]: the frames are those of these tubelets only."""
        g = self.geometry
        frames = g.frames if slots is None else slots.shape[1] * g.tubelet
        expected = (frames, g.image, g.image, 3)
        if values.ndim != 5 or values.shape[1:] != expected:
            raise ValueError(
                f"frames: found shape {tuple(values.shape)}, expected [batch, " + ", ".join(map(str, expected)) + "]"
            )
        x = self.patch_embed(values.permute(0, 4, 1, 2, 3)).flatten(2).transpose(1, 2)
        x = x + self.positions(slots).to(x)
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, frames: Tensor, slots: Tensor | None = None) -> Outputs:
        """Pixels [batch, frames, image, image, 3], RGB, 0..255, of any dtype; @slots as in tokens(), for training."""
        features = self.tokens(self.scale_pixels(frames), slots).mean(1)
        logits = torch.cat([self.heads[level](features) for level in LEVELS], dim=-1)
        attended = self.sca(logits) if self.sca is not None else None
        scene = self.scene(attended) if self.scene is not None else None
        text = self.text(attended) if self.text is not None else None
        return Outputs(features, logits, scene, text)

    def split(self, logits: Tensor) -> dict[str, Tensor]:
        """Logits [batch, total labels] by level: {"city": [batch, cities], …}."""
        return dict(zip(LEVELS, logits.split(self.geometry.labels, dim=-1)))
