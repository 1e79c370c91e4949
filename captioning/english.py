"""English: articles, plurals, lists, and where a noun phrase has its head; all that phrases need of grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from captioning.words import NUMBERS, is_plural, number_value

__all__ = ["AFTER_HEAD", "ORDINALS", "article", "be", "count_word", "head", "joined", "numbered"]

_MASS: Final = frozenset(
    {
        "water", "snow", "sand", "grass", "light", "sky", "fire", "smoke", "ice", "food", "furniture", "traffic",
        "rain", "fog", "text", "coffee", "espresso", "grain", "paper", "jeans", "pyjamas", "sunglasses", "motion",
    }
)  # fmt: skip
_WORDS_OF: Final = {int(v): w for w, v in list(NUMBERS.items())[:20]}
_PLURALS: Final = {"person": "people", "child": "children", "man": "men", "woman": "women"} | {
    same: same for same in ("sheep", "fish", "jellyfish", "deer", "aircraft")
}
ORDINALS: Final = frozenset({"first", "second", "third", "fourth", "fifth"})
"""Words that say a place in a row, not a number of things."""

AFTER_HEAD: Final = frozenset(
    {
        "with", "of", "in", "on", "at", "behind", "from", "near", "by", "under", "over", "between", "through", "to",
        "next", "above", "below", "beside", "along", "across", "that", "who", "which", "without",
    }
)  # fmt: skip
"""Words that begin what is said of a noun phrase after its head."""

_SINGULARS: Final = {plural: single for single, plural in _PLURALS.items()}


def article(noun: str) -> str:
    """Return `noun` with the article it needs: `a tabby cat`, `an otter`, `people`, `two cars`."""
    words = noun.split()
    if not words:
        return noun
    first, last = words[0], head(words)[-1]
    fixed = {"the", "a", "an", "some", "no", "what", "several", "many", "few"}
    if first.lower() in fixed or number_value(first) is not None or is_plural(last) or last.lower() in _MASS:
        return noun
    vowel = first[0].lower() in "aeiou" and not re.match(r"(?i)(uni|use|usu|eu|one\b|ut[ei])", first)
    vowel = vowel or bool(re.match(r"(?i)(hour|honest|heir|x-ray)", first))
    return f"{'an' if vowel else 'a'} {noun}"


def be(noun: str) -> str:
    """Return `is` or `are`, as the noun phrase `noun` needs."""
    words = head(noun.split())
    n = number_value(words[0]) if words else None
    plural = (n is not None and n != 1) or (n is None and (is_plural(words[-1]) or "and" in words))
    return "are" if plural else "is"


def head(words: list[str]) -> list[str]:
    """Return a noun phrase up to its head: `a glass bowl` of `a glass bowl of fruit on a table`."""
    for i, word in enumerate(words[1:], 1):
        if word in AFTER_HEAD or (word.endswith("ing") and (i > 1 or is_plural(words[0]))):
            return words[:i]
    return words


def count_word(n: int) -> str:
    """Return `n` as English writes it: words up to nineteen, digits above."""
    return _WORDS_OF.get(n, str(n))


def joined(parts: Sequence[str]) -> str:
    """Return an English list: `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def numbered(thing: str, n: int) -> str:
    """Return `thing` as one of it, or as many: `one person`, `two people`."""
    before, space, last = thing.rpartition(" ")
    if n == 1:
        word = _SINGULARS.get(last, re.sub(r"(?<=[^s])s$", "", last))
    elif is_plural(last):
        word = last
    else:
        word = _PLURALS.get(last, last + ("es" if re.search(r"(s|x|ch|sh)$", last) else "s"))
    return f"{before}{space}{word}"
