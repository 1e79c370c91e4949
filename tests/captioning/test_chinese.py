"""Chinese beside English: kept where its numbers, colours, quotations, directions and camera moves are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from captioning import Checker, Reply, Request, caption_many
from captioning.asking import Translation
from captioning.chinese import differences
from experts.base import ModelRef
from media.errors import BackendError
from tests.captioning.sets import SPAN, parse

HOLDS = [
    ("Three people and a red car.", "三个人和一辆红色的汽车。"),
    ("A cat in warm light.", "暖光中的一只猫。"),
    ("The camera pans left.", "镜头向左摇。"),
    ("The camera stays still.", "镜头保持静止。"),
    ("The camera zooms in on two dogs.", "镜头推近两只狗。"),
    ('A sign reads "STOP".', "标志上写着“STOP”。"),
    ("The picture is mostly green, with some blue.", "画面以绿色为主，带有一些蓝色。"),
    ("Twelve people are visible.", "可以看到十二个人。"),
    ("25 people are visible.", "可以看到二十五人。"),
    ("A boat moves right.", "一艘船向右移动。"),
]
DIFFERS = [
    ("Three people and a red car.", "四个人和一辆红色的汽车。", "number"),
    ("Three people and a red car.", "三个人和一辆蓝色的汽车。", "colour"),
    ("A red car.", "一辆汽车。", "colour"),
    ("A car.", "一辆红色的汽车。", "colour"),
    ("The camera pans left.", "镜头向右摇。", "direction"),
    ("The camera pans left.", "镜头向左推近。", "camera"),
    ('A sign reads "STOP".', "标志上写着“停”。", "quote"),
    ("A cat in warm light.", "A cat in warm light.", "language"),
    ("A cat.", "两只猫。", "number"),
]


@pytest.mark.parametrize(("english", "chinese"), HOLDS)
def test_a_true_translation_holds(english: str, chinese: str) -> None:
    assert differences(english, chinese) == []


@pytest.mark.parametrize(("english", "chinese", "what"), DIFFERS)
def test_a_translation_that_says_something_else_does_not(english: str, chinese: str, what: str) -> None:
    assert what in differences(english, chinese)


class Bilingual:
    """A backend that writes one caption and the translation that the test gives it."""

    name = "openai"
    model = ModelRef("scripted", "0" * 12, "none")
    prompt_hash = "f" * 12

    def __init__(self, translation: Translation | BackendError) -> None:
        self.translation = translation
        self.asked: list[tuple[str, str, str]] = []

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        return [Reply(r.clip_id, "A cat in warm light.", "A cat in warm light.", "raw", 30, 10) for r in requests]

    def translate(self, texts: Sequence[tuple[str, str, str]]) -> list[Translation | BackendError]:
        self.asked += texts
        return [self.translation for _ in texts]

    def close(self) -> None:
        pass


STATEMENTS = [
    parse("tags | subject | animal | looks like | cat | 0.9"),
    parse("light | light | light | is | warm | 0.9"),
]


def row_with(backend: Any, **how: Any) -> dict[str, Any]:
    clip = {"clip_id": "v:0-48", "first_frame": SPAN[0], "end_frame": SPAN[1]}
    return caption_many([(clip, STATEMENTS)], backend, Checker(), run_id="r", **how)[0]


def test_a_translation_that_holds_is_kept_and_its_tokens_are_counted() -> None:
    backend = Bilingual(Translation("暖光中的一只猫。", "暖光中的一只猫。", 40, 12))
    row = row_with(backend, zh=True)
    assert (row["short_zh"], row["dense_zh"]) == ("暖光中的一只猫。", "暖光中的一只猫。")
    assert (row["tokens_in"], row["tokens_out"]) == (70, 22)
    assert [(short, dense) for _, short, dense in backend.asked] == [(row["short"], row["dense"])]


def test_a_translation_that_does_not_hold_is_dropped_and_flagged() -> None:
    row = row_with(Bilingual(Translation("暖光中的一只猫。", "暖光中的两只猫。", 40, 12)), zh=True)
    assert (row["short_zh"], row["dense_zh"], row["tokens_out"]) == (None, None, 22)
    assert "zh_refused:number" in row["flags"]
    failed = row_with(Bilingual(BackendError("HTTP 500")), zh=True)
    assert "zh_refused:no answer" in failed["flags"]


def test_nobody_is_asked_for_chinese_unasked() -> None:
    backend = Bilingual(BackendError("never"))
    assert row_with(backend)["dense_zh"] is None
    assert backend.asked == []
