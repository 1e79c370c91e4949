"""Motion tiers and camera classes, from what the pass has measured; no model.

The tiers' cut points are those of the expert `motion`: mean flow at a height of 360 px below 1.5 px/s is none, to 12
gentle, to 60 clear, above strong; when the camera moves, the flow left after its motion is taken out decides.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from experts.motion import CUTS_PX_PER_S, LEVELS

__all__ = ["CAMERAS", "CUTS_PX_PER_S", "TIERS", "UNMEASURED", "cameras", "motion_tiers"]

TIERS: Final = LEVELS
UNMEASURED: Final = "unmeasured"
"""The tier, and the camera, of what has none: a still, or a clip too short to be measured."""

CAMERAS: Final = {
    "static": "static",
    "pan left": "pan",
    "pan right": "pan",
    "tilt up": "tilt",
    "tilt down": "tilt",
    "zoom in": "zoom",
    "zoom out": "zoom",
    "roll left": "roll",
    "roll right": "roll",
    "handheld": "handheld",
}
"""The class of each value of the column camera_motion."""


def motion_tiers(clips: pa.Table) -> pa.Array:
    """Return the motion tier of rows of `clips`, one of `TIERS` or `UNMEASURED`."""
    camera, flow = clips["camera_motion"], clips["flow_mean_px_per_s"]
    moves = pc.fill_null(pc.not_equal(camera, "static"), False)
    decides = pc.if_else(moves, pc.coalesce(clips["object_motion_px_per_s"], flow), flow)
    first, second, third = (pc.less(decides, cut) for cut in CUTS_PX_PER_S)
    tier = pc.if_else(first, TIERS[0], pc.if_else(second, TIERS[1], pc.if_else(third, TIERS[2], TIERS[3])))
    return _one(pc.fill_null(tier, UNMEASURED))


def cameras(clips: pa.Table) -> pa.Array:
    """Return the camera's class of rows of `clips`: a value of `CAMERAS`, or `UNMEASURED`."""
    known = pc.index_in(clips["camera_motion"], pa.array(list(CAMERAS)))
    return _one(pc.fill_null(pa.array(list(CAMERAS.values())).take(_one(known)), UNMEASURED))


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
