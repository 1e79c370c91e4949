"""The world of solids: rays meet surfaces where they are, maps agree, and the camera does as it says."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from curation.balance.tiers import CAMERAS as MEASURED
from curation.worlds import world_named
from curation.worlds.scenes3d import COLOURS, FAR, FLOORS, FOCAL, MOVES, SOLIDS, WORLD, Options, Scene
from curation.worlds.scenes3d.rendering import cast, project
from curation.worlds.scenes3d.scene import look_at
from curation.worlds.scenes3d.solids import Solid, hit, normals, outline, shaded_out
from media.errors import UserError

SEEDS = st.integers(0, 2**31 - 1)
KINDS = st.sampled_from(SOLIDS)


def pictures(scene: Scene, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return np.stack(list(WORLD.render(scene, size)))


def solid_of(kind: str, turn: float = 0.3, radius: float = 0.5, height: float = 1.2) -> Solid:
    return Solid(kind, "red", (0.3, -0.2), radius, 2 * radius if kind == "sphere" else height, turn)


def depth_inside(solid: Solid, points: np.ndarray) -> np.ndarray:
    """How deep points (N, 3) lie in a solid, by its definition: positive inside."""
    local = points - solid.middle
    up = solid.height / 2 - np.abs(local[:, 1])
    flat = np.hypot(local[:, 0], local[:, 2])
    if solid.kind == "sphere":
        return np.asarray(solid.radius - np.linalg.norm(local, axis=1))
    if solid.kind == "box":
        c, s = np.cos(solid.turn), np.sin(solid.turn)
        u, w = local[:, 0] * c - local[:, 2] * s, local[:, 0] * s + local[:, 2] * c
        return np.minimum(np.minimum(solid.radius - np.abs(u), solid.radius - np.abs(w)), up)
    if solid.kind == "cylinder":
        return np.minimum(solid.radius - flat, up)
    below_tip = local[:, 1] + solid.height / 2
    slope = solid.radius / solid.height
    return np.minimum((slope * below_tip - flat) / np.hypot(1, slope), up)


# Options


def test_a_world_is_found_by_its_name() -> None:
    assert world_named("scenes3d") is WORLD


@pytest.mark.parametrize(
    "wrong",
    [{"count": (0, 1)}, {"count": 6}, {"solids": "torus"}, {"solids": ()}, {"colours": ("grey",)}, {"floors": "lava"},
     {"moves": ("zoom in",)}, {"aspect": 9.0}, {"count": 3, "colours": ("red", "blue")}],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Options(**wrong)
    with pytest.raises(UserError):
        WORLD.draw(0, **wrong)


def test_a_scene_has_frames_a_rate_and_options_that_are_there() -> None:
    with pytest.raises(UserError, match="below its least"):
        WORLD.draw(0, frames=0)
    with pytest.raises(TypeError):
        WORLD.draw(0, camera="orbit")


def test_all_there_is_comes_up_and_every_solid_has_its_own_colour() -> None:
    scenes = [WORLD.draw(seed) for seed in range(120)]
    solids = [solid for scene in scenes for solid in scene.solids]
    assert {solid.kind for solid in solids} == set(SOLIDS)
    assert {solid.colour for solid in solids} == set(COLOURS)
    assert {scene.move for scene in scenes} == set(MOVES)
    assert {scene.floor for scene in scenes} == set(FLOORS)
    assert {len(scene.solids) for scene in scenes} == {1, 2, 3, 4}
    assert all(len({solid.colour for solid in scene.solids}) == len(scene.solids) for scene in scenes)


# Solids


@settings(max_examples=120, deadline=None)
@given(KINDS, st.floats(-3, 3), st.floats(-3, -0.1), st.floats(-4, -1.5), SEEDS)
def test_a_ray_enters_a_solid_where_it_is_met(kind: str, x: float, y: float, z: float, seed: int) -> None:
    solid, eye = solid_of(kind), np.array([x, y, z])
    rng = np.random.default_rng(seed)
    assume(depth_inside(solid, eye[None])[0] < -0.05)
    targets = solid.middle + rng.uniform(-1.1, 1.1, (200, 3))
    rays = (targets - eye).T.astype(np.float32)
    t = hit(solid, eye, rays)
    met = np.isfinite(t)
    at = eye + (rays[:, met] * t[met]).T
    assert np.abs(depth_inside(solid, at)).max(initial=0) < 1e-3
    # Nothing of it lies before that; and what is missed has nothing of it on the way.
    steps = np.linspace(0, 3, 400)
    for ray, end in zip(rays.T, t, strict=True):
        before = steps[steps < min(end, 3) - 1e-3]
        assert (depth_inside(solid, eye + before[:, None] * ray) < 2e-3).all()


@settings(max_examples=60, deadline=None)
@given(KINDS, SEEDS)
def test_normals_point_outwards_along_the_gradient(kind: str, seed: int) -> None:
    solid = solid_of(kind)
    rng = np.random.default_rng(seed)
    ways = rng.normal(size=(90, 3))
    eyes = solid.middle + ways / np.linalg.norm(ways, axis=1)[:, None] * 4
    rays = (solid.middle + rng.uniform(-0.3, 0.3, (90, 3)) - eyes).T.astype(np.float32)
    t = hit(solid, eyes.T, rays)
    met = np.isfinite(t)
    assert met.mean() > 0.5
    points = eyes.T[:, met].astype(np.float32) + rays[:, met] * t[met]
    found = normals(solid, points)
    assert np.linalg.norm(found, axis=0) == pytest.approx(np.ones(met.sum()), abs=1e-4)
    assert ((found * rays[:, met]).sum(axis=0) < 1e-4).all(), "what is seen faces the eye"
    step = 1e-3
    gradient = np.stack([
        depth_inside(solid, points.T - step * axis) - depth_inside(solid, points.T + step * axis) for axis in np.eye(3)
    ]) / (2 * step)  # fmt: skip
    smooth = np.abs(np.linalg.norm(gradient, axis=0) - 1) < 0.02  # away from edges
    assert smooth.mean() > 0.5
    assert (found * gradient).sum(axis=0)[smooth] == pytest.approx(np.ones(smooth.sum()), abs=0.02)


@pytest.mark.parametrize("kind", SOLIDS)
def test_a_solid_keeps_the_sun_off_what_lies_behind_it(kind: str) -> None:
    solid, sun = solid_of(kind), np.array([-0.5, -0.7, -0.51])
    sun /= np.linalg.norm(sun)
    behind = solid.middle - sun * np.linspace(1.3, 4, 9)[:, None]
    before = solid.middle + sun * np.linspace(1.3, 4, 9)[:, None]
    beside = behind + np.cross(sun, [0.0, 1.0, 0.0]) * 3
    assert shaded_out(solid, behind.T.astype(np.float32), sun).all()
    assert not shaded_out(solid, before.T.astype(np.float32), sun).any()
    assert not shaded_out(solid, beside.T.astype(np.float32), sun).any()


@pytest.mark.parametrize("kind", SOLIDS)
def test_the_outline_holds_what_is_seen(kind: str) -> None:
    scene = Scene(0, 1, 1.0, 1.0, solids=(solid_of(kind),))
    pose = scene.poses()[0]
    places, depth = project(scene, pose, outline(scene.solids[0], pose[:3, 3]), (256, 256))
    y, x = np.nonzero(cast(scene, pose, (256, 256), only=0).ids == 1)
    assert (depth > 0).all()
    found = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], float)
    # No pixel's middle lies in the last bit of a cone's tip.
    assert found == pytest.approx(np.concatenate([places.min(axis=0), places.max(axis=0)]), abs=2.5)


# The camera


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(MOVES))
def test_poses_are_rigid_and_move_as_they_say(seed: int, move: str) -> None:
    scene = WORLD.draw(seed, moves=move, frames=9)
    poses = scene.poses()
    turn = poses[:, :3, :3]
    assert np.einsum("fij,fkj->fik", turn, turn) == pytest.approx(np.broadcast_to(np.eye(3), (9, 3, 3)), abs=1e-9)
    assert np.linalg.det(turn) == pytest.approx(np.ones(9))
    kind, _, way = scene.move.partition(" ")
    step = poses[-1, :3, 3] - poses[0, :3, 3]
    right, up, away = turn[4, :, 0], np.array([0.0, -1.0, 0.0]), turn[4, :, 2]
    sign = -1 if way in ("left", "down", "out") else 1
    if kind in ("static", "pan", "tilt", "roll"):
        assert step == pytest.approx(np.zeros(3))
    else:
        along = {"orbit": right, "truck": right, "pedestal": up, "dolly": away}[kind]
        assert sign * float(step @ along) == pytest.approx(float(np.linalg.norm(step)), rel=1e-6)
    if kind == "orbit":
        apart = np.linalg.norm(poses[:, :3, 3] - np.array([0, -0.45, 0]), axis=1)
        assert np.ptp(apart) < 1e-9, "it keeps its distance from what it looks at"
    turns = {"pan": turn[-1, :, 2] @ turn[0, :, 0], "tilt": -turn[-1, :, 2] @ turn[0, :, 1],
             "roll": turn[-1, :, 0] @ turn[0, :, 1]}  # fmt: skip
    if kind in turns:
        assert sign * turns[kind] > 0.01


def test_what_the_camera_does_shows_in_the_picture() -> None:
    point = np.array([[0.0, -0.45, 0.0]])
    for move, axis, sign in (("pan right", 0, -1), ("truck left", 0, 1), ("tilt up", 1, 1), ("pedestal down", 1, -1)):
        scene = WORLD.draw(0, moves=move)
        places = np.stack([project(scene, pose, point, (100, 100))[0][0] for pose in scene.poses()])
        assert sign * (places[-1, axis] - places[0, axis]) > 3
    scene = WORLD.draw(0, moves="dolly in")
    depths = [float(project(scene, pose, point, (100, 100))[1][0]) for pose in scene.poses()]
    assert (np.diff(depths) < 0).all()


def test_a_camera_looks_at_its_target() -> None:
    pose = look_at(np.array([1.0, -2.0, -5.0]), np.array([0.2, -0.4, 0.3]))
    scene = Scene(0, 1, 1.0, 1.0)
    place, depth = project(scene, pose, np.array([0.2, -0.4, 0.3]), (80, 120))
    assert place == pytest.approx([60, 40])
    assert depth > 0
    above, _ = project(scene, pose, np.array([0.2, -0.9, 0.3]), (80, 120))
    assert above[1] < 40
    beside, _ = project(scene, pose, np.array([0.2, -0.4, 0.3]) + pose[:3, 0], (80, 120))
    assert beside[0] == pytest.approx(60 + FOCAL * 80 / float(depth))


# Pictures


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib; from curation.worlds.scenes3d import WORLD; "
        "print(hashlib.sha256(b''.join(p.tobytes() for s in range(6) for p in WORLD.render(WORLD.draw(s), (40, 64))))"
        ".hexdigest(), WORLD.truth(WORLD.draw(3)).captions.dense)"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = hashlib.sha256(b"".join(p.tobytes() for s in range(6) for p in WORLD.render(WORLD.draw(s), (40, 64))))
    assert there == f"{here.hexdigest()} {WORLD.truth(WORLD.draw(3)).captions.dense}"


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 8), st.integers(16, 80), st.integers(16, 80))
def test_any_size_and_length_can_be_rendered(seed: int, frames: int, height: int, width: int) -> None:
    scene = pickle.loads(pickle.dumps(WORLD.draw(seed, frames=frames, count=(1, 5))))
    found = list(WORLD.render(scene, (height, width)))
    assert len(found) == frames
    assert all(picture.shape == (height, width, 3) and picture.dtype == np.uint8 for picture in found)
    maps = WORLD.maps(scene, (height, width))
    assert maps.masks is not None
    assert maps.depth is not None
    assert maps.flow is not None
    assert maps.normals is not None
    assert maps.masks.shape == maps.depth.shape == maps.normals.shape[:3] == (frames, height, width)
    assert maps.flow.shape == (frames - 1, height, width, 2)
    assert np.isfinite(maps.flow).all()
    assert (maps.depth > 0).all()
    assert (maps.depth <= FAR).all()


def test_nothing_changes_before_a_camera_that_stays() -> None:
    scene = WORLD.draw(1, moves="static")
    frames = pictures(scene)
    assert all(np.array_equal(frame, frames[0]) for frame in frames)
    assert frames[0].std() > 5
    moved = pictures(WORLD.draw(1, moves="orbit left"))
    assert all(not np.array_equal(one, other) for one, other in pairwise(moved))


def test_pictures_are_smooth_where_solids_end() -> None:
    scene = WORLD.draw(3, moves="static", frames=1)
    small = pictures(scene, (64, 64))[0].astype(float)
    large = pictures(scene, (256, 256))[0].astype(float).reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(large - small).mean() < 3.0


def test_there_is_a_shadow_beside_every_solid() -> None:
    for seed in range(4):
        scene = WORLD.draw(seed, count=1, floors="sandy", moves="static", frames=1)
        bare = Scene(seed, 1, 8.0, 1.0, floor="sandy", tone=scene.tone, sun=scene.sun, distance=scene.distance,
                     height=scene.height)  # fmt: skip
        masks = WORLD.maps(scene, (96, 96)).masks
        assert masks is not None
        darker = pictures(bare, (96, 96))[0].astype(int).sum(-1) - pictures(scene, (96, 96))[0].astype(int).sum(-1)
        near = cv2.dilate((masks[0] > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
        assert (darker[near] > 80).sum() > 15
        assert np.abs(darker[near])[darker[near] < 80].max(initial=0) < 80


# Maps


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_depth_and_normals_are_those_of_the_surfaces(seed: int) -> None:
    scene = WORLD.draw(seed, frames=3, count=(1, 5))
    maps = WORLD.maps(scene, (48, 64))
    assert maps.masks is not None
    assert maps.depth is not None
    assert maps.normals is not None
    pose = scene.poses()[1]
    focal = FOCAL * 48
    x, y = np.meshgrid((np.arange(64) + 0.5 - 32) / focal, (np.arange(48) + 0.5 - 24) / focal)
    own = np.stack([x, y, np.ones_like(x)], axis=-1) * maps.depth[1][..., None]
    world = own @ pose[:3, :3].T + pose[:3, 3]
    ground = (maps.masks[1] == 0) & (maps.depth[1] < 0.5 * FAR)
    assert np.abs(world[ground][:, 1]).max(initial=0) < 1e-2
    for number, solid in enumerate(scene.solids):
        seen = maps.masks[1] == number + 1
        assert np.abs(depth_inside(solid, world[seen])).max(initial=0) < 2e-3
    lengths = np.linalg.norm(maps.normals[1], axis=-1)
    sky = maps.depth[1] >= FAR
    assert lengths[~sky] == pytest.approx(np.ones((~sky).sum()), abs=1e-4)
    assert (lengths[sky] == 0).all()
    assert ((maps.normals[1] * own).sum(-1)[~sky] <= 1e-3).all()


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.sampled_from([move for move in MOVES if move != "static"]))
def test_flow_leads_to_the_same_point_of_the_world(seed: int, move: str) -> None:
    scene = WORLD.draw(seed, frames=4, moves=move)
    size = (96, 96)
    maps = WORLD.maps(scene, size)
    assert maps.masks is not None
    assert maps.depth is not None
    assert maps.flow is not None
    frames = pictures(scene, size).astype(np.float32)
    x, y = np.meshgrid(np.arange(96, dtype=np.float32), np.arange(96, dtype=np.float32))
    to_x, to_y = x + maps.flow[0, ..., 0], y + maps.flow[0, ..., 1]
    inside = (to_x > 1) & (to_x < 94) & (to_y > 1) & (to_y < 94)
    there = cv2.remap(maps.masks[1], to_x, to_y, cv2.INTER_NEAREST)
    solids = inside & (maps.masks[0] > 0) & (there == maps.masks[0])
    solids &= cv2.erode((maps.masks[0] > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    off = np.abs(cv2.remap(frames[1], to_x, to_y, cv2.INTER_LINEAR) - frames[0]).mean(axis=-1)
    assert np.median(off[inside]) < 3
    if solids.sum() > 20:
        assert np.median(off[solids]) < 6
    shadows_and_ground = inside & (maps.masks[0] == 0) & (there == 0) & (maps.depth[0] < 8)
    assert np.median(off[shadows_and_ground]) < 5


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.sampled_from([0.7, 1.0, 1.6]))
def test_boxes_hold_what_masks_show(seed: int, aspect: float) -> None:
    scene = WORLD.draw(seed, frames=3, aspect=aspect)
    size = (96, round(96 * aspect))
    truth = WORLD.truth(scene)
    masks = WORLD.maps(scene, size).masks
    assert masks is not None
    for number, (thing, solid) in enumerate(zip(truth.things, scene.solids, strict=True)):
        assert (thing.colour, thing.attributes["solid"]) == (solid.colour, solid.kind)
        for frame in range(3):
            y, x = np.nonzero(masks[frame] == number + 1)
            assert len(x)
            left, top, right, bottom = thing.boxes[frame] * (size[1], size[0], size[1], size[0])
            assert left - 1 <= x.min()
            assert x.max() + 1 <= right + 1
            assert top - 1 <= y.min()
            assert y.max() + 1 <= bottom + 1
            if thing.visible[frame] > 0.995:
                assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == pytest.approx(
                    (left, top, right, bottom), abs=1.6
                )


# Truth


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_truth_is_of_the_scene(seed: int) -> None:
    scene = WORLD.draw(seed, frames=4)
    truth = WORLD.truth(scene)
    assert truth.facts["count"] == len(truth.things) == len(scene.solids)
    assert truth.facts["move"] == scene.move
    assert truth.camera in MEASURED
    assert truth.camera_path is not None
    assert truth.camera_path.shape == (4, 4, 4)
    for thing in truth.things:
        assert thing.direction == "still"
        assert thing.colour in truth.captions.label
        assert thing.colour in truth.captions.dense
        assert 0 < thing.visible.min() <= thing.visible.max() <= 1
    assert len(truth.captions.label) < len(truth.captions.short) < len(truth.captions.dense)
    assert truth.captions.structured["count"] == ("no", "one", "two", "three", "four", "five")[len(scene.solids)]


def test_relations_are_those_of_the_first_picture() -> None:
    found = 0
    for seed in range(40):
        scene = WORLD.draw(seed, count=(2, 4), frames=2)
        pose = scene.poses()[0]
        nouns = {"sphere": "ball"}
        named = [nouns.get(solid.kind, solid.kind) for solid in scene.solids]
        if len(set(named)) < len(named):
            continue
        for triple in WORLD.truth(scene).graph:
            if triple.predicate not in ("left of", "in front of"):
                continue
            found += 1
            one, other = (scene.solids[named.index(name)].middle for name in (triple.subject, triple.object))
            (place, depth), (place_2, depth_2) = (project(scene, pose, point, (64, 64)) for point in (one, other))
            assert place[0] < place_2[0] if triple.predicate == "left of" else depth < depth_2
    assert found > 8


def test_moves_are_said() -> None:
    for move, words in (("orbit left", "orbits the scene"), ("dolly in", "closer"), ("truck right", "to the right"),
                        ("pedestal up", "rises"), ("roll left", "rolls left")):  # fmt: skip
        words_of = WORLD.truth(WORLD.draw(2, moves=move)).captions
        assert words in words_of.dense
        assert words in words_of.structured["camera"]
