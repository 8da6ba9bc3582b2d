# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shot-cut test on real clips: the figures of model/shot.h. They are printed:

python -m pytest -s tests/model/test_shot_on_clips.py
"""

import ctypes
import itertools
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "pipelines"))

from gst import decode  # noqa: E402

CLIPS = ("walk-carlsbad-gps", "drive-i280-720p", "walk-lund-5fps")
INTERVAL = 1.4
I420 = 1
MATRICES = {"bt601": 0, "bt709": 1}
THRESHOLD = 0.25


class Frame(ctypes.Structure):
    """CgFrame of model/frame.h."""

    _fields_ = [
        ("format", ctypes.c_int),
        ("width", ctypes.c_uint),
        ("height", ctypes.c_uint),
        ("plane", ctypes.c_void_p * 3),
        ("stride", ctypes.c_int * 3),
        ("matrix", ctypes.c_int),
        ("full_range", ctypes.c_int),
        ("cosited_h", ctypes.c_int),
        ("cosited_v", ctypes.c_int),
    ]


class Signature(ctypes.Structure):
    """CgShotSignature of model/shot.h."""

    _fields_ = [("bins", ctypes.c_uint16 * 64)]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """model/shot.c by itself."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler (cc)")
    path = tmp_path_factory.mktemp("shot") / "shot.so"
    flags = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], check=True, capture_output=True, text=True).stdout
    source = ROOT / "model" / "shot.c"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", *shlex.split(flags), str(source), "-o", str(path), "-lm"], check=True
    )
    shot = ctypes.CDLL(str(path))
    shot.cg_shot_distance.restype = ctypes.c_double
    return shot


@pytest.fixture(scope="module")
def signatures(library, shared_data, tmp_path_factory):
    """Of each clip: frames a second, and the signature of each frame."""
    described = {}
    for name in CLIPS:
        clip = decode(shared_data / "clips" / f"{name}.mp4", tmp_path_factory.mktemp("clips"))
        w, h = clip.width, clip.height
        of_clip = []
        for pixels in clip.frames:
            at = pixels.ctypes.data
            planes = (ctypes.c_void_p * 3)(at, at + w * h, at + w * h * 5 // 4)
            frame = Frame(I420, w, h, planes, (ctypes.c_int * 3)(w, w // 2, w // 2), MATRICES[clip.matrix])
            signature = Signature()
            library.cg_shot_describe(ctypes.byref(frame), ctypes.byref(signature))
            of_clip.append(signature)
        described[name] = (float(clip.rate), of_clip)
    return described


def distances(library, pairs):
    return np.array([library.cg_shot_distance(ctypes.byref(a), ctypes.byref(b)) for a, b in pairs])


def describe(what, found):
    over = int((found > THRESHOLD).sum())
    print(f"{what}: {len(found)} pairs, median {np.median(found):.3f}, largest {found.max():.3f}, {over} are cuts")


def test_one_shot_is_not_cut(library, signatures):
    for name, (rate, of_clip) in signatures.items():
        lag = round(INTERVAL * rate)
        found = distances(library, zip(of_clip, of_clip[lag:]))
        describe(f"{name}, {INTERVAL} s apart", found)
        assert found.max() <= THRESHOLD


def test_most_cuts_between_clips_are_found(library, signatures):
    for (one, (_, a)), (other, (_, b)) in itertools.combinations(signatures.items(), 2):
        found = distances(library, itertools.product(a, b))
        describe(f"{one} to {other}", found)
        assert (found > THRESHOLD).mean() > 0.6
