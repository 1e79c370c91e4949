"""Text encoders of every family that transformers reads: one suite over small ones with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from media.errors import ConfigError
from tests.training import build
from training.conditions._torchvision import ready
from training.conditions.text import TextEncoder, TextTable, encoder_identity
from training.data.cache import ArrayCache

CAPTIONS = ["a red square", "a blue square moves left on the black", ""]
SIZE = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def _clip(words: int) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(vocab_size=words, max_position_embeddings=20, eos_token_id=3, **SIZE))


def _whole_clip(words: int) -> Any:
    from transformers import CLIPConfig, CLIPModel

    told = {"vocab_size": words, "max_position_embeddings": 20, "eos_token_id": 3, **SIZE}
    return CLIPModel(CLIPConfig(text_config=told, vision_config={**SIZE, "image_size": 16, "patch_size": 8}))


def _t5(words: int) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(vocab_size=words, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0)
    )


def _llama(words: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(vocab_size=words, max_position_embeddings=64, **SIZE))


FAMILIES: dict[str, Callable[[int], Any]] = {"clip": _clip, "whole clip": _whole_clip, "t5": _t5, "llama": _llama}
KEPT = {"clip": "CLIPTextModel", "whole clip": "CLIPTextModel", "t5": "T5EncoderModel", "llama": "LlamaModel"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family, with the tokenizer of the others."""
    ready()
    from transformers.utils import logging

    logging.disable_progress_bar()
    root = tmp_path_factory.mktemp("encoders")
    words = build.text_encoder(root / "bert")
    made = {}
    for name, model in FAMILIES.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model(len(set(build.WORDS.split())) + 4).save_pretrained(root / name)
        for file in words.glob("token*"):
            (root / name / file.name).write_bytes(file.read_bytes())
        made[name] = root / name
    return made


@pytest.mark.parametrize("family", list(FAMILIES))
def test_only_the_part_that_reads_text_is_loaded(family: str, folders: dict[str, Path]) -> None:
    reader = TextEncoder(folders[family], 16)
    assert type(reader._model).__name__ == KEPT[family]
    assert reader.dim == 16
    assert not any(p.requires_grad for p in reader._model.parameters())


@pytest.mark.parametrize("family", list(FAMILIES))
def test_token_states_are_those_of_the_caption_alone(family: str, folders: dict[str, Path]) -> None:
    reader = TextEncoder(folders[family], 16)
    together = reader.encode(CAPTIONS)
    assert [states.shape for states in together] == [(5, 16), (10, 16), (2, 16)]
    for caption, states in zip(CAPTIONS, together, strict=True):
        alone = reader.encode([caption])[0]
        assert np.abs(alone.astype(float) - states.astype(float)).max() < 2e-3
    assert np.abs(together[0][1:3].astype(float) - together[1][1:3].astype(float)).max() > 1e-3


@pytest.mark.parametrize("family", list(FAMILIES))
def test_states_are_those_of_the_whole_model(family: str, folders: dict[str, Path]) -> None:
    from transformers import AutoModel

    reader = TextEncoder(folders[family], 16)
    ids = torch.tensor([reader._tokenizer(CAPTIONS[1])["input_ids"]])
    model = AutoModel.from_pretrained(folders[family], dtype=torch.float32).eval()
    whole = {"t5": lambda: model.encoder, "whole clip": lambda: model.text_model}.get(family, lambda: model)()
    with torch.no_grad():
        expected = whole(input_ids=ids).last_hidden_state[0]
    got = torch.from_numpy(reader.encode([CAPTIONS[1]])[0].astype(np.float32))
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-3)


def test_a_language_models_states_do_not_see_the_words_after_them(folders: dict[str, Path]) -> None:
    reader = TextEncoder(folders["llama"], 16)
    short, long = reader.encode(["a red", "a red square moves"])
    np.testing.assert_allclose(short[:3].astype(float), long[:3].astype(float), atol=2e-3)


def test_more_tokens_than_a_model_has_places_for_are_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=r"captions\.max_tokens: 64, but clip reads 20"):
        TextEncoder(folders["clip"], 64)
    assert TextEncoder(folders["t5"], 500).encode(["red " * 600])[0].shape == (500, 16)


def test_large_weights_are_held_in_half_precision(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from training.conditions import text

    full = TextEncoder(folders["llama"], 16)
    monkeypatch.setattr(text, "_LARGE", 10)
    half = TextEncoder(folders["llama"], 16)
    assert {p.dtype for p in full._model.parameters()} == {torch.float32}
    assert {p.dtype for p in half._model.parameters()} == {torch.bfloat16}
    first, second = (reader.encode([CAPTIONS[0]])[0].astype(float) for reader in (full, half))
    assert np.abs(first - second).max() < 0.1


def test_each_encoder_has_states_of_its_own_in_the_cache(folders: dict[str, Path], tmp_path: Path) -> None:
    assert len({encoder_identity(folder) for folder in folders.values()}) == len(folders)
    tables = {}
    for name in ("t5", "llama"):
        cache = ArrayCache(tmp_path)
        tables[name] = TextTable.build(folders[name], CAPTIONS, max_tokens=16, cache=cache)
        cache.flush()
    again = TextTable.build(folders["t5"], CAPTIONS, max_tokens=16, cache=ArrayCache(tmp_path))
    assert torch.equal(again.batch(CAPTIONS).tokens, tables["t5"].batch(CAPTIONS).tokens)
    assert not torch.equal(again.batch(CAPTIONS).tokens, tables["llama"].batch(CAPTIONS).tokens)
