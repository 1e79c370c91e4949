"""Captions of pseudo-videos: what the photograph shows is known, and so is how the camera was made to move."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from captioning.checker import Checker
from captioning.claims import find_claims
from captioning.graph import graph
from captioning.lint import flags_of
from captioning.phrases import phrases
from captioning.repair import parts
from captioning.template import MEDIUM_WORDS, SHORT_WORDS, beginning, capitalised
from captioning.words import sentences, word_count
from experts.base import Statement
from media.errors import ConfigError

__all__ = ["for_pseudo", "known_motion"]

_VERBS: Final = {
    "zoom": "zooms", "pan": "pans", "tilt": "tilts", "roll": "rolls", "truck": "trucks", "dolly": "dollies",
    "pedestal": "moves",
}  # fmt: skip
_STILL: Final = re.compile(r"\b(?:in|out|left|right|up|down)\b")


def known_motion(clip_row: Mapping[str, Any]) -> list[Statement]:
    """Return what is known of the camera of a pseudo-video: its column `motion`, with confidence 1.

    `pan_up_left` is two statements, a tilt and a pan, and so is each part of `zoom_in+pan_left` one. Raises ConfigError
    for a motion that has no words.
    """
    motion = str(clip_row["motion"])
    said: list[tuple[str, str]] = []
    for part in motion.split("+"):
        verb, *ways = part.split("_")
        if verb not in _VERBS or not ways or not all(_STILL.fullmatch(way) for way in ways):
            raise ConfigError(f"motion: {motion!r} cannot be put in words")
        said += [("tilts" if verb == "pan" and way in {"up", "down"} else _VERBS[verb], way) for way in ways]
    span = int(clip_row["first_frame"]), int(clip_row["end_frame"])
    return [Statement("pseudo", "camera", "camera", predicate, way, 1.0, *span) for predicate, way in said]


def for_pseudo(parent_caption_row: Mapping[str, Any], clip_row: Mapping[str, Any], *, run_id: str) -> dict[str, Any]:
    """Return the captions row of the pseudo-video `clip_row`, made from the photograph `parent_caption_row` describes.

    The content is the parent's, with its outcome, backend, model and evidence; what it says of camera or motion is
    left out, and a sentence of the template says the motion that was asked for, with evidence of the expert `pseudo`.
    The flag `inherited` says so, and there is no Chinese. A parent with no text (outcome error) leaves the camera's
    sentence alone, written by the template; one that is blocked blocks.
    """
    parent = dict(parent_caption_row)
    fixed = {
        "clip_id": clip_row["clip_id"],
        "run_id": run_id,
        "wall_s": 0.0,
        "tokens_in": 0,
        "tokens_out": 0,
        "windows": [],
        **dict.fromkeys(("short_zh", "dense_zh", "tries")),
    }
    if parent["outcome"] == "blocked":
        return {**parent, **fixed}
    moves = known_motion(clip_row)
    clause = " and ".join(
        p.clause if n == 0 else p.clause.removeprefix("the camera ") for n, p in enumerate(phrases(moves))
    )
    sentence = capitalised(clause)
    checked = Checker().check(sentence, moves)
    content, dropped = _still_sentences(parent["dense"] or "")
    short = _short(_still_sentences(parent["short"] or "")[0], clause)
    dense = f"{content} {sentence}".strip()
    medium = f"{beginning(content, MEDIUM_WORDS - word_count(sentence))} {sentence}".strip()
    evidence = [e for e in parent["evidence"] or () if e["dimension"] not in {"camera", "action"}]
    evidence += [
        {"span": e.span, "dimension": e.dimension, "expert": e.expert, "statement": e.statement, "score": e.score}
        for e in checked.evidence
    ]
    wrote = (
        {}
        if content
        else {
            "outcome": "template",
            "backend": "template",
            "model": None,
            "model_hash": None,
            "prompt_hash": None,
            "raw": None,
            "error": None,
        }
    )
    kept_flags = {f for f in parent["flags"] or () if not f.startswith(("length", "motion", "conflict:camera"))}
    return {
        **parent,
        **fixed,
        **wrote,
        "short": short,
        "medium": medium,
        "dense": dense,
        "structured": _structured(parent["structured"], clause),
        "graph": [t for t in parent["graph"] or () if t["subject"] != "camera"] + graph(moves),
        "evidence": evidence,
        "dropped": [*(parent["dropped"] or ()), *dropped],
        "flags": sorted({*kept_flags, "inherited"} | flags_of(short, dense, clip_row)),
        "experts": sorted({e["expert"] for e in evidence}),
    }


def _still_sentences(text: str) -> tuple[str, list[str]]:
    """Part `text` into what is true of a still, and what speaks of camera or motion."""
    still: list[str] = []
    moving: list[str] = []
    for start, end in sentences(text):
        kept: list[str] = []
        for n, part in enumerate(parts(text[start:end])):
            if any(c.kind == "camera" or c.value == "motion" for c in find_claims(part)) or (n and not kept):
                moving.append(part.strip(" ,.;"))
            else:
                kept.append(part)
        if kept:
            still.append(capitalised("".join(kept).strip(" ,;.")))
    return " ".join(still), moving


def _short(content: str, clause: str) -> str:
    if not content:
        return capitalised(clause)
    whole = f"{content.rstrip('. ')}, as {clause}"
    return capitalised(whole) if word_count(whole) <= SHORT_WORDS else content


def _structured(parts: Any, clause: str) -> dict[str, str]:
    """Return the parent's parts, a dict or Arrow's list of pairs, with the camera's part replaced."""
    kept = dict(parts or {})
    kept.pop("action", None)
    return {**kept, "camera": clause}
