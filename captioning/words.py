"""Words: tokens with their places, stems, and the closed classes that a caption must not invent from.

Everything here is plain English data and pure functions; what a class means for support is decided in `checker`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

__all__ = [
    "COLOURS",
    "DEGREES",
    "DIRECTIONS",
    "FUNCTION",
    "GENDERED",
    "GENERAL",
    "HYPONYMS",
    "MOVES",
    "NEGATIONS",
    "NUMBERS",
    "PLACES",
    "QUANTIFIERS",
    "SYNONYMS",
    "TIMES",
    "Token",
    "content_stems",
    "entailing",
    "entailing_stem",
    "is_plural",
    "number_value",
    "sentences",
    "stem",
    "tokens",
    "word_count",
]


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number, quotation or mark of a text, and where it stands: `text[start:end]`."""

    text: str
    start: int
    end: int
    kind: Literal["word", "number", "quote", "mark"]

    @property
    def lower(self) -> str:
        """The token in lower case."""
        return self.text.lower()


_TOKEN: Final = re.compile(
    r'(?P<quote>"[^"]*"|“[^”]*”|«[^»]*»|(?<!\w)[\'‘][^\'’"]*[\'’](?!\w))'
    r"|(?P<number>\d+(?:[.,]\d+)*%?)(?![^\W\d_])"
    r"|(?P<word>\w+(?:['’-]\w+)*)"
    r"|(?P<mark>\S)"
)


def tokens(text: str) -> list[Token]:
    """Split `text` into tokens; a quotation, with its marks, is one token."""
    return [
        Token(m.group(), m.start(), m.end(), m.lastgroup)  # type: ignore[arg-type]
        for m in _TOKEN.finditer(text)
    ]


def sentences(text: str) -> list[tuple[int, int]]:
    """Return the spans of the sentences of `text`; a full stop inside a quotation or a number ends none."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    end = 0
    for token in tokens(text):
        start = token.start if start is None else start
        end = token.end
        if token.kind == "mark" and token.text in ".!?;":
            spans.append((start, end))
            start = None
    if start is not None:
        spans.append((start, end))
    return spans


def word_count(text: str) -> int:
    """Return the number of words as a reader counts them: pieces between spaces that hold a letter or digit."""
    return sum(any(c.isalnum() for c in piece) for piece in text.split())


# -- numbers --------------------------------------------------------------------------------------------------------

def _listed(text: str) -> list[str]:
    return text.split()


_UNITS = _listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = _listed("twenty thirty forty fifty sixty seventy eighty ninety")

NUMBERS: Final[dict[str, float]] = {
    **{word: float(i) for i, word in enumerate(_UNITS)},
    **{word: 10.0 * (i + 2) for i, word in enumerate(_TENS)},
    **{f"{t}-{u}": 10.0 * (i + 2) + j + 1 for i, t in enumerate(_TENS) for j, u in enumerate(_UNITS[1:10])},
    "hundred": 100.0, "thousand": 1000.0, "million": 1e6, "dozen": 12.0, "half": 0.5, "quarter": 0.25,
       "single": 1.0, "sole": 1.0, "lone": 1.0, "once": 1.0, "twice": 2.0, "thrice": 3.0, "double": 2.0,
       "triple": 3.0, "pair": 2.0, "couple": 2.0, "duo": 2.0, "both": 2.0, "twin": 2.0, "trio": 3.0, "quartet": 4.0,
       "first": 1.0, "second": 2.0, "third": 3.0, "fourth": 4.0, "fifth": 5.0,
}
"""Words that say a number, and the number they say."""

QUANTIFIERS: Final[dict[str, tuple[float, float]]] = {
    "several": (3, 9), "few": (2, 5), "many": (5, 1e9), "multiple": (2, 1e9), "numerous": (5, 1e9),
    "various": (2, 1e9), "dozens": (24, 1e9), "hundreds": (200, 1e9), "crowd": (6, 1e9), "group": (3, 1e9),
    "some": (2, 1e9), "lots": (5, 1e9), "plenty": (5, 1e9), "countless": (20, 1e9), "crowded": (6, 1e9),
    "bunch": (3, 1e9), "all": (1e9, 1e9), "every": (1e9, 1e9), "each": (2, 1e9),
}
"""Words that say a vague number: the least and the most of what they may stand for."""


def number_value(word: str) -> float | None:
    """Return the number that `word` says, or None. Digits, number words, percentages (as their number)."""
    lowered = word.lower().rstrip("%")
    if lowered in NUMBERS:
        return NUMBERS[lowered]
    ordinal = re.fullmatch(r"(\d+)(?:st|nd|rd|th)", lowered)
    if ordinal:
        return float(ordinal.group(1))
    try:
        return float(lowered.replace(",", "")) if lowered[:1].isdigit() else None
    except ValueError:
        return None


# -- colours --------------------------------------------------------------------------------------------------------

_COLOUR_FAMILIES: Final = {
    "red": "red reddish crimson scarlet maroon ruby burgundy vermilion",
    "orange": "orange amber apricot rust",
    "yellow": "yellow yellowish golden lemon mustard",
    "gold": "gold gilded",
    "green": "green greenish emerald olive lime jade",
    "cyan": "cyan turquoise teal aqua",
    "blue": "blue bluish navy azure indigo sapphire cobalt",
    "purple": "purple violet lavender lilac mauve plum",
    "pink": "pink pinkish magenta fuchsia rosy salmon",
    "brown": "brown brownish tan chestnut bronze hazel tawny",
    "beige": "beige cream khaki sandy ivory",
    "black": "black blackish jet ebony",
    "white": "white whitish snowy",
    "grey": "grey gray greyish grayish silver charcoal",
    "monochrome": "monochrome monochromatic black-and-white grayscale greyscale colourless colorless",
    "colourful": "colourful colorful multicoloured multicolored multicolour multicolor vivid",
}
COLOURS: Final[dict[str, str]] = {word: family for family, words in _COLOUR_FAMILIES.items() for word in words.split()}
"""A colour's word, and the name its family goes by."""

# -- direction, camera, place, negation ----------------------------------------------------------------------------

DIRECTIONS: Final[dict[str, str]] = {
    "left": "left", "leftward": "left", "leftwards": "left", "right": "right", "rightward": "right",
    "rightwards": "right", "up": "up", "upward": "up", "upwards": "up", "down": "down", "downward": "down",
    "downwards": "down", "forward": "in", "forwards": "in", "backward": "out", "backwards": "out",
    "clockwise": "clockwise", "anticlockwise": "anticlockwise", "counterclockwise": "anticlockwise",
    "counter-clockwise": "anticlockwise", "away": "away", "towards": "towards", "toward": "towards",
    "north": "north", "south": "south", "east": "east", "west": "west", "diagonally": "diagonal",
    "horizontally": "horizontal", "vertically": "vertical", "sideways": "sideways",
}
"""A direction's word, and what it means. `in` and `out` count as directions after a camera move only."""

MOVES: Final[dict[str, str]] = {
    **dict.fromkeys(("pan", "pans", "panning", "panned"), "pan"),
    **dict.fromkeys(("tilt", "tilts", "tilting", "tilted"), "tilt"),
    **dict.fromkeys(("zoom", "zooms", "zooming", "zoomed"), "zoom"),
    **dict.fromkeys(("roll", "rolls", "rolling", "rolled"), "roll"),
    **dict.fromkeys(("dolly", "dollies", "dollying", "track", "tracks", "tracking", "truck", "trucks"), "track"),
    **dict.fromkeys(("orbit", "orbits", "orbiting", "circles", "circling", "revolves"), "orbit"),
    **dict.fromkeys(("crane", "cranes", "pedestal", "boom", "booms"), "crane"),
    **dict.fromkeys(("static", "stationary", "steady", "still", "fixed", "locked", "motionless"), "static"),
    **dict.fromkeys(("handheld", "hand-held", "shaky", "shakes", "shaking", "wobbly"), "handheld"),
    **dict.fromkeys(("follows", "following", "follow"), "follow"),
    **dict.fromkeys(("aerial", "drone", "flyover"), "aerial"),
    **dict.fromkeys(("moves", "moving", "move", "travels", "travelling", "glides", "gliding", "drifts", "drifting",
                     "slides", "sliding", "shifts", "sweeps", "rotates", "rotating", "swings", "pushes", "pulls"),
                    "move"),
}
"""A verb or adjective of camera work, and the move it names. Most are camera words only beside a camera."""

PLACES: Final = frozenset(_listed(
    "on under behind beside near above below inside outside between over around across through against next front "
    "beneath along into onto beyond underneath atop amid among past opposite within alongside off aside apart "
    "background foreground"
))
"""Words that put one thing in relation to another: a claim, unless a statement says so."""

NEGATIONS: Final = frozenset(_listed(
    "no not never none nothing nobody nowhere without neither nor cannot lacks lacking absent absence "
    "isn't aren't wasn't weren't doesn't don't didn't can't won't hasn't haven't"
))
"""Words that deny: what they deny must be denied by a statement."""

GENDERED: Final[dict[str, str]] = {
    **dict.fromkeys(_listed("he him his himself man men male boy boys gentleman father son guy"), "male"),
    **dict.fromkeys(_listed("she her hers herself woman women female girl girls lady mother daughter"), "female"),
}
"""Words that say a gender."""

TIMES: Final = frozenset(_listed("then before after later finally suddenly eventually afterwards soon again until"))
"""Words that order events: no expert of one clip says them."""

# -- words that claim nothing ---------------------------------------------------------------------------------------

FUNCTION: Final = frozenset(_listed(
    "a an the this that these those there here it its they them their itself which who whose what where when while as "
    "and or but with of in at to from by for is are was were be been being am has have having had do does can "
    "could may might seem seems seemingly seen see sees appear appears appearing apparently perhaps possibly probably "
    "likely look looks looking like so such also too quite rather just together during throughout "
    "shows show showing shown features featuring featured contains containing includes including depicts depicting "
    "captures captured presents displaying displays visible kind sort type other another overall out present except"
))
"""Words that hold a sentence together and claim nothing by themselves."""

GENERAL: Final = frozenset(_listed(
    "clip video footage picture image scene shot frame camera photo photograph view subject object thing recording "
    "colour tone hue shade light lighting filmed recorded lit"
))
"""Words that speak of the recording itself; as a head they make a statement about the whole picture."""

DEGREES: Final[dict[str, str]] = {
    **dict.fromkeys(_listed("mostly mainly predominantly primarily largely dominated dominates dominant most"), "most"),
    **{w: w for w in _listed("much almost slightly very extremely highly entirely completely totally fully little")},
}
"""Words that say how much; each needs a statement that says as much."""

SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    "dim": ("dark", "low-key"), "dark": ("dim", "low-key"), "bright": ("high-key",),
    "close-up": ("closeup", "close"), "wide": ("long",), "sign": ("text",), "caption": ("text",),
    "people": ("person",), "persons": ("person",), "human": ("person",), "humans": ("person",), "kitty": ("cat",),
    "feline": ("cat",), "airplane": ("aeroplane", "plane"), "plane": ("aeroplane",), "infant": ("baby",),
    "aircraft": ("aeroplane", "airliner", "plane"), "lorry": ("truck",), "truck": ("lorry",),
    "coast": ("shore", "seashore"), "seashore": ("shore", "coast"), "speaks": ("talks",), "talks": ("speaks",),
    "bicycle": ("bike",), "bike": ("bicycle",), "automobile": ("car",), "auto": ("car",), "photo": ("picture",),
    "slowly": ("slow",), "slow": ("slowly",), "gently": ("slow", "gentle"), "quickly": ("fast", "quick"),
    "fast": ("quick", "quickly"), "rapidly": ("fast", "quick"), "warm": ("warmly",), "cool": ("cold",),
    "cold": ("cool",), "indoors": ("indoor", "interior"), "outdoors": ("outdoor", "exterior"), "indoor": ("indoors",),
    "outdoor": ("outdoors",), "still": ("static",), "static": ("still", "stationary"), "hue": ("colour",),
    "cook": ("chef",), "chef": ("cook",), "motorbike": ("motorcycle",), "motorcycle": ("motorbike",),
    "says": ("reads",), "kid": ("child",), "pupil": ("student",), "dressed": ("wears",),
    "tone": ("colour",), "lettering": ("text",), "words": ("text",), "lively": ("strong",),
    "crisp": ("sharp",), "sharp": ("crisp",), "blurred": ("blurry", "soft"),
    "blurry": ("blurred", "soft"), "soft": ("blurred",),
}
"""`word -> words that entail it`: one direction each, so that a hypernym may be written for its hyponym."""

HYPONYMS: Final = {
    "animal": "cat dog horse cow sheep bird fish rabbit squirrel bear lion tiger elephant fox tabby terrier retriever "
              "monkey deer goat pig duck goose chicken",
    "cat": "tabby siamese persian kitten",
    "dog": "terrier retriever spaniel hound poodle collie husky puppy beagle shepherd",
    "vehicle": "car truck bus bicycle bike motorcycle van train tram tractor lorry taxi jeep limousine",
    "car": "convertible taxi cab jeep limousine minivan",
    "bird": "duck goose hen cock eagle owl parrot finch robin jay magpie sparrow gull",
    "person": "man woman boy girl child pedestrian rider cyclist player skier snowboarder surfer swimmer diver "
              "dancer singer drummer guitarist violinist musician chef cook baker barista waiter customer teacher "
              "student pupil presenter reporter farmer carpenter potter painter worker conductor passenger driver "
              "motorcyclist goalkeeper footballer athlete runner walker climber spectator tourist teenager baby "
              "toddler adult lady gentleman guy kid policeman soldier doctor nurse bride groom boxer referee",
    "boat": "canoe kayak yacht ferry gondola lifeboat speedboat catamaran",
    "building": "church temple castle mosque palace barn house cottage hut tower",
    "instrument": "guitar piano violin cello drum trumpet flute harp saxophone",
    "place": "shore mountain street kitchen",
    "food": "pizza burger fruit vegetable bread cake soup coffee espresso",
    "plant": "flower tree mushroom",
    "fruit": "apple orange lemon banana strawberry fig pineapple",
}
"""A word, and words each of which entails it. The list is one-way: a vehicle is no car."""


# -- stems ----------------------------------------------------------------------------------------------------------

_IRREGULAR: Final = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse", "geese": "goos",
    "feet": "foot", "teeth": "tooth", "wolves": "wolf", "leaves": "leaf", "knives": "knif", "shelves": "shelf",
    "sat": "sit", "ran": "run", "lying": "lie", "lies": "lie", "dies": "die", "ties": "tie", "pies": "pie",
    "stood": "stand", "rode": "rid", "ridden": "rid", "drove": "driv", "driven": "driv", "flew": "fly", "flown": "fly",
    "gray": "grey", "color": "colour", "colors": "colour", "center": "centr", "movement": "motion", "red": "red",
    "closeup": "close-up", "bed": "bed", "seed": "seed", "speed": "speed", "weed": "weed", "building": "building",
    "buildings": "building", "king": "king", "ring": "ring", "string": "string", "wing": "wing", "spring": "spring",
    "ceiling": "ceiling", "morning": "morning", "evening": "evening", "something": "something",
}
_INVARIABLE_S: Final = frozenset(_listed(
    "glass grass dress bus lens gas this is was has as its us yes moss boss pass class cross canvas atlas iris "
    "across less news series species chess always perhaps plus bass brass mattress cypress "
    "indoors outdoors christmas jeans stairs scissors sunglasses binoculars shorts trousers pants"
))


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return a crude stem of an English word, equal for its inflections: plural, third person, -ing, -ed."""
    w = word.lower().replace("’", "'")
    w = w[:-2] if w.endswith("'s") else w
    if w in _IRREGULAR:
        return _IRREGULAR[w]
    if w in _INVARIABLE_S or len(w) <= 3:
        return w
    if w.endswith(("ies", "ied")) and len(w) > 4:
        w = w[:-3] + "y"
    elif w.endswith(("ches", "shes", "sses", "xes", "zes")):
        w = w[:-2]
    elif w.endswith("s") and not w.endswith(("ss", "us", "is")):
        w = w[:-1]
    for ending in ("ing", "ed"):
        rest = w[: -len(ending)]
        if w.endswith(ending) and len(rest) >= 3 and re.search(r"[aeiouy]", rest):
            w = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    return w[:-1] if w.endswith("e") and len(w) > 3 else w


@lru_cache(maxsize=4096)
def entailing(word: str) -> frozenset[str]:
    """Return the stems that entail `word`: its own, those of its listed synonyms and of its listed hyponyms."""
    return entailing_stem(stem(word))


@lru_cache(maxsize=8192)
def entailing_stem(base: str) -> frozenset[str]:
    """Return what `entailing` does, of a word of which the stem is given; a stem is not to be stemmed again."""
    return frozenset({base}) | _entailing_by_stem().get(base, frozenset())


@lru_cache(maxsize=1)
def _entailing_by_stem() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for word, others in (*SYNONYMS.items(), *((w, tuple(h.split())) for w, h in HYPONYMS.items())):
        found.setdefault(stem(word), set()).update(stem(o) for o in others)
    return {base: frozenset(stems) for base, stems in found.items()}


def is_plural(word: str) -> bool:
    """Return whether `word` reads as a plural noun (a verb in -s reads so too; the caller knows the clause)."""
    w = word.lower()
    if w in {"people", "men", "women", "children", "mice", "geese", "feet", "teeth", "persons"}:
        return True
    return len(w) > 3 and w.endswith("s") and w not in _INVARIABLE_S and not w.endswith(("ss", "us", "is", "'s"))


def content_stems(text: str) -> set[str]:
    """Return the stems of the words of `text` that claim something."""
    return {
        stem(t.text)
        for t in tokens(text)
        if t.kind == "word" and t.lower not in FUNCTION
    }
