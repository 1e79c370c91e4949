"""What can be set of a balance: what the clips are grouped by, and how far the weights flatten the groups."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from curation.vectors import SpaceName
from dataset.schema import Kind

__all__ = ["AXES", "Axis", "BalanceConfig"]

Axis = Literal["concept", "motion", "camera"]
AXES: Final[tuple[Axis, ...]] = ("concept", "motion", "camera")
"""What clips are grouped by: what they show, how much moves in them, what the camera does."""


class BalanceConfig(BaseModel):
    """How clips are grouped and weighed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concepts: SpaceName = Field(
        default="auto",
        description="what concepts are clusters of: EXPERT.COLUMN, a list of numbers per clip; words, the short "
        "captions and tags in the space of sentences; auto, the first picture embedding there is, else words",
    )
    clusters: int | None = Field(
        default=None, ge=1, le=100_000, description="number of concepts; default: the square root of the clips, to 1000"
    )
    alpha: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="how far the weights flatten: a group of n clips weighs n^(1 - alpha); 0 leaves all as it is, 1 "
        "makes the groups equal",
    )
    axes: tuple[Axis, ...] = Field(default=AXES, min_length=1, description="what is flattened")
    limit: float = Field(
        default=10.0, ge=1, description="a weight is at most this, and at least one over it; their mean is 1"
    )
    mix: dict[Kind, float] | None = Field(
        default=None,
        description="how much of each kind is drawn, as numbers of any sum: clip: 3, still: 1, pseudo: 1; a kind not "
        "named is not drawn. Within a kind the weights stay as they are, so that the limit holds there; default: as is",
    )
    selection: str | None = Field(
        default="default", description="the clips that this selection keeps; all, if there is no selection yet"
    )
    profile: str = Field(default="embedded", description="the profile whose sentence model places words")
