# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugin as a file: what has to be there for it to load."""

import os
import re
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("CITYGUESSR_BUILD_DIR", Path(__file__).parents[2] / "build"))
PLUGIN = BUILD / "gst-plugin" / "libgstcityguessr.so"
# GStreamer's own needs, and JSON. No CUDA, no runtime for networks, no interpreter.
ALLOWED = re.compile(
    r"libgst(reamer|base|video|analytics)-1\.0|lib(glib|gobject|gio|gmodule)-2\.0|libjson-glib-1\.0|lib(c|m|pthread)|ld-linux.*"
)


@pytest.fixture(autouse=True)
def _built():
    if not PLUGIN.exists():
        pytest.skip(f"no {PLUGIN}: build the project")


def test_it_needs_no_more_than_gstreamer():
    """Complaint 1: "no element", because a library is missing that the plugin was linked with. Complaint 25: a filter
    in Python halts. Neither can be without such a library."""
    dynamic = subprocess.run(["readelf", "-d", PLUGIN], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.+?)\.so[.\d]*\]", dynamic)
    assert "libgstreamer-1.0" in needed
    assert [name for name in needed if not ALLOWED.fullmatch(name)] == []


def test_it_registers_without_model_or_device(tmp_path):
    """Complaint 1: on a machine that has nothing, gst-inspect-1.0 shows the element."""
    nothing = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CITYGUESSR_MODEL": str(tmp_path / "nothing")}
    inspected = subprocess.run(
        ["gst-inspect-1.0", "cityguessr"],
        env={**nothing, "GST_PLUGIN_PATH_1_0": str(PLUGIN.parent), "GST_REGISTRY_1_0": str(tmp_path / "registry")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert inspected.returncode == 0, inspected.stderr
    assert "Element Properties:" in inspected.stdout
