# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that are complete or absent, whenever a process or the power goes."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not belong here."""


def write_atomically(path: Path, write: Callable[[Any], object]) -> None:
    """Calls @write with a new binary file beside @path, brings that to the disk, and only then gives it its name."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def save(path: Path, content: dict) -> None:
    """@content: tensors and plain data only, as ``load()`` takes nothing else."""
    write_atomically(path, lambda file: torch.save(content, file))


def load(path: Path) -> dict:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a checkpoint of this program")
    return content


def remove_leftovers(folder: Path) -> None:
    """Deletes what a killed process left half written. Only for a folder that one process writes."""
    for path in folder.glob(".*.*"):
        if path.is_file() and path.name.startswith((".checkpoint.pt.", ".best.pt.", ".report.", ".log.jsonl.")):
            path.unlink()
