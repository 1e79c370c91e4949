"""Text, its cache and its dropout; frame rate; known frames."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import ConfigError, MissingModelError
from tests.training import build
from training.conditions.anchor import anchor_of, first_frame_mask, keep_known
from training.conditions.image import drop_prompts
from training.conditions.rate import FrameRate
from training.conditions.text import TextEncoder, TextTable, encoder_identity, without
from training.data.cache import ArrayCache

CAPTIONS = ["a red square", "a blue square moves left on the black", ""]


def test_token_states_are_those_of_the_caption_alone(encoder: Path) -> None:
    reader = TextEncoder(encoder, 16)
    together = reader.encode(CAPTIONS)
    assert [s.shape for s in together] == [(5, build.TEXT_DIM), (10, build.TEXT_DIM), (2, build.TEXT_DIM)]
    for caption, states in zip(CAPTIONS, together, strict=True):
        alone = reader.encode([caption])[0]
        assert abs(alone.astype(float) - states.astype(float)).max() < 2e-3


def test_long_captions_are_cut(encoder: Path) -> None:
    assert TextEncoder(encoder, 16).encode(["red " * 5_000])[0].shape == (16, build.TEXT_DIM)


def test_the_packaged_encoder_gives_token_states() -> None:
    from experts import weights

    file = weights.resolve("sentence").path
    folder = file if file.is_dir() else file.parent
    states = TextEncoder(folder, 64).encode(["a cat on a table", "a dog"])
    assert states[0].shape[1] == 384
    assert len(states[0]) > len(states[1])


def test_a_table_pads_and_masks(encoder: Path) -> None:
    table = TextTable.build(encoder, CAPTIONS, max_tokens=16)
    batch = table.batch(["a red square", ""])
    assert batch.tokens.shape == (2, 5, build.TEXT_DIM)
    assert batch.mask.sum(1).tolist() == [5, 2]
    assert batch.tokens[1, 2:].abs().max() == 0
    table.check(build.TEXT_DIM)
    with pytest.raises(ConfigError, match=r"model\.text_dim: 5, but the text encoder gives 16"):
        table.check(5)


def test_the_cache_answers_without_the_encoder(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ArrayCache(tmp_path)
    made = TextTable.build(encoder, CAPTIONS, max_tokens=16, cache=first)
    first.flush()

    def never(*_: object) -> None:
        raise AssertionError("the encoder was loaded")

    monkeypatch.setattr(TextEncoder, "__init__", never)
    again = TextTable.build(encoder, CAPTIONS, max_tokens=16, cache=ArrayCache(tmp_path))
    assert torch.equal(again.batch(CAPTIONS).tokens, made.batch(CAPTIONS).tokens)
    assert again.identity == made.identity == encoder_identity(encoder)
    with pytest.raises(AssertionError, match="was loaded"):
        TextTable.build(encoder, CAPTIONS, max_tokens=8, cache=ArrayCache(tmp_path))


def test_a_missing_encoder_names_the_two_ways_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"rushes weights pull.*or give the folder"):
        TextTable.build(tmp_path / "nothing", ["a"], max_tokens=8)


def test_a_damaged_cache_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "part-0.parquet").write_bytes(b"PAR1 not really")
    assert ArrayCache(tmp_path).get("a") is None
    assert list(tmp_path.iterdir()) == []


def test_text_and_image_are_dropped_in_the_three_ways() -> None:
    count, p = 40_000, 0.05
    text, image = drop_prompts(count, 2 * p, torch.Generator().manual_seed(0))
    for case, share in ((text & ~image, p), (text & image, p), (~text & image, p), (~text & ~image, 1 - 3 * p)):
        assert case.float().mean().item() == pytest.approx(share, abs=0.006)
    again = drop_prompts(count, 2 * p, torch.Generator().manual_seed(0))
    assert torch.equal(text, again[0])
    assert torch.equal(image, again[1])


def test_captions_are_emptied_where_dropped() -> None:
    gone, _ = drop_prompts(500, 0.0, torch.Generator().manual_seed(0))
    assert without(["words"] * 500, gone) == ["words"] * 500
    gone, _ = drop_prompts(500, 1.0, torch.Generator().manual_seed(0))
    assert set(without(["words"] * 500, gone)) == {""}
    assert without(["a", "b"], torch.tensor([False, True])) == ["a", ""]


def test_a_fresh_frame_rate_says_nothing_and_a_trained_one_tells_rates_apart() -> None:
    rate = FrameRate(16, 32)
    speeds = torch.tensor([6.0, 8.0, 24.0, 60.0])
    assert rate(speeds).abs().max() == 0
    torch.nn.init.normal_(rate.last.weight)
    codes = rate(speeds)
    assert (torch.cdist(codes, codes) + torch.eye(4) * 100).min() > 0.1


@given(st.integers(1, 6), st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_known_frames_are_shown_and_repeated(frames: int, seed: int) -> None:
    noise = torch.Generator().manual_seed(seed)
    x0 = torch.randn(3, frames, 2, 2, 2, generator=noise)
    mask = (torch.rand(3, frames, generator=noise) < 0.4).float()
    for fill in ("zeros", "repeat"):
        anchor = anchor_of(x0, mask, fill)  # type: ignore[arg-type]
        for b in range(3):
            known = [f for f in range(frames) if mask[b, f]]
            for f in range(frames):
                if f in known:
                    source = f
                elif fill == "repeat" and known:
                    source = max((k for k in known if k < f), default=known[0])
                else:
                    assert anchor.latents[b, f].abs().max() == 0
                    continue
                assert torch.equal(anchor.latents[b, f], x0[b, source])


def test_the_first_frame_of_anchored_samples_is_known_and_kept() -> None:
    mask = first_frame_mask(torch.tensor([True, False]), 3)
    assert mask.tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    state, x0 = torch.zeros(2, 3, 1, 1, 1), torch.ones(2, 3, 1, 1, 1)
    assert keep_known(state, x0, mask).flatten(1).tolist() == mask.tolist()
