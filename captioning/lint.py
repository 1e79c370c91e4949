"""Lint: what is cleaned from a model's text before it is checked, and what is flagged after.

Cleaning takes away, it never adds: boilerplate openings (`The video shows`), repeated sentences, an unfinished end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from captioning.claims import find_claims
from captioning.template import DENSE_WORDS, SHORT_WORDS, capitalised
from captioning.words import sentences, stem, tokens, word_count

__all__ = ["FLAGS", "clean", "flags_of"]

FLAGS: Final[dict[str, str]] = {
    "boilerplate": "an opening such as `The video shows` was stripped",
    "repetition": "a sentence that said the same again was stripped, or a phrase still repeats",
    "unfinished": "an end without a full stop was stripped: the model ran out of tokens",
    "length": "a short caption over 15 words, or a dense one over 200 or under 5",
    "short_from_template": "the model's short caption did not hold or could not be cut; the template wrote it",
    "completed": "the template added what the model left out; `completed:3` is three phrases",
    "conflict": "experts disagreed; `conflict:camera` names the dimension, and `conflicts` the statements",
    "motion_contradiction": "the text and the measured motion do not agree",
    "duplicate": "another video has the same dense caption; `duplicate:<clip_id>` names the first such clip",
    "near_duplicate": "another video's dense caption is nearly the same; `near_duplicate:<clip_id>` names the nearest",
    "length_outlier": "far from the lengths of its author's other captions; `length_outlier:short` or `:long`",
    "inherited": "a pseudo-video: the content is the photograph's caption, the camera is the motion asked for",
}
"""Every flag and its meaning. A flag may carry a detail after a colon.

`duplicate`, `near_duplicate` and `length_outlier` are of the dataset's captions together (`captioning.corpus`).
"""

_THING: Final = r"(?:video|clip|image|picture|photo(?:graph)?|scene|footage|frame|shot)"
_VERB: Final = r"(?:shows?|features?|depicts?|captures?|presents?|displays?|contains?|includes?|begins? with|is of)"
_OPENING: Final = re.compile(
    rf"(?i)^\s*(?:(?:in|throughout) (?:this|the) (?:\w+ )?{_THING},?\s+(?:we (?:can )?see|there (?:is|are))?\s*"
    rf"|(?:this|the|a) (?:\w+ )?{_THING} {_VERB}\s+(?:us\s+)?|(?:we|you) (?:can )?see\s+|here (?:is|are)\s+"
    r"|(?:sure|certainly)[,!.:]\s*|(?:short |dense )?caption:\s*)"
)


def clean(text: str) -> tuple[str, set[str]]:
    """Return `text` without boilerplate, repeated sentences and an unfinished end, and the flags of what was found."""
    flags: set[str] = set()
    kept: list[str] = []
    seen: set[frozenset[str]] = set()
    spans = sentences(text)
    for n, (start, end) in enumerate(spans):
        sentence = text[start:end].strip()
        stripped = _OPENING.sub("", sentence, count=1)
        if stripped != sentence:
            flags.add("boilerplate")
        finished = stripped.endswith((".", "!", "?", ";"))
        if not finished and kept and n == len(spans) - 1:
            flags.add("unfinished")
            continue
        content = frozenset(stem(t.text) for t in tokens(stripped) if t.kind != "mark")
        if content in seen:
            flags.add("repetition")
            continue
        seen.add(content)
        if content:
            kept.append(capitalised(stripped.rstrip(";") if stripped.endswith(";") else stripped))
    return " ".join(kept), flags


def flags_of(short: str, dense: str, clip_row: Mapping[str, Any]) -> set[str]:
    """Return the flags of a finished caption: repetition, length, contradiction with what was measured."""
    flags: set[str] = set()
    words = [t.lower for t in tokens(dense) if t.kind != "mark"]
    grams = [tuple(words[i : i + 5]) for i in range(len(words) - 4)]
    if len(set(grams)) < len(grams):
        flags.add("repetition")
    if word_count(short) > SHORT_WORDS or not 5 <= word_count(dense) <= DENSE_WORDS:
        flags.add("length")
    if any(contradicts_motion(text, clip_row) for text in (short, dense)):
        flags.add("motion_contradiction")
    return flags


_SURE: Final = 0.6
_STILL_PX_PER_S: Final = 1.5
_FAST_PX_PER_S: Final = 60.0


def contradicts_motion(text: str, clip_row: Mapping[str, Any]) -> bool:
    """Whether `text` says a camera move, or an amount of motion, that the measured columns deny.

    Only what was measured surely (camera confidence from 0.6) can contradict.
    """
    claims = find_claims(text)
    measured = clip_row.get("camera_motion")
    if measured and (clip_row.get("camera_confidence") or 0.0) >= _SURE:
        move, _, direction = str(measured).partition(" ")
        said = {c.value for c in claims if c.kind == "camera" and not c.negated} - {"move", "follow"}
        directions = {c.value for c in claims if c.kind == "direction" and c.camera}
        if said and move not in said:
            return True
        if said == {move} and direction and directions and direction not in directions:
            return True
    flow = clip_row.get("flow_mean_px_per_s")
    if flow is None:
        return False
    lively = {"strong", "fast", "rapid", "quick"}
    motion_said = [c for c in claims if c.value == "motion"]
    if flow < _STILL_PX_PER_S and any(lively & c.clause for c in motion_said):
        return True
    return flow > _FAST_PX_PER_S and any(c.negated for c in motion_said)
