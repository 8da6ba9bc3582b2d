# SPDX-License-Identifier: LGPL-2.1-or-later
"""The model file: a round trip, what exactly is written, and each thing a file can have wrong."""

import json
import stat
import struct
from dataclasses import replace

import pytest
import torch
from cityguessr import generate, modelfile
from cityguessr.modelfile import Card, ModelFileError
from cityguessr.network import CityGuessr, Input, preset
from cityguessr.places import Places
from safetensors.torch import load_file, save_file
from test_places import small_tree

PLACES = Places(small_tree())
GEOMETRY = preset("tiny", labels=PLACES.counts, depth=1)
CARD = Card(
    'a "test"', "a \\ and a é", "CC0-1.0", PLACES, demo=True, sample_interval=0.5, temperatures=(1.5, 1.0, 2.0, 1.0)
)


@pytest.fixture
def model() -> CityGuessr:
    return generate.fill(CityGuessr(GEOMETRY, Input(1 / 255, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))), 1)


def rewrite(path, tensors=None, **metadata):
    """The file at @path with some tensors and metadata changed; None removes."""
    content, header = load_file(path), read_header(path)["__metadata__"]
    content = {k: v for k, v in (content | (tensors or {})).items() if v is not None}
    header = {k: v for k, v in (header | metadata).items() if v is not None}
    save_file(content, path, metadata=header)


def read_header(path) -> dict:
    data = path.read_bytes()
    return json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])


def test_round_trip(model, tmp_path):
    modelfile.save(tmp_path / "a.safetensors", model, CARD)
    again, card = modelfile.load(tmp_path / "a.safetensors")
    assert again.geometry == model.geometry and again.input == model.input
    assert replace(card, places=PLACES) == CARD and card.places.to_json() == PLACES.to_json()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


@pytest.mark.parametrize("dtype, name, bound", [("f16", "F16", 1e-3), ("bf16", "BF16", 8e-3)])
def test_narrow_types(model, tmp_path, dtype, name, bound):
    modelfile.save(tmp_path / "a.safetensors", model, CARD, dtype)
    header = read_header(tmp_path / "a.safetensors")
    assert {row["dtype"] for key, row in header.items() if key != "__metadata__"} == {name}
    again, _ = modelfile.load(tmp_path / "a.safetensors")
    weight = model.patch_embed.weight
    assert 0 < (again.patch_embed.weight - weight).abs().max() < bound * weight.abs().max()


def test_header_is_of_the_strict_subset(model, tmp_path):
    """The C reader takes only \\", \\\\ and \\/ of JSON's escapes, and three keys that matter."""
    path = tmp_path / "a.safetensors"
    modelfile.save(path, model, CARD)
    data = path.read_bytes()
    text = data[8 : 8 + struct.unpack("<Q", data[:8])[0]].decode()
    escapes = {text[i + 1] for i in range(len(text)) if text[i] == "\\" and text[i - 1] != "\\"}
    assert escapes <= set('"\\/'), escapes
    assert set(read_header(path)["__metadata__"]) == {"cityguessr.version", "cityguessr.config", "cityguessr.places"}


def test_saving_replaces_a_file_and_leaves_no_temporary(model, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("old")
    modelfile.save(path, model, CARD)
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) & 0o400


@pytest.mark.parametrize(
    "tensors, message",
    [
        ({"heads.city.bias": None}, "missing tensors: heads.city.bias"),
        ({"position": torch.zeros(2)}, "unknown tensors: position"),
        (
            {"patch_embed.bias": torch.zeros(65)},
            r"misshapen tensors: patch_embed.bias \(found \[65\], expected \[64\]\)",
        ),
        ({"patch_embed.bias": torch.zeros(64, dtype=torch.float64)}, "'patch_embed.bias': found torch.float64"),
        ({"patch_embed.bias": torch.tensor([0.0] * 63 + [float("nan")])}, "'patch_embed.bias': value 63 is nan"),
    ],
)
def test_bad_tensor_is_named(model, tmp_path, tensors, message):
    path = tmp_path / "a.safetensors"
    modelfile.save(path, model, CARD)
    rewrite(path, tensors)
    with pytest.raises(ModelFileError, match=message) as error:
        modelfile.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "metadata, message",
    [
        ({"cityguessr.version": None}, "lack 'cityguessr.version'"),
        ({"cityguessr.version": "2"}, "version '2'; this reads '1'"),
        ({"cityguessr.config": "{"}, "config: not JSON"),
    ],
)
def test_bad_metadata_is_named(model, tmp_path, metadata, message):
    path = tmp_path / "a.safetensors"
    modelfile.save(path, model, CARD)
    rewrite(path, **metadata)
    with pytest.raises(ModelFileError, match=message):
        modelfile.load(path)


@pytest.mark.parametrize(
    "where, value, message",
    [
        ("name", 3, "name: found 3, expected text"),
        ("provenance", "two\nlines", r"provenance: found 'two\\nlines'"),
        ("name", "", "name: found ''"),
        ("demo", "no", "demo: found 'no'"),
        ("extra", 1, r"unknown keys \['extra'\]"),
        ("licence", None, r"missing keys \['licence'\]"),
        ("geometry.heads", "16", "geometry.heads: found '16'"),
        ("geometry.depth", None, r"config: geometry: missing keys \['depth'\]"),
        ("geometry.scene_hidden", 3, "geometry.scene_hidden: found 3"),
        ("geometry.text_width", 0, r"geometry.text_hidden: found \[466\], expected \[\]"),
        ("input.std", [1, 0, 1], "input.std: found"),
        ("input.resize", "crop", "input.resize: found 'crop'"),
        ("temperatures", [1, 1, 1], "temperatures: found"),
        ("sample_interval", 0, "sample_interval: found"),
    ],
)
def test_bad_config_is_named(where, value, message):
    config = json.loads(modelfile.config_to_json(GEOMETRY, Input(), CARD))
    *parents, key = where.split(".")
    place = config[parents[0]] if parents else config
    place[key] = value
    if value is None:
        del place[key]
    with pytest.raises(ModelFileError, match=message):
        modelfile.parse_config(json.dumps(config), PLACES)


def test_a_file_that_could_not_be_read_is_not_written(model, tmp_path):
    for wrong, message in (
        (replace(CARD, places=Places.cityguessr68k()), "labels"),
        (replace(CARD, scenes=("one",)), "names of scenes"),
        (replace(CARD, temperatures=(0.0, 1, 1, 1)), "temperatures"),
    ):
        with pytest.raises(ModelFileError, match=message):
            modelfile.save(tmp_path / "a.safetensors", model, wrong)
    with torch.no_grad():
        model.patch_embed.bias[3] = float("inf")
    with pytest.raises(ModelFileError, match="'patch_embed.bias': value 3 is inf"):
        modelfile.save(tmp_path / "a.safetensors", model, CARD)
    assert list(tmp_path.iterdir()) == []


def test_not_a_model_file(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(ModelFileError, match=str(path)):
        modelfile.load(path)
    path.write_bytes(b"\xff" * 20)
    with pytest.raises(ModelFileError, match=str(path)):
        modelfile.load(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError, match="not a CityGuessr model file"):
        modelfile.load(path)
