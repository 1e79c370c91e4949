"""What is true of a scene of solids, and how it is said."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.base import Captions, Thing, Triple, Truth
from curation.worlds.scenes3d.rendering import cast, project
from curation.worlds.scenes3d.scene import FOCAL, Scene
from curation.worlds.scenes3d.solids import Solid, outline

__all__ = ["MEASURED_AS", "tell"]

F64 = npt.NDArray[np.float64]

MEASURED_AS: Final = {
    "orbit left": "pan left", "orbit right": "pan right", "dolly in": "zoom in", "dolly out": "zoom out",
    "truck left": "pan left", "truck right": "pan right", "pedestal up": "tilt up", "pedestal down": "tilt down",
}  # fmt: skip
"""What a move that takes the camera elsewhere is called among the values of `clips.camera_motion`, which knows none."""

_NUMBERS: Final = ("no", "one", "two", "three", "four", "five")
_LOOK_PX: Final = 64
_NOUNS: Final = {"sphere": "ball", "box": "box", "cylinder": "cylinder", "cone": "cone"}
_SAID: Final = {
    "static": "The camera stays still.",
    "orbit left": "The camera orbits the scene to the left.",
    "orbit right": "The camera orbits the scene to the right.",
    "dolly in": "The camera moves closer.", "dolly out": "The camera moves back.",
    "truck left": "The camera moves sideways to the left.", "truck right": "The camera moves sideways to the right.",
    "pedestal up": "The camera rises.", "pedestal down": "The camera sinks.",
    "pan left": "The camera pans left.", "pan right": "The camera pans right.", "tilt up": "The camera tilts up.",
    "tilt down": "The camera tilts down.", "roll left": "The camera rolls left.",
    "roll right": "The camera rolls right.",
}  # fmt: skip


def tell(scene: Scene) -> Truth:
    """Return the truth of a scene. Boxes are exact; `visible` is counted on a grid 64 high."""
    poses = scene.poses()
    visible = _visible(scene, poses)
    things = tuple(_thing(scene, poses, solid, visible[:, i]) for i, solid in enumerate(scene.solids))
    relations = _relations(scene, poses[0])
    return Truth(
        world="scenes3d",
        seed=scene.seed,
        frames=scene.frames,
        fps=scene.fps,
        captions=_captions(scene, relations),
        graph=_graph(scene, relations),
        things=things,
        camera=MEASURED_AS.get(scene.move, scene.move),
        camera_path=poses.astype(np.float32),
        facts={
            "count": len(scene.solids), "move": scene.move, "move_rate": scene.rate, "floor": scene.floor,
            "tone": scene.tone, "sun": scene.sun, "focal": FOCAL, "eye_height": scene.height,
        },
    )  # fmt: skip


def _thing(scene: Scene, poses: F64, solid: Solid, visible: F64) -> Thing:
    size = (1000, round(1000 * scene.aspect))
    boxes = []
    for pose in poses:
        places, depth = project(scene, pose, outline(solid, pose[:3, 3]), size)
        box = np.concatenate([places.min(axis=0), places.max(axis=0)]) / np.tile(size[::-1], 2)
        inside = depth.min() > 0 and (box[:2] < 1).all() and (box[2:] > 0).all()
        boxes.append(np.clip(box, 0, 1) if inside else np.full(4, np.nan))
    return Thing(
        name=_NOUNS[solid.kind],
        colour=solid.colour,
        boxes=np.array(boxes, np.float32),
        visible=visible.astype(np.float32),
        attributes={
            "solid": solid.kind, "place": solid.place, "radius": solid.radius, "height": solid.height,
            "turn": solid.turn,
        },
    )  # fmt: skip


def _visible(scene: Scene, poses: F64) -> F64:
    """Return the share of each solid's outline that is seen, (F, solids): in the picture, and behind nothing."""
    size = (_LOOK_PX, max(8, round(_LOOK_PX * scene.aspect)))
    found = np.zeros((scene.frames, len(scene.solids)))
    still = scene.move == "static"
    for frame, pose in enumerate(poses[:1] if still else poses):
        whole = cast(scene, pose, size).ids
        for i, solid in enumerate(scene.solids):
            own = (cast(scene, pose, size, only=i).ids == i + 1).sum()
            places, _ = project(scene, pose, outline(solid, pose[:3, 3]), size)
            box = np.concatenate([places.min(axis=0), places.max(axis=0)])
            clipped = np.clip(box, 0, np.tile(size[::-1], 2))
            areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (clipped, box)]
            found[frame, i] = min(1.0, (whole == i + 1).sum() / max(own, 1)) * areas[0] / max(areas[1], 1e-9)
    return np.repeat(found[:1], scene.frames, axis=0) if still else found


# Words


def _relations(scene: Scene, pose: F64) -> list[tuple[int, str, int]]:
    """Return what stands left of or in front of what in the first frame, for neighbours: pairs that are clear."""
    own = [(solid.middle - pose[:3, 3]) @ pose[:3, :3] for solid in scene.solids]
    across = [float(p[0] / p[2]) for p in own]
    order = sorted(range(len(own)), key=lambda i: across[i])
    found = []
    for one, other in itertools.pairwise(order):
        apart = across[other] - across[one]
        wide = (scene.solids[one].radius + scene.solids[other].radius) / float(min(own[one][2], own[other][2]))
        if apart > wide:
            found.append((one, "left of", other))
        elif abs(own[one][2] - own[other][2]) > scene.solids[one].radius + scene.solids[other].radius:
            near = (one, other) if own[one][2] < own[other][2] else (other, one)
            found.append((near[0], "in front of", near[1]))
    return found


def _a(solid: Solid) -> str:
    return f"{'an' if solid.colour[0] in 'aeiou' else 'a'} {solid.colour} {_NOUNS[solid.kind]}"


def _the(solid: Solid) -> str:
    return f"the {solid.colour} {_NOUNS[solid.kind]}"


def _captions(scene: Scene, relations: Sequence[tuple[int, str, int]]) -> Captions:
    solids = scene.solids
    names = _joined([_a(solid) for solid in solids])
    floor = f"on a {scene.floor} floor"
    related = [f"{_capital(_the(solids[i]))} is {kind} {_the(solids[j])}." for i, kind, j in relations]
    stand = "stands" if len(solids) == 1 else "stand"
    return Captions(
        label=names,
        short=f"{_capital(names)} {floor}.",
        dense=" ".join([f"{_capital(names)} {stand} {floor}, lit by the sun from the {_sun(scene)}.", *related,
                        _SAID[scene.move]]),
        structured={
            "subject": names, "count": _NUMBERS[len(solids)], "setting": f"{floor} under a pale sky",
            "light": f"the sun shines from the {_sun(scene)}", "camera": _SAID[scene.move],
            **({"action": "nothing moves but the camera"} if scene.move != "static" else {"action": "nothing moves"}),
        },
    )  # fmt: skip


def _sun(scene: Scene) -> str:
    return "left" if scene.sun[0] < 0 else "right"


def _graph(scene: Scene, relations: Sequence[tuple[int, str, int]]) -> tuple[Triple, ...]:
    nouns = [_NOUNS[solid.kind] for solid in scene.solids]
    stands = [Triple(noun, "stands on", f"{scene.floor} floor", (solid.colour,))
              for noun, solid in zip(nouns, scene.solids, strict=True)]  # fmt: skip
    return (*stands, *(Triple(nouns[i], kind, nouns[j]) for i, kind, j in relations))


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
