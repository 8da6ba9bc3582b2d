# SPDX-License-Identifier: LGPL-2.1-or-later
"""The readers of CityGuessr68k and MSLS against folders made here in their layouts, good and bad, and the splits."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from cityguessr import splits
from cityguessr.datasets import DatasetError, WindowShape, open_dataset
from cityguessr.datasets.base import resize, spread
from cityguessr.datasets.cityguessr68k import clip_number, listing, source_of
from cityguessr.network import Geometry
from cityguessr.options import OptionsError
from cityguessr.places import Places
from PIL import Image

SHAPE = WindowShape(16, 32)
PLACES = Places.cityguessr68k()


def picture(path: Path, value: int, size=(48, 27)) -> None:
    """A flat picture whose red says which one it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 10, 200)).save(path, quality=100, subsampling=0)


# ---- splits ----


def test_split_by_source_gives_each_city_its_share():
    strata = {f"{city}_{i}": city for city in ("A", "B") for i in range(20)} | {"lonely": "C"}
    found = splits.by_source(strata, (0.8, 0.1, 0.1), 0)
    for city in ("A", "B"):
        of_city = [found[source] for source in strata if strata[source] == city]
        assert [of_city.count(split) for split in splits.SPLITS] == [16, 2, 2]
    assert found["lonely"] == "train"


def test_split_is_stable_and_depends_on_the_seed():
    strata = {str(i): "A" for i in range(50)}
    first = splits.by_source(strata, (0.8, 0.1, 0.1), 0)
    assert first == splits.by_source(dict(reversed(strata.items())), (0.8, 0.1, 0.1), 0)
    assert first != splits.by_source(strata, (0.8, 0.1, 0.1), 1)
    less = splits.by_source({k: v for k, v in strata.items() if k != "7"}, (0.8, 0.1, 0.1), 0)
    assert sum(first[k] != less[k] for k in less) <= 2, "one source less stirred the others"


@pytest.mark.parametrize("fractions", [(0.5, 0.1, 0.1), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_bad_fractions(fractions):
    with pytest.raises(ValueError, match="fractions"):
        splits.by_source({"a": "A"}, fractions, 0)


# ---- pictures ----


def test_resize_is_pils_antialiased_bilinear_to_the_square():
    random = np.random.default_rng(0)
    source = Image.fromarray(random.integers(0, 256, (90, 160, 3), dtype=np.uint8))
    expected = np.array(source.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(resize(source, 32), expected)
    assert resize(source.convert("L"), 32).shape == (32, 32, 3)


def test_spread_takes_the_first_and_the_last():
    assert spread(5, 16).tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4]
    assert spread(1, 4).tolist() == [0, 0, 0, 0]


# ---- CityGuessr68k ----


def line(video: str, city: str, extra=()) -> str:
    names = PLACES.named_path(PLACES.index("city", city))
    return ",".join([video, *names, *map(str, extra)])


@pytest.fixture
def release(tmp_path):
    """Two cities, sources of two clips each, 80 frames a clip. The red of a frame is its number."""
    train, val = [], []
    for city in ("Tokyo", "Abu_Dhabi"):
        for source in range(5):
            for clip in range(2):
                video = f"{city}_{source}_{clip:05d}"
                lines, folder = (val, "val") if clip else (train, "train")
                lines.append(line(video, city))
                for n in range(1, 81):
                    if source == 0 or n == 1:  # enough for the tests that look at pictures
                        picture(tmp_path / folder / city / video / f"{n}.jpg", n)
    (tmp_path / "train_labels.txt").write_text("\n".join(train) + "\n")
    (tmp_path / "val_labels.txt").write_text("\n".join(val) + "\n")
    return tmp_path


def spec(root: Path, **more) -> dict:
    return {"kind": "cityguessr68k", "root": str(root), **more}


def test_published_split(release):
    train, validation, test = (open_dataset(spec(release), split, SHAPE) for split in splits.SPLITS)
    assert (len(train), len(validation), len(test)) == (8, 2, 10)
    assert not {s for s, _ in train.sources()} & {s for s, _ in validation.sources()}
    authors = {split: open_dataset(spec(release, validation="test"), split, SHAPE) for split in splits.SPLITS}
    assert [len(authors[split]) for split in splits.SPLITS] == [10, 10, 10]


def test_source_disjoint_split(release):
    parts = [
        open_dataset(spec(release, split="source-disjoint", fractions=[0.6, 0.2, 0.2]), s, SHAPE) for s in splits.SPLITS
    ]
    sources = [{source for source, _ in part.sources()} for part in parts]
    assert [len(s) for s in sources] == [6, 2, 2] and [len(part) for part in parts] == [12, 4, 4]
    assert not (sources[0] & sources[1] or sources[0] & sources[2] or sources[1] & sources[2])
    _source, windows = parts[0].sources()[0]
    assert len(windows) == 2, "the clips of both published parts belong to one source"
    assert parts[0][windows[0]].start < parts[0][windows[1]].start


def window_of(dataset, video: str):
    return dataset[[clip.key for clip in dataset.clips].index(video)]


def reds(window) -> list[int]:
    return window.frames[:, 16, 16, 0].tolist()


def close(found: list[int], expected: list[int]) -> bool:
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 2  # JPEG


def test_frames_in_numeric_order(release):
    window = window_of(open_dataset(spec(release), "test", SHAPE), "Tokyo_0_00001")
    assert window.frames.shape == (16, 32, 32, 3) and window.frames.dtype == torch.uint8
    assert close(reds(window), list(range(1, 77, 5)))
    assert window.labels.tolist() == list(PLACES.path(PLACES.index("city", "Tokyo")))
    assert window.scene is None and window.source == "Tokyo_0"
    assert window.location == pytest.approx((35.7, 139.7), abs=0.2)


def test_frames_in_the_order_of_the_released_loader(release, tmp_path):
    window = window_of(open_dataset(spec(release, compat="lexicographic"), "test", SHAPE), "Tokyo_0_00001")
    names = sorted(f"{n}.jpg" for n in range(1, 81))
    assert close(reds(window), [int(name[:-4]) for name in names[:76:5]])
    folder = tmp_path / "hundred"
    for n in range(1, 101):
        (folder / "x").mkdir(parents=True, exist_ok=True)
        (folder / "x" / f"{n}.jpg").touch()
    known = [1, 13, 18, 22, 27, 31, 36, 40, 45, 5, 54, 59, 63, 68, 72, 77]  # of a folder with 100 frames
    assert [int(path.stem) for path in listing(folder / "x", "lexicographic")[:76:5]] == known


def test_a_short_clip_is_spread(release):
    window = window_of(open_dataset(spec(release), "test", SHAPE), "Tokyo_3_00001")  # one frame
    assert close(reds(window), [1] * 16)


def test_geometry_stands_for_the_shape(release):
    assert open_dataset(spec(release), "test", Geometry(image=32))[0].frames.shape == (16, 32, 32, 3)


def test_labels_of_another_tree(release):
    tree = (
        PLACES.subset(["Tokyo", "Dubai"], "model's")
        if PLACES.index("city", "Dubai") >= 0
        else PLACES.subset(["Tokyo"], "m")
    )
    dataset = open_dataset(spec(release), "test", SHAPE, tree)
    assert dataset.places is tree
    assert window_of(dataset, "Tokyo_0_00001").labels.tolist() == list(tree.path(tree.index("city", "Tokyo")))
    assert window_of(dataset, "Abu_Dhabi_0_00001").labels[0] == -1


def test_numbers_instead_of_names_and_all_columns(tmp_path):
    city = PLACES.index("city", "Tokyo")
    scene = [0.5, 0.5] + [0] * 14
    for folder, video in (("train", "Tokyo_1_00000"), ("val", "Tokyo_2_00000")):
        picture(tmp_path / folder / "Tokyo" / video / "1.jpg", 5)
        numbers = ",".join(f"{float(i)}" for i in PLACES.path(city))
        text = ",".join(str(0.25 * i) for i in range(4))
        (tmp_path / f"{folder}_labels.txt").write_text(
            f"/somewhere/{video}/,{numbers},{text},{','.join(map(str, scene))}\n"
        )
    dataset = open_dataset(spec(tmp_path, text_columns=4), "train", SHAPE)
    assert dataset[0].labels.tolist() == list(PLACES.path(city))
    assert dataset.has_scenes and dataset[0].scene.tolist() == scene
    table = dataset.text_table()
    assert table.shape == (166, 4) and table[city].tolist() == [0, 0.25, 0.5, 0.75] and table[0].isnan().all()


@pytest.mark.parametrize(
    "text, said",
    [
        ("Tokyo_0_00000,Tokyo,Tokyo,Japan\n", ":1: 4 values"),
        ("a,b\n\na\n", ":1: 2 values"),
        (line("x", "Tokyo") + "\n" + line("y", "Tokyo", [1] * 16) + "\n", ":2: 21 values"),
        ("x,Atlantis,A,B,C\n", ":1: .*no city 'Atlantis'"),
        ("x,Tokyo,Berlin,Germany,Europe\n", ":1: .*put the city 'Tokyo'"),
        ("x,166,0,0,0\n", "no city '166'"),
        (line("x", "Tokyo", ["a"] * 16) + "\n", "value 5: found 'a'"),
        (line("x", "Tokyo", ["nan"] * 16) + "\n", "value 5: found 'nan'"),
        (line("x", "Tokyo", [1] * 16) + "\n", "sum to 16"),
        (line("x", "Tokyo") + "\n" + line("a/x", "Tokyo") + "\n", ":2: the clip 'x' again"),
        (line("", "Tokyo") + "\n", "the video id is empty"),
        ("\n", "no lines"),
    ],
)
def test_malformed_annotation_lines(release, text, said):
    (release / "train_labels.txt").write_text(text)
    with pytest.raises(DatasetError, match=said):
        open_dataset(spec(release), "train", SHAPE)


def test_a_clip_in_both_parts_is_refused(release):
    (release / "train_labels.txt").write_text(line("Tokyo_0_00001", "Tokyo") + "\n")
    with pytest.raises(DatasetError, match="train and test mix"):
        open_dataset(spec(release), "train", SHAPE)


def test_missing_things_are_named(release):
    (release / "train" / "Tokyo" / "Tokyo_0_00000" / "6.jpg").write_bytes(b"no jpeg")
    with pytest.raises(DatasetError, match=r"6.jpg: not a readable picture"):
        window_of(open_dataset(spec(release, validation="test"), "train", SHAPE), "Tokyo_0_00000")
    (release / "train" / "Tokyo" / "Tokyo_0_00000").rename(release / "elsewhere")
    with pytest.raises(DatasetError, match=r"1 of 10 clips have no folder: .*Tokyo_0_00000"):
        open_dataset(spec(release, validation="test"), "train", SHAPE)
    assert len(open_dataset(spec(release, validation="test", missing="skip"), "train", SHAPE)) == 9
    (release / "val_labels.txt").unlink()
    with pytest.raises(DatasetError, match="val_labels.txt: no such annotation file"):
        open_dataset(spec(release), "train", SHAPE)
    with pytest.raises(DatasetError, match="no such folder"):
        open_dataset(spec(release / "absent"), "train", SHAPE)


def test_frames_without_number_are_refused(release):
    picture(release / "val" / "Tokyo" / "Tokyo_1_00001" / "cover.jpg", 1)
    with pytest.raises(DatasetError, match="cover.jpg"):
        window_of(open_dataset(spec(release), "test", SHAPE), "Tokyo_1_00001")


def test_text_values_of_a_city_must_agree(tmp_path):
    lines = [line(f"Tokyo_{i}_00000", "Tokyo", [1.0, 0.0 if i else 0.5]) for i in range(3)]
    (tmp_path / "train_labels.txt").write_text("\n".join(lines[:2]))
    (tmp_path / "val_labels.txt").write_text(lines[2])
    for folder, i in (("train", 0), ("train", 1), ("val", 2)):
        picture(tmp_path / folder / "Tokyo" / f"Tokyo_{i}_00000" / "1.jpg", 1)
    dataset = open_dataset(spec(tmp_path, text_columns=2, validation="test"), "train", SHAPE)
    with pytest.raises(DatasetError, match=":2: other text values than .*:1"):
        dataset.text_table()


def test_ids():
    assert source_of("Abu_Dhabi_6_00084") == "Abu_Dhabi_6" and clip_number("Abu_Dhabi_6_00084") == 84
    assert source_of("Abu_Dhabi_0000") == "Abu_Dhabi_0000"  # the other form that has been seen


@pytest.mark.parametrize(
    "table, said",
    [
        ({"kind": "imagenet"}, "kind: found 'imagenet'"),
        ({"kind": "cityguessr68k"}, "'root' is missing"),
        ({"kind": "cityguessr68k", "root": "x", "strid": 5}, "unknown key 'strid'; did you mean 'stride'"),
        ({"kind": "cityguessr68k", "root": "x", "stride": "5"}, "stride: found '5', expected int"),
        ({"kind": "cityguessr68k", "root": "x", "compat": "random"}, "compat: found 'random'"),
        ({"kind": "msls", "root": "x", "cities": ["atlantis"]}, "cities: found 'atlantis'"),
    ],
)
def test_bad_tables(table, said):
    with pytest.raises(OptionsError, match=said):
        open_dataset(table, "train", SHAPE)


# ---- MSLS ----


def write_csv(path: Path, header: list[str], rows: list[list]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def msls_part(folder: Path, sequences: dict[str, int], pano=()) -> None:
    """Sequences of so many pictures; their lines are shuffled, the red of picture n is n."""
    raw, seq = [], []
    for name, count in sequences.items():
        for n in range(count):
            key = f"{name}-{n:03d}"
            raw.append([len(raw), key, 24.9 + 0.001 * n, 60.1, 0.0, "2017-01-01", str(name in pano)])
            seq.append([len(seq), key, name, n])
            picture(folder / "images" / f"{key}.jpg", n)
    write_csv(folder / "raw.csv", ["", "key", "lon", "lat", "ca", "captured_at", "pano"], raw)
    write_csv(folder / "seq_info.csv", ["", "key", "sequence_key", "frame_number"], seq[::-1])


@pytest.fixture
def msls(tmp_path):
    msls_part(tmp_path / "train_val" / "helsinki" / "query", {"q1": 20, "short": 7, "q2": 16})
    msls_part(tmp_path / "train_val" / "helsinki" / "database", {"d1": 40, "d2": 16, "round": 20}, pano=("round",))
    msls_part(tmp_path / "train_val" / "phoenix" / "database", {"t1": 16, "t2": 16, "t3": 16})
    return tmp_path


def test_msls_sequences_are_videos(msls):
    table = {"kind": "msls", "root": str(msls), "fractions": [0.5, 0.25, 0.25]}
    parts = [open_dataset(table, split, SHAPE) for split in splits.SPLITS]
    sources = [source for part in parts for source, _ in part.sources()]
    assert sorted(sources) == ["d1", "d2", "q1", "q2", "t1", "t2", "t3"], "short ones and panoramas are left out"
    assert parts[0].places.counts[0] == 24
    part = next(part for part in parts if "d1" in dict(part.sources()))
    windows = [part[i] for i in dict(part.sources())["d1"]]
    assert [reds(w)[0] for w in windows] == pytest.approx([0, 16, 24], abs=2), "hops, and one that ends with the last"
    assert close(reds(windows[1]), list(range(16, 32)))
    assert windows[1].start == pytest.approx(16 * 1.4)
    assert windows[1].location == pytest.approx((60.1, 24.9 + 0.001 * 23.5), abs=1e-6)
    assert part.places.named_path(int(windows[0].labels[0]))[0] == "Helsinki"


def test_msls_in_the_tree_of_cityguessr68k(msls):
    table = {"kind": "msls", "root": str(msls), "places": "cityguessr68k", "cities": ["phoenix"]}
    dataset = open_dataset(table, "train", SHAPE)
    assert dataset[0].labels.tolist() == [
        -1,
        -1,
        PLACES.index("country", "United_States"),
        PLACES.index("continent", "North America"),
    ]


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda r: (r / "helsinki/query/raw.csv").unlink(), "raw.csv: no such file"),
        (lambda r: (r / "helsinki/query/seq_info.csv").write_text("key\n"), "columns missing: ..sequence_key"),
        (
            lambda r: (r / "helsinki/query/seq_info.csv").write_text("key,sequence_key,frame_number\nx,s,0\n"),
            ":2: the picture 'x'",
        ),
        (
            lambda r: (r / "helsinki/query/raw.csv").write_text("key,lon,lat,pano\nx,200,0,False\n"),
            ":2: lon: found '200'",
        ),
        (lambda r: (r / "helsinki/query/raw.csv").write_text("key,lon,lat,pano\nx,2\n"), ":2: 2 values"),
        (lambda r: (r / "atlantis").mkdir(), "no MSLS cities: atlantis"),
        (lambda r: (r / "boston").mkdir(), "neither query nor database"),
    ],
)
def test_bad_msls(msls, damage, said):
    damage(msls / "train_val")
    with pytest.raises(DatasetError, match=said):
        open_dataset({"kind": "msls", "root": str(msls)}, "train", SHAPE)


def test_a_missing_msls_picture_is_named(msls):
    for path in (msls / "train_val").rglob("*-003.jpg"):
        path.unlink()
    with pytest.raises(DatasetError, match="003.jpg: the picture is missing"):
        open_dataset({"kind": "msls", "root": str(msls)}, "train", SHAPE)[0]
