# SPDX-License-Identifier: LGPL-2.1-or-later
"""What several files of tests begin with."""

from pathlib import Path

import pytest

SMALL = f"""
name = "a small run"
[dataset]
kind = "world"
program = "{Path(__file__).with_name("fake_world.py")}"
drives = {{ train = [0, 5], validation = [10, 12], test = [20, 22] }}
duration = 14
hop = 2
draw = [32, 32]
[geometry]
preset = "tiny"
frames = 4
image = 32
width = 32
depth = 2
heads = 4
mlp = 64
[loss]
scene = "none"
text = "none"
[optimizer]
learning_rate = 2e-3
[train]
epochs = 2
batch = 6
threads = 1
workers = 0
log_steps = 4
checkpoint_steps = 3
tensorboard = false
[export]
licence = "CC0-1.0"
demo = true
"""


@pytest.fixture(scope="module")
def one_thread():
    """Of PyTorch: on so small a network threads only wait for each other."""
    import torch  # here, because what imports it is left out where it is not

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def recipe(tmp_path):
    """A recipe of a few seconds, on a program that speaks the drawn world's protocol. What training leaves behind in
    the process goes again."""
    import torch
    from cityguessr.datasets import world

    world.list_cities.cache_clear()
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    yield path
    torch.use_deterministic_algorithms(False)
