"""The prompt suite: ids that never change, every dimension tried, mistakes named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evaluation import load_suite
from evaluation.suite import SUITE_DIMENSIONS
from media.errors import ConfigError


def test_the_suite_tries_each_dimension_four_times() -> None:
    suite = load_suite()
    assert Counter(p.dimension for p in suite) == dict.fromkeys(SUITE_DIMENSIONS, 4)
    assert len({p.id for p in suite}) == len({p.text for p in suite}) == 40


def test_an_id_begins_with_its_dimension() -> None:
    assert all(p.id.rsplit("-", 1)[0] == p.dimension for p in load_suite())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("count: {count-01: a cat, Count2: a dog}", "Count2"),
        ("count: {count-01: ''}", "text"),
        ("count: {count-01: a}\nmore: {count-01: b}", "count-01: this id is used twice"),
        ("- a cat", "must map each dimension"),
        ("count: [a cat]", "must map each dimension"),
        ("count: {", "not YAML"),
    ],
)
def test_a_mistake_in_a_suite_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_suite(path)


def test_a_missing_suite_is_named() -> None:
    with pytest.raises(ConfigError, match=r"vbench.*'suite'"):
        load_suite("vbench")
