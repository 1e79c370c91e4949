"""The names of the ImageNet classes, and the groups and kinds that they are of."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml

__all__ = ["CLASSES", "Vocabulary", "vocabulary"]

CLASSES: Final = 1000
_DATA: Final = Path(__file__).parent / "data" / "imagenet.yaml"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names and hierarchy of the classes.

    `names[i]` is class i in everyday words. `kinds` and `groups` map a word to a bool mask [1000] of its classes.
    """

    names: tuple[str, ...]
    kinds: dict[str, npt.NDArray[np.bool_]]
    groups: dict[str, npt.NDArray[np.bool_]]

    def kind_of(self, index: int) -> str | None:
        """Return the kind of a class ("animal", "vehicle" ...), None if it is of none."""
        return next((kind for kind, mask in self.kinds.items() if mask[index]), None)

    def kind_of_group(self, group: str) -> str | None:
        """Return the kind that most classes of a group are of."""
        shared = {kind: int((mask & self.groups[group]).sum()) for kind, mask in self.kinds.items()}
        best = max(shared, key=lambda kind: shared[kind])
        return best if shared[best] else None


@functools.lru_cache(maxsize=4)
def vocabulary(folder: Path) -> Vocabulary:
    """Return the vocabulary; `folder` holds WordNet's names as timm carries them."""
    lemmas = dict(
        line.split("\t", 1) for line in (folder / "imagenet_synset_to_lemma.txt").read_text("utf-8").splitlines()
    )
    synsets = (folder / "imagenet_synsets.txt").read_text("utf-8").split()
    ours: dict[str, dict[Any, Any]] = yaml.safe_load(_DATA.read_text("utf-8"))
    names = [ours["names"].get(i, lemmas[synset].split(",")[0].strip()) for i, synset in enumerate(synsets)]
    return Vocabulary(
        tuple(names),
        {name: _mask(text) for name, text in ours["kinds"].items()},
        {name: _mask(text) for name, text in ours["groups"].items()},
    )


def _mask(ranges: str) -> npt.NDArray[np.bool_]:
    mask = np.zeros(CLASSES, dtype=np.bool_)
    for part in str(ranges).split(","):
        first, _, last = part.strip().partition("-")
        mask[int(first) : int(last or first) + 1] = True
    return mask
