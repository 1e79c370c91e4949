"""The labelled statement sets of `data/sets.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experts.base import Statement

DATA = Path(__file__).parent / "data"
SPAN = (0, 48)


@dataclass(frozen=True)
class LabelledSet:
    name: str
    statements: tuple[Statement, ...]
    supported: tuple[str, ...]
    planted: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def row(self) -> dict[str, Any]:
        return {"clip_id": f"{self.name}:{SPAN[0]}-{SPAN[1]}", "first_frame": SPAN[0], "end_frame": SPAN[1]}


def parse(line: str) -> Statement:
    expert, dimension, subject, predicate, value, confidence = (part.strip() for part in line.split(" | "))
    return Statement(expert, dimension, subject, predicate, value, float(confidence), *SPAN)  # type: ignore[arg-type]


def load() -> list[LabelledSet]:
    found = yaml.safe_load((DATA / "sets.yaml").read_text("utf-8"))
    return [
        LabelledSet(
            s["name"],
            tuple(parse(line) for line in s["statements"]),
            tuple(s["supported"]),
            tuple((p["text"], tuple(p["wrong"])) for p in s["planted"]),
        )
        for s in found
    ]
