# SPDX-License-Identifier: LGPL-2.1-or-later
"""Windows to train on and to be judged by, from the real layouts.

| kind            | what it reads                                                                  |
|-----------------|--------------------------------------------------------------------------------|
| `cityguessr68k` | the folders and annotation lines of CityGuessr68k                              |
| `msls`          | Mapillary Street-Level Sequences                                               |
| `videos`        | a folder of videos and a CSV that says where they were filmed                  |
| `world`         | drives through the drawn world, drawn by `draw-world` (``gst-plugin/world``)   |

Each module documents the keys of its table and its layout.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..options import OptionsError, parse
from ..places import UNKNOWN, Places
from .base import DatasetError, Window, WindowDataset, WindowShape
from .cityguessr68k import CityGuessr68k
from .msls import Msls
from .videos import Videos
from .world import World

KINDS: dict[str, type[WindowDataset]] = {
    "cityguessr68k": CityGuessr68k,
    "msls": Msls,
    "videos": Videos,
    "world": World,
}


def open_dataset(
    spec: Mapping[str, object], split: str, network_config: object, places: Places | None = None
) -> WindowDataset:
    """The windows of one split.

    @spec: the ``[dataset]`` table of a recipe: ``kind``, and the keys of that kind
    @split: ``train``, ``validation``, ``test``, or another that the kind knows (``unseen`` of the drawn world)
    @network_config: a ``WindowShape``, or anything with ``frames`` and ``image`` (a ``Geometry``)
    @places: the tree that labels shall index (a model's); default: the dataset's own
    Raises OptionsError for a bad @spec and DatasetError for bad files.
    """
    table = dict(spec)
    kind = table.pop("kind", None)
    if kind not in KINDS:
        raise OptionsError(f"dataset: kind: found {kind!r}, expected one of {', '.join(map(repr, KINDS))}")
    options = parse(KINDS[kind].Options, table, "dataset")
    return KINDS[kind](options, split, WindowShape.of(network_config), places)


__all__ = ["UNKNOWN", "DatasetError", "Window", "WindowDataset", "WindowShape", "open_dataset"]
