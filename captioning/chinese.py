"""Chinese beside English: a finished caption translated by its backend's model, and held against the English.

Only closed classes are compared, by lists in both languages: quotations, numbers, colours, directions and camera moves
must be the same in both. A translation that differs is not kept; the flag `zh_refused` says in what.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from captioning.claims import find_claims
from captioning.words import COLOURS, number_value
from media.errors import BackendError

__all__ = ["add_chinese", "differences"]

_COLOURS: Final[dict[str, str]] = {
    "红": "red", "橙": "orange", "橘": "orange", "黄": "yellow", "绿": "green", "蓝": "blue", "紫": "purple",
    "粉": "pink", "棕": "brown", "褐": "brown", "黑": "black", "白": "white", "灰": "grey",
}  # fmt: skip
_DIRECTIONS: Final[dict[str, str]] = {"左": "left", "右": "right", "上": "up", "下": "down"}
_DIRECTED: Final = re.compile(r"(?:向|往|朝)(左|右|上|下)|(左|右|上|下)(?:移|摇|平移|摆|转|倾|侧)")
_MOVES: Final[dict[str, str]] = {
    "摇": "pan", "平移": "pan", "横移": "pan", "推近": "zoom", "拉近": "zoom", "拉远": "zoom", "变焦": "zoom",
    "放大": "zoom", "缩小": "zoom", "俯仰": "tilt", "倾斜": "tilt", "静止": "static", "固定": "static",
    "不动": "static", "旋转": "roll", "滚转": "roll",
}  # fmt: skip
_DIGITS: Final = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_NUMBER: Final = re.compile(
    r"\d+(?:\.\d+)?|[零一二两三四五六七八九十百〇]+(?=[个只位名人辆座条张匹头台艘架朵棵把件块栋种群双对])"
)
_QUOTED: Final = re.compile('["“「『]([^"”」』]+)["”」』]')
_HAN: Final = re.compile("[\u4e00-\u9fff]")
_LEAST_HAN: Final = 0.5


def add_chinese(rows: Sequence[dict[str, Any]], backend: Any) -> None:
    """Fill `short_zh` and `dense_zh` of finished caption rows, where the backend translates and the result holds.

    The tokens are added to the row's. A backend without `translate` leaves them null.
    """
    translate = getattr(backend, "translate", None)
    told = [row for row in rows if row["dense"] and row["short"]]
    if translate is None or not told:
        return
    for row, made in zip(told, translate([(_key(row), row["short"], row["dense"]) for row in told]), strict=True):
        if isinstance(made, BackendError):
            row["flags"] = sorted({*row["flags"], "zh_refused:no answer"})
            continue
        for name in ("tokens_in", "tokens_out"):
            spent = getattr(made, name)
            row[name] = row[name] if spent is None else (row[name] or 0) + spent
        wrong = differences(row["dense"], made.dense) or differences(row["short"], made.short)
        if wrong:
            row["flags"] = sorted({*row["flags"], f"zh_refused:{wrong[0]}"})
        else:
            row["short_zh"], row["dense_zh"] = made.short, made.dense


def differences(english: str, chinese: str) -> list[str]:
    """Return in what the two texts differ: `language`, `quote`, `number`, `colour`, `direction`, `camera`.

    A Chinese `one` with its measure word is an article, and needs no number in English.
    """
    bare = _QUOTED.sub("", chinese)
    ours, theirs = _english(english), _chinese(bare)
    quotes = sorted(q.casefold() for q in _QUOTED.findall(english))
    found = []
    if len(_HAN.findall(bare)) < _LEAST_HAN * len(re.findall(r"\w", bare)):
        found.append("language")
    if quotes != sorted(q.casefold() for q in _QUOTED.findall(chinese)):
        found.append("quote")
    if ours["number"] - {1.0} != theirs["number"] - {1.0}:
        found.append("number")
    return found + [name for name in ("colour", "direction", "camera") if ours[name] != theirs[name]]


def _english(text: str) -> dict[str, set[Any]]:
    said: dict[str, set[Any]] = {"number": set(), "colour": set(), "direction": set(), "camera": set()}
    for claim in find_claims(text):
        if claim.kind == "number" and (number := number_value(claim.lower)) is not None:
            said["number"].add(number)
        elif claim.kind == "colour" and COLOURS[claim.lower] in _COLOURS.values():
            said["colour"].add(COLOURS[claim.lower])
        elif claim.kind == "direction" and claim.value in _DIRECTIONS.values():
            said["direction"].add(claim.value)
        elif claim.kind == "camera" and claim.value in _MOVES.values():
            said["camera"].add(claim.value)
    return said


def _chinese(text: str) -> dict[str, set[Any]]:
    return {
        "number": {_number(word) for word in _NUMBER.findall(text)},
        "colour": {name for word, name in _COLOURS.items() if word in text},
        "direction": {_DIRECTIONS[a or b] for a, b in _DIRECTED.findall(text)},
        "camera": {name for word, name in _MOVES.items() if word in text},
    }


def _number(word: str) -> float:
    """Return what a number in digits, or in Chinese up to 999, says."""
    if word[0].isdigit():
        return float(word)
    total, digit = 0, 0
    for character in word:
        if character in _DIGITS:
            digit = _DIGITS[character]
        else:
            total += max(1, digit) * (100 if character == "百" else 10)
            digit = 0
    return float(total + digit)


def _key(row: Mapping[str, Any]) -> str:
    return hashlib.blake2b(f"{row['clip_id']}\0{row['dense']}".encode(), digest_size=4).hexdigest()
