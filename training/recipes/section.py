"""What every section of a recipe is: frozen, and strict about its keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Fraction", "KnownFrames", "MotionLayer", "SamplerName", "Section", "VectorName"]

MotionLayer = Literal["temporal_attention", "temporal_conv"]
SamplerName = Literal["ddim", "euler", "heun", "dpmpp_2m", "flow_euler", "flow_heun"]
VectorName = Literal["frames", "size", "motion", "aesthetic"]
KnownFrames = Literal["first", "last", "ends", "any"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")
