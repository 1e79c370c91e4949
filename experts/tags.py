"""What the picture is of: the 1,000 ImageNet classes, by EfficientNet-Lite0 (Tan and Le 2019; top-1 accuracy 75%).

Each keyframe is seen twice, whole and as its central square; the logits are averaged, then softmaxed, then averaged
over the keyframes. So a class that only one of the two views suggests stays improbable.

A class or a group of classes (cat, bird, boat ...) is stated from a mean probability of 0.6; without either, a kind
(animal, vehicle ...) from 0.75. The confidence is that probability. The network has no class for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts import weights
from experts._tagger import tagger
from experts._torch import default_threads
from experts.base import ClipView, Dimension, ModelRef, Needs, Resources, Statement

__all__ = ["Tags"]

_TOP: Final = 10
_SURE: Final = 0.6
_SURE_KIND: Final = 0.75
_SAYS_NOTHING: Final = frozenset({"place", "object"})
_DIMENSION: Final[dict[str | None, Dimension]] = {"place": "setting", "building": "setting"}


class Tags:
    """The classes of the picture."""

    name: ClassVar[str] = "tags"
    version: ClassVar[str] = "3"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("tags", "tag_names")
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=500)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("labels", pa.list_(pa.string()), "the ten most probable ImageNet classes, most probable first"),
        Column("probabilities", pa.list_(pa.float32()), "their mean probabilities over the keyframes"),
        Column("top_label", pa.string(), "the most probable class"),
        Column("top_probability", pa.float32(), "its mean probability"),
        Column("group", pa.string(), "the most probable group of classes: cat, bird, boat ..."),
        Column("group_probability", pa.float32(), "its probability, the sum over its classes"),
        Column(
            "kind",
            pa.string(),
            "the most probable kind: animal, vehicle, building, place, food, plant, instrument, clothing",
        ),
        Column("kind_probability", pa.float32(), "its probability, the sum over its classes"),
        Column("entropy_bits", pa.float32(), "entropy of the mean probabilities: high when nothing is recognised"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._tagger = tagger(profile, override, threads or default_threads())
        self.model = self.model_ref(profile, override)

    @classmethod
    def model_ref(cls, profile: str = "embedded", override: Mapping[str, str | Path] | None = None) -> ModelRef:
        """Return how rows name the model, without loading it: as the network, with a hash of it and of its words."""
        network, names = (weights.resolve(role, profile, override).ref for role in cls.roles)
        return replace(weights.joint(network, names), name=network.name, license=network.license)

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [self._columns(self._tagger.probabilities(view.frames).mean(axis=0)) for view in views]

    def _columns(self, mean: npt.NDArray[np.float32]) -> dict[str, Any]:
        order = np.argsort(-mean, kind="stable")[:_TOP]
        group, group_probability = _best(mean, self._tagger.vocabulary.groups)
        kind, kind_probability = _best(mean, self._tagger.vocabulary.kinds)
        return {
            "labels": [self._tagger.vocabulary.names[i] for i in order],
            "probabilities": [float(mean[i]) for i in order],
            "top_label": self._tagger.vocabulary.names[order[0]],
            "top_probability": float(mean[order[0]]),
            "group": group,
            "group_probability": group_probability,
            "kind": kind,
            "kind_probability": kind_probability,
            "entropy_bits": float(-(mean * np.log2(np.maximum(mean, 1e-12))).sum()),
        }

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State the group and the class, each if sure enough; else the kind, if that is."""
        said: list[Statement] = []

        def say(subject: str, kind: str | None, predicate: str, value: str, confidence: float) -> None:
            said.append(
                Statement(
                    self.name,
                    _DIMENSION.get(kind, "subject"),
                    subject,
                    predicate,
                    value,
                    round(confidence, 3),
                    view.first_frame,
                    view.end_frame,
                )
            )

        if values["group_probability"] >= _SURE:
            kind = self._tagger.vocabulary.kind_of_group(values["group"])
            say(kind or "object", kind, "looks like", values["group"], values["group_probability"])
        if values["top_probability"] >= _SURE and values["top_label"] != values["group"]:
            kind = self._tagger.vocabulary.kind_of(self._tagger.vocabulary.names.index(values["top_label"]))
            say(kind or "object", kind, "looks like", values["top_label"], values["top_probability"])
        if not said and values["kind_probability"] >= _SURE_KIND and values["kind"] not in _SAYS_NOTHING:
            kind = values["kind"]
            say("scene", kind, "shows", f"{_article(kind)} {kind}", values["kind_probability"])
        return said


def _best(mean: npt.NDArray[np.float32], masks: Mapping[str, npt.NDArray[np.bool_]]) -> tuple[str, float]:
    sums = {name: float(mean[mask].sum()) for name, mask in masks.items()}
    best = max(sums, key=lambda name: sums[name])
    return best, min(1.0, sums[best])


def _article(noun: str) -> str:
    if noun in ("food", "clothing"):
        return "some"
    return "an" if noun[0] in "aeiou" else "a"
