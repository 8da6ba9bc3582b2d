# SPDX-License-Identifier: LGPL-2.1-or-later
"""The full-size network on real clips: gst-launch's answers are PyTorch's.

Weights are generated, so the places are meaningless; the heads are made weaker, so that the probabilities
spread over many labels and a difference would show. PyTorch sees the same decoded frames, converted to RGB
by the textbook and resized by PIL.
"""

import pytest
import torch
from cityguessr import generate, modelfile
from cityguessr.network import LEVELS, CityGuessr, preset
from cityguessr.places import Places
from gst import answers, decode, require_element, windows_of

CLIPS = ("walk-carlsbad-gps", "drive-i280-720p", "walk-lund-5fps")
TOP = 20
PLACES = Places.cityguessr68k()


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The model in PyTorch, and its file."""
    model = generate.fill(CityGuessr(preset("small-16")), 1).eval()
    with torch.no_grad():
        for head in model.heads.values():
            head.weight *= 0.1
    path = tmp_path_factory.mktemp("model") / "generated.safetensors"
    modelfile.save(path, model, modelfile.Card("generated", "generated weights: untrained", "CC0-1.0", PLACES))
    return model, path


# The model's own interval spreads these short clips over one window; 0.28 s gives full ones, overlapping.
@pytest.mark.parametrize("name, interval, hop", [(name, 1.4, 2) for name in CLIPS] + [("walk-carlsbad-gps", 0.28, 8)])
def test_messages_carry_pytorchs_probabilities(name, interval, hop, generated, shared_data, tmp_path):
    require_element()
    model, path = generated
    clip_path = shared_data / "clips" / f"{name}.mp4"
    clip = decode(clip_path, tmp_path)
    nanoseconds = round(interval * 10**9)
    windows = windows_of(clip, model.geometry.frames, nanoseconds, hop)
    found = answers(
        clip_path,
        f"model={path}",
        f"sample-interval={nanoseconds}",
        f"hop={hop}",
        "decoding=independent",
        f"top-k={TOP}",
        "precision=fp32",
    )
    assert len(found) == len(windows) >= 1
    worst = 0.0
    for message, window in zip(found, windows):
        assert int(message.fields["timestamp"]) == clip.pts[window[0]]
        assert (
            int(message.fields["duration"]) == clip.pts[window[-1]] + clip.durations[window[-1]] - clip.pts[window[0]]
        )
        frames = torch.from_numpy(clip.model_frames(window, model.geometry.image))
        with torch.inference_mode():
            logits = model.split(model(frames[None]).logits)
        for level in LEVELS:
            expected = dict(zip(PLACES.labels(level), logits[level][0].double().softmax(0).tolist()))
            answered = message.predictions[level]
            assert len(answered) == min(TOP, len(expected))
            assert 0.01 < max(expected.values()) < 0.9, (
                f"{level}: too even or too sure to show a difference: {expected}"
            )
            worst = max(worst, *(abs(confidence - expected[label]) for label, confidence in answered.items()))
            # Everything that was left out is less likely than what was given.
            left_out = max((p for label, p in expected.items() if label not in answered), default=0)
            assert left_out <= min(answered.values()) + 4e-3
    print(f"{name}: {len(windows)} windows, largest difference of a probability {worst:.2g}")
    assert worst <= 2e-3, f"{name}: probabilities differ by {worst:.3g}"
