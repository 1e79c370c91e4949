"""The world of shapes: the same scene at every size and on every machine, and a truth that its pixels bear out."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from collections import Counter
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning import make_checker
from curation.worlds import WORLDS, world_named
from curation.worlds.address import Address
from curation.worlds.base import Truth, World
from curation.worlds.shapes import COLOURS, SHAPES, WORLD, Options, Scene, rendering
from curation.worlds.shapes.options import BACKGROUNDS, CAMERAS, CLASHES, DIRECTIONS, MOTIONS, SHADES, TEXTURES
from curation.worlds.shapes.outlines import distance, reach
from experts.base import DIMENSIONS, Statement
from experts.motion import CAMERA_WORDS
from media.errors import UserError

SEEDS = st.integers(0, 2**31 - 1)
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


def pictures(seed: int, size: tuple[int, int] = (64, 64), **options: Any) -> np.ndarray:
    return np.stack(list(WORLD.render(WORLD.draw(seed, **options), size)))


def truths(seeds: int, **options: Any) -> list[tuple[Scene, Truth]]:
    scenes = [WORLD.draw(seed, **options) for seed in range(seeds)]
    return [(scene, WORLD.truth(scene)) for scene in scenes]


# -- names and options -------------------------------------------------------------------------------------------------


def test_a_world_is_found_by_its_name_and_the_nearest_is_told() -> None:
    world: World = world_named("shapes")
    assert world is WORLD
    assert WORLD.name in WORLDS
    with pytest.raises(UserError, match="did you mean shapes"):
        world_named("shape")


@pytest.mark.parametrize(
    "wrong",
    [{"count": (0, 2)}, {"count": (3, 2)}, {"count": (1, 7)}, {"count": (1, 2, 3)}, {"shapes": ("circel",)},
     {"colours": ()}, {"textures": ("furry",)}, {"motions": ("flies",)}, {"backgrounds": ("sky",)},
     {"cameras": ("dolly in",)}, {"aspect": 0.0}],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused_by_its_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Options(**wrong)


def test_an_option_that_is_not_there_is_the_users_mistake() -> None:
    with pytest.raises(TypeError, match="colour"):
        WORLD.draw(0, colour="red")
    with pytest.raises(UserError, match="colour"):
        Address("shapes", 0, options={"colour": "red"}).draw()


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"fps": 0.0}, {"fps": -1.0}, {"fps": float("nan")}])
def test_a_scene_has_frames_and_a_rate(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="below its least"):
        WORLD.draw(0, **wrong)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_options_hold(seed: int) -> None:
    narrow = {"shapes": ["star", "ring"], "colours": ["red", "blue", "green"], "backgrounds": ["plain", "noise"]}
    scene = WORLD.draw(seed, count=(2, 3), camera=False, events=False, lighting=False, occlusion=False, **narrow)
    assert 2 <= len(scene.items) <= 3
    assert {item.shape for item in scene.items} <= {"star", "ring"}
    assert {item.colour for item in scene.items} <= {"red", "blue", "green"}
    assert scene.background in ("plain", "noise")
    assert (scene.camera, scene.light, scene.collision) == ("static", "even", None)
    assert not [item for item in scene.items if item.recolour or item.seen[0] or item.seen[1] < scene.frames]


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_simple_is_one_thing_to_learn_at_a_time(seed: int) -> None:
    scene = WORLD.draw(seed, count=(2, 6), simple=True)
    assert 2 <= len(scene.items) <= 3
    assert {item.motion for item in scene.items} <= {"still", "moves"}
    assert {item.texture for item in scene.items} == {"plain"}
    assert (scene.camera, scene.background, scene.light, scene.collision) == ("static", "plain", "even", None)


def test_a_number_and_a_word_stand_for_lists_of_one() -> None:
    scene = WORLD.draw(0, count=3, shapes="star", backgrounds="plain")
    assert [item.shape for item in scene.items] == ["star"] * 3


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 6), st.integers(1, 90), st.sampled_from([1.0, 0.5, 1.78]))
def test_there_are_as_many_things_as_were_asked_for(seed: int, count: int, frames: int, aspect: float) -> None:
    scene = WORLD.draw(seed, count=count, frames=frames, aspect=aspect)
    assert len(scene.items) == count


def test_where_looks_run_out_things_are_alike() -> None:
    scene = WORLD.draw(1, count=5, shapes="circle", colours="red")
    assert len(scene.items) == 5
    assert "five red circles" in WORLD.truth(scene).captions.label


def test_all_there_is_comes_up() -> None:
    found = truths(500)
    scenes, items = [scene for scene, _ in found], [item for scene, _ in found for item in scene.items]
    assert {item.shape for item in items} == set(SHAPES)
    assert {item.colour for item in items} == set(COLOURS)
    assert {item.texture for item in items} == set(TEXTURES)
    assert {item.direction for item in items} >= set(DIRECTIONS)
    assert {item.motion for item in items} == {*MOTIONS, "collides"}
    assert {scene.camera for scene in scenes} == set(CAMERAS)
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert {shade for scene in scenes for shade in scene.shades} == set(SHADES)
    assert {scene.light for scene in scenes} == {"even", "left", "right"}
    assert {event.kind for _, truth in found for event in truth.events} == {
        "appears", "disappears", "changes colour", "collides", "bounces",
    }  # fmt: skip
    assert {kind for _, truth in found for _, kind, _ in truth.facts["relations"]} == {
        "left of", "right of", "above", "below", "in front of",
    }  # fmt: skip


def test_no_thing_is_of_a_colour_that_its_background_hides() -> None:
    for seed in range(150):
        scene = WORLD.draw(seed)
        hidden = {colour for shade in scene.shades for colour in CLASHES.get(shade, ())}
        colours = {item.colour for item in scene.items} | {i.recolour[1] for i in scene.items if i.recolour}
        assert not hidden & colours, seed


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib; from curation.worlds.shapes import WORLD; "
        "print(hashlib.sha256(b''.join(p.tobytes() for s in range(8) for p in WORLD.render(WORLD.draw(s), (48, 64)))"
        ").hexdigest(), WORLD.truth(WORLD.draw(3)).captions.dense)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = hashlib.sha256(b"".join(p.tobytes() for s in range(8) for p in WORLD.render(WORLD.draw(s), (48, 64))))
    assert told == f"{here.hexdigest()} {WORLD.truth(WORLD.draw(3)).captions.dense}"


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 20), st.integers(16, 90), st.integers(16, 90))
def test_any_size_and_length_can_be_rendered(seed: int, frames: int, height: int, width: int) -> None:
    scene = pickle.loads(pickle.dumps(WORLD.draw(seed, frames=frames)))
    found = list(WORLD.render(scene, (height, width)))
    assert len(found) == frames
    assert all(picture.shape == (height, width, 3) and picture.dtype == np.uint8 for picture in found)
    maps = WORLD.maps(scene, (height, width))
    assert maps.masks is not None
    assert maps.depth is not None
    assert maps.flow is not None
    assert maps.masks.shape == maps.depth.shape == (frames, height, width)
    assert maps.flow.shape == (frames - 1, height, width, 2)


def test_frames_do_not_depend_on_how_many_are_drawn_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = (5, 6, 7, 9)  # 6 to 9 have cameras that move
    whole = [pictures(seed) for seed in seeds]
    monkeypatch.setattr(rendering, "_BUDGET", 64 * 64 * 3)
    for seed, before in zip(seeds, whole, strict=True):
        # A window is as large as a thing gets in the frames drawn together: rounding may differ in the last bit.
        assert np.abs(pictures(seed).astype(int) - before).max() <= 1


def test_a_larger_picture_shows_the_same() -> None:
    for seed in range(8):
        small = pictures(seed, (64, 64), backgrounds=("plain", "gradient"), textures="plain").astype(float)
        large = pictures(seed, (256, 256), backgrounds=("plain", "gradient"), textures="plain").astype(float)
        again = large.reshape(len(large), 64, 4, 64, 4, 3).mean((2, 4))
        assert np.abs(again - small).mean() < 1.0
        assert np.abs(again - small).max() < 70  # at corners, where more than one border crosses a pixel


def test_a_circle_is_round_at_any_proportions() -> None:
    how = {"count": 1, "shapes": "circle", "simple": True, "motions": "still"}
    for aspect, size in ((1.0, (96, 96)), (2.0, (64, 128)), (0.5, (128, 64)), (1.0, (64, 128))):
        masks = WORLD.maps(WORLD.draw(2, aspect=aspect, **how), size).masks
        assert masks is not None
        rows, columns = np.nonzero(masks[0])
        assert abs(int(np.ptp(rows)) - int(np.ptp(columns))) <= 1


@pytest.mark.parametrize("shape", SHAPES)
def test_coverage_is_the_area_wherever_the_grid_lies(shape: str) -> None:
    areas = []
    for shift in np.linspace(0, 1, 7):
        grid = (np.arange(64, dtype=np.float32) - 32 + np.float32(shift)) / 16
        covered = np.clip(
            0.5 - distance(shape, grid[None] + 0 * grid[:, None], grid[:, None] + 0 * grid[None]) * 16, 0, 1
        )
        areas.append(float(covered.sum()))
    assert np.ptp(areas) < 0.02 * np.mean(areas)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("turn", [0.0, 0.3, 2.0])
def test_a_shape_reaches_as_far_as_is_said(shape: str, turn: float) -> None:
    grid = np.linspace(-1.3, 1.3, 521, dtype=np.float32)
    x, y = np.meshgrid(grid, grid)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    inside = distance(shape, x * c + y * s, y * c - x * s) <= 0
    box = x[inside].min(), y[inside].min(), x[inside].max(), y[inside].max()
    assert np.allclose(reach(shape, np.array([turn]))[0], box, atol=0.012)


def test_motion_is_even_and_below_a_pixel() -> None:
    scenes = (WORLD.draw(seed, frames=24, fps=24.0, simple=True, count=1, motions="moves") for seed in range(40))
    scene = next(scene for scene in scenes if scene.items[0].motion == "moves")
    shown = np.stack(list(WORLD.render(scene, (64, 64)))).astype(float)
    weight = np.abs(shown - shown[:, :1, :1]).sum(-1)
    rows, columns = np.indices((64, 64))
    places = np.array([[(w * rows).sum() / w.sum(), (w * columns).sum() / w.sum()] for w in weight])
    steps = np.hypot(*np.diff(places, axis=0).T)
    assert 0 < steps.mean() < 1
    assert np.ptp(steps) < 0.1


# -- truth of the pixels -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_boxes_are_where_masks_are(seed: int) -> None:
    scene = WORLD.draw(seed)
    truth, found = WORLD.truth(scene), WORLD.maps(scene, (96, 96))
    assert found.masks is not None
    for number, thing in enumerate(truth.things):
        for frame in range(scene.frames):
            rows, columns = np.nonzero(found.masks[frame] == number + 1)
            if not len(rows):
                continue
            box = thing.boxes[frame] * 96
            assert box[0] - 1.01 <= columns.min()
            assert columns.max() + 1 <= box[2] + 1.01
            assert box[1] - 1.01 <= rows.min()
            assert rows.max() + 1 <= box[3] + 1.01
            if thing.visible[frame] > 0.999:
                assert abs(columns.min() - box[0]) < 2.5
                assert abs(rows.max() + 1 - box[3]) < 2.5


def test_visible_is_the_share_of_the_mask_that_is_left() -> None:
    hidden = 0
    for scene, truth in truths(60, camera=False):
        whole = [WORLD.maps(_alone(scene, number), (128, 128)).masks for number in range(len(scene.items))]
        masks = WORLD.maps(scene, (128, 128)).masks
        assert masks is not None
        for number, thing in enumerate(truth.things):
            alone = whole[number]
            assert alone is not None
            full = (alone > 0).sum((1, 2))
            left = (masks == number + 1).sum((1, 2))
            share = np.divide(left, full, out=np.zeros(len(full)), where=full > 0)
            assert np.abs(share - thing.visible).max() < 0.09
            hidden += int((thing.visible < 0.9).any())
    assert hidden > 10


def _alone(scene: Scene, number: int) -> Scene:
    from dataclasses import replace

    return replace(scene, items=(scene.items[number],), collision=None)


def test_every_thing_is_seen_well_most_of_the_time() -> None:
    for _, truth in truths(250, count=(1, 6)):
        for thing in truth.things:
            there = np.isfinite(thing.boxes[:, 0])
            assert (thing.visible[there] > 0.6).mean() > 0.5
            assert thing.visible.max() > 0.75
            assert not thing.visible[~there].any()


def test_flow_carries_each_picture_to_the_next() -> None:
    rows, columns = np.indices((96, 96)).astype(np.float32)
    for seed in range(30):
        scene = WORLD.draw(seed, lighting=False, events=False)
        found, shown = WORLD.maps(scene, (96, 96)), np.stack(list(WORLD.render(scene, (96, 96)))).astype(np.float32)
        assert found.flow is not None
        assert found.masks is not None
        kernel = np.ones((3, 3))
        for frame in range(0, scene.frames - 1, 5):
            x, y = columns + found.flow[frame, ..., 0], rows + found.flow[frame, ..., 1]
            there = cv2.remap(shown[frame + 1], x, y, cv2.INTER_LINEAR)
            landed = cv2.remap(found.masks[frame + 1], x, y, cv2.INTER_NEAREST, borderValue=255)
            edge = cv2.dilate(cv2.morphologyEx(found.masks[frame], cv2.MORPH_GRADIENT, kernel), kernel)
            kept = (landed == found.masks[frame]) & (edge == 0)
            assert kept.mean() > 0.6
            assert np.abs(there - shown[frame])[kept].mean() < 6, seed


def test_flow_is_right_to_a_hundredth_of_a_pixel() -> None:
    """Points of a thing are carried as its pose says, and those of the background as the camera does."""
    checked = Counter[str]()
    for seed in range(60):
        scene = WORLD.draw(seed, events=False)
        found = WORLD.maps(scene, (64, 64))
        assert found.flow is not None
        assert found.masks is not None
        path = np.concatenate([scene.camera_path(), np.tile([[[0.0, 0, 1]]], (scene.frames, 1, 1))], axis=1)
        carried = np.linalg.inv(path[8]) @ path[7]
        y, x = np.nonzero(found.masks[7] == 0)
        at = np.stack([2 * (x + 0.5) / 64 - 1, 2 * (y + 0.5) / 64 - 1, np.ones(len(x))])
        moved = ((carried @ at)[:2] - at[:2]).T * 32
        assert np.abs(found.flow[7][y, x] - moved).max() < 0.01
        checked[scene.camera.partition(" ")[0]] += 1
        for number, item in enumerate(scene.items):
            if item.motion == "moves" and scene.camera == "static" and (found.masks[7] == number + 1).any():
                own = found.flow[7][found.masks[7] == number + 1]
                assert np.abs(own - np.array(item.velocity) / scene.fps * 64).max() < 0.01
                checked["moves"] += 1
    assert set(checked) >= {"static", "pan", "tilt", "zoom", "roll", "moves"}


def test_depth_and_masks_agree_on_who_is_in_front() -> None:
    for seed in range(12):
        scene = WORLD.draw(seed, count=(3, 4))
        found = WORLD.maps(scene, (48, 48))
        assert found.masks is not None
        assert found.depth is not None
        assert set(np.unique(found.depth[found.masks == 0])) == {float(len(scene.items))}
        layers = [found.depth[found.masks == i] for i in np.unique(found.masks)[1:]]
        assert all(np.ptp(layer) == 0 for layer in layers)
        assert (np.diff([layer[0] for layer in layers]) < 0).all()


# -- truth of the scene ------------------------------------------------------------------------------------------------


def test_a_direction_is_where_the_boxes_go() -> None:
    moved = 0
    for _, truth in truths(120, simple=True):
        for thing in truth.things:
            centres = thing.attributes["centres"]
            way = centres[-1] - centres[0]
            if thing.direction == "still":
                assert np.abs(way).max() < 0.01
                continue
            moved += 1
            wanted = np.array(DIRECTIONS[thing.direction], float)
            assert way @ wanted / np.hypot(*way) / np.hypot(*wanted) > 0.999
            assert np.hypot(*way) / (15 / 8) == pytest.approx(thing.speed_per_s, rel=0.01)
    assert moved > 40


def test_speed_is_in_picture_heights() -> None:
    for scene, truth in truths(60, simple=True, motions="moves", aspect=0.5):
        for item, thing in zip(scene.items, truth.things, strict=True):
            centres = thing.attributes["centres"] * [0.5, 1.0]
            assert np.hypot(*(centres[-1] - centres[0])) / (15 / 8) == pytest.approx(thing.speed_per_s, abs=1e-4)
            assert thing.speed_per_s == pytest.approx(np.hypot(*item.velocity) / 2, abs=1e-6)


def test_relations_hold_in_every_frame() -> None:
    told = Counter[str]()
    for _, truth in truths(150):
        for one, kind, other in truth.facts["relations"]:
            a, b = truth.things[one], truth.things[other]
            told[kind] += 1
            gap = b.attributes["centres"] - a.attributes["centres"]
            if kind == "in front of":
                assert b.visible.min() < 0.95
                assert one > other
            else:
                axis, sign = {"left of": (0, 1), "right of": (0, -1), "above": (1, 1), "below": (1, -1)}[kind]
                assert (sign * gap[:, axis]).min() > 0.15
    assert min(told.values()) > 5


def test_an_event_is_seen_where_it_is_told() -> None:
    kinds = Counter[str]()
    for scene, truth in truths(300):
        for event in truth.events:
            kinds[event.kind] += 1
            thing, item = truth.things[event.things[0]], scene.items[event.things[0]]
            if event.kind == "appears":
                assert not thing.visible[: event.frame].any()
                assert thing.visible[event.frame] > 0
            elif event.kind == "disappears":
                assert not thing.visible[event.frame :].any()
            elif event.kind == "collides":
                one, other = (truth.things[i].boxes[event.frame] for i in event.things)
                assert abs(one[2] - other[0]) < 0.01
                ahead = [truth.things[i].attributes["centres"][:, 0] for i in event.things]
                assert (ahead[1] - ahead[0]).argmin() == event.frame
            elif event.kind == "bounces" and scene.camera == "static":
                centres = thing.attributes["centres"]
                edge = {"left": centres[:, 0], "right": 1 - centres[:, 0], "top": centres[:, 1],
                        "bottom": 1 - centres[:, 1]}[event.detail]  # fmt: skip
                assert edge[max(0, event.frame - 1) : event.frame + 1].min() < item.radius + 0.05
            elif event.kind == "changes colour":
                assert event.detail in COLOURS
                assert event.detail != thing.colour
    assert len(kinds) == 5


def test_what_happens_shows_in_the_pixels() -> None:
    seen = Counter[str]()
    for seed in range(200):
        scene = WORLD.draw(seed, lighting=False, textures="plain", occlusion=False, camera=False)
        for number, item in enumerate(scene.items):
            shown = np.stack(list(WORLD.render(scene, (64, 64))))
            masks = WORLD.maps(scene, (64, 64)).masks
            assert masks is not None
            if item.recolour is not None:
                for frame, colour in ((0, item.colour), (scene.frames - 1, item.recolour[1])):
                    inside = cv2.erode((masks[frame] == number + 1).astype(np.uint8), np.ones((3, 3))) > 0
                    assert np.abs(shown[frame][inside].astype(int) - COLOURS[colour]).max() <= 1
                seen["recolour"] += 1
            if item.motion in ("grows", "shrinks"):
                area = (masks == number + 1).sum((1, 2))[item.seen[0] : item.seen[1]]
                if len(area) < scene.frames:
                    continue
                assert (area[-1] > area[0]) == (item.motion == "grows")
                assert 1.3 < max(area[-1], area[0]) / min(area[-1], area[0]) < 5
                seen[item.motion] += 1
        if min(seen.values(), default=0) >= 4 and len(seen) == 3:
            return
    pytest.fail(f"too little happened: {seen}")


def test_the_camera_path_is_what_its_name_says() -> None:
    for scene, truth in truths(200):
        path = truth.camera_path
        assert path is not None
        assert path.shape == (scene.frames, 2, 3)
        kind, _, way = truth.camera.partition(" ")
        moved = (path[-1, :, 2] - path[0, :, 2]).tolist()
        scale = np.linalg.det(path[:, :, :2].astype(float))
        turn = path[-1, 1, 0] - path[0, 1, 0]
        if kind == "static":
            assert np.array_equal(path, np.tile(np.eye(2, 3, dtype=np.float32), (scene.frames, 1, 1)))
        elif kind == "pan":
            assert (moved[0] > 0) == (way == "right")
            assert moved[1] == 0
        elif kind == "tilt":
            assert (moved[1] > 0) == (way == "down")
        elif kind == "zoom":
            assert (scale[-1] < scale[0]) == (way == "in")
        else:
            assert (turn > 0) == (way == "right")
            assert np.allclose(scale, 1, atol=1e-5)


def test_one_frame_is_a_still() -> None:
    for _, truth in truths(30, frames=1):
        assert truth.camera == "static"
        assert all(thing.direction == "still" for thing in truth.things)
        assert not truth.events
        assert " move" not in truth.captions.dense
        assert "stays still" not in truth.captions.dense.replace("camera stays still", "")


# -- words -------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_what_is_told_is_what_is_there(seed: int) -> None:
    scene = WORLD.draw(seed, count=(1, 6))
    truth = WORLD.truth(scene)
    words = truth.captions
    assert truth.facts["count"] == len(truth.things) == len(scene.items)
    for name, number in Counter(thing.name for thing in truth.things).items():
        plural = {True: name, False: f"{name}es" if name.endswith("s") else f"{name}s"}[number == 1]
        counted = f"{'an' if name[0] in 'aeiou' else 'a'} {name}" if number == 1 else f"{NUMBERS[number]} {plural}"
        assert counted in words.label
        assert plural in words.dense
    for colour in COLOURS:
        there = {thing.colour for thing in truth.things} | {
            e.detail for e in truth.events if e.kind == "changes colour"
        }
        assert (f" {colour} " in f" {words.dense} ".replace(".", " .")) == (colour in there)
    assert " ".join(("camera", *CAMERA_WORDS[truth.camera])) in words.dense
    assert len(words.label) <= len(words.short) + 1
    assert len(words.short) < len(words.dense)
    assert "  " not in words.dense
    assert all(sentence[:1].isupper() for sentence in words.dense.split(". "))
    assert set(words.structured) <= set(DIMENSIONS)


def test_wordings_vary_and_names_tell_things_apart() -> None:
    openings = {
        truth.captions.dense.split(" ", 2)[0] + truth.captions.dense.split(" ", 2)[1] for _, truth in truths(80)
    }
    assert len(openings) >= 4
    for scene, _ in truths(120, count=(2, 6)):
        looks = {(item.colour, item.shape): (item.texture, item.size, item.motion) for item in scene.items}
        for item in scene.items:
            if item.motion != "collides":
                assert looks[item.colour, item.shape] == (item.texture, item.size, item.motion)


def test_the_graph_says_what_the_things_are() -> None:
    for _, truth in truths(60):
        edges = {(t.subject, t.predicate, t.object) for t in truth.graph}
        total = len(truth.things)
        assert ("picture", "shows", f"{NUMBERS[total]} {'shape' if total == 1 else 'shapes'}") in edges
        for one, kind, other in truth.facts["relations"]:
            assert (truth.things[one].name, "is", f"{kind} the {truth.things[other].name}") in edges


def _statements(truth: Truth) -> list[Statement]:
    """The graph and the camera as an expert would state them."""
    dimensions = {"picture": "count", "background": "setting", "light": "light"}
    said = [
        (dimensions.get(t.subject, "appearance" if t.predicate in ("is", "are") else "action"), t) for t in truth.graph
    ]
    found: list[Any] = [Statement("truth", d, t.subject, t.predicate, t.object, 1, 0, 16) for d, t in said]  # type: ignore[arg-type]
    return [*found, Statement("truth", "camera", "camera", *CAMERA_WORDS[truth.camera], 1, 0, 16)]


def test_captions_are_of_the_english_that_the_checker_reads() -> None:
    """What a caption says, the scene graph supports, as our own checker reads both; and no other scene's does."""
    checker = make_checker()
    supported, claims, others = 0, 0, 0
    found = [truth for _, truth in truths(120)]
    for truth, other in zip(found, found[1:] + found[:1], strict=True):
        for text in (truth.captions.dense, truth.captions.short):
            checked = checker.check(text, _statements(truth))
            claims += len(checked.claims)
            supported += len(checked.claims) - len(checked.unsupported)
        others += checker.check(truth.captions.dense, _statements(other)).ok
    assert supported / claims > 0.975
    assert others == 0


def test_a_wrong_number_colour_or_way_is_found_by_the_checker() -> None:
    checker = make_checker()
    scenes = truths(80, count=2, shapes="circle", colours="red", simple=True, motions="moves")
    truth = next(truth for _, truth in scenes if "two red circles" in truth.captions.label
                 and {thing.direction for thing in truth.things} == {"left"})  # fmt: skip
    statements = _statements(truth)
    right = "There are two red circles. The red circles move to the left."
    assert checker.check(right.replace("move to", f"move {truth.things[0].attributes['pace']} to"), statements).ok
    for good, bad in (("two", "three"), ("red", "blue"), ("left", "right"), ("circles", "squares")):
        assert not checker.check(right.replace(good, bad), statements).ok
