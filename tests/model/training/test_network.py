# SPDX-License-Identifier: LGPL-2.1-or-later
"""The network against Hugging Face's VideoMAE and PyTorch's MultiheadAttention, in double."""

import pytest
import torch
from cityguessr import generate, network
from cityguessr.network import PRESETS, CityGuessr, Geometry, Input, position_table, preset
from judges import AuthorsNetwork, hugging_face_encoder, hugging_face_features
from transformers.models.videomae.modeling_videomae import get_sinusoid_encoding_table


def window(geometry: Geometry, index: int = 0) -> torch.Tensor:
    return torch.from_numpy(generate.window(1, index, geometry.frames, geometry.image))[None]


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("heads, eps, depth", [(16, 1e-12, 12), (16, 1e-6, 3), (6, 1e-12, 3), (6, 1e-6, 12)])
def test_encoder_is_hugging_faces(heads, eps, depth, monkeypatch):
    """Full size (two of them with fewer blocks), lively weights: given the same tensors, the same features.
    Hugging Face rounds its position table to float32 and we do not: ours is rounded here too."""
    monkeypatch.setattr(network, "position_table", lambda *sizes: position_table(*sizes).float())
    geometry = preset("small-16", heads=heads, layer_norm_eps=eps, depth=depth)
    model = generate.fill(CityGuessr(geometry).double(), 1).eval()
    judge = hugging_face_encoder(model)
    frames = window(geometry)
    with torch.inference_mode():
        difference = relative(model(frames).features, hugging_face_features(judge, model.scale_pixels(frames)))
    assert difference < 1e-12, f"features differ by {difference:.3g} (relative L2)"


@pytest.mark.parametrize("tokens, width", [(1568, 384), (1568, 768), (64, 64)])
def test_position_table_is_hugging_faces(tokens, width):
    """To the float32 that Hugging Face rounds it to."""
    torch.testing.assert_close(
        position_table(tokens, width).float(), get_sinusoid_encoding_table(tokens, width)[0], rtol=0, atol=1e-7
    )


def test_heads_change_the_result_and_not_the_shapes():
    """Why the number of heads is never guessed."""
    sixteen, six = (generate.fill(CityGuessr(preset("tiny", width=96, heads=h)), 1).eval() for h in (6, 3))
    assert {n: t.shape for n, t in sixteen.state_dict().items()} == {n: t.shape for n, t in six.state_dict().items()}
    with torch.inference_mode():
        frames = window(sixteen.geometry)
        difference = relative(sixteen(frames).features, six(frames).features)
    assert difference > 0.01, difference


def test_heads_and_sca_are_the_authors(monkeypatch):
    """Logits, scene and text against PyTorch's own MultiheadAttention and plain Sequential stacks."""
    monkeypatch.setattr(network, "position_table", lambda *sizes: position_table(*sizes).float())
    geometry = preset("tiny")
    model = generate.fill(CityGuessr(geometry).double(), 1).eval()
    judge = AuthorsNetwork(hugging_face_encoder(model), geometry.labels).double().eval()
    with torch.no_grad():
        for level, head in model.heads.items():
            getattr(judge, f"classifier_{level}").load_state_dict(head.state_dict())
        for name in ("query", "key", "value", "final"):
            getattr(judge, f"{name}_projection").load_state_dict(getattr(model.sca, name).state_dict())
        judge.mha.in_proj_weight.copy_(model.sca.in_proj.weight)
        judge.mha.in_proj_bias.copy_(model.sca.in_proj.bias)
        judge.mha.out_proj.load_state_dict(model.sca.out_proj.state_dict())
        for ours, theirs in ((model.scene, judge.out_linear), (model.text, judge.text_linear)):
            for i, layer in enumerate(ours):
                theirs[2 * i].load_state_dict(layer.state_dict())
    frames = torch.cat([window(geometry, i) for i in range(3)])
    with torch.inference_mode():
        outputs = model(frames)
        logits, scene, text = judge(model.scale_pixels(frames))
    for name, expected in (("logits", logits), ("scene", scene), ("text", text)):
        difference = relative(getattr(outputs, name), expected)
        assert difference < 1e-12, f"{name} differ by {difference:.3g} (relative L2)"


@pytest.mark.parametrize("name", PRESETS)
def test_state_dict_is_the_table_of_tensors(name):
    with torch.device("meta"):
        model = CityGuessr(preset(name))
    assert {n: tuple(t.shape) for n, t in model.state_dict().items()} == preset(name).tensors()


def test_without_scene_and_text_there_is_no_sca():
    model = CityGuessr(preset("tiny", scene=(), text=()))
    assert not any(name.startswith(("sca.", "scene.", "text.")) for name in model.state_dict())
    outputs = model(window(model.geometry))
    assert outputs.scene is None and outputs.text is None


def test_counts_of_the_full_size():
    """As the paper's code has them: 22 628 177 parameters, 1568 tokens, 420 labels."""
    geometry = preset("small-16")
    tensors = geometry.tensors()
    assert sum(torch.Size(shape).numel() for shape in tensors.values()) == 22_628_177
    assert (geometry.tokens, geometry.total_labels) == (1568, 420)


def test_input_scaling():
    model = CityGuessr(preset("tiny"), Input(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pixels = torch.tensor([255, 0, 51], dtype=torch.uint8)
    expected = torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225])
    torch.testing.assert_close(model.scale_pixels(pixels), expected)


@pytest.mark.parametrize(
    "field, value",
    [
        ("frames", 15),
        ("image", 225),
        ("width", 100),
        ("heads", 5),
        ("heads", 192),
        ("layer_norm_eps", 0.0),
        ("depth", 49),
        ("mlp", 20),
        ("labels", (1, 2, 3)),
        ("text", (0,)),
        ("frames", 16.0),
    ],
)
def test_impossible_geometry_is_named(field, value):
    with pytest.raises(ValueError, match=f"geometry.*{'width' if (field, value) == ('heads', 5) else field}"):
        preset("small-16", **{field: value}).check()


def test_wrong_frames_are_named():
    with pytest.raises(ValueError, match=r"found shape \(1, 4, 64, 64, 3\), expected \[batch, 8, 64, 64, 3\]"):
        CityGuessr(preset("tiny"))(torch.zeros(1, 4, 64, 64, 3))


def test_some_tubelets_keep_their_positions():
    """All tubelets, named one by one, are the whole window; of some, each token has its own tubelet's position."""
    torch.manual_seed(0)
    model = CityGuessr(preset("tiny")).double()
    g, frames = model.geometry, window(preset("tiny"))
    slots = torch.arange(g.frames // g.tubelet)[None]
    assert torch.equal(model(frames, slots).logits, model(frames).logits)
    some = torch.tensor([[1, 3]])
    by_slot = position_table(g.tokens, g.width).reshape(g.frames // g.tubelet, -1, g.width)
    assert torch.equal(model.positions(some)[0], by_slot[[1, 3]].reshape(-1, g.width))
    chosen = frames.unflatten(1, (-1, g.tubelet))[:, [1, 3]].flatten(1, 2)
    assert model(chosen, some).features.shape == (1, g.width)
    with pytest.raises(ValueError, match="expected \\[batch, 4, "):
        model(frames, some)
