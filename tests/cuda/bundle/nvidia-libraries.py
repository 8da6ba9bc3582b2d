#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints the folders, joined by colons, in which Python packages have brought NVIDIA's libraries; "" if none."""

from __future__ import annotations

import site
import sys
import sysconfig
from pathlib import Path


def folders() -> list[Path]:
    roots = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_paths()["purelib"], *sys.path]
    found = []
    for root in dict.fromkeys(roots):
        for library in sorted(Path(root or ".").glob("nvidia/*/lib")):
            if any(library.glob("lib*.so*")) and library not in found:
                found.append(library)
    # CUDA 13's before those of older packages beside it.
    return sorted(found, key=lambda path: not any(path.glob("libcublasLt.so.13")))


if __name__ == "__main__":
    print(":".join(str(path) for path in folders()))
