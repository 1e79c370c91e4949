"""Any causal language model in a local folder, in process, by Hugging Face transformers.

Greedy, and not guided: a reply that is not by the schema is its clip's error. On a GPU several questions share a
batch; there a caption may differ by what it was batched with, as sums are rounded otherwise.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from captioning import asking
from captioning.asking import Answer, Question, Translation
from captioning.backends.base import BackendConfig, Reply, Request, local_model
from captioning.prompts import prompt_hash
from experts.base import ModelRef
from experts.torchvision import ready
from media.errors import BackendError, ConfigError

__all__ = ["TransformersFuser"]

_BATCHES: Final = {"cuda": 16, "cpu": 1}
"""Questions in one batch, by device."""


class TransformersFuser:
    """Fuses with a checkpoint folder as `save_pretrained` writes it; nothing is downloaded."""

    name = "transformers"

    def __init__(self, config: BackendConfig) -> None:
        """Load the model. ConfigError without a folder, BackendError where it holds no language model."""
        folder = local_model(config, "a folder with a causal language model and its tokenizer")
        ready()
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._config = config
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise BackendError(f"{folder} holds no causal language model: {error}") from error
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._batch = _BATCHES[self._device]
        self._model.to(self._device).eval()
        self.model: ModelRef | None = ModelRef(folder.name, _hash(folder), _license(folder))
        self.prompt_hash: str | None = prompt_hash()

    def ask(self, questions: Sequence[Question]) -> list[Answer | BackendError]:
        """Answer all questions, in their order; one that fails by its BackendError."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(self._config.threads)
        answers: list[Answer | BackendError] = []
        try:
            for first in range(0, len(questions), self._batch):
                answers += self._generate(questions[first : first + self._batch])
        finally:
            torch.set_num_threads(threads)
        return answers

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Answer all requests, in their order."""
        return asking.fuse(requests, self.ask)

    def translate(self, texts: Sequence[tuple[str, str, str]]) -> list[Translation | BackendError]:
        """Translate each `(key, short, dense)` into Chinese, in their order."""
        return asking.translate(texts, self.ask)

    def close(self) -> None:
        """Free the model."""
        self._model = None
        gc.collect()

    def _generate(self, questions: Sequence[Question]) -> list[Answer | BackendError]:
        """Answer a batch; prompts are padded on their left, so that all of them end where the replies begin."""
        import torch

        if self._model is None:
            return [BackendError("the transformers backend is closed") for _ in questions]
        prompts = [self._tokenizer(self._prompt(q), add_special_tokens=False)["input_ids"] for q in questions]
        longest, most = getattr(self._model.config, "max_position_embeddings", None), self._config.max_tokens
        answers: list[Answer | BackendError] = [
            BackendError(f"{len(prompt)} prompt tokens and {most} more do not fit {longest}") for prompt in prompts
        ]
        fitting = [n for n, prompt in enumerate(prompts) if longest is None or len(prompt) + most <= longest]
        if not fitting:
            return answers
        width, pad = max(len(prompts[n]) for n in fitting), self._pad()
        ids = torch.tensor([[pad] * (width - len(prompts[n])) + prompts[n] for n in fitting])
        mask = torch.tensor([[0] * (width - len(prompts[n])) + [1] * len(prompts[n]) for n in fitting])
        with torch.inference_mode():
            out = self._model.generate(
                ids.to(self._device),
                attention_mask=mask.to(self._device),
                max_new_tokens=most,
                do_sample=False,
                pad_token_id=pad,
            )
        for n, tokens in zip(fitting, out[:, width:].tolist(), strict=True):
            answers[n] = self._checked(questions[n], len(prompts[n]), tokens)
        return answers

    def _checked(self, question: Question, prompt_tokens: int, tokens: list[int]) -> Answer | BackendError:
        end = self._tokenizer.eos_token_id
        used = tokens.index(end) + 1 if end in tokens else len(tokens)
        raw = self._tokenizer.decode(tokens[:used], skip_special_tokens=True)
        try:
            question.check(raw)
        except BackendError as error:
            return error
        return Answer(raw, prompt_tokens, used)

    def _pad(self) -> int:
        found = self._tokenizer.pad_token_id
        return int(found if found is not None else self._tokenizer.eos_token_id or 0)

    def _prompt(self, question: Question) -> str:
        chat = list(question.chat)
        if getattr(self._tokenizer, "chat_template", None):
            text: str = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            return text
        return "\n\n".join(m["content"] for m in chat) + "\n\n"


def _hash(folder: Path) -> str:
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")])
    if not files:
        raise ConfigError(f"model: {folder} holds no weights (*.safetensors)")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:12]


def _license(folder: Path) -> str:
    """Return the licence that the folder's README or config declares, else `unknown`."""
    readme = folder / "README.md"
    if readme.exists():
        for line in readme.read_text("utf-8", errors="replace").splitlines()[:40]:
            if line.startswith("license:"):
                return line.partition(":")[2].strip()
    config = folder / "config.json"
    found = json.loads(config.read_text("utf-8")).get("license") if config.exists() else None
    return str(found or "unknown")
