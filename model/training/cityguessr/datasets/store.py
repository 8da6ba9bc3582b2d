# SPDX-License-Identifier: LGPL-2.1-or-later
"""Samples at the model's size on disk, so that decoding or drawing is done once.

A row of samples is ``<key>.npy`` (raw) or ``<key>.zip`` (JPEGs) and, written last, ``<key>.json`` with the time of
each sample and the numbers of those with which a stretch begins. Every file is written under another name and renamed:
a row is there completely or not at all, also when several processes write it or one is killed.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from .base import DatasetError

FORMATS = ("npy", "jpeg")
JPEG_QUALITY = 95


def fill(write: Callable, rows: Sequence, workers: int, doing: str, unit: str) -> None:
    """Calls @write with each of @rows, in @workers processes (fewer than two: in this one), under a progress bar. A
    failure ends it."""
    if workers < 2 or len(rows) < 2:
        for row in tqdm(rows, doing, unit=unit, disable=len(rows) < 2):
            write(row)
        return
    # Unlike multiprocessing's pool, this one does not wait for a process that was killed.
    pool = futures.ProcessPoolExecutor(min(workers, len(rows)), multiprocessing.get_context("spawn"))
    try:
        written = [pool.submit(write, row) for row in rows]
        for each in tqdm(futures.as_completed(written), doing, len(rows), unit=unit):
            each.result()
    except BrokenProcessPool:
        raise DatasetError(f"{doing}: a process ended early, perhaps for want of memory: try fewer workers") from None
    finally:
        pool.shutdown(cancel_futures=True)


class SampleStore:
    """Rows of samples by key. An instance holds no open files and can travel to another process."""

    def __init__(self, folder: str | Path, format: str):
        self.folder, self.format = Path(folder), format
        self._suffix = ".npy" if format == "npy" else ".zip"
        self._rows: dict[str, tuple[np.ndarray, list[int]]] = {}  # times, stretches
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatasetError(f"{self.folder}: the cache cannot be made: {error}") from None

    def times(self, key: str) -> np.ndarray | None:
        """Time of each sample, seconds, or None if the row is not there."""
        if key not in self._rows:
            try:
                row = json.loads(self._path(key, ".json").read_text(encoding="utf-8"))
            except FileNotFoundError:
                return None
            self._rows[key] = np.array(row["times"], np.float64), row.get("stretches", [0])
        return self._rows[key][0]

    def stretches(self, key: str) -> list[int]:
        """Numbers of the samples with which a stretch begins, of a row that is there."""
        self.times(key)
        return self._rows[key][1]

    def write(self, key: str, frames: np.ndarray, times: np.ndarray, stretches: Sequence[int] = (0,)) -> None:
        """@frames: uint8 [n, image, image, 3]; @times: [n], seconds; @stretches: numbers of samples"""
        if self.format == "npy":
            self._replace(key, ".npy", lambda file: np.save(file, frames))
        else:
            self._replace(key, ".zip", lambda file: _write_jpegs(file, frames))
        text = json.dumps({"key": key, "times": [float(t) for t in times], "stretches": list(stretches)})
        self._replace(key, ".json", lambda file: file.write(text.encode()))

    def read(self, key: str, indices: np.ndarray) -> np.ndarray:
        """Some samples: uint8 [len (indices), image, image, 3]."""
        path = self._path(key, self._suffix)
        try:
            if self.format == "npy":
                return np.ascontiguousarray(np.load(path, mmap_mode="r")[indices])
            with zipfile.ZipFile(path) as archive:
                return np.stack([_jpeg(archive.read(f"{i:05d}.jpg")) for i in indices])
        except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{path}: a damaged cache file; delete it ({error})") from None

    def _path(self, key: str, suffix: str) -> Path:
        """A readable beginning, and a digest that makes it unique and legal as a file name."""
        readable = "".join(c if c.isalnum() or c in "-_" else "-" for c in key)[:60]
        return self.folder / f"{readable}.{hashlib.sha256(key.encode()).hexdigest()[:16]}{suffix}"

    def _replace(self, key: str, suffix: str, write: Callable[[io.BufferedWriter], object]) -> None:
        path = self._path(key, suffix)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def _write_jpegs(file: io.BufferedWriter, frames: np.ndarray) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for i, frame in enumerate(frames):
            buffer = io.BytesIO()
            Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
            archive.writestr(zipfile.ZipInfo(f"{i:05d}.jpg"), buffer.getvalue())


def _jpeg(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        return np.array(picture.convert("RGB"))
