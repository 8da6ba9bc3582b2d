# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ablation table: means and deviations by hand; runs that are finished, taken up again, or of another recipe."""

import json

import pytest
from cityguessr import ablate, evaluate
from cityguessr.datasets import world
from cityguessr.decode import DECODINGS
from cityguessr.network import LEVELS

BASE = """
extends = "small.toml"
name = "base"
[dataset]
drives = { train = [0, 3], validation = [10, 11], test = [20, 22] }
[geometry]
depth = 1
[input]
mean = [0.5, 0.5, 0.5]
[train]
epochs = 1
batch = 8
"""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def rows(tmp_path, recipe, monkeypatch):
    monkeypatch.setenv("FAKE_WORLD", "scenes")
    (tmp_path / "none.toml").write_text(BASE)
    (tmp_path / "soft.toml").write_text('extends = "none.toml"\ndescription = "soft scenes"\n[loss]\nscene = "soft"\n')
    return [tmp_path / "none.toml", tmp_path / "soft.toml"]


def result(values: list[float], description: str = "a row") -> dict:
    top1 = {decoding: dict(zip(LEVELS, values)) for decoding in DECODINGS}
    asked = {"description": description, "train": {"epochs": 2, "windows_per_epoch": 10, "batch": 4}}
    return {"asked": asked, "top1": top1, "parameters": 1234, "windows": 50, "sources": 5}


def test_mean_and_deviation_by_hand():
    runs = {0: result([0.5, 0.2, 1.0, 0.0]), 1: result([0.6, 0.2, 1.0, 0.3]), 2: result([0.7, 0.2, 0.7, 0.6])}
    report = ablate.summary({"full": runs, "one": {0: result([0.25, 0.5, 0.75, 1.0])}})
    full = report["rows"][0]["top1"]["marginal"]
    # 0.5 0.6 0.7: mean 0.6, squares 0.01 + 0 + 0.01 over 2; 1 1 0.7: mean 0.9, squares 0.01 0.01 0.04 over 2
    assert full["city"] == {"mean": pytest.approx(0.6), "deviation": pytest.approx(0.1), "values": [0.5, 0.6, 0.7]}
    assert full["country"]["mean"] == pytest.approx(0.9)
    assert full["country"]["deviation"] == pytest.approx(0.03**0.5)
    assert report["rows"][1]["top1"]["marginal"]["city"]["deviation"] is None
    page = ablate.markdown(report)
    assert "| full | 60.0 ± 10.0 | 20.0 ± 0.0 | 90.0 ± 17.3 | 30.0 ± 30.0 |" in page.splitlines()
    assert "| one | 25.0 | 50.0 | 75.0 | 100.0 |" in page.splitlines()
    assert "| full | a row | 1,234 | 0, 1, 2 | 2 epochs of 10 windows, batch 4 |" in page.splitlines()
    assert "50 windows, evenly over the 5 sources" in page


def test_rows_and_seeds_are_trained_and_judged(rows, tmp_path, capsys):
    out = tmp_path / "out"
    words = [*map(str, rows), "--seeds", "0", "1", "--output", str(out), "--set", "optimizer.learning_rate=0.002"]
    assert ablate.main(words) == 0
    assert (out / "ablation.md").read_text() == capsys.readouterr().out[:-1]
    report = json.loads((out / "ablation.json").read_text())
    assert [row["recipe"] for row in report["rows"]] == ["none", "soft"]
    assert report["rows"][1]["seeds"] == [0, 1] and report["rows"][1]["description"] == "soft scenes"
    assert report["rows"][1]["parameters"] > report["rows"][0]["parameters"], "the scene head"
    one = report["runs"]["soft"]["1"]
    assert one["asked"]["seed"] == 1 and one["asked"]["optimizer"]["learning_rate"] == 0.002
    assert one["sources"] == 3 * 2 and one["windows"] == 6 * 5

    # the figures are those of the evaluation
    model = out / "soft-seed-1" / "model.safetensors"
    whole = evaluate.run([str(model), str(rows[0]), "--promise-split", "none", "--output", str(tmp_path / "judged")])
    for decoding in DECODINGS:
        levels = whole["decodings"][decoding]["levels"]
        assert {level: levels[level]["top1"]["value"] for level in LEVELS} == one["top1"][decoding]


def test_finished_runs_are_not_repeated_and_others_go_on(rows, tmp_path, monkeypatch):
    out, trained = tmp_path / "out", []
    train = ablate.train

    def counted(recipe, folder, **options):
        trained.append(folder.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(recipe, folder, **options)

    monkeypatch.setattr(ablate, "train", counted)
    with pytest.raises(KeyboardInterrupt):
        ablate.ablate(rows, [0], 0, out)
    assert "none" in (out / "ablation.md").read_text(), "what is there can be read"
    page = ablate.ablate(rows, [0], 0, out)
    assert trained == ["none-seed-0", "soft-seed-0", "soft-seed-0"]
    assert ablate.ablate(rows, [0], 0, out) == page and len(trained) == 3
    with pytest.raises(ablate.TrainError, match="these keys differ: train.epochs"):
        ablate.ablate(rows, [0], 0, out, ("train.epochs=2",))
    with pytest.raises(ablate.TrainError, match="these keys differ: test_windows"):
        ablate.ablate(rows, [0], 6, out)


def test_fewer_windows_are_spread_over_the_drives(rows, tmp_path, monkeypatch):
    seen = []
    window = world.World.__getitem__
    monkeypatch.setattr(world.World, "__getitem__", lambda self, i: seen.append(i) or window(self, i))
    assert "6 windows, evenly over the 6 sources" in ablate.ablate(rows[:1], [0], 6, tmp_path / "out")
    dataset = ablate.open_dataset(ablate.read_recipe(rows[0]).dataset, "test", ablate.WindowShape(4, 32, 1.4))
    assert len({window(dataset, i).source for i in seen[-6:]}) == 6


def test_what_is_wrong_is_said(rows, tmp_path, capsys):
    assert ablate.main([str(rows[0]), str(rows[0]), "--output", str(tmp_path / "out")]) == 1
    assert "two recipes of one name" in capsys.readouterr().err
    assert ablate.main([str(tmp_path / "absent.toml")]) == 1
    assert "absent.toml" in capsys.readouterr().err
