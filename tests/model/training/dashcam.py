# SPDX-License-Identifier: LGPL-2.1-or-later
"""Videos as dashcams write them: H.264 in MP4 with a box ``gps `` in ``moov`` that lists blocks "freeGPS ", one for
each position (the form of cameras with Novatek chips, as exiftool's QuickTimeStream.pl describes it)."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

BLOCK = 0x200


def require_tools() -> None:
    for tool, package in (("exiftool", "libimage-exiftool-perl"), ("ffmpeg", "ffmpeg")):
        if not shutil.which(tool):
            pytest.skip(f"no {tool}: install {package}")


def write(path: Path, seconds: float, fixes: Sequence[tuple[datetime, float, float]]) -> Path:
    """A video of a test picture with @fixes: (clock, latitude, longitude), in the order of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = f"testsrc2=size=160x120:rate=5:duration={seconds}"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", "-f", "mp4", str(path)],
        check=True,
    )
    data = path.read_bytes()
    if fixes:
        path.write_bytes(_with_gps(data, fixes))
    return path


def _with_gps(data: bytes, fixes: Sequence[tuple[datetime, float, float]]) -> bytes:
    begin = _find(data, b"moov")
    size = int.from_bytes(data[begin : begin + 4], "big")
    assert begin + size == len(data), "moov is the last box of what ffmpeg writes"
    table = 16 + 8 * len(fixes)
    first = len(data) + table + 8  # of the first block: after moov and the head of its own box
    entries = b"".join(struct.pack(">II", first + i * BLOCK, BLOCK) for i in range(len(fixes)))
    gps = struct.pack(">I4sII", table, b"gps ", 0x101, len(fixes)) + entries
    mvhd = begin + 8 + int.from_bytes(data[begin + 8 : begin + 12], "big")  # where the first box of moov ends
    moov = struct.pack(">I", size + table) + data[begin + 4 : mvhd] + gps + data[mvhd:]
    blocks = b"".join(_block(*fix) for fix in fixes)
    return data[:begin] + moov + struct.pack(">I4s", 8 + len(blocks), b"free") + blocks


def _find(data: bytes, kind: bytes) -> int:
    at = 0
    while data[at + 4 : at + 8] != kind:
        at += int.from_bytes(data[at : at + 4], "big")
    return at


def _block(clock: datetime, latitude: float, longitude: float) -> bytes:
    time = (clock.hour, clock.minute, clock.second, clock.year - 2000, clock.month, clock.day)
    letters = b"A" + (b"S" if latitude < 0 else b"N") + (b"W" if longitude < 0 else b"E") + b"\0"
    block = struct.pack(">I8sI", BLOCK, b"freeGPS ", BLOCK - 16) + struct.pack("<6I", *time) + letters
    return (block + struct.pack("<4f", _minutes(latitude), _minutes(longitude), 20.0, 90.0)).ljust(BLOCK, b"\0")


def _minutes(degrees: float) -> float:
    """As NMEA writes it: dddmm.mmmm."""
    whole, part = divmod(abs(degrees), 1)
    return 100 * whole + 60 * part
