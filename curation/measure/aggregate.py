"""From what was measured of frames and pairs to the columns of a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from curation.measure.borders import border_of
from curation.measure.camera import classify
from dataset.schema import MEASURES

if TYPE_CHECKING:
    from curation.measure.flow import Flow
    from curation.measure.meter import Look, Step

__all__ = ["aggregate"]

_OVERLAY_AGREE: Final = 0.9


def aggregate(steps: Sequence[Step], looks: Sequence[Look], flows: Sequence[Flow]) -> dict[str, Any]:
    """Return every measured column of one clip, in the schema's order; None where nothing could be measured."""
    values = {**_motion(flows), **_steps(steps), **_texture(looks), **_light(looks), **_borders(looks)}
    return {column.name: _rounded(values[column.name]) for column in MEASURES}


def _rounded(value: Any) -> Any:
    """Keep six digits: sums of floats may differ in the last bits with the memory's alignment, rows must not."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _motion(flows: Sequence[Flow]) -> dict[str, Any]:
    cameras = [f.camera for f in flows if f.camera is not None]
    named = classify(cameras)
    means = [f.mean for f in flows]
    return {
        "flow_mean_px_per_s": _mean(means),
        "flow_p95_px_per_s": float(np.percentile(means, 95)) if means else None,
        "moving_fraction": _mean([f.moving_fraction for f in flows]),
        "object_motion_px_per_s": _mean([f.object_motion for f in flows]),
        "camera_motion": named[0] if named else None,
        "camera_confidence": named[1] * len(cameras) / len(flows) if named else None,
        "camera_dx_fraction_per_s": _mean([c.dx for c in cameras]),
        "camera_dy_fraction_per_s": _mean([c.dy for c in cameras]),
        "camera_zoom_per_s": _mean([c.zoom for c in cameras]),
        "camera_roll_deg_per_s": _mean([c.roll_deg for c in cameras]),
        "flicker": _mean([f.flicker for f in flows]),
        "static_overlay_fraction": _overlay(flows),
    }


def _overlay(flows: Sequence[Flow]) -> float | None:
    """Return the share of cells with edges that keep still in 9 of 10 pairs in which most of the picture moves.

    0 where the picture as a whole does not move: an overlay cannot be told from a still scene.
    """
    if not flows:
        return None
    maps = [np.unpackbits(np.frombuffer(f.still_edges, np.uint8)) for f in flows if f.moves and f.still_edges]
    if not maps:
        return 0.0
    kept = np.mean(maps, axis=0) >= _OVERLAY_AGREE
    return float(kept.sum() / flows[0].cells)


def _steps(steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "frozen_fraction": _mean([float(s.frozen) for s in steps]),
        "temporal_information": max((s.deviation for s in steps), default=None),
    }


def _texture(looks: Sequence[Look]) -> dict[str, Any]:
    def mean(get: Callable[[Look], float]) -> float | None:
        return _mean([get(look) for look in looks])

    return {
        "sharpness_laplacian": mean(lambda look: look.texture.laplacian),
        "sharpness_tenengrad": mean(lambda look: look.texture.tenengrad),
        "noise_sigma": mean(lambda look: look.texture.noise_sigma),
        "blockiness": mean(lambda look: look.texture.blockiness),
        "spatial_information": max((look.texture.spatial_information for look in looks), default=None),
    }


def _light(looks: Sequence[Look]) -> dict[str, Any]:
    def mean(get: Callable[[Look], float]) -> float | None:
        return _mean([get(look) for look in looks])

    return {
        "dark_clipped_fraction": mean(lambda look: look.light.dark),
        "bright_clipped_fraction": mean(lambda look: look.light.bright),
        "luma_mean": mean(lambda look: look.light.mean),
        "contrast_rms": mean(lambda look: look.light.contrast),
        "colourfulness": mean(lambda look: look.light.colourfulness),
        "saturation_mean": mean(lambda look: look.light.saturation),
        "warmth": mean(lambda look: look.light.warmth),
        "entropy_bits": mean(lambda look: look.light.entropy),
    }


def _borders(looks: Sequence[Look]) -> dict[str, Any]:
    border = border_of([look.profile for look in looks]) if looks else None
    return {
        "border_left_px": border.left if border else None,
        "border_top_px": border.top if border else None,
        "border_right_px": border.right if border else None,
        "border_bottom_px": border.bottom if border else None,
    }
