"""What is true of a scene of bodies, and how it is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from curation.worlds.base import F32, Captions, Thing, Triple, Truth
from curation.worlds.bodies.anatomy import JOINTS
from curation.worlds.bodies.parts import parts_of
from curation.worlds.bodies.scene import Damage, Figure, Scene

__all__ = ["tell"]

F64 = npt.NDArray[np.float64]

_NUMBERS: Final = ("no", "one", "two", "three")
_STILL: Final = 0.05
"""Heights that a figure which goes somewhere has come by the end at least."""
_DOING: Final = {"walk": "walking", "clap": "clapping", "wave": "waving", "jump": "jumping", "dance": "dancing"}
_SETTINGS: Final = {
    "meadow": "a meadow with pale hills behind", "town": "a square with pale houses behind",
    "room": "a room with a panelled wall", "studio": "a plain studio",
}  # fmt: skip
_CAMERA: Final = {
    "static": "The camera stays still.", "pan left": "The camera pans left.", "pan right": "The camera pans right.",
    "zoom in": "The camera zooms in.", "zoom out": "The camera zooms out.",
}  # fmt: skip


def tell(scene: Scene) -> Truth:
    """Return the truth of a scene. Boxes hold all parts; `visible` is the share of the box that is in the picture."""
    skeletons = scene.skeletons()
    things = tuple(_thing(scene, figure) for figure in scene.figures)
    return Truth(
        world="bodies",
        seed=scene.seed,
        frames=scene.frames,
        fps=scene.fps,
        captions=_captions(scene),
        graph=_graph(scene),
        things=things,
        camera=scene.camera,
        camera_path=scene.camera_path().astype(np.float32),
        joints=JOINTS,
        skeletons=skeletons.astype(np.float32),
        facts={
            "count": len(scene.figures), "actions": [figure.action for figure in scene.figures],
            "backdrop": scene.backdrop, "camera_rate": scene.camera_rate,
            "damage": [_damage(figure.damage) for figure in scene.figures],
        },
    )  # fmt: skip


def _thing(scene: Scene, figure: Figure) -> Thing:
    boxes, visible = _boxes(scene, figure)
    # Over the world at rest: what the camera does is left out.
    pelvis = figure.joints(scene.times)[:, JOINTS.index("pelvis"), 0]
    way = float(pelvis[-1] - pelvis[0]) if figure.walks else 0.0
    moves = abs(way) >= _STILL
    return Thing(
        name="person",
        colour=figure.top,
        boxes=boxes,
        visible=visible,
        direction=("right" if way > 0 else "left") if moves else "still",
        speed_per_s=abs(way) / max(scene.seconds, 1e-9) if moves else 0.0,
        attributes={
            "action": figure.action, "view": figure.view, "side": figure.style.side, "walks": figure.walks,
            "costume": figure.costume, "top": figure.top, "hair": figure.hair, "stature": figure.stature,
            "bottom": "motley" if figure.costume == "motley" else figure.bottom, "rate_per_s": figure.style.rate,
            "lengths": {b: round(figure.body.length(b) * figure.stature, 6) for b in _BODY_BONES},
            "damage": _damage(figure.damage),
        },
    )  # fmt: skip


_BODY_BONES: Final = ("trunk", "upper arm", "forearm", "hand", "thigh", "shank", "foot")


def _damage(damage: Damage | None) -> dict[str, Any] | None:
    if damage is None:
        return None
    return {"kind": damage.kind, "part": damage.part, "amount": damage.amount, "start_s": damage.start_s,
            "lasts_s": damage.lasts_s}  # fmt: skip


def _boxes(scene: Scene, figure: Figure) -> tuple[F32, F32]:
    lows, highs = [], []
    for part in parts_of(scene, figure):
        reach_start, reach_end = part.start_radius, part.end_radius
        if part.face is not None:
            lows.append(part.end - 1.12 * reach_end[:, None])
            highs.append(part.end + 1.12 * reach_end[:, None])
            continue
        lows.append(np.minimum(part.start - reach_start[:, None], part.end - reach_end[:, None]))
        highs.append(np.maximum(part.start + reach_start[:, None], part.end + reach_end[:, None]))
    whole = np.concatenate([np.min(lows, axis=0), np.max(highs, axis=0)], axis=1)
    whole = whole / np.array([scene.aspect, 1.0, scene.aspect, 1.0])
    boxes = np.clip(whole, 0, 1)
    area = (whole[:, 2] - whole[:, 0]) * (whole[:, 3] - whole[:, 1])
    seen = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    boxes[seen <= 0] = np.nan
    return boxes.astype(np.float32), (np.maximum(seen, 0) / np.maximum(area, 1e-9)).astype(np.float32)


# Words


def _captions(scene: Scene) -> Captions:
    figures = scene.figures
    alike = len({figure.action for figure in figures}) == 1
    setting = f"in {_SETTINGS[scene.backdrop]}" if scene.backdrop != "meadow" else f"on {_SETTINGS['meadow']}"
    if alike:
        who = "a person" if len(figures) == 1 else f"{_NUMBERS[len(figures)]} people"
        label = f"{who} {_DOING[figures[0].action]}"
        short = f"{_capital(who)} {_does(figures[0], len(figures))} {setting}."
    else:
        told = [f"a person {_DOING[figure.action]}" for figure in _in_order(figures)]
        label = _joined(told)
        short = f"{_capital(label)} {setting}."
    each = [f"{_capital(_who(figure))} {_does(figure, 1)}." for figure in _in_order(figures)]
    broken = [_broken(figure.damage) for figure in figures if figure.damage is not None]
    dense = " ".join([f"{_capital(_count(len(figures)))} {setting}.", *each, *broken, _CAMERA[scene.camera]])
    structured = {
        "subject": _joined([_who(figure) for figure in _in_order(figures)]),
        "count": _NUMBERS[len(figures)],
        "action": "; ".join(_does(figure, 1) for figure in _in_order(figures)),
        "setting": setting,
        "camera": _CAMERA[scene.camera],
    }
    if broken:
        structured["quality"] = " ".join(broken)
    return Captions(label, short, dense, structured)


def _in_order(figures: Sequence[Figure]) -> list[Figure]:
    """Return the figures from left to right."""
    return sorted(figures, key=lambda figure: figure.place[0])


def _count(number: int) -> str:
    return "one person is" if number == 1 else f"{_NUMBERS[number]} people are"


def _who(figure: Figure) -> str:
    if figure.costume == "motley":
        return f"a person with {figure.hair} hair in a {figure.top} vest and a motley suit"
    article = "an" if figure.top[0] in "aeiou" else "a"
    return f"a person with {figure.hair} hair in {article} {figure.top} shirt and {figure.bottom} trousers"


def _does(figure: Figure, number: int) -> str:
    s = "s" if number == 1 else ""
    if figure.action == "walk":
        return f"walk{s} to the {figure.style.side}" + ("" if figure.walks else " on the spot")
    if figure.action == "clap":
        return "claps their hands" if number == 1 else "clap their hands"
    if figure.action == "wave":
        return f"waves the {figure.style.side} hand" if number == 1 else "wave"
    return {"jump": f"jump{s} up with arms and legs spread", "dance": f"dance{s}"}[figure.action]


def _broken(damage: Damage) -> str:
    return {
        "stretch": f"The {damage.part} grows longer and longer.",
        "bend": f"The {damage.part} bends the wrong way.",
        "vanish": f"The {damage.part} melts away.",
        "extra": f"A third arm grows from the {damage.part.partition(' ')[0]} shoulder.",
    }[damage.kind]


def _graph(scene: Scene) -> tuple[Triple, ...]:
    found = []
    figures = _in_order(scene.figures)
    for figure in figures:
        verb, _, rest = _does(figure, 1).partition(" ")
        found.append(Triple("person", verb, rest or "there", (f"{figure.top} top", f"{figure.hair} hair")))
    found += [Triple("person", "left of", "person") for _ in figures[1:]]
    return tuple(found)


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
