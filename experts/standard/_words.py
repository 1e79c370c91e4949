"""Free words of a vision-language model to claims that can be stated, each with a confidence.

The model is asked for one line a dimension, `action: A man rides a horse.`, and mostly obeys. A line without a label
is cut into sentences, and a sentence belongs to the dimension whose words it has. A sentence is cut at its verb into
subject, predicate and value; one that has no verb we know is what the scene shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from experts.base import DIMENSIONS

__all__ = ["PROMPT", "Answer", "claims"]

_ASKED: Final = tuple(dimension for dimension in DIMENSIONS if dimension != "quality")
PROMPT: Final = (
    "These are {count} frames of one video clip, in order. Describe what is seen in them, one short sentence a line, "
    "each line as `label: sentence`. The labels: " + ", ".join(_ASKED) + ". "
    "Say only what is visible. Leave out every line that you are not sure of."
)
"""What the model is asked; {count} is the number of frames."""

UNTOLD: Final = 0.6
"""The confidence of a claim when the model does not tell how sure it was of its tokens."""

_HIGHEST: Final = 0.95  # a language model is sure of its words; that is not yet being right
_MOST: Final = 12
_LONGEST: Final = 160
_LINE: Final = re.compile(r"[^\n]+")
_LABEL: Final = re.compile(rf"\s*[-*#\d.) ]*\**({'|'.join(DIMENSIONS)})\**\s*:\**\s*", re.IGNORECASE)
_SENTENCE: Final = re.compile(  # no end: a full stop in 3.5 or after Mr, and `STOP!" in red`
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|vs)\.(?=\s+\S)|[^.!?]"
    r"|[.!?](?![.!?]*(?:\s|$|[\"”’')](?:\s+[^a-z\s]|\s*$))))+(?:[.!?]+[\"”’')]?)?"
)
_QUOTED: Final = re.compile(r"[\"“]([^\"”]{2,})[\"”]|(?<!\w)['‘]([^'’]{2,})['’](?!\w)")
_NOTHING: Final = re.compile(
    r"^\W*(?:none|n/?a|unknown|unclear|not (?:sure|visible|applicable|clear)"
    r"|no (?:visible )?(?:text|people|one)\b.*)\W*$"
    r"|\b(?:cannot|can't|could not|unable to|not possible to)\b|^\W*I(?:'m| am)? ",
    re.IGNORECASE,
)
_VERB: Final = re.compile(
    r"^(?P<subject>(?:\S+ ){1,5}?)(?P<predicate>is|are|has|have|wears?|holds?|carr(?:y|ies)|shows?|stands?|sits?|lies|"
    r"walks?|runs?|rides?|drives?|flies|moves?|turns?|pans?|tilts?|zooms?|stays?|remains?|looks?|reads?|plays?|speaks?|"
    r"talks?|eats?|drinks?|dances?|swims?|jumps?|works?|appears?|contains?|fills?|covers?|takes place|consists of)"
    r"\s+(?P<value>\S.*)$",
    re.IGNORECASE,
)
_WORDS: Final = (
    ("camera", r"camera|close-up|wide shot|pans?\b|tilts?\b|zooms?\b"),
    ("text", r"\btext\b|\bletters\b|\breads\b|\bcaption|\btitle\b"),
    ("light", r"\blight|\blit\b|sunlight|daylight|shadow|\bdark\b|\bbright"),
    ("style", r"photograph|cartoon|animat|black and white|footage|painting|drawing|rendered"),
    ("setting", r"background|indoors|outdoors|\broom\b|street|forest|beach|kitchen|field|\bcity\b|takes place"),
    ("appearance", r"\bwear|dressed|\bhair\b|colou?red|\bshirt\b|\bdress\b"),
    ("action", r"\w+ing\b"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, and how sure it was of each token: pieces of the text with log probabilities, or none."""

    text: str
    tokens: tuple[tuple[str, float], ...] = ()


def claims(answer: Answer) -> list[dict[str, Any]]:
    """Return what the answer claims: rows of dimension, subject, predicate, value, confidence; at most 12."""
    found: list[dict[str, Any]] = []
    seen = set()
    for dimension, start, end in _sentences(answer.text):
        sentence = " ".join(answer.text[start:end].split()).strip(" .!?*_`-")
        if not sentence or len(sentence) > _LONGEST or _NOTHING.search(sentence):
            continue
        confidence = _confidence(answer, start, end)
        for claim in _parts(dimension, sentence):
            if (dimension, *claim) not in seen:
                seen.add((dimension, *claim))
                row = dict(zip(("subject", "predicate", "value"), claim, strict=True))
                found.append({"dimension": dimension, **row, "confidence": confidence})
    return found[:_MOST]


def _sentences(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (dimension, start, end) of every sentence."""
    for line in _LINE.finditer(text):
        label = _LABEL.match(line.group())
        offset = line.start() + (label.end() if label else 0)
        for sentence in _SENTENCE.finditer(text[offset : line.end()]):
            start, end = offset + sentence.start(), offset + sentence.end()
            yield (label.group(1).lower() if label else _guess(sentence.group())), start, end


def _guess(sentence: str) -> str:
    return next((name for name, words in _WORDS if re.search(words, sentence, re.IGNORECASE)), "subject")


def _parts(dimension: str, sentence: str) -> list[tuple[str, str, str]]:
    """Return subject, predicate and value of a sentence: of text, of each quotation in it."""
    quoted = list(_QUOTED.finditer(sentence)) if dimension == "text" else []
    if quoted:
        return [("text", "reads", (one.group(1) or one.group(2)).strip()) for one in quoted]
    verb = _VERB.match(sentence)
    if verb is None:
        return [("scene", "shows", _lowered(sentence))]
    subject = re.sub(r"^(?:the|a|an)\s+", "", verb["subject"].strip(), flags=re.IGNORECASE)
    return [(_lowered(subject), verb["predicate"].lower(), verb["value"])]


def _lowered(words: str) -> str:
    """Return words with a small first letter, unless the second is large too, as in an abbreviation."""
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


def _confidence(answer: Answer, start: int, end: int) -> float:
    """Return the geometric mean of the probabilities of the tokens of a sentence, at most 0.95."""
    if not answer.tokens:
        return UNTOLD
    at, inside = 0, []
    for piece, log_probability in answer.tokens:
        if at < end and at + len(piece) > start:
            inside.append(log_probability)
        at += len(piece)
    return min(_HIGHEST, math.exp(sum(inside) / len(inside))) if inside else UNTOLD
