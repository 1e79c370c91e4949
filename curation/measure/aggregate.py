"""From what was noted of frames and pairs to the columns of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from curation.measure.borders import border_of
from curation.measure.camera import classify
from curation.measure.crop import Crop, crop_of, subtitle_band
from curation.measure.flow import CELL_PX
from curation.measure.light import measure_light
from curation.measure.texture import measure_sharpness
from dataset.schema import MEASURES

if TYPE_CHECKING:
    from curation.measure.flow import Flow
    from curation.measure.observer import Look, Step

__all__ = ["aggregate"]

_OVERLAY_AGREE: Final = 0.9
_SHARES: Final = {"min": 0.0, "p5": 0.05, "p50": 0.5, "p95": 0.95, "max": 1.0}


def aggregate(steps: Sequence[Step], looks: Sequence[Look], flows: Sequence[Flow]) -> dict[str, Any]:
    """Return every measured column of one clip, in the schema's order; None where nothing could be measured."""
    values: dict[str, Any] = dict.fromkeys(column.name for column in MEASURES)
    values |= _steps(steps) | _camera(flows)
    if looks:
        crop = _crop(looks, flows, values)
        values |= _motion(flows, crop) | _looks(looks, crop)
    return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: Any) -> Any:
    """Keep six digits: sums of floats may differ in the last bits with the memory's alignment, rows must not."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _spread(name: str, suffix: str, values: Iterable[float | None], parts: Sequence[str]) -> dict[str, float | None]:
    """Return columns of the mean, and of those of min, p5, p50, p95 and max that `parts` names."""
    known = np.sort([v for v in values if v is not None])
    out: dict[str, float | None] = {}
    for part in parts:
        column = f"{name}_{part}{suffix}" if part else name + suffix
        if not known.size:
            out[column] = None
        elif part in _SHARES:
            out[column] = float(np.interp(_SHARES[part] * (known.size - 1), np.arange(known.size), known))
        else:
            out[column] = float(known.mean())
    return out


def _crop(looks: Sequence[Look], flows: Sequence[Flow], values: dict[str, Any]) -> Crop:
    """Find the crop, and note it, the borders and the band of subtitles among the values."""
    height, width = looks[0].size
    border = border_of([look.profile for look in looks])
    maps = [f.still_edges for f in flows if f.still_edges is not None]
    band = subtitle_band(maps, CELL_PX / looks[0].small[0].shape[0], border.bottom / height)
    crop = crop_of(border, round(band * height), (height, width))
    values |= {f"border_{side}_px": getattr(border, side) for side in ("left", "top", "right", "bottom")}
    values |= {"subtitle_band_px": round(band * height)}
    values |= {f"crop_{part}_px": getattr(crop, part) for part in ("x", "y", "width", "height")}
    return crop


def _camera(flows: Sequence[Flow]) -> dict[str, Any]:
    cameras = [f.camera for f in flows if f.camera is not None]
    named = classify(cameras)
    return {
        "camera_motion": named[0] if named else None,
        "camera_confidence": named[1] * len(cameras) / len(flows) if named else None,
        "camera_dx_fraction_per_s": _mean([c.dx for c in cameras]),
        "camera_dy_fraction_per_s": _mean([c.dy for c in cameras]),
        "camera_zoom_per_s": _mean([c.zoom for c in cameras]),
        "camera_roll_deg_per_s": _mean([c.roll_deg for c in cameras]),
        "static_overlay_fraction": _overlay(flows),
    }


def _motion(flows: Sequence[Flow], crop: Crop) -> dict[str, Any]:
    parts = [flow.inside(crop) for flow in flows]
    return {
        **_spread("flow", "_px_per_s", [m.mean for m in parts], ("mean", "min", "p50", "p95", "max")),
        **_spread("object_motion", "_px_per_s", [m.object_motion for m in parts], ("", "p95")),
        **_spread("moving_fraction", "", [m.moving_fraction for m in parts], ("", "max")),
        **_spread("flicker", "", [m.flicker for m in parts], ("", "max")),
    }


def _overlay(flows: Sequence[Flow]) -> float | None:
    """Return the share of cells with edges that keep still in 9 of 10 pairs in which most of the picture moves.

    0 where the picture as a whole does not move: an overlay cannot be told from a still scene.
    """
    if not flows:
        return None
    maps = [f.still_edges for f in flows if f.still_edges is not None]
    return float((np.mean(maps, axis=0) >= _OVERLAY_AGREE).mean()) if maps else 0.0


def _steps(steps: Sequence[Step]) -> dict[str, Any]:
    changes = [s.change for s in steps if s.change is not None]
    usual = max(float(np.median(changes)), 1.0) if changes else None
    return {
        "frozen_fraction": _frozen(steps),
        "jump_ratio": max(changes) / usual if usual is not None else None,
        "temporal_information": max((s.deviation for s in steps if s.deviation is not None), default=None),
    }


def _frozen(steps: Sequence[Step]) -> float | None:
    """Return the share of frames that repeat the one before.

    Where frames were left out between two that are equal, they are taken to be so too; between two that differ, as
    many of them as among neighbours elsewhere.
    """
    if not steps:
        return None
    usual = _mean([float(s.frozen) for s in steps if s.deviation is not None]) or 0.0
    frames = sum(s.frame - s.before for s in steps)
    still = sum((s.frame - s.before) * (1.0 if s.frozen else usual * (s.deviation is None)) for s in steps)
    return still / frames


def _looks(looks: Sequence[Look], crop: Crop) -> dict[str, Any]:
    sharp = [measure_sharpness(look.sharp[crop.inside(look.sharp.shape)]) for look in looks]
    lights = []
    for look in looks:
        y, u, v = (plane[crop.inside(plane.shape)] for plane in look.small)
        lights.append(measure_light((y, u, v), bt709=look.bt709))
    return {
        **_spread("sharpness_laplacian", "", [s.laplacian for s in sharp], ("", "min", "max")),
        "sharpness_tenengrad": _mean([s.tenengrad for s in sharp]),
        "spatial_information": max(s.spatial_information for s in sharp),
        "noise_sigma": _mean([look.noise_sigma for look in looks]),
        "blockiness": _mean([look.blockiness for look in looks]),
        "dark_clipped_fraction": _mean([light.dark for light in lights]),
        "bright_clipped_fraction": _mean([light.bright for light in lights]),
        **_spread("luma", "", [light.mean for light in lights], ("mean", "min", "max")),
        "contrast_rms": _mean([light.contrast for light in lights]),
        "colourfulness": _mean([light.colourfulness for light in lights]),
        "saturation_mean": _mean([light.saturation for light in lights]),
        "warmth": _mean([light.warmth for light in lights]),
        "entropy_bits": _mean([light.entropy for light in lights]),
    }
