# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole way, from clips to training to a model file to gst-launch: three real places.

A tiny network of CityGuessr's architecture learns windows from the first 60 % of each of three clips; the
element then names the right city, state, country and continent on the last 30 % of the same clips, which
the training never saw. It shows that every part fits the next. It says nothing about geography: the network
has learned three clips, and would call any street in the world one of these three.
"""

import time

import numpy as np
import pytest
import torch
from cityguessr import modelfile
from cityguessr.network import CityGuessr, Geometry, Input
from cityguessr.places import Places
from cityguessr.train import train_windows
from gst import Clip, answers, decode, require_element, write_cut

TREE = {
    "version": 1,
    "name": "three places",
    "continents": [{"label": "North America"}, {"label": "Europe"}],
    "countries": [
        {"label": "United_States", "name": "United States", "code": "US", "continent": 0},
        {"label": "Sweden", "code": "SE", "continent": 1},
    ],
    "states": [{"label": "California", "country": 0}, {"label": "Skåne", "country": 1}],
    "cities": [
        {"label": "Carlsbad", "state": 0, "latitude": 33.1268, "longitude": -117.3273},
        {"label": "Redwood_City", "name": "Redwood City", "state": 0, "latitude": 37.4852, "longitude": -122.2364},
        {"label": "Lund", "state": 1, "latitude": 55.698, "longitude": 13.195},
    ],
}
CLIPS = ("walk-carlsbad-gps", "drive-i280-720p", "walk-lund-5fps")  # in the order of the cities
EXPECTED = (
    ("Carlsbad", "California", "United States", "North America", "US"),
    ("Redwood City", "California", "United States", "North America", "US"),
    ("Lund", "Skåne", "Sweden", "Europe", "SE"),
)
INTERVALS = (0.12, 0.12, 0.2)  # seconds: three frames at 25 a second, one at 5

GEOMETRY = Geometry(
    frames=6,
    tubelet=2,
    image=64,
    patch=16,
    width=96,
    depth=3,
    heads=4,
    mlp=192,
    layer_norm_eps=1e-6,
    labels=(3, 2, 2, 2),
    scene=(),
    text=(),
)


def training_windows(clip: Clip, interval: float) -> torch.Tensor:
    """Every window that lies in the first 60 %: [n, frames, image, image, 3] uint8."""
    end = len(clip.pts) * 6 // 10
    step = max(1, end // 40)  # about 40 windows are enough of any clip
    starts = range(0, end, step)
    # The frame of a target is the first one that is not before it, as in the element.
    pts = np.array(clip.pts)
    targets = pts[list(starts)][:, None] + np.arange(GEOMETRY.frames) * int(interval * 1e9) - 10**6
    indices = np.searchsorted(pts, targets)
    indices = indices[indices[:, -1] < end]
    small = {i: clip.model_frame(i, GEOMETRY.image) for i in np.unique(indices)}
    return torch.from_numpy(np.stack([[small[i] for i in window] for window in indices]))


@pytest.fixture(scope="module")
def clips(shared_data, tmp_path_factory) -> list[Clip]:
    return [decode(shared_data / "clips" / f"{name}.mp4", tmp_path_factory.mktemp("raw")) for name in CLIPS]


@pytest.fixture(scope="module")
def trained(clips, tmp_path_factory):
    """A model file of the three places."""
    places = Places(TREE)
    windows = [training_windows(clip, interval) for clip, interval in zip(clips, INTERVALS)]
    assert min(map(len, windows)) >= 5
    most = max(map(len, windows))
    targets = torch.tensor([places.path(city) for city, some in enumerate(windows) for _ in range(most)])
    balanced = torch.cat([some[torch.arange(most) % len(some)] for some in windows])
    torch.manual_seed(1)
    model = CityGuessr(GEOMETRY, Input(1 / 255, (0.5,) * 3, (0.25,) * 3))
    started, threads = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network is no faster with more, and far slower where others compute too
    losses = train_windows(model, balanced, targets, steps=100, batch=12, learning_rate=1e-3)
    torch.set_num_threads(threads)
    took = time.monotonic() - started
    print(f"{len(balanced)} windows, {took:.1f} s, loss {losses[0]:.3f} -> {np.mean(losses[-10:]):.4f}")
    assert np.mean(losses[-10:]) < 0.1, losses[-10:]
    path = tmp_path_factory.mktemp("model") / "three-places.safetensors"
    modelfile.save(
        path,
        model,
        modelfile.Card(
            "three places", "trained by a test on three clips", "MIT", places, scenes=(), sample_interval=0.2
        ),
    )
    return path


@pytest.mark.parametrize("city", range(3), ids=CLIPS)
def test_the_element_names_the_place(city, clips, trained, tmp_path):
    require_element()
    clip, cut = clips[city], tmp_path / "cut.mkv"
    first = -(-len(clip.pts) * 7 // 10)  # the next 10 % after the training's 60 % lie between
    write_cut(clip, first, cut)
    found = answers(cut, f"model={trained}", f"sample-interval={int(INTERVALS[city] * 1e9)}", "hop=2")
    assert found, "no message"
    for message in found:
        names = tuple(message.fields.get(f) for f in ("city", "state", "country", "continent", "country-code"))
        assert names == EXPECTED[city], message
        assert float(message.fields["city-confidence"]) > 0.5, message
        assert message.fields["partial"].lower() == "false", message
        place = TREE["cities"][city]
        assert float(message.fields["latitude"]) == pytest.approx(place["latitude"])
        assert float(message.fields["longitude"]) == pytest.approx(place["longitude"])
