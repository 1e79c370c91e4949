"""What can be set of curation: how a source becomes clips, and how stills become pseudo-videos."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["CurateConfig", "Decoding", "PseudoConfig", "skims"]

Decoding = Literal["auto", "skim", "whole"]
_SKIMS: Final = frozenset({"cascade"})
"""Detectors whose answers hold on a skim, as `benchmarks.shots` shows."""


def skims(decode: Decoding, detector: str) -> bool:
    """Return whether frames may be left out for that detector."""
    return decode == "skim" or (decode == "auto" and detector in _SKIMS)


class PseudoConfig(BaseModel):
    """How a still becomes moving clips."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    motions: tuple[str, ...] = Field(
        default=("zoom_in", "zoom_out", "pan_left", "pan_right", "tilt_up", "tilt_down"),
        description="the motions to make of every still; curation.pseudo.MOTIONS lists them all; several at once are "
        "joined with a plus: zoom_in+pan_left",
    )
    frames: int = Field(default=48, ge=1, le=4096, description="frames of a pseudo-video")
    fps: float = Field(default=24.0, gt=0, le=240, description="its frame rate")
    height_px: int = Field(default=360, ge=16, le=4320, description="its height, made even; a still is never enlarged")
    speed_per_s: float = Field(
        default=0.125,
        gt=0,
        le=4,
        description="how fast it moves: share of the picture that a pan crosses per second, and by which a zoom "
        "changes the view; so longer ones go farther, and not slower. None goes farther than 60% of the still",
    )
    travel_fraction: float | None = Field(
        default=None,
        gt=0,
        lt=0.9,
        description="how far it moves in all, instead of how fast: share of the still's side that a pan crosses or a "
        "zoom shrinks the view by",
    )
    roll_deg_per_s: float = Field(default=5.0, gt=0, le=90, description="how fast a roll turns; none turns beyond 45")
    roll_deg: float | None = Field(default=None, gt=0, le=45, description="how far a roll turns in all, instead")
    easing: Literal["linear", "smooth", "ease_in", "ease_out"] = Field(
        default="linear",
        description="linear moves at constant speed; smooth starts and ends at rest, ease_in starts, ease_out ends so",
    )
    shake_fraction: float = Field(
        default=0.0,
        ge=0,
        le=0.05,
        description="shake of a hand-held camera, root mean square in picture heights: 0.003 is a steady hand, 0.015 a "
        "walk; smooth, the same for the same still, motion and seed",
    )
    keep_salient: bool = Field(
        default=True,
        description="lay the path so that faces and people, where experts found some, or else what stands out, stay in "
        "view",
    )
    seed: int = Field(default=0, ge=0, description="the shake's seed")

    @field_validator("motions")
    @classmethod
    def _known(cls, motions: tuple[str, ...]) -> tuple[str, ...]:
        from curation.pseudo.motions import parse
        from media.errors import UserError

        try:
            moves = [parse(motion) for motion in motions]
        except UserError as error:
            raise ValueError(str(error)) from None
        return tuple("+".join(move.name for move in parts) for parts in moves)


class CurateConfig(BaseModel):
    """How a source is split and measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: str = Field(
        default="cascade",
        description="the shot detector: cascade needs the TransNetV2 weights; adaptive needs no model; "
        "curation.detectors.NAMES lists them all",
    )
    decode: Decoding = Field(
        default="auto",
        description="skim leaves out frames that no other is predicted from where nothing happens, and looks again "
        "where something might; whole decodes every frame, as is done anyway for files that cannot be skimmed; auto "
        "skims for the cascade, whose answers hold on a skim, and for no other detector",
    )
    min_clip_s: float = Field(default=1.0, gt=0, description="shots shorter than this give no clip")
    max_clip_s: float = Field(default=10.0, gt=0, description="longer shots are divided evenly into clips no longer")
    division: Literal["even", "stride"] = Field(
        default="even",
        description="how a shot longer than max_clip_s is divided: even gives the fewest pieces of equal length, "
        "stride a piece of max_clip_s every stride_s",
    )
    stride_s: float | None = Field(
        default=None,
        gt=0,
        description="with stride: from the start of a piece to that of the next; below max_clip_s they overlap, above "
        "it they leave something out; default: max_clip_s",
    )
    stitch_likeness: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="a boundary whose two sides are at least this alike, by the tagger's features, is no boundary: the "
        "shot goes on; 0 never stitches, 0.6 lies between pieces of one shot and different scenes",
    )
    keyframes: int = Field(default=3, ge=1, le=16, description="JPEG keyframes kept per clip, at even positions")
    keyframe_height_px: int = Field(default=360, ge=32, le=1080, description="keyframes are scaled down to this height")
    keyframe_quality: int = Field(default=88, ge=30, le=100, description="JPEG quality of the keyframes")
    sharp_start_s: float = Field(
        default=0.0,
        ge=0,
        description="a clip may begin up to this much later, on the sharpest frame looked at; 0 keeps the shot's first",
    )
    flow_pairs_per_s: float = Field(default=2.0, gt=0, le=30, description="frame pairs whose optical flow is measured")
    looks_per_s: float = Field(
        default=1.0, gt=0, le=30, description="frames whose sharpness, noise and colour are measured"
    )

    @property
    def skims(self) -> bool:
        """Whether frames may be left out."""
        return skims(self.decode, self.detector)

    @model_validator(mode="after")
    def _lengths_agree(self) -> CurateConfig:
        # An even split gives pieces longer than half of max_clip_s, so this keeps every piece long enough.
        if self.min_clip_s * 2 > self.max_clip_s:
            raise ValueError(
                f"max_clip_s ({self.max_clip_s}) must be at least twice min_clip_s ({self.min_clip_s}), "
                "so that a long shot can be divided into clips of a lawful length"
            )
        return self
