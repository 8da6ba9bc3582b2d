# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drives through the drawn world, with a program that speaks draw-world's protocol."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from cityguessr.batches import collate
from cityguessr.datasets import DatasetError, WindowShape, open_dataset, world
from cityguessr.options import OptionsError
from cityguessr.places import Places
from torch.utils.data import DataLoader

FAKE = Path(__file__).with_name("fake_world.py")
SHAPE = WindowShape(4, 32, 1.4)
DRIVES = {"train": [0, 3], "validation": [10, 11], "test": [20, 22]}


@pytest.fixture(autouse=True)
def fresh():
    world.list_cities.cache_clear()


def open_world(split="train", shape=SHAPE, **more):
    table = {"kind": "world", "program": str(FAKE), "drives": DRIVES, "duration": 14.0, "hop": 3, "draw": [40, 30]}
    return open_dataset(table | more, split, shape)


def colours(window) -> list[tuple[int, ...]]:
    assert (window.frames == window.frames[:, :1, :1]).all(), "a flat picture is still flat when resized"
    return [tuple(c) for c in window.frames[:, 0, 0].tolist()]


def test_windows_say_what_was_asked_for():
    dataset = open_world()
    assert dataset.places.labels("city") == ["Berlin", "Lima", "Tokyo"], "held-out cities are not in the tree"
    assert len(dataset.sources()) == 3 * 3 and len(dataset) == 9 * 4
    sources = dict(dataset.sources())
    second = dataset[sources["Berlin/2"][1]]
    assert colours(second) == [(160, 2, round(14 * i)) for i in (3, 4, 5, 6)]
    assert second.start == pytest.approx(3 * 1.4) and second.source == "Berlin/2"
    assert second.labels.tolist() == list(dataset.places.path(0))
    assert second.location == dataset.places.location(0)
    assert colours(dataset[sources["Berlin/2"][-1]])[-1] == (160, 2, 140), "the last sample of 14 s"


def test_splits_share_no_drive():
    seeds = {
        split: {s.split("/")[1] for s, _ in open_world(split).sources()} for split in ("train", "validation", "test")
    }
    assert seeds == {"train": {"0", "1", "2"}, "validation": {"10"}, "test": {"20", "21"}}


def test_unseen_cities_have_the_labels_that_the_tree_knows():
    dataset = open_world("unseen", cities=["Tokyo", "Lima"])
    assert [source for source, _ in dataset.sources()] == ["Osaka/20", "Osaka/21"]
    country, continent = (
        dataset.places.index(level, name) for level, name in (("country", "Japan"), ("continent", "Asia"))
    )
    assert country >= 0 and dataset[0].labels.tolist() == [-1, -1, country, continent]
    every = Places.cityguessr68k()
    assert dataset[0].location == every.location(every.index("city", "Osaka"))


@pytest.mark.parametrize("format", ["npy", "jpeg"])
def test_cache_gives_the_drawn_pictures_and_draws_once(tmp_path, format, monkeypatch):
    drawn = [window.frames.int() for window in open_world("test")]
    first = open_world("test", cache=str(tmp_path), cache_format=format)
    cached = [window.frames.int() for window in first]
    limit = 0 if format == "npy" else 3
    assert max((a - b).abs().max().item() for a, b in zip(drawn, cached, strict=True)) <= limit
    second = open_world("test", cache=str(tmp_path), cache_format=format)
    monkeypatch.setattr(second, "_draw", lambda *_: pytest.fail("drawn again"))
    assert all(np.array_equal(a, b.frames.int()) for a, b in zip(cached, second, strict=True))
    assert not list(tmp_path.glob(".new-*"))


def test_preparing_in_processes_fills_the_cache(tmp_path, monkeypatch):
    dataset = open_world(cache=str(tmp_path))
    dataset.prepare(2)
    assert len(list(tmp_path.glob("*.zip"))) == 9
    monkeypatch.setattr(dataset, "_draw", lambda *_: pytest.fail("drawn again"))
    assert colours(dataset[0])


def test_another_size_is_another_cache(tmp_path):
    open_world(cache=str(tmp_path))[0]
    assert open_world(cache=str(tmp_path), shape=WindowShape(4, 48, 1.4))[0].frames.shape == (4, 48, 48, 3)


def test_worker_processes_have_programs_of_their_own():
    dataset = open_world()
    alone = [dataset[i].frames for i in range(len(dataset))]  # the parent's program runs when workers are forked
    loader = DataLoader(dataset, batch_size=5, num_workers=2, collate_fn=collate)
    assert torch.equal(torch.cat([batch.frames for batch in loader]), torch.stack(alone))


def test_scenes(monkeypatch):
    assert not open_world().has_scenes
    world.list_cities.cache_clear()
    monkeypatch.setenv("FAKE_WORLD", "scenes")
    dataset = open_world()
    assert dataset.has_scenes and dataset[0].scene.sum() == pytest.approx(1)
    first = {window.source: window.scene.argmax().item() for window in dataset}
    assert first["Tokyo/1"] == 1 and first["Lima/0"] == 3 and first["Lima/2"] == 5, "each drive has its own"


def test_bad_scenes(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_WORLD", "scenes")
    few = script(tmp_path / "few", f'#!/bin/sh\nif [ "$1" = --list ]; then exec "{FAKE}" --list; fi\necho 0.5 0.5\n')
    with pytest.raises(DatasetError, match="expected a line of 16 numbers a drive"):
        open_world(program=few)


def test_a_program_that_dies_is_told_with_its_words(monkeypatch):
    monkeypatch.setenv("FAKE_WORLD", "crash")
    with pytest.raises(DatasetError, match="Berlin, drive 0, 1400000000 ns: exit status 3: out of paint"):
        open_world(cities=["Berlin"])[0]


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    "body, said",
    [
        ("echo no", "expected an array"),
        ('echo \'[{"city": "Tokyo"}]\'', "expected an array"),
        ('echo \'[{"city": "Tokyo", "held_out": 1}]\'', "expected an array"),
        ('echo \'[{"city": "Atlantis", "held_out": false}]\'', "does not have: Atlantis"),
        ('echo \'[{"city": "Lima", "held_out": false}, {"city": "Lima", "held_out": true}]\'', "a city stands twice"),
        ("echo broken >&2; exit 4", "exit status 4: broken"),
    ],
)
def test_bad_lists(tmp_path, body, said):
    with pytest.raises(DatasetError, match=said):
        open_world(program=script(tmp_path / "draw", f"#!/bin/sh\n{body}\n"))


def test_program_is_found_by_key_then_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(world.VARIABLE, str(tmp_path / "absent"))
    assert world.find_program(str(FAKE)) == FAKE
    with pytest.raises(DatasetError, match=world.VARIABLE):
        world.find_program()
    monkeypatch.setenv(world.VARIABLE, os.fspath(FAKE))
    assert world.find_program() == FAKE


@pytest.mark.parametrize(
    "more, said",
    [
        (
            {"drives": {"train": [0, 5], "validation": [4, 6], "test": [7, 8]}},
            "train and validation share the seeds 4..4",
        ),
        ({"drives": {"train": [0, 5]}}, "seeds of test, validation are missing"),
        ({"drives": DRIVES | {"train": [3, 3]}}, "expected first < end"),
        ({"draw": [0, 10]}, "draw: found 0"),
        ({"draw": [10]}, "draw"),
        ({"cache_format": "png"}, "cache_format"),
    ],
)
def test_bad_tables(more, said):
    with pytest.raises(OptionsError, match=said):
        open_world(**more)


def test_unknown_cities_and_splits():
    with pytest.raises(DatasetError, match="known cities Osaka"):
        open_world(cities=["Osaka"])
    with pytest.raises(ValueError, match="found 'dev'"):
        open_world("dev")
