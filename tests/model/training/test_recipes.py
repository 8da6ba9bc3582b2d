# SPDX-License-Identifier: LGPL-2.1-or-later
"""Recipes: strict tables, the authors' defaults, the shipped files; schedules, augmentation, the order of windows."""

import itertools
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cityguessr.augment import AugmentOptions, TrainingWindows, crop, recolour
from cityguessr.batches import EpochPlan
from cityguessr.datasets.base import Clip, WindowDataset, WindowShape, spans_of
from cityguessr.losses import LossOptions
from cityguessr.network import CityGuessr, Geometry, preset
from cityguessr.optim import MovingAverage, OptimizerOptions, make_optimizer, rate, set_rate
from cityguessr.options import OptionsError
from cityguessr.places import Places
from cityguessr.recipe import GeometryOptions, different_keys, read_recipe

RECIPES = Path(__file__).resolve().parents[3] / "model" / "training" / "recipes"
MINIMAL = '[dataset]\nkind = "world"\n'


def recipe(tmp_path, text, name="r.toml", changes=()):
    (tmp_path / name).write_text(text)
    return read_recipe(tmp_path / name, changes)


# ---- tables ----


def test_defaults_are_the_authors(tmp_path):
    found = recipe(tmp_path, MINIMAL)
    assert found.name == "r"
    assert (found.optimizer.kind, found.optimizer.learning_rate, found.optimizer.betas) == ("adam", 1e-3, (0.9, 0.999))
    assert (found.optimizer.schedule, found.optimizer.weight_decay, found.optimizer.clip_norm) == ("constant", 0, 0)
    assert (found.train.batch, found.train.epochs, found.train.precision, found.train.select) == (
        12,
        12,
        "fp32",
        "city",
    )
    assert (found.input.mean, found.input.std, found.input.scale) == ((0, 0, 0), (1, 1, 1), 1 / 255)
    assert found.geometry.base() == preset("small-16", scene=(), text=())
    assert (found.loss.text, found.loss.text_reduction, found.loss.text_weight) == ("all", "sum", 1)
    assert found.augment == AugmentOptions() and found.augment.shift == 0


@pytest.mark.parametrize(
    "text, said",
    [
        ("x = 1", "unknown key 'x'"),
        ("", "'dataset' is missing"),
        (MINIMAL + "[train]\nepoch = 3", r"r.toml.train: unknown key 'epoch'; did you mean 'epochs'"),
        (MINIMAL + "[train]\nepochs = 0", "train: epochs: found 0"),
        (MINIMAL + "[train]\nepochs = 1.5", "train.epochs: found 1.5, expected int"),
        (MINIMAL + "[train]\nepochs = true", "train.epochs: found True"),
        (MINIMAL + "[loss]\ntext = 'both'", "loss: text: found 'both'"),
        (MINIMAL + "[optimizer]\nweight_decay = 0.1", "take kind = 'adamw'"),
        (MINIMAL + "[optimizer]\nbetas = [0.9]", "optimizer.betas"),
        (MINIMAL + "[geometry]\npreset = 'huge'", "preset: found 'huge'"),
        (MINIMAL + "[geometry]\nheads = 7", "a multiple of the 7 heads"),
        (MINIMAL + "[init]\nencoder = 'a'\nmodel = 'b'", "exclude each other"),
        (MINIMAL + "[export]\ndtype = 'int8'", "dtype: found 'int8'"),
        ("[train", "r.toml: "),
        ("train = 3\n" + MINIMAL, "train: found 3, expected a table"),
        (MINIMAL + "[input]\nstd = [1, 0, 1]", "std: found 0"),
    ],
)
def test_bad_recipes(tmp_path, text, said):
    with pytest.raises(OptionsError, match=said):
        recipe(tmp_path, text)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(OptionsError, match="absent.toml"):
        read_recipe(tmp_path / "absent.toml")


def test_changes_from_the_command_line(tmp_path):
    found = recipe(
        tmp_path, MINIMAL, changes=("train.epochs=3", 'loss.text="city"', "optimizer.ema=0.9", "dataset.hop = 4")
    )
    assert (found.train.epochs, found.loss.text, found.optimizer.ema, found.dataset["hop"]) == (3, "city", 0.9, 4)
    for bad in ("train.epochs", "train.epochs=x", "train.epochs.more=1"):
        with pytest.raises(OptionsError, match="--set"):
            recipe(tmp_path, MINIMAL + "[train]\nepochs = 2", changes=(bad,))


def test_extends(tmp_path):
    recipe(tmp_path, "description = 'below'\n" + MINIMAL + "hop = 3\n[train]\nepochs = 4\nbatch = 7", "below.toml")
    found = recipe(tmp_path, 'extends = "below.toml"\n[dataset]\nhop = 5\n[train]\nbatch = 8')
    assert (found.name, found.description, found.dataset) == ("r", "", {"kind": "world", "hop": 5})
    assert (found.train.epochs, found.train.batch) == (4, 8)
    with pytest.raises(OptionsError, match="extends itself"):
        recipe(tmp_path, 'extends = "r.toml"')
    with pytest.raises(OptionsError, match="extends: found 3"):
        recipe(tmp_path, "extends = 3")


def test_to_json_tells_every_key_and_differences_are_named(tmp_path):
    one, other = recipe(tmp_path, MINIMAL), recipe(tmp_path, MINIMAL + "[train]\nbatch = 5\n[loss]\nscene = 'none'")
    assert one.to_json()["optimizer"]["learning_rate"] == 1e-3
    assert different_keys(one.to_json(), other.to_json()) == ["loss.scene", "train.batch"]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_good(path):
    found = read_recipe(path)
    assert found.description and found.geometry.base()


def test_ablation_rows_differ_in_their_losses_only():
    rows = {"none": ("none", "none"), "majority-scenes": ("majority", "none"), "soft-scenes": ("soft", "none"),
            "city-text": ("soft", "city")}  # fmt: skip
    for base in ("cityguessr68k", "demo", "ablation"):
        full = read_recipe(RECIPES / f"{base}.toml").to_json()
        for row, (scene, text) in rows.items():
            found = read_recipe(RECIPES / f"{base}-{row}.toml")
            assert (found.loss.scene, found.loss.text) == (scene, text)
            assert set(different_keys(full, found.to_json())) <= {"name", "description", "loss.scene", "loss.text"}


def test_text_alone_is_a_row_on_the_drawn_world():
    full, alone = (read_recipe(RECIPES / f"{name}.toml") for name in ("ablation", "ablation-all-text"))
    assert (full.loss.scene, full.loss.text) == ("soft", "all")
    assert (alone.loss.scene, alone.loss.text) == ("none", "all")
    assert set(different_keys(full.to_json(), alone.to_json())) == {"name", "description", "loss.scene"}


def test_ablation_draws_what_the_demo_draws():
    """So that both read one cache."""
    demo, ablation = (read_recipe(RECIPES / f"{name}.toml") for name in ("demo", "ablation"))
    assert {**ablation.dataset, "cities": []} == {**demo.dataset, "cities": []}
    assert ablation.geometry.image == demo.geometry.image
    assert ablation.input.sample_interval == demo.input.sample_interval


def test_demo_model_fits_in_eight_megabytes():
    demo = read_recipe(RECIPES / "demo.toml")
    places = Places.cityguessr68k()
    geometry = demo.geometry.complete(places, replace(demo.loss, scene="soft"), 384)
    numbers = sum(int(np.prod(shape)) for shape in geometry.tensors().values())
    assert demo.export.demo and demo.export.dtype in ("f16", "bf16") and 2 * numbers <= 7.9e6


def test_heads_follow_the_losses_and_the_text_encoder():
    places, options = Places.cityguessr68k(), GeometryOptions()
    assert options.complete(places, LossOptions("soft", "all"), 512) == Geometry(), "the authors' network"
    assert options.complete(places, LossOptions("soft", "all"), 384).text == ((420 + 384) // 2, 384)
    bare = options.complete(places, LossOptions("none", "none"), 0)
    assert not bare.has_sca
    assert GeometryOptions(text_hidden=()).complete(places, LossOptions("none", "city"), 8).text == (8,)


def test_recipes_are_plain_toml_without_machine_paths():
    for path in RECIPES.glob("*.toml"):
        assert tomllib.loads(path.read_text()) and "/home" not in path.read_text() and '= "/' not in path.read_text()


# ---- schedule and optimiser ----


def test_schedules():
    options = OptimizerOptions(schedule="cosine", warmup=0.1, final_rate=0.1)
    rates = [rate(options, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11) and rates[9] == pytest.approx(10 / 11) and rates[10] == 1
    assert rates[55] == pytest.approx(0.55) and rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    linear = OptimizerOptions(schedule="linear")
    assert [rate(linear, step, 4) for step in range(4)] == [1, 0.75, 0.5, 0.25]
    assert {rate(OptimizerOptions(), step, 10) for step in range(10)} == {1.0}


def test_groups_of_the_optimiser():
    model = CityGuessr(preset("tiny", labels=(3, 3, 2, 2), scene=(), text=()))
    options = OptimizerOptions("adamw", 1e-2, encoder_rate=0.1, weight_decay=0.05)
    optimizer = make_optimizer(model, options)
    assert set_rate(optimizer, options, 0, 10) == 1e-2
    seen = {id(p): g for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        group = seen[id(parameter)]
        assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0), name
        assert group["lr"] == pytest.approx(1e-2 if name.startswith("heads.") else 1e-3), name
    assert len(seen) == len(list(model.parameters()))


def test_muon_takes_the_matrices_of_the_blocks():
    model = CityGuessr(preset("tiny", labels=(3, 3, 2, 2), scene=(), text=()))
    options = OptimizerOptions("muon", 1e-2, encoder_rate=0.1, weight_decay=0.05)
    optimizer = make_optimizer(model, options)
    assert set_rate(optimizer, options, 0, 10) == 1e-2
    muon, adamw = ({id(p) for g in part.param_groups for p in g["params"]} for part in optimizer.parts)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        matrix = name.startswith("blocks.") and name.endswith(".weight") and ".norm" not in name
        assert (id(parameter) in muon, id(parameter) in adamw) == (matrix, not matrix), name
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    optimizer.step()
    for name, parameter in model.named_parameters():
        if id(parameter) in muon:
            # A step is the nearest orthogonal matrix, to within Newton and Schulz's five iterations, times
            # 0.2 sqrt (the longer side) and the learning rate; the weights decay by their share before it.
            step = (before[name] * (1 - 1e-3 * 0.05) - parameter.detach()) / (1e-3 * 0.2 * max(parameter.shape) ** 0.5)
            singular = torch.linalg.svdvals(step.double())
            assert singular.min() > 0.3 and singular.max() < 1.3, (name, singular)
    optimizer.zero_grad(set_to_none=True)
    assert all(parameter.grad is None for parameter in model.parameters())
    other = make_optimizer(model, options)
    other.load_state_dict(optimizer.state_dict())
    for one, two in zip(optimizer.parts, other.parts):
        assert str(one.state_dict()) == str(two.state_dict())


def test_moving_average_by_hand():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0)
    average = MovingAverage(model, 0.5)
    for expected in (9 / 11, 9 / 11 * 0.25 + 0.75, None):  # decays (1 + n) / (10 + n) = 2/11, 3/12, …
        model.weight.data.fill_(1)
        average.update(model)
        if expected:
            assert average.weights["weight"].item() == pytest.approx(expected, abs=1e-6)


def test_stochastic_depth():
    model = CityGuessr(preset("tiny", labels=(3, 3, 2, 2), scene=(), text=()))
    keys = set(model.state_dict())
    model.set_stochastic_depth(0.5)
    assert [block.depth.rate for block in model.blocks] == [0, 0.5] and set(model.state_dict()) == keys
    branch = torch.ones(4000, 1)
    passed = model.blocks[1].depth(branch)
    assert set(passed.unique().tolist()) == {0, 2} and passed.mean().item() == pytest.approx(1, abs=0.1)
    model.eval()
    assert torch.equal(model.blocks[1].depth(branch), branch)


# ---- order ----


def test_an_epoch_takes_every_window_once_in_another_order():
    plan = EpochPlan(10, 4, 0, seed=3)
    assert plan.steps == 3
    epochs = [[n for share in plan.shares(e, 0, 0, 1) for _, n in share] for e in range(2)]
    assert all(sorted(e) == list(range(10)) for e in epochs) and epochs[0] != epochs[1]
    assert plan.shares(1, 2, 0, 1) == plan.shares(1, 0, 0, 1)[2:]
    assert plan.shares(0, 0, 0, 1) == EpochPlan(10, 4, 0, seed=3).shares(0, 0, 0, 1)
    assert plan.shares(0, 0, 0, 1) != EpochPlan(10, 4, 0, seed=4).shares(0, 0, 0, 1)


def test_short_epochs_take_every_window_before_one_comes_again():
    plan = EpochPlan(10, 2, 4, seed=0)
    taken = np.concatenate([plan.order(epoch) for epoch in range(5)])
    assert sorted(taken[:10]) == list(range(10)) and sorted(taken[10:]) == list(range(10))


def test_processes_share_a_batch():
    one = EpochPlan(11, 4, 0, 0)
    for rank_batches in zip(
        *(EpochPlan(11, 4, 0, 0, 2).shares(0, 0, rank, 2) for rank in (0, 1)), one.shares(0, 0, 0, 1)
    ):
        assert sorted(rank_batches[0] + rank_batches[1]) == sorted(rank_batches[2])
    assert EpochPlan(9, 4, 0, 0, 2).steps == 2, "a last batch of one window cannot be shared by two"


# ---- augmentation ----


class Numbers(WindowDataset):
    """Two clips of 20 samples; the red of sample n of clip c is 100 c + n."""

    def __init__(self):
        super().__init__(WindowShape(4, 16), Places.cityguessr68k())
        self.clips = [Clip(str(c), str(c), (0, 0, 0, 0), 20) for c in range(2)]
        self.spans = spans_of(self.clips, 4, 4)

    def samples(self, clip, indices):
        frames = np.zeros((len(indices), 16, 16, 3), np.uint8)
        frames[..., 0] = (100 * clip + indices)[:, None, None]
        frames[..., 1] = np.arange(16)[:, None] * 8
        return frames


def test_no_augmentation_by_default():
    dataset = Numbers()
    windows = TrainingWindows(dataset, AugmentOptions(), 0)
    assert all(torch.equal(windows[(5, i)].frames, dataset[i].frames) for i in range(len(dataset)))


def test_shift_stays_within_the_clip():
    dataset = Numbers()
    windows = TrainingWindows(dataset, AugmentOptions(shift=3), 0)
    seen = {i: {int(windows[(e, i)].frames[0, 0, 0, 0]) for e in range(60)} for i in range(len(dataset))}
    assert seen[0] == {0, 1, 2, 3} and seen[1] == set(range(1, 8)) and seen[4] == {13, 14, 15, 16}
    assert min(seen[5]) == 100
    window = windows[(0, 1)]
    first = int(window.frames[0, 0, 0, 0])
    assert window.frames[:, 0, 0, 0].tolist() == list(range(first, first + 4))
    assert window.start == pytest.approx(1.4 * first)


def test_augmentation_is_a_function_of_seed_epoch_and_window():
    options = AugmentOptions(shift=2, crop=0.3, colour=0.4, frame_colour=0.1, grey=0.2)
    one, same, other = (TrainingWindows(Numbers(), options, seed) for seed in (0, 0, 1))
    assert torch.equal(one[(1, 2)].frames, same[(1, 2)].frames)
    assert not torch.equal(one[(1, 2)].frames, one[(2, 2)].frames)
    assert not torch.equal(one[(1, 2)].frames, other[(1, 2)].frames)


def test_few_tubelets_of_a_window():
    dataset = Numbers()
    windows = TrainingWindows(dataset, AugmentOptions(tubelets=1, whole_epochs=2), 0, epochs=40, tubelet=2)
    seen = set()
    for epoch in range(38):
        window = windows[(epoch, 1)]
        (slot,) = window.slots.tolist()
        assert window.frames[:, 0, 0, 0].tolist() == [4 + 2 * slot, 5 + 2 * slot]
        seen.add(slot)
    assert seen == {0, 1}
    for epoch in (38, 39):
        window = windows[(epoch, 1)]
        assert window.slots is None and window.frames[:, 0, 0, 0].tolist() == [4, 5, 6, 7]


def test_crop_is_the_same_in_all_frames():
    frames = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8), 3, 0)
    found = crop(frames, 0.5, np.random.default_rng(1))
    assert found.shape == frames.shape and not np.array_equal(found, frames)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[1], found[2])


def test_colours():
    frames = np.random.default_rng(0).integers(60, 120, (3, 8, 8, 3), dtype=np.uint8)
    grey = recolour(frames, AugmentOptions(grey=1.0), np.random.default_rng(0))
    assert (grey[..., 0] == grey[..., 1]).all() and (grey[..., 1] == grey[..., 2]).all()
    whole = recolour(np.repeat(frames[:1], 3, 0), AugmentOptions(colour=0.5), np.random.default_rng(0))
    assert np.array_equal(whole[0], whole[1]) and not np.array_equal(whole[0], frames[0])
    each = recolour(np.repeat(frames[:1], 3, 0), AugmentOptions(frame_colour=0.5), np.random.default_rng(0))
    assert not np.array_equal(each[0], each[1])
