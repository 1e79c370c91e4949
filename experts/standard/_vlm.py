"""A vision-language model of the Qwen-VL class, in this process, through transformers.

Its own processor wants torchvision for videos that are not used here, so a question is put together from its parts:
the picture processor on Pillow, the tokenizer, and in the text as many `<|image_pad|>` as a picture has patches,
divided by the square of the merge size (Wang et al., "Qwen2-VL", 2024, section 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from experts._torch import inference
from experts.base import Rgb
from experts.standard._load import folder_of, image_processor, pretrained, reading
from experts.standard._place import Place
from experts.standard._words import Answer
from media.errors import ConfigError

__all__ = ["VisionLanguageModel"]

_PAD: Final = "<|image_pad|>"
_PICTURE: Final = f"<|vision_start|>{_PAD}<|vision_end|>"
_CHAT: Final = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
)


class VisionLanguageModel:
    """Answers one question at a time, greedily. Where many clips wait, a server batches them better."""

    def __init__(
        self, role: str, profile: str, override: Mapping[str, str | Path] | None, place: Place, max_tokens: int
    ) -> None:
        found = folder_of(role, profile, override)
        self._network = pretrained("AutoModelForImageTextToText", role, found, place)
        self._pictures = image_processor(role, found)
        self._merge = int(getattr(self._network.config.vision_config, "spatial_merge_size", 2))
        with reading(role, found.path, "a checkpoint with its tokenizer"):
            from transformers import AutoTokenizer

            self._tokenizer: Any = AutoTokenizer.from_pretrained(found.path, local_files_only=True)
        self._image_id = getattr(self._network.config, "image_token_id", None)
        if self._image_id is None or self._tokenizer.convert_tokens_to_ids(_PAD) != self._image_id:
            raise ConfigError(
                f"the model of {role!r} at {found.path} is not of the Qwen-VL class: pictures do not stand in its text "
                f"as {_PAD}; serve it, and give the server's address"
            )
        self.name, self._place, self._max_tokens = found.ref.name, place, max_tokens

    def answer(self, questions: Sequence[tuple[Sequence[Rgb], str]]) -> list[Answer]:
        """Return the answer to each question, in their order."""
        return [self._one(frames, prompt) for frames, prompt in questions]

    def _one(self, frames: Sequence[Rgb], prompt: str) -> Answer:
        import torch

        prepared = self._pictures(images=[np.ascontiguousarray(frame) for frame in frames])
        counts = (prepared["image_grid_thw"].prod(dim=1) // self._merge**2).tolist()
        text = _CHAT.format(question="".join(_PICTURE.replace(_PAD, _PAD * count) for count in counts) + prompt)
        read = self._tokenizer(text, return_tensors="pt", add_special_tokens=False)
        inputs = {
            "input_ids": read["input_ids"],
            "attention_mask": read["attention_mask"],
            "mm_token_type_ids": (read["input_ids"] == self._image_id).int(),
            "pixel_values": prepared["pixel_values"],
            "image_grid_thw": prepared["image_grid_thw"],
        }
        with inference(self._place.threads):
            out = self._network.generate(
                **{name: self._place.put(tensor) for name, tensor in inputs.items()},
                max_new_tokens=self._max_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                repetition_penalty=1.0,
                return_dict_in_generate=True,
                output_logits=True,
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0,
            )
            new = out.sequences[0, read["input_ids"].shape[1] :].cpu()
            sure = torch.stack(out.logits)[:, 0].float().log_softmax(dim=-1).cpu()
        return self._answer(new.tolist(), sure[torch.arange(len(new)), new].tolist())

    def _answer(self, tokens: list[int], sure: list[float]) -> Answer:
        """Return the text with its tokens; a piece is what the text grows by, for a token may be half a letter."""
        pieces, before = [], ""
        for end, log_probability in enumerate(sure, start=1):
            text = self._tokenizer.decode(tokens[:end], skip_special_tokens=True)
            pieces.append((text[len(before) :], log_probability))
            before = text
        return Answer(before, tuple(pieces))
