"""A BERT encoder, to hold MiniLM's weights: the reference is `BertModel` as its config.json describes it.

Devlin et al., "BERT", 2019; post-norm transformer, learned positions, exact GELU. Only what embedding needs: no
pooler, no dropout, one segment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BertConfig", "BertEncoder"]


@dataclass(frozen=True, slots=True)
class BertConfig:
    """The sizes of the network, by their names in config.json."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    layer_norm_eps: float

    @classmethod
    def from_file(cls, path: Path) -> BertConfig:
        """Read them from a config.json."""
        stored = json.loads(path.read_text("utf-8"))
        return cls(**{name: stored[name] for name in cls.__dataclass_fields__})


class _Layer(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.mix, self.mix_norm = nn.Linear(width, width), nn.LayerNorm(width, config.layer_norm_eps)
        self.widen, self.narrow = nn.Linear(width, config.intermediate_size), nn.Linear(config.intermediate_size, width)
        self.out_norm = nn.LayerNorm(width, config.layer_norm_eps)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        query, key, value = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen[:, None, None, :])
        x = self.mix_norm(x + self.mix(attended.transpose(1, 2).flatten(2)))
        y: Tensor = self.out_norm(x + self.narrow(functional.gelu(self.widen(x))))
        return y


class BertEncoder(nn.Module):
    """Token ids [N, T] and their mask [N, T] (true: a token) -> hidden states [N, T, hidden]."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
        self.places = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.segments = nn.Embedding(2, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))

    @classmethod
    def from_folder(cls, folder: Path) -> BertEncoder:
        """Return the encoder with the weights of a folder in the hub's layout, ready to be evaluated."""
        network = cls(BertConfig.from_file(folder / "config.json"))
        stored = load_file(folder / "model.safetensors")
        network.load_state_dict(
            {_ours(key): value for key, value in stored.items() if "pooler" not in key and "position_ids" not in key}
        )
        return network.eval()

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the hidden states of the last layer."""
        places = torch.arange(tokens.shape[1])
        x: Tensor = self.norm(self.words(tokens) + self.places(places) + self.segments.weight[0])
        for layer in self.layers:
            x = layer(x, mask)
        return x


def _ours(key: str) -> str:
    """Translate a key of the weights file into ours."""
    for theirs, ours in (
        ("bert.", ""),
        ("embeddings.word_embeddings", "words"),
        ("embeddings.position_embeddings", "places"),
        ("embeddings.token_type_embeddings", "segments"),
        ("embeddings.LayerNorm", "norm"),
        ("encoder.layer", "layers"),
        ("attention.self.", ""),
        ("attention.output.dense", "mix"),
        ("attention.output.LayerNorm", "mix_norm"),
        ("intermediate.dense", "widen"),
        ("output.dense", "narrow"),
        ("output.LayerNorm", "out_norm"),
    ):
        key = key.replace(theirs, ours)
    return key
