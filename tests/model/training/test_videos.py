# SPDX-License-Identifier: LGPL-2.1-or-later
"""The folder of videos with a CSV: sampling by timestamp, pieces, tracks, trees, splits, and bad files."""

import json
import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cityguessr.datasets import DatasetError, WindowShape, open_dataset
from cityguessr.datasets.store import fill
from cityguessr.datasets.videos import Track, read_samples
from cityguessr.places import Places

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "pipelines"))

import drawn
import gst

av = pytest.importorskip("av")

SHAPE = WindowShape(4, 32, 1.0)
HEADER = "video,city,state,country,continent,latitude,longitude"
A, B = "Tokyo,Tokyo-to,Japan,Asia,35.7,139.7", "Berlin,Land Berlin,Germany,Europe,52.5,13.4"


def video(path: Path, times: list[float], size=(64, 48), colorspace: int | None = 6) -> None:
    """Grey frames at @times; frame n has the luma 16 + 4 (n mod 60). Without @colorspace: tinted, and 16 + n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"qp": "0", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        for n, time in enumerate(times):
            frame = av.VideoFrame(*size, "yuv420p")
            for plane, value in zip(
                frame.planes, (16 + n, 90, 190) if colorspace is None else (16 + 4 * (n % 60), 128, 128)
            ):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = round(time * 90000), Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def number(grey: int) -> int:
    """Of the frame with this grey in RGB: limited range spreads 219 steps over 255."""
    return round(int(grey) * 219 / 255 / 4)


def table(root: Path, lines: list[str], header: str = HEADER, **more) -> dict:
    (root / "videos.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return {"kind": "videos", "root": str(root), "cache": str(root / "cache"), **more}


@pytest.fixture
def drives(tmp_path):
    """Ten drives of 10 s at 5 frames a second, five in each city."""
    for city in ("a", "b"):
        for n in range(5):
            video(tmp_path / city / f"{n}.mp4", [i / 5 for i in range(51)])
    return tmp_path, [f"{c}/{n}.mp4,{place}" for c, place in (("a", A), ("b", B)) for n in range(5)]


def samples(path: Path) -> list[tuple[float, int, bool]]:
    """Time, number of the frame, and whether it begins a stretch; an interval of a second."""
    found = read_samples(path, 1.0, 32)
    return [(round(sample.time, 3), number(sample.frame[16, 16, 0]), sample.begins) for sample in found]


def test_samples_are_the_first_frames_not_before_their_targets(tmp_path):
    times = [0.0, 0.3, 0.99905, 1.2, 1.9, 2.1, 5.2, 5.9, 6.1]
    video(tmp_path / "v.mp4", times)  # where the frame at 2.1 lasts until 5.2
    assert samples(tmp_path / "v.mp4") == [
        (0.0, 0, True), (0.999, 2, False), (2.1, 5, False), (5.2, 6, False), (6.1, 8, False)
    ]  # fmt: skip


def test_a_gap_begins_a_stretch(tmp_path):
    """Of more than two intervals behind a frame's end; the times of the samples count from there."""
    video(tmp_path / "v.mkv", [0.0, 0.5, 1.0, 1.5, 4.7, 5.2, 5.6, 5.8, 7.7])  # frames last a thirtieth
    assert samples(tmp_path / "v.mkv") == [
        (0.0, 0, True), (1.0, 2, False), (4.7, 4, True), (5.8, 7, False), (7.7, 8, False)
    ]  # fmt: skip


def test_times_count_from_the_first_frame(tmp_path):
    video(tmp_path / "v.mkv", [3.0 + i / 10 for i in range(25)])
    assert samples(tmp_path / "v.mkv") == [(0.0, 0, True), (1.0, 10, False), (2.0, 20, False)]


def test_colours_without_a_matrix_are_gstreamers(tmp_path):
    """BT.709 for more than 576 lines, BT.601 else. Luma 16 + n with Cb 90 and Cr 190."""
    for size, red in (((64, 48), 1.402), ((1280, 720), 1.5748)):
        video(tmp_path / "v.mp4", [i / 5 for i in range(101)], size, None)
        *_, last = read_samples(tmp_path / "v.mp4", 20.0, 32)
        expected = 255 * (100 / 219 + red * 62 / 224)
        assert abs(int(last.frame[16, 16, 0]) - min(expected, 255)) <= 2, size


def test_windows_of_drives(drives):
    root, lines = drives
    parts = [open_dataset(table(root, lines, hop=3), split, SHAPE) for split in ("train", "validation", "test")]
    for part in parts:
        part.prepare()
    assert [len(part.sources()) for part in parts] == [6, 2, 2]
    assert len({source for part in parts for source, _ in part.sources()}) == 10
    source, windows = parts[0].sources()[0]
    assert [round(parts[0][i].start, 3) for i in windows] == [0, 3, 6, 7], "11 samples: three hops and the rest"
    window = parts[0][windows[1]]
    assert [number(v) for v in window.frames[:, 16, 16, 0].tolist()] == [15, 20, 25, 30]
    city = parts[0].places.index("city", "Tokyo" if source.startswith("a") else "Berlin")
    assert window.labels.tolist() == list(parts[0].places.path(city))
    assert window.location == parts[0].places.location(city)


def test_decoding_is_done_once(drives):
    root, lines = drives
    first = open_dataset(table(root, lines), "test", SHAPE)
    assert len(first) == 10
    for path in (root / "cache").glob("*.npy"):
        stamp = path.stat().st_mtime_ns
    second = open_dataset(table(root, lines), "test", SHAPE)
    second.prepare()
    assert path.stat().st_mtime_ns == stamp
    assert np.array_equal(first[0].frames, second[0].frames)


def test_jpeg_cache_is_near(drives):
    root, lines = drives
    raw = open_dataset(table(root, lines), "test", SHAPE)[0].frames.int()
    packed = open_dataset(table(root, lines, cache=str(root / "jpegs"), cache_format="jpeg"), "test", SHAPE)[
        0
    ].frames.int()
    assert (raw - packed).abs().max() <= 2


def test_preparing_in_processes_gives_the_same(drives):
    root, lines = drives
    one = open_dataset(table(root, lines), "validation", SHAPE)
    many = open_dataset(table(root, lines, cache=str(root / "other")), "validation", SHAPE)
    many.prepare(2)
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(one, many, strict=True))


@pytest.mark.parametrize("work, error", [(os._exit, "a process ended early"), (os.stat, "Bad file descriptor")])
def test_a_process_that_fails_ends_the_preparing(work, error):
    with pytest.raises((DatasetError, OSError), match=error):
        fill(work, [1001, 1002, 1003], 2, "decoding", "video")


def test_pieces_of_one_drive(drives):
    root, _ = drives
    lines = [f"a/0.mp4,{A},train,,4", f"a/0.mp4,{B},train,4,", f"a/1.mp4,{A},train,,", f"b/0.mp4,{B},test,,"]
    dataset = open_dataset(table(root, lines, HEADER + ",split,start,end", hop=1), "train", SHAPE)
    starts = [(dataset[i].source, dataset[i].start, int(dataset[i].labels[0])) for i in range(5)]
    tokyo, berlin = (dataset.places.index("city", city) for city in ("Tokyo", "Berlin"))
    first = "a/0.mp4"
    assert starts == [(first, 0.0, tokyo), *((first, t, berlin) for t in (4.0, 5.0, 6.0, 7.0))]


def with_gaps(path: Path) -> list[float]:
    """Writes a video of three stretches, of 6, 0.2 and 7 seconds, and returns the times at which they begin."""
    stretches = ((0.0, 61), (10.0, 3), (14.25, 71))
    video(path, [begin + i / 10 for begin, n in stretches for i in range(n)])
    return [begin for begin, _ in stretches]


def test_no_window_reaches_over_a_gap(tmp_path):
    begins = with_gaps(tmp_path / "v.mkv")
    dataset = open_dataset(table(tmp_path, [f"v.mkv,{A},train"], HEADER + ",split"), "train", SHAPE)
    expected = [begins[0] + t for t in (0, 2, 3)] + [begins[2] + t for t in (0, 2, 4)]  # one sample is no window
    assert [round(dataset[i].start, 3) for i in range(len(dataset))] == expected
    again = open_dataset(table(tmp_path, [f"v.mkv,{A},train"], HEADER + ",split"), "train", SHAPE)
    assert again.spans == dataset.spans, "a row of the cache says where its stretches begin"


def test_windows_are_those_of_the_element(tmp_path):
    gst.require_element()
    with_gaps(tmp_path / "v.mkv")
    dataset = open_dataset(table(tmp_path, [f"v.mkv,{A},train"], HEADER + ",split"), "train", SHAPE)
    geometry = {"frames": SHAPE.frames, "image": SHAPE.image}
    drawn.model_file(tmp_path / "m.safetensors", drawn.tree(), geometry, sample_interval=SHAPE.sample_interval)
    gst.launch(
        *f"filesrc location={tmp_path}/v.mkv ! decodebin ! videoconvert ! cityguessr name=c device=cpu".split(),
        *f"model={tmp_path}/m.safetensors min-samples=2 hop=2 processing-mode=offline ! fakesink".split(),
        *f"c.json_src ! filesink location={tmp_path}/answers".split(),
    )
    answers = [json.loads(line) for line in (tmp_path / "answers").read_text(encoding="utf-8").splitlines()]
    spans = [(round(answer["timestamp"] / 1e9, 3), answer["partial"]) for answer in answers]
    # A stretch shorter than a window is one to the element, which samples it more densely.
    assert [start for start, partial in spans if not partial] == [
        round(dataset.start(span), 3) for span in dataset.spans
    ]
    assert [start for start, partial in spans if partial] == [10.0]


def test_files_of_one_source_stay_together(drives):
    """In one split; as windows they have each their own time, so each is a source."""
    root, _ = drives
    lines = [f"a/{n}.mp4,{A},{'morning' if n < 3 else f'drive {n}'}" for n in range(5)]
    parts = {s: open_dataset(table(root, lines, HEADER + ",source"), s, SHAPE) for s in ("train", "validation", "test")}
    found = {name: split for split, part in parts.items() for name, _ in part.sources()}
    assert sorted(found) == [f"a/{n}.mp4" for n in range(5)]
    assert len({found[f"a/{n}.mp4"] for n in range(3)}) == 1


def test_track_gives_each_window_its_position(drives):
    root, _ = drives
    (root / "a.csv").write_text("time,latitude,longitude\n0,10,179.9\n10,11,-179.9\n")
    lines = [f"a/0.mp4,{A},a.csv,train", f"a/1.mp4,{A},,train"]
    dataset = open_dataset(table(root, lines, HEADER + ",track,split", hop=1), "train", SHAPE)
    assert dataset[0].location == pytest.approx((10.15, 179.93))
    assert dataset[7].location == pytest.approx((10.85, -179.93))
    assert dataset[8].location == pytest.approx((35.7, 139.7))


def test_track_ends():
    track = Track(np.array([1.0, 2.0]), np.array([[0.0, 0.0], [2.0, 4.0]]))
    assert track.at(0) == (0, 0) and track.at(9) == (2, 4) and track.at(1.5) == (1, 2)


def test_tree_beside_the_csv(drives):
    root, lines = drives
    tree = Places.cityguessr68k().subset(["Tokyo", "Berlin", "Lima"], "mine")
    (root / "places.json").write_text(tree.to_json(), encoding="utf-8")
    with pytest.raises(DatasetError, match="videos.csv:2: .*'Tokyo' lies in"):
        open_dataset(table(root, lines), "train", SHAPE).prepare()
    paths = {c: ",".join(tree.named_path(tree.index("city", c))) for c in ("Tokyo", "Berlin")}
    lines = [f"{c}/{n}.mp4,{paths[name]},," for c, name in (("a", "Tokyo"), ("b", "Berlin")) for n in range(5)]
    dataset = open_dataset(table(root, lines), "train", SHAPE)
    assert dataset.places.counts[0] == 3 and dataset[0].location is None


@pytest.mark.parametrize(
    "lines, header, said",
    [
        ([f"x.mp4,{A}"], HEADER, "1 videos do not exist: x.mp4"),
        (["a/0.mp4,Tokyo,,Japan,Asia,1,2"], HEADER, ":2: state is empty"),
        (["a/0.mp4,Tokyo,T,Japan,Asia,1,"], HEADER, ":2: latitude and longitude must both"),
        (["a/0.mp4,Tokyo,T,Japan,Asia,91,0"], HEADER, ":2: latitude: found '91'"),
        (["a/0.mp4,Tokyo,T,Japan,Asia,,"], HEADER, "no latitude and longitude for Tokyo"),
        ([f"a/0.mp4,{A}", "a/1.mp4,Tokyo,X,Japan,Asia,1,1"], HEADER, "the city 'Tokyo' lies in"),
        ([f"a/0.mp4,{A}", f"a/1.mp4,{A},,"], HEADER, ":3: 9 values under a header of 7"),
        ([f"a/0.mp4,{A}"], HEADER.replace("city", "town"), "columns missing: ..city"),
        ([f"a/0.mp4,{A},1"], HEADER + ",speed", "unknown: ..speed"),
        ([f"a/0.mp4,{A},dev"], HEADER + ",split", ":2: split: found 'dev'"),
        (
            [f"a/0.mp4,{A},train", f"a/0.mp4,{B},test"],
            HEADER + ",split",
            ":3: the source 'a/0.mp4' is in train and in test",
        ),
        ([f"a/0.mp4,{A},5,4"], HEADER + ",start,end", ":2: end 4 is not after start 5"),
        ([f"a/0.mp4,{A},no.csv"], HEADER + ",track", "no.csv: no such file"),
        ([], HEADER, "no windows"),
    ],
)
def test_bad_tables(tmp_path, lines, header, said):
    for n in range(2):
        video(tmp_path / "a" / f"{n}.mp4", [i / 5 for i in range(26)])
    with pytest.raises(ValueError, match=said):
        open_dataset(table(tmp_path, lines, header), "train", SHAPE).prepare()


def test_files_that_are_no_videos(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"no video at all")
    with pytest.raises(DatasetError, match="v.mp4: cannot be decoded"):
        open_dataset(table(tmp_path, [f"v.mp4,{A}"]), "train", SHAPE).prepare()


def test_a_damaged_cache_is_told(drives):
    root, lines = drives
    dataset = open_dataset(table(root, lines), "test", SHAPE)
    dataset.prepare()
    for path in (root / "cache").glob("*.npy"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DatasetError, match="damaged cache file"):
        dataset[0]
