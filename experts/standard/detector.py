"""What is where: open-vocabulary boxes by Grounding DINO or OWLv2, through transformers.

Liu et al., "Grounding DINO", ECCV 2024; Minderer et al., "Scaling Open-Vocabulary Object Detection", 2023. Which of
them it is, the checkpoint's config says. It looks for the `subject` phrases of the vocabulary file, or for the labels
that `detect` is given: a label's own words, without an article.

Grounding DINO reads all labels as one text, `cat. dog.`; a box's score for a label is the highest sigmoid over the
label's tokens. OWLv2 scores each label by itself, on a square padded with black. A box has the label with the best
score, and counts from 0.3 (0.2 for OWLv2, whose scores are lower); of boxes of one label that share half of their
union the best stays. Pictures of one shape share a batch, of at most 8.

Counted per label: the median over the keyframes, and the share of keyframes with exactly that number. Stated: each
label that all but a few keyframes agree on (0.6), with agreement times mean score as its confidence, from 0.5: a
number from two on, else the thing itself. What colour it is, others say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column, struct_type
from experts import weights
from experts.base import ClipView, ModelRef, Needs, Resources, Rgb, Statement
from experts.count import number_word
from experts.standard._batches import by_clip, in_batches
from experts.standard._grounding import GroundingDino, Owl
from experts.standard._load import folder_of, model_type
from experts.standard._place import place_of
from experts.standard._vocabulary import vocabulary

__all__ = ["Box", "Detector"]

_BATCH: Final = 8
_SAME: Final = 0.5
_AGREE: Final = 0.6
_SURE: Final = 0.5
_MOST: Final = 100
_KINDS: Final[dict[str, Callable[..., Any]]] = {
    "grounding-dino": GroundingDino,
    "mm-grounding-dino": GroundingDino,
    "owlv2": Owl,
}
_MASS: Final = frozenset(
    {"clothing", "equipment", "food", "furniture", "grass", "hair", "ice", "luggage", "sand", "smoke", "snow", "water"}
)
_BOX: Final = struct_type(
    Column("frame", pa.int32(), "source frame number"),
    Column("label", pa.string(), "what it is"),
    Column("score", pa.float32(), "0 to 1"),
    Column("left", pa.float32(), "share of the picture's width"),
    Column("top", pa.float32(), "share of the picture's height"),
    Column("width", pa.float32(), "share of the picture's width"),
    Column("height", pa.float32(), "share of the picture's height"),
)
_COUNT: Final = struct_type(
    Column("label", pa.string(), "what is counted"),
    Column("count", pa.int32(), "median over the keyframes"),
    Column("agreement", pa.float32(), "share of keyframes with exactly that number"),
    Column("score", pa.float32(), "mean score of its boxes"),
)


@dataclass(frozen=True, slots=True)
class Box:
    """A thing in a picture; `box` is left, top, width, height, as shares of the picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Detector:
    """Boxes, labels and counts."""

    name: ClassVar[str] = "detector"
    version: ClassVar[str] = "2"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("vocabulary", "detector")
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=0.2, memory_mb=3000)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("detections", pa.list_(_BOX), "every box that counts, in all keyframes, at most 100 in each"),
        Column("detected_labels", pa.list_(pa.string()), "what was found in any keyframe, the surest first"),
        Column("detected_counts", pa.list_(_COUNT), "how many of each label, where the median is not 0"),
        Column("detected_area_fraction", pa.float32(), "share of the picture that boxes cover, mean over keyframes"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "standard", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        place = place_of(self.name, threads)
        words = weights.resolve("vocabulary", profile, override)
        self._labels = tuple(dict.fromkeys(plain(word) for word in vocabulary(words.path).get("subject", ())))
        found = folder_of("detector", profile, override)
        kind = model_type("detector", found, "an open-vocabulary detector", _KINDS)
        self._network = _KINDS[kind](found, place)
        self.model = weights.joint(words.ref, found.ref)

    def detect(self, frames: Sequence[Rgb], labels: Sequence[str] | None = None) -> list[list[Box]]:
        """Return the boxes of each picture, the surest first. `labels` are the vocabulary's unless given."""
        wanted = self._labels if labels is None else tuple(dict.fromkeys(plain(label) for label in labels))
        if not wanted:
            return [[] for _ in frames]
        raw = in_batches(
            [np.ascontiguousarray(frame) for frame in frames],
            _BATCH,
            lambda batch: self._network.look(batch, wanted),
            alike=lambda frame: frame.shape,
        )
        return [_boxes(scores, corners, wanted, self._network.counts_from) for scores, corners in raw]

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        found = self.detect([frame for view in views for frame in view.frames])
        return [_columns(view, boxes) for view, boxes in zip(views, by_clip(views, found), strict=True)]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State what the keyframes agree on: how many, or that it is there."""
        said = []
        for row in values["detected_counts"]:
            confidence = round(min(1.0, row["agreement"] * row["score"]), 3)
            if row["agreement"] < _AGREE or confidence < _SURE:
                continue
            number, label = row["count"], row["label"]
            counted = number > 1 and article(label) != "some"
            value = f"{number_word(number)} {plural(label)}" if counted else f"{article(label)} {label}"
            dimension: Any = "count" if counted else "subject"
            said.append(
                Statement(self.name, dimension, "picture", "shows", value, confidence, view.first_frame, view.end_frame)
            )
        return said


def plain(label: str) -> str:
    """Return a label as detectors want it: lower case, no article, no full stop."""
    words = label.lower().replace(".", " ").split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in {"a", "an", "the", "some"} else words)


def article(label: str) -> str:
    """Return the article that a label takes; "some" for what is not counted."""
    if _head(label)[0].rpartition(" ")[2] in _MASS:
        return "some"
    return "an" if label[:1] in "aeiou" else "a"


def plural(label: str) -> str:
    """Return a label in the plural, by the regular endings and a few words that have others, or none."""
    label, of = _head(label)
    head, _, last = label.rpartition(" ")
    odd = {"person": "people", "child": "children", "man": "men", "woman": "women", "sheep": "sheep", "fish": "fish"}
    if last in odd or last in _MASS:
        many = odd.get(last, last)
    elif last.endswith(("s", "x", "ch", "sh")):
        many = last + "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        many = last[:-1] + "ies"
    else:
        many = last + "s"
    return f"{head} {many}{of}".strip()


def _head(label: str) -> tuple[str, str]:
    """Return `group` and ` of people` of `group of people`: the part that is counted, and the rest."""
    head, of, rest = label.partition(" of ")
    return head, of + rest


def _boxes(
    scores: npt.NDArray[np.float32], corners: npt.NDArray[np.float32], labels: Sequence[str], counts_from: float
) -> list[Box]:
    """Return the boxes that count. `scores` is [boxes, labels], `corners` [boxes, 4]: left, top, right, bottom."""
    corners = corners.clip(0.0, 1.0)
    best, label = scores.max(axis=1), scores.argmax(axis=1)
    sides = corners[:, 2:] - corners[:, :2]
    order = [at for at in np.argsort(-best, kind="stable") if best[at] >= counts_from and (sides[at] > 0).all()]
    kept: list[int] = []
    for at in order:
        if not any(label[at] == label[other] and _overlap(corners[at], corners[other]) > _SAME for other in kept):
            kept.append(int(at))
        if len(kept) == _MOST:
            break
    return [
        Box(
            labels[label[at]],
            float(best[at]),
            (float(corners[at, 0]), float(corners[at, 1]), float(sides[at, 0]), float(sides[at, 1])),
        )
        for at in kept
    ]


def _overlap(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Return intersection over union of two boxes given by their corners."""
    inside = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0.0, None).prod()
    union = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inside
    return float(inside / max(union, 1e-9))


def _columns(view: ClipView, found: Sequence[Sequence[Box]]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    scores: dict[str, list[float]] = {}
    for frame, boxes in zip(view.indices, found, strict=True):
        for one in boxes:
            left, top, width, height = one.box
            scores.setdefault(one.label, []).append(one.score)
            place = {"left": left, "top": top, "width": width, "height": height}
            rows.append({"frame": frame, "label": one.label, "score": one.score, **place})
    surest = sorted(scores, key=lambda label: (-max(scores[label]), label))
    counts = []
    for label in surest:
        each = [sum(one.label == label for one in boxes) for boxes in found]
        median = sorted(each)[len(each) // 2]
        if median:
            agreement, score = each.count(median) / len(each), float(np.mean(scores[label]))
            counts.append({"label": label, "count": median, "agreement": agreement, "score": score})
    return {
        "detections": rows,
        "detected_labels": surest,
        "detected_counts": counts,
        "detected_area_fraction": float(np.mean([_covered(boxes) for boxes in found])) if found else 0.0,
    }


def _covered(boxes: Sequence[Box]) -> float:
    """Return the share of the picture under any box, on a grid of 64 x 64."""
    under = np.zeros((64, 64), np.bool_)
    for one in boxes:
        left, top, width, height = (side * 64 for side in one.box)
        under[int(top) : int(np.ceil(top + height)), int(left) : int(np.ceil(left + width))] = True
    return float(under.mean())
