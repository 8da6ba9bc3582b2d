# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conversion of the three layouts, good and bad. The checkpoints are made from Hugging Face's own
VideoMAE classes, from the authors' module layout, and from MCG-NJU's names."""

import argparse
import json
import warnings

import pytest
import torch
from cityguessr import convert, generate, modelfile
from cityguessr.network import CityGuessr, preset
from cityguessr.places import Places
from judges import AuthorsNetwork, hugging_face_config, hugging_face_encoder, hugging_face_features
from safetensors.torch import load_file, save_file
from test_places import small_tree
from transformers import VideoMAEForPreTraining, VideoMAEForVideoClassification

GEOMETRY = preset("tiny", layer_norm_eps=1e-3)  # an epsilon large enough to be seen in the result
OPTIONS = ["--heads", "4", "--layer-norm-eps", "1e-3", "--mean", "0,0,0", "--std", "1,1,1"]
SIZES = ["--frames", "8", "--image", "64"]
RUNTIME_NAMES = {"query.bias": "q_bias", "value.bias": "v_bias"}


@pytest.fixture(scope="module")
def donor() -> CityGuessr:
    return generate.fill(CityGuessr(GEOMETRY), 1).eval()


@pytest.fixture(scope="module")
def judge(donor):
    return hugging_face_encoder(donor)


@pytest.fixture(scope="module")
def frames():
    return torch.from_numpy(generate.window(1, 0, GEOMETRY.frames, GEOMETRY.image))[None]


def encoder_state(model) -> dict[str, torch.Tensor]:
    return {n: t for n, t in model.state_dict().items() if n.startswith(("patch_embed.", "blocks."))}


def assert_same_encoder(found, expected):
    found, expected = encoder_state(found), encoder_state(expected)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def run(*arguments) -> int:
    return convert.main([str(a) for a in arguments])


def refuse(capsys, *arguments) -> str:
    """The one line of the refusal; nothing may have been written."""
    capsys.readouterr()
    assert run(*arguments) == 1
    output, error = capsys.readouterr()
    assert output == "" and error.startswith("convert: ") and error.count("\n") == 1, error
    return error


def spelling(state: dict, spelled: str) -> dict:
    """q and v bias as ``query.bias`` (Transformers since 5) or as ``q_bias`` (before)."""
    for new, old in RUNTIME_NAMES.items():
        a, b = (new, old) if spelled == "q_bias" else (old, new)
        state = {
            n.removesuffix(a) + b if n.endswith("." + a) and ".attention.attention." in n else n: t
            for n, t in state.items()
        }
    assert any(n.endswith("attention." + spelled) for n in state)
    return state


# ---- Hugging Face ----


@pytest.fixture
def folder(judge, tmp_path):
    judge.save_pretrained(tmp_path / "hf")
    (tmp_path / "hf" / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]})
    )
    return tmp_path / "hf"


def test_hugging_face_folder(folder, donor, judge, frames, tmp_path):
    out = tmp_path / "a.safetensors"
    assert run("hf", folder, "-o", out, "--name", "start", "--licence", "CC-BY-NC-4.0", "--seed", 3) == 0
    model, card = modelfile.load(out)
    assert_same_encoder(model, donor)
    assert model.geometry == GEOMETRY  # heads, epsilon and sizes from config.json
    assert model.input.mean == (0.5, 0.4, 0.3) and model.input.std == (0.2, 0.3, 0.4)
    assert card.name == "start" and card.licence == "CC-BY-NC-4.0" and not card.demo
    assert "fresh with seed 3" in card.provenance and "untrained" in card.provenance
    with torch.inference_mode():
        expected = hugging_face_features(judge, model.scale_pixels(frames))
        torch.testing.assert_close(model(frames).features, expected, rtol=1e-5, atol=1e-5)


def test_fresh_heads_depend_on_the_seed_alone(folder, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert run("hf", folder, "-o", tmp_path / f"{name}.safetensors", "--seed", seed) == 0
    a, b, c = (load_file(tmp_path / f"{name}.safetensors") for name in "abc")
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert not torch.equal(a["heads.city.weight"], c["heads.city.weight"])


@pytest.mark.parametrize("spelled", ["q_bias", "query.bias"])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_both_spellings_and_both_files(folder, donor, tmp_path, spelled, file):
    state = spelling(load_file(folder / "model.safetensors"), spelled)
    (folder / "model.safetensors").unlink()
    (save_file if file == "model.safetensors" else torch.save)(state, folder / file)
    assert run("hf", folder, "-o", tmp_path / "a.safetensors") == 0
    assert_same_encoder(modelfile.load(tmp_path / "a.safetensors")[0], donor)


@pytest.mark.parametrize(
    "kind, dropped",
    [
        (VideoMAEForVideoClassification, ["classifier.weight", "fc_norm.bias"]),
        (VideoMAEForPreTraining, ["decoder.*", "encoder_to_decoder.weight", "mask_token"]),
    ],
)
def test_what_surrounds_the_encoder_is_dropped_by_name(kind, dropped, folder, judge, donor, tmp_path, capsys):
    config = hugging_face_config(GEOMETRY)
    config.decoder_num_hidden_layers = 1
    model = kind(config)
    model.videomae.load_state_dict(judge.state_dict())
    model.save_pretrained(folder)
    assert run("hf", folder, "-o", tmp_path / "a.safetensors") == 0
    converted, card = modelfile.load(tmp_path / "a.safetensors")
    assert_same_encoder(converted, donor)
    for name in dropped:
        assert name in card.provenance and name in capsys.readouterr().out + card.provenance


def test_a_bias_of_k_is_dropped_because_softmax_does_not_see_it(folder, donor, judge, frames, tmp_path):
    state = load_file(folder / "model.safetensors")
    for i in range(GEOMETRY.depth):
        state[f"encoder.layer.{i}.attention.attention.key.bias"] = torch.randn(GEOMETRY.width)
    save_file(state, folder / "model.safetensors")
    assert run("hf", folder, "-o", tmp_path / "a.safetensors") == 0
    model, card = modelfile.load(tmp_path / "a.safetensors")
    assert "attn.k_bias (without effect)" in card.provenance
    assert_same_encoder(model, donor)
    with torch.inference_mode():
        expected = hugging_face_features(judge, model.scale_pixels(frames))
        for i, layer in enumerate(judge.encoder.layer):
            key = layer.attention.attention.key
            key.bias = torch.nn.Parameter(state[f"encoder.layer.{i}.attention.attention.key.bias"])
        biased = hugging_face_features(judge, model.scale_pixels(frames))
        for layer in judge.encoder.layer:
            layer.attention.attention.key.bias = None
    torch.testing.assert_close(biased, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.pop("encoder.layer.1.layernorm_before.bias"), "missing tensors: blocks.1.norm1.bias"),
        (
            lambda s: s.pop("encoder.layer.0.attention.attention.key.weight"),
            "missing tensors: blocks.0.attn.key.weight",
        ),
        (lambda s: s.pop("embeddings.patch_embeddings.projection.weight"), "missing tensors: patch_embed.weight"),
        (
            lambda s: s.update({"encoder.layer.1.attention.gate": torch.zeros(1)}),
            "does not have: encoder.layer.1.attention.gate",
        ),
        (
            lambda s: s.update({"encoder.layer.0.output.dense.bias": torch.zeros(3)}),
            "misshapen tensors: blocks.0.mlp.fc2.bias",
        ),
        (
            lambda s: s.update({"encoder.layer.0.attention.attention.query.bias": torch.zeros(64)}),
            "are both 'blocks.0.attn.q_bias'",
        ),
        (lambda s: s.update({"mask_token": torch.zeros(1, dtype=torch.int64)}), "'mask_token': found torch.int64"),
        (
            lambda s: s["encoder.layer.0.output.dense.bias"].fill_(float("nan")),
            "'blocks.0.mlp.fc2.bias': value 0 is nan",
        ),
    ],
)
def test_bad_tensor_is_named(folder, tmp_path, capsys, change, message):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    assert message in refuse(capsys, "hf", folder, "-o", tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize(
    "change, options, message",
    [
        ({"num_attention_heads": None}, [], "give --heads"),
        ({"layer_norm_eps": None}, [], "give --layer-norm-eps"),
        ({}, ["--heads", "2"], "--heads 2 contradicts num_attention_heads 4"),
        ({}, ["--layer-norm-eps", "1e-6"], "--layer-norm-eps 1e-06 contradicts"),
        ({"model_type": "vit"}, [], "model_type: found 'vit'"),
        ({"hidden_act": "relu"}, [], "hidden_act: found 'relu'"),
        ({"hidden_size": 128}, [], "config.json says width 128, the tensors 64"),
        ({"num_attention_heads": 5}, [], "geometry.width"),
        ({}, ["--mean", "1,2"], "found '1,2', expected three numbers"),
    ],
)
def test_bad_configuration_is_named(folder, tmp_path, capsys, change, options, message):
    path = folder / "config.json"
    config = {k: v for k, v in (json.loads(path.read_text()) | change).items() if v is not None}
    path.write_text(json.dumps(config))
    assert message in refuse(capsys, "hf", folder, "-o", tmp_path / "a.safetensors", *options)


def test_input_scaling_of_a_folder_and_of_options(folder, tmp_path):
    """The folder's own preprocessing, which an option overrides: the authors' training left it out."""
    out = tmp_path / "a.safetensors"
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rescale_factor": 0.01}))
    assert run("hf", folder, "-o", out, "--mean", "0,0,0", "--std", "1,1,1") == 0
    model, _ = modelfile.load(out)
    assert model.input.scale == 0.01 and model.input.mean == (0, 0, 0) and model.input.std == (1, 1, 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": False}))
    assert run("hf", folder, "-o", out, "--scale", "0.5") == 0
    model, _ = modelfile.load(out)
    assert model.input.scale == 0.5 and model.input.mean == (0, 0, 0) and model.input.std == (1, 1, 1)


def test_mean_is_not_guessed(folder, tmp_path, capsys):
    (folder / "preprocessor_config.json").unlink()
    assert "give --mean, --std" in refuse(capsys, "hf", folder, "-o", tmp_path / "a.safetensors")


def test_empty_folder(tmp_path, capsys):
    assert "config.json" in refuse(capsys, "hf", tmp_path, "-o", tmp_path / "a.safetensors")


# ---- the authors' checkpoint ----


@pytest.fixture
def authors(judge):
    torch.manual_seed(5)
    return AuthorsNetwork(judge, GEOMETRY.labels).eval()


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("spelled", ["q_bias", "query.bias"])
def test_authors_checkpoint(authors, donor, frames, tmp_path, prefix, wrapped, spelled):
    state = {prefix + n: t for n, t in spelling(authors.state_dict(), spelled).items()}
    path, out = tmp_path / "best.pth", tmp_path / "a.safetensors"
    torch.save({"epoch": 12, "state_dict": state, "best_acc1": 69.6, "optimizer": {}} if wrapped else state, path)
    assert run("cityguessr", path, "-o", out, *OPTIONS, *SIZES) == 0
    model, card = modelfile.load(out)
    assert_same_encoder(model, donor)
    assert model.geometry == GEOMETRY and "fresh" not in card.provenance
    with torch.inference_mode():
        outputs = model(frames)
        expected = authors(model.scale_pixels(frames))
    for found, judged in zip((outputs.logits, outputs.scene, outputs.text), expected):
        torch.testing.assert_close(found, judged, rtol=1e-4, atol=1e-5)


def test_the_layout_has_400_keys(judge):
    """What the authors' code writes for the full size; here without making its weights."""
    with torch.device("meta"):
        from transformers import VideoMAEModel

        state = AuthorsNetwork(
            VideoMAEModel(hugging_face_config(preset("small-16"))), preset("small-16").labels
        ).state_dict()
    assert len(state) == 400


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda s: s["backbone.encoder.layer.1.output.dense.bias"].__iadd__(1),
            "they differ for: encoder.layer.1.output.dense.bias",
        ),
        (
            lambda s: s.pop("backbone.encoder.layer.0.output.dense.bias"),
            "missing tensors: backbone.encoder.layer.0.output.dense.bias",
        ),
        (
            lambda s: s.pop("backbone.backbone.embeddings.patch_embeddings.projection.bias"),
            "missing tensors: backbone.backbone.embeddings",
        ),
        (lambda s: s.pop("classifier_state.weight"), "missing tensors: heads.state.weight"),
        (lambda s: s.pop("mha.in_proj_bias"), "missing tensors: sca.in_proj.bias"),
        (lambda s: s.update({"classifier_planet.weight": torch.zeros(1)}), "does not have: classifier_planet.weight"),
        (lambda s: s.update({"backbone.layernorm.weight": torch.zeros(1)}), "does not have: backbone.layernorm.weight"),
        (lambda s: s.update({"out_linear.1.weight": torch.zeros(1)}), "does not have: out_linear.1.weight"),
        (lambda s: s.update({"text_linear.2.weight": torch.zeros(512, 9)}), "misshapen tensors: text.1.weight"),
        (
            lambda s: s.update({"module.mha.in_proj_bias": torch.zeros(18)}),
            "both with and without the prefix 'module.'",
        ),
    ],
)
def test_bad_authors_checkpoint_is_named(authors, tmp_path, capsys, change, message):
    state = {n: t.clone() for n, t in authors.state_dict().items()}
    change(state)
    torch.save({"state_dict": state}, tmp_path / "best.pth")
    assert message in refuse(
        capsys, "cityguessr", tmp_path / "best.pth", "-o", tmp_path / "a.safetensors", *OPTIONS, *SIZES
    )
    assert not (tmp_path / "a.safetensors").exists()


def test_authors_heads_need_their_places(authors, tmp_path, capsys):
    path, places = tmp_path / "best.pth", tmp_path / "places.json"
    torch.save(authors.state_dict(), path)
    places.write_text(Places(small_tree()).to_json())
    error = refuse(capsys, "cityguessr", path, "-o", tmp_path / "a.safetensors", *OPTIONS, *SIZES, "--places", places)
    assert "the places 'two cities' have (2, 1, 1, 1)" in error


@pytest.mark.parametrize("left_out", ["--heads", "--layer-norm-eps", "--mean", "--std"])
def test_nothing_that_shapes_hide_is_guessed(authors, tmp_path, capsys, left_out):
    torch.save(authors.state_dict(), tmp_path / "best.pth")
    at = OPTIONS.index(left_out)
    error = refuse(
        capsys,
        "cityguessr",
        tmp_path / "best.pth",
        "-o",
        tmp_path / "a.safetensors",
        *OPTIONS[:at],
        *OPTIONS[at + 2 :],
        *SIZES,
    )
    assert f"give {left_out}." in error and "never guessed" in error and "16 in Hugging Face's" in error


# ---- MCG-NJU's own ----


def mcg_state(donor, prefix="") -> dict[str, torch.Tensor]:
    state = {}
    for name, tensor in encoder_state(donor).items():
        state[prefix + name.replace("patch_embed.", "patch_embed.proj.")] = tensor
    return state


@pytest.mark.parametrize(
    "content",
    [
        lambda d: {
            "module": mcg_state(d)
            | {
                "fc_norm.weight": torch.ones(64),
                "fc_norm.bias": torch.ones(64),
                "head.weight": torch.ones(400, 64),
                "head.bias": torch.ones(400),
            }
        },
        lambda d: {
            "model": mcg_state(d, "encoder.")
            | {
                "encoder.norm.weight": torch.ones(64),
                "encoder.norm.bias": torch.ones(64),
                "encoder_to_decoder.weight": torch.ones(32, 64),
                "mask_token": torch.zeros(1, 1, 32),
                "decoder.blocks.0.attn.q_bias": torch.ones(32),
            },
            "args": argparse.Namespace(lr=1e-3),
            "epoch": 1599,
        },
        lambda d: mcg_state(d),
    ],
    ids=["fine-tuned", "pre-trained", "bare"],
)
def test_mcg_checkpoint(content, donor, judge, frames, tmp_path):
    path, out = tmp_path / "checkpoint.pth", tmp_path / "a.safetensors"
    torch.save(content(donor), path)
    assert run("mcg", path, "-o", out, *OPTIONS, *SIZES, "--demo", "--provenance", "a test", "--dtype", "f16") == 0
    model, card = modelfile.load(out)
    assert model.geometry == GEOMETRY
    assert card.demo and card.provenance.startswith("a test; converted from an original VideoMAE checkpoint")
    for name, tensor in encoder_state(donor).items():
        torch.testing.assert_close(encoder_state(model)[name], tensor.half().float(), rtol=0, atol=0)
    with torch.inference_mode():
        expected = hugging_face_features(judge, model.scale_pixels(frames))
        difference = (model(frames).features - expected).norm() / expected.norm()
    assert difference < 1e-2, difference


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.pop("blocks.1.attn.q_bias"), "missing tensors: blocks.1.attn.q_bias"),
        (lambda s: s.update({"pos_embed": torch.zeros(1)}), "does not have: pos_embed"),
        (
            lambda s: s.update({"encoder.blocks.0.norm1.bias": torch.zeros(64)}),
            "both with and without the prefix 'encoder.'",
        ),
        (
            lambda s: s.update({"blocks.0.attn.qkv.weight": torch.zeros(192, 3)}),
            "misshapen tensors: blocks.0.attn.qkv.weight",
        ),
    ],
)
def test_bad_mcg_checkpoint_is_named(donor, tmp_path, capsys, change, message):
    state = mcg_state(donor)
    change(state)
    torch.save({"model": state}, tmp_path / "checkpoint.pth")
    assert message in refuse(
        capsys, "mcg", tmp_path / "checkpoint.pth", "-o", tmp_path / "a.safetensors", *OPTIONS, *SIZES
    )


def test_heads_of_an_original_are_not_guessed(donor, tmp_path, capsys):
    torch.save(mcg_state(donor), tmp_path / "checkpoint.pth")
    error = refuse(capsys, "mcg", tmp_path / "checkpoint.pth", "-o", tmp_path / "a.safetensors", *SIZES)
    assert "give --heads, --layer-norm-eps, --mean, --std" in error and "6 in MCG-NJU's" in error


# ---- files that are no checkpoints ----


class Payload:
    """An object whose loading would run code."""

    def __reduce__(self):
        return warnings.warn, ("this ran",)


@pytest.mark.parametrize(
    "content, message",
    [
        (Payload(), "could run code"),
        ([1, 2], "no state dictionary"),
        ({}, "no state dictionary"),
        ({"state_dict": {"x": 3}}, "'x': found int"),
    ],
)
def test_bad_pickle_is_refused_without_running_it(tmp_path, capsys, recwarn, content, message):
    torch.save(content, tmp_path / "x.pth")
    error = refuse(capsys, "cityguessr", tmp_path / "x.pth", "-o", tmp_path / "a.safetensors", *OPTIONS)
    assert message in error
    assert not [w for w in recwarn if "this ran" in str(w.message)]


def test_truncated_pickle(donor, tmp_path, capsys):
    path = tmp_path / "x.pth"
    torch.save(mcg_state(donor), path)
    path.write_bytes(path.read_bytes()[:1000])
    assert str(path) in refuse(capsys, "mcg", path, "-o", tmp_path / "a.safetensors", *OPTIONS)
