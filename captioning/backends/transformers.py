"""Any causal language model in a local folder, in process, by Hugging Face transformers. Greedy; not guided."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from captioning.backends.base import BackendConfig, Reply, Request, local_model
from captioning.prompts import messages, prompt_hash
from captioning.reply import parse_reply
from experts.base import ModelRef
from experts.torchvision import ready
from media.errors import BackendError, ConfigError

__all__ = ["TransformersFuser"]


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
        self._model.to(self._device).eval()
        self.model: ModelRef | None = ModelRef(folder.name, _hash(folder), _license(folder))
        self.prompt_hash: str | None = prompt_hash()

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Answer one request after the other."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(self._config.threads)
        answers: list[Reply | BackendError] = []
        try:
            for request in requests:
                try:
                    answers.append(self._fuse_one(request))
                except BackendError as error:
                    answers.append(error)
        finally:
            torch.set_num_threads(threads)
        return answers

    def close(self) -> None:
        """Free the model."""
        self._model = None
        gc.collect()

    def _fuse_one(self, request: Request) -> Reply:
        import torch

        if self._model is None:
            raise BackendError("the transformers backend is closed")
        ids = self._tokenizer(self._prompt(request), return_tensors="pt", add_special_tokens=False)["input_ids"]
        longest = getattr(self._model.config, "max_position_embeddings", None)
        if longest is not None and ids.shape[1] + self._config.max_tokens > longest:
            raise BackendError(f"{ids.shape[1]} prompt tokens and {self._config.max_tokens} more do not fit {longest}")
        ids = ids.to(self._device)
        with torch.inference_mode():
            out = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=self._config.max_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0,
            )
        new = out[0, ids.shape[1] :]
        raw = self._tokenizer.decode(new, skip_special_tokens=True)
        short, dense = parse_reply(raw)
        return Reply(request.clip_id, short, dense, raw, int(ids.shape[1]), len(new))

    def _prompt(self, request: Request) -> str:
        chat = messages(request.statements)
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
