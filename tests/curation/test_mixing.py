"""A stated mixture of kinds, by sampling weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.balance import BalanceConfig, balance, mixing_weights
from dataset import open_root
from media.errors import ConfigError
from tests.curation.test_balance import RUN, fill

KINDS = ("clip", "still", "pseudo", "synthetic")
kinds = st.lists(st.sampled_from(KINDS), min_size=1, max_size=60)
shares = st.dictionaries(st.sampled_from(KINDS), st.floats(0, 100), min_size=1)


@given(kinds, shares, st.integers(0, 2**32 - 1))
def test_the_ratio_is_held_whatever_the_weights_within(names: list[str], ratio: dict[str, float], seed: int) -> None:
    given_weights = np.random.default_rng(seed).uniform(0.1, 5, len(names)).tolist()
    possible = {kind: share for kind, share in ratio.items() if kind in names}
    if sum(possible.values()) < 1e-6:
        return
    weights = mixing_weights(names, possible, given_weights)
    held = Counter[str]()
    for kind, weight in zip(names, weights, strict=True):
        held[kind] += weight
    for kind in KINDS:
        assert held[kind] / weights.sum() == pytest.approx(possible.get(kind, 0) / sum(possible.values()), abs=1e-9)
    assert weights.mean() == pytest.approx(1)
    for kind in set(names) & {kind for kind, share in possible.items() if share > 1e-6}:
        of_kind = [n for n, name in enumerate(names) if name == kind]
        scale = weights[of_kind] / np.array(given_weights)[of_kind]
        assert np.allclose(scale, scale[0])


def test_drawing_by_the_weights_gives_the_ratio() -> None:
    names = ["clip"] * 50 + ["still"] * 900 + ["pseudo"] * 50
    weights = mixing_weights(names, {"clip": 3, "still": 1, "pseudo": 1})
    rng = np.random.default_rng(0)
    drawn = Counter(rng.choice(names, 20_000, p=weights / weights.sum()).tolist())
    assert drawn["clip"] / 20_000 == pytest.approx(0.6, abs=0.015)
    assert drawn["still"] / 20_000 == pytest.approx(0.2, abs=0.015)


@pytest.mark.parametrize(
    ("ratio", "said"),
    [({}, "every share"), ({"clip": 0.0}, "every share"), ({"clip": -1.0, "still": 2.0}, "every share"),
     ({"clip": 1.0, "pseudo": 1.0}, "'pseudo'"), ({"clip": float("nan")}, "every share")],
)  # fmt: skip
def test_a_ratio_that_cannot_be_held_is_said(ratio: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        mixing_weights(["clip", "still"], ratio)


def test_weights_must_be_as_many() -> None:
    with pytest.raises(ConfigError, match="3 weights for 2"):
        mixing_weights(["clip", "still"], {"clip": 1}, [1.0, 1.0, 1.0])


def test_a_balance_holds_a_mixture_of_kinds(tmp_path: Path) -> None:
    """A table of 12 clips and 4 stills, drawn one to one; within a kind the balance's weights stand as they were."""
    root = fill(open_root(tmp_path / "D", create=True))
    rows = root.read("clips").to_pylist()
    for part in root.parts("clips"):
        (Path(root.path) / "clips" / part).unlink()
    changed = [{**row, "kind": "still"} if number % 4 == 0 else row for number, row in enumerate(rows)]
    root.write_part("clips", changed, key="all")
    kinds = {row["clip_id"]: row["kind"] for row in changed}
    weights = {}
    for name, mix in (("plain", None), ("mixed", {"clip": 1.0, "still": 1.0}), ("footage", {"clip": 1.0})):
        balance(root, BalanceConfig(clusters=3, mix=mix), RUN, name)
        weights[name] = {row["clip_id"]: row["weight"] for row in root.read(f"balance/{name}").to_pylist()}
    for kind, share in (("clip", 0.5), ("still", 0.5)):
        of_kind = [clip_id for clip_id, found in kinds.items() if found == kind]
        total = sum(weights["mixed"].values())
        assert sum(weights["mixed"][i] for i in of_kind) / total == pytest.approx(share, abs=1e-5)
        ratio = [weights["mixed"][i] / weights["plain"][i] for i in of_kind]
        assert ratio == pytest.approx([ratio[0]] * len(ratio), rel=1e-4)
    assert all((weights["footage"][i] > 0) == (kind == "clip") for i, kind in kinds.items())


def test_a_mixture_of_what_is_not_there_is_said(tmp_path: Path) -> None:
    root = fill(open_root(tmp_path / "D", create=True))
    with pytest.raises(ConfigError, match="'pseudo'"):
        balance(root, BalanceConfig(clusters=3, mix={"clip": 1.0, "pseudo": 1.0}), RUN)
