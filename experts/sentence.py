"""Sentence embedding: texts as unit vectors whose dot product is their likeness in meaning.

all-MiniLM-L6-v2 (Wang et al. 2020, fine-tuned by the sentence-transformers project on a billion pairs): mean of the
last hidden states over the tokens, then unit length. Texts are cut at 256 tokens, as it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from experts import weights
from experts._torch import default_threads, inference

__all__ = ["Sentence"]

_LONGEST: Final = 256
_BATCH: Final = 64


class Sentence:
    """The embedder."""

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        from tokenizers import Tokenizer

        from experts._bert import BertEncoder

        found = weights.resolve("sentence", profile, override)
        self.model = found.ref
        self._tokenizer = Tokenizer.from_file(str(found.path / "tokenizer.json"))
        self._tokenizer.enable_truncation(_LONGEST)
        self._tokenizer.no_padding()
        self._network = BertEncoder.from_folder(found.path)
        self._threads = threads or default_threads()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return float32 [N, 384], a unit vector for each text, in their order."""
        width = self._network.norm.normalized_shape[0]
        vectors = np.zeros((len(texts), width), np.float32)
        encoded = [self._tokenizer.encode(text).ids for text in texts]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))  # alike lengths together: little padding
        with inference(self._threads):
            for start in range(0, len(order), _BATCH):
                chosen = order[start : start + _BATCH]
                vectors[chosen] = self._embed([encoded[i] for i in chosen])
        return vectors

    def _embed(self, encoded: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        import torch
        from torch.nn import functional

        longest = max(len(ids) for ids in encoded)
        tokens = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in encoded])
        mask = torch.tensor([[True] * len(ids) + [False] * (longest - len(ids)) for ids in encoded])
        hidden = self._network(tokens, mask)
        weight = mask[..., None].float()
        mean = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
        vectors: npt.NDArray[np.float32] = functional.normalize(mean, dim=1).numpy()
        return vectors
