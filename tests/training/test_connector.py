"""The connector: a fixed number of states from any caption, different at each time, blind to padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import ConfigError
from tests.training.test_denoisers import awake, draw
from training.conditions.connector import Connector
from training.models.inputs import Text
from training.recipes import parse
from training.recipes.models import ConnectorConfig

SMALL = ConnectorConfig(queries=5, width=16, blocks=2, heads=2)


def connector(seed: int = 0) -> Connector:
    made = Connector(12, SMALL)
    awake(made, seed)
    return made.eval()


def text(clips: int, length: int, seed: int = 0) -> Text:
    return Text(draw(clips, length, 12, seed=seed), torch.ones(clips, length, dtype=torch.bool))


@given(st.integers(1, 40), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_captions_of_any_length_become_as_many_states(length: int, clips: int) -> None:
    out = connector()(text(clips, length), torch.rand(clips))
    assert out.tokens.shape == (clips, 5, 16)
    assert out.mask.shape == (clips, 5)
    assert bool(out.mask.all())
    assert bool(torch.isfinite(out.tokens).all())


def test_the_published_size_gives_64_states_of_768() -> None:
    # ELLA with flan-t5-xl has 66.8 million parameters; its time embedding begins with 320 channels, ours with 768.
    made = Connector(2048, ConnectorConfig())
    count = sum(p.numel() for p in made.parameters())
    assert count - (768 - 320) * 768 == pytest.approx(66.8e6, rel=0.001)
    out = made(Text(draw(1, 3, 2048), torch.ones(1, 3, dtype=torch.bool)), torch.tensor([0.5]))
    assert out.tokens.shape == (1, 64, 768)


@given(st.integers(1, 6), st.integers(0, 6), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_masked_padding_changes_nothing(length: int, padding: int, seed: int) -> None:
    told, t = text(1, length, seed % 1000), torch.tensor([0.3])
    garbage = torch.cat([told.tokens, 50.0 * draw(1, padding, 12, seed=7)], 1)
    padded = Text(garbage, torch.arange(length + padding)[None] < length)
    torch.testing.assert_close(connector()(padded, t).tokens, connector()(told, t).tokens, rtol=1e-4, atol=1e-4)


def test_a_captions_states_are_the_same_whatever_it_is_batched_with() -> None:
    made, short, long = connector(), text(1, 2), text(1, 7, seed=1)
    together = Text(
        torch.cat([torch.cat([short.tokens, torch.zeros(1, 5, 12)], 1), long.tokens]),
        torch.tensor([[True] * 2 + [False] * 5, [True] * 7]),
    )
    both = made(together, torch.tensor([0.2, 0.9]))
    torch.testing.assert_close(both.tokens[:1], made(short, torch.tensor([0.2])).tokens, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(both.tokens[1:], made(long, torch.tensor([0.9])).tokens, rtol=1e-4, atol=1e-4)


def test_the_time_and_every_token_change_the_states() -> None:
    made, told = connector(), text(1, 4)
    base = made(told, torch.tensor([0.1])).tokens
    assert (made(told, torch.tensor([0.9])).tokens - base).abs().max() > 1e-3
    for token in range(4):
        moved = told.tokens.clone()
        moved[0, token] += 1.0
        assert (made(Text(moved, told.mask), torch.tensor([0.1])).tokens - base).abs().max() > 1e-4


def test_a_fresh_one_does_not_know_the_time_and_learns_to() -> None:
    made, told = Connector(12, SMALL), text(2, 4)
    outs = [made(told, torch.full((2,), t)).tokens for t in (0.1, 0.9)]
    torch.testing.assert_close(outs[0], outs[1])
    (outs[0] - draw(2, 5, 16)).square().mean().backward()  # type: ignore[no-untyped-call]
    last = [p for name, p in made.named_parameters() if "modulate.weight" in name]
    assert last
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in last)


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.connector: .*connector\.width: 10 is not divisible by heads=4"):
        parse({"model": {"connector": {"width": 10, "heads": 4}}})
