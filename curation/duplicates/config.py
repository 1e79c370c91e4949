"""What can be set of the search for duplicates."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from curation.vectors import VectorName

__all__ = ["DuplicatesConfig"]


class DuplicatesConfig(BaseModel):
    """When two clips are duplicates of each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance: int = Field(
        default=8, ge=0, le=16, description="two keyframes match when their perceptual hashes differ in at most this "
        "many of 64 bits"
    )  # fmt: skip
    nearest: int = Field(
        default=6,
        ge=0,
        le=10,
        description="the best match of two clips must be at most this far; all are found that are, and each bit more "
        "takes about half as long again",
    )
    agreement: float = Field(
        default=0.5, gt=0, le=1, description="share of the keyframes, of the clip that has fewer, that must match"
    )
    crops: tuple[Annotated[float, Field(gt=0.1, lt=1)], ...] = Field(
        default=(),
        description="shares of the sides, for instance 0.95, 0.9, 0.85: copies that were cropped to about that, around "
        "the middle, are found too; every keyframe is decoded for it",
    )
    overlap: float = Field(
        default=0.5, gt=0, le=1, description="clips of one source that share this much of the shorter one are the same"
    )
    within_shot: bool = Field(
        default=False, description="whether pieces of one shot, which go on and repeat nothing, may be near duplicates"
    )
    kinds: tuple[str, ...] = Field(
        default=("clip", "still"),
        description="kinds of clips that are looked at; only clips of one kind can be duplicates",
    )
    embedding: VectorName | None = Field(
        default=None,
        description="EXPERT.COLUMN, a vector per clip, for semantic duplicates; without it none are looked for",
    )
    cosine: float = Field(
        default=0.95, gt=0, le=1, description="semantic duplicates have embeddings at least this alike"
    )
    selection: str | None = Field(
        default="default",
        description="clips that this selection keeps represent others first; all alike, if there is no selection yet",
    )
