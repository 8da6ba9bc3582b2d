# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks written by others, or anew from the paper's description, that ours is held against."""

import torch
from cityguessr.network import CityGuessr, Geometry
from torch import nn
from transformers import VideoMAEConfig, VideoMAEModel


def hugging_face_config(geometry: Geometry) -> VideoMAEConfig:
    return VideoMAEConfig(
        image_size=geometry.image,
        patch_size=geometry.patch,
        num_frames=geometry.frames,
        tubelet_size=geometry.tubelet,
        hidden_size=geometry.width,
        num_hidden_layers=geometry.depth,
        num_attention_heads=geometry.heads,
        intermediate_size=geometry.mlp,
        layer_norm_eps=geometry.layer_norm_eps,
        use_mean_pooling=True,
    )


def hugging_face_encoder(model: CityGuessr) -> VideoMAEModel:
    """Hugging Face's network with the weights of @model, copied layer by layer, in its dtype."""
    judge = VideoMAEModel(hugging_face_config(model.geometry)).to(model.patch_embed.weight.dtype).eval()
    width = model.geometry.width
    with torch.no_grad():
        projection = judge.embeddings.patch_embeddings.projection
        projection.weight.copy_(model.patch_embed.weight)
        projection.bias.copy_(model.patch_embed.bias)
        for ours, theirs in zip(model.blocks, judge.encoder.layer):
            attention = theirs.attention.attention
            for linear, rows in zip(
                (attention.query, attention.key, attention.value), ours.attn.qkv.weight.split(width)
            ):
                linear.weight.copy_(rows)
            attention.query.bias.copy_(ours.attn.q_bias)
            attention.value.bias.copy_(ours.attn.v_bias)
            for ours_layer, theirs_layer in (
                (ours.norm1, theirs.layernorm_before),
                (ours.norm2, theirs.layernorm_after),
                (ours.attn.proj, theirs.attention.output.dense),
                (ours.mlp.fc1, theirs.intermediate.dense),
                (ours.mlp.fc2, theirs.output.dense),
            ):
                theirs_layer.load_state_dict(ours_layer.state_dict())
    return judge


def hugging_face_features(judge: VideoMAEModel, values: torch.Tensor) -> torch.Tensor:
    """@values: scaled, [batch, frames, image, image, 3] -> [batch, width]."""
    with torch.inference_mode():
        return judge(values.permute(0, 1, 4, 2, 3), output_hidden_states=True).hidden_states[-1].mean(1)


class AuthorsNetwork(nn.Module):
    """The layout of the authors' training module: the backbone registered three ways, the four classifiers,
    the attention over the logits with PyTorch's own MultiheadAttention, and the two stacks."""

    def __init__(self, backbone: VideoMAEModel, labels, scene=(256, 128, 64, 32, 16, 16), text=(466, 512)):
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.backbone = backbone
        self.backbone.embeddings = backbone.embeddings
        self.backbone.encoder = backbone.encoder
        width, total = backbone.config.hidden_size, sum(labels)
        for level, n in zip(("city", "state", "country", "continent"), labels):
            setattr(self, f"classifier_{level}", nn.Linear(width, n))
        for name in ("query", "key", "value"):
            setattr(self, f"{name}_projection", nn.Linear(1, 6))
        self.mha = nn.MultiheadAttention(embed_dim=6, num_heads=2, batch_first=True)
        self.final_projection = nn.Linear(6, 1)
        self.out_linear, self.text_linear = self.stack(total, scene), self.stack(total, text)

    @staticmethod
    def stack(n_in, sizes):
        layers = []
        for n_out in sizes:
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
            n_in = n_out
        return nn.Sequential(*layers[:-1])

    def forward(self, values: torch.Tensor):
        """Scaled values -> logits (concatenated), scene, text."""
        features = hugging_face_features(self.backbone.backbone, values)
        logits = torch.cat(
            [
                self.classifier_city(features),
                self.classifier_state(features),
                self.classifier_country(features),
                self.classifier_continent(features),
            ],
            1,
        )
        tokens = logits.unsqueeze(2)
        attended, _ = self.mha(
            self.query_projection(tokens), self.key_projection(tokens), self.value_projection(tokens)
        )
        attended = self.final_projection(attended).squeeze(2)
        return logits, self.out_linear(attended), self.text_linear(attended)
