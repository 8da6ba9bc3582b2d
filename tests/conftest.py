# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all Python tests share: the package from the source tree, the media beside the project, ``--all``."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "model" / "training"))


def pytest_addoption(parser):
    parser.addoption(
        "--all",
        action="store_true",
        default=bool(os.environ.get("CI")),
        help="also the slow repetitions of tests that run in part without it; set in CI",
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of clips and tables that never enter the tree."""
    folder = Path(os.environ.get("CITYGUESSR_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: set CITYGUESSR_SHARED_DATA")
    return folder
