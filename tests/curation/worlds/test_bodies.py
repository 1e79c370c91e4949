"""The world of bodies: limbs that keep their lengths, joints that keep their limits, and what is broken on purpose."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance.tiers import CAMERAS as MEASURED
from curation.worlds import world_named
from curation.worlds.bodies import ACTIONS, BONES, DAMAGES, JOINTS, MOTLEY, WORLD, Options, Scene
from curation.worlds.bodies.actions import RATES, VIEWS, Style, angles_of
from curation.worlds.bodies.anatomy import Body, limits_of, place_joints
from curation.worlds.bodies.parts import parts_of
from curation.worlds.bodies.scene import rise
from media.errors import UserError

SEEDS = st.integers(0, 2**31 - 1)


def pictures(scene: Scene, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return np.stack(list(WORLD.render(scene, size)))


def joint(points: np.ndarray, name: str) -> np.ndarray:
    return np.asarray(points[:, JOINTS.index(name)])


def bone_lengths(points: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.linalg.norm(joint(points, b) - joint(points, a), axis=1) for name, (a, b) in BONES.items()}


# Options


def test_a_world_is_found_by_its_name() -> None:
    assert world_named("bodies") is WORLD
    assert WORLD.name == "bodies"


@pytest.mark.parametrize(
    "wrong",
    [{"count": (0, 1)}, {"count": 4}, {"actions": "swim"}, {"actions": ()}, {"cameras": ("roll left",)},
     {"costumes": ("tuxedo",)}, {"sides": ("middle",)}, {"damage": ("tear",)}, {"aspect": 0.0}],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Options(**wrong)
    with pytest.raises(UserError):
        WORLD.draw(0, **wrong)


def test_an_option_that_is_not_there_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        WORLD.draw(0, people=2)


@pytest.mark.parametrize(("frames", "fps", "seed"), [(0, 8.0, 0), (4, 0.0, 0), (4, 8.0, -1)])
def test_a_scene_has_frames_a_rate_and_a_seed(frames: int, fps: float, seed: int) -> None:
    with pytest.raises(UserError, match="below its least"):
        WORLD.draw(seed, frames=frames, fps=fps)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_options_hold(seed: int) -> None:
    scene = WORLD.draw(seed, count=(2, 3), actions=["wave", "dance"], cameras=["pan left"], costumes="plain")
    assert 2 <= len(scene.figures) <= 3
    assert {figure.action for figure in scene.figures} <= {"wave", "dance"}
    assert scene.camera == "pan left"
    assert all(figure.costume == "plain" and figure.damage is None for figure in scene.figures)


def test_all_there_is_comes_up() -> None:
    scenes = [WORLD.draw(seed, damage=DAMAGES, costumes=("motley", "plain"), count=(1, 3)) for seed in range(150)]
    figures = [figure for scene in scenes for figure in scene.figures]
    assert {figure.action for figure in figures} == set(ACTIONS)
    assert {figure.damage.kind for figure in figures if figure.damage} == set(DAMAGES)
    assert {len(scene.figures) for scene in scenes} == {1, 2, 3}
    assert {figure.yaw_deg for figure in figures} == {-90.0, 0.0, 90.0}
    assert {scene.camera for scene in scenes} == {"static", "pan left", "pan right", "zoom in", "zoom out"}


# Bodies


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 40), st.floats(2, 30))
def test_limbs_keep_their_lengths_in_space_and_in_the_plane(seed: int, frames: int, fps: float) -> None:
    scene = WORLD.draw(seed, frames=frames, fps=fps, count=(1, 3))
    for figure in scene.figures:
        points = figure.joints(scene.times)
        for name, lengths in bone_lengths(points).items():
            assert np.ptp(lengths) < 1e-6
            if name.split()[-1] in ("arm", "forearm", "hand", "thigh", "shank", "foot"):
                assert lengths[0] == pytest.approx(figure.body.length(name) * figure.stature)
                # They turn in the picture's plane, so that they are as long in the picture.
                assert np.ptp(bone_lengths(points[..., :2])[name]) < 1e-6


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ACTIONS), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 7), st.sampled_from(["left", "right"]),
    st.floats(0.93, 1.07), st.floats(0.93, 1.07),
)  # fmt: skip
def test_joints_keep_their_limits_and_actions_are_periodic_and_smooth(
    action: str, one: float, other: float, phase: float, side: str, arms: float, trunk: float
) -> None:
    usual = Body()
    body = replace(
        usual, upper_arm=usual.upper_arm * arms, forearm=usual.forearm * (2 - arms), trunk=usual.trunk * trunk
    )
    style = Style(RATES[action][1], phase, side, (one, other))
    times = np.linspace(0, 2 / style.rate, 801)
    angles, height = angles_of(action, body, style, times)
    limits = limits_of(VIEWS[action])
    for name, angle in angles.items():
        if name != "lean":
            low, high = limits[name.split()[-1]]
            assert low <= angle.min() <= angle.max() <= high, name
        assert angle[0] == pytest.approx(angle[-1], abs=1e-6), "two periods later it is where it was"
        assert np.abs(np.diff(angle)).max() < 4, "degrees in 1/400 of a period"
    assert height.min() >= 0
    assert (height.max() > 0.1) == (action == "jump")


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_the_lowest_foot_is_on_the_ground_unless_it_jumps(seed: int) -> None:
    scene = WORLD.draw(seed, frames=24, fps=12)
    for figure in scene.figures:
        points = figure.joints(scene.times)
        lowest = points[..., 1].max(axis=1)
        sole = 0.022 * figure.stature
        if figure.action == "jump":
            assert lowest.max() <= figure.place[1] - sole + 1e-9
            assert lowest.min() < figure.place[1] - 0.1 * figure.stature
        else:
            assert lowest == pytest.approx(np.full(24, figure.place[1] - sole))


def test_a_walk_goes_where_it_faces_and_its_standing_foot_stays() -> None:
    for side in ("left", "right"):
        scene = WORLD.draw(3, frames=40, fps=20, actions="walk", sides=side, count=1, cameras="static")
        (figure,) = scene.figures
        assert figure.walks
        points = figure.joints(scene.times)
        sign = 1 if side == "right" else -1
        body = np.diff(joint(points, "pelvis")[:, 0]) * sign
        assert (body > 0).all()
        feet = np.stack([joint(points, "left ankle"), joint(points, "right ankle")], axis=1)
        stands = feet[:-1, :, 1].argmax(axis=1)
        slip = np.abs(np.diff(feet[:, :, 0], axis=0))[np.arange(39), stands]
        assert np.median(slip) < 0.25 * np.median(body)
        assert WORLD.truth(scene).things[0].direction == side


def test_hands_meet_in_a_clap_and_one_is_up_in_a_wave() -> None:
    for seed in range(12):
        scene = WORLD.draw(seed, frames=64, fps=32, actions="clap", count=1)
        points = scene.figures[0].joints(scene.times)
        apart = np.linalg.norm(joint(points, "left hand") - joint(points, "right hand"), axis=1)
        assert apart.min() < 0.04 * scene.figures[0].stature
        assert apart.max() > 0.25 * scene.figures[0].stature
        scene = WORLD.draw(seed, frames=32, fps=16, actions="wave", count=1)
        (figure,) = scene.figures
        points, up = figure.joints(scene.times), figure.style.side
        down = "left" if up == "right" else "right"
        assert (joint(points, f"{up} wrist")[:, 1] < joint(points, f"{up} shoulder")[:, 1]).all()
        assert (joint(points, f"{down} wrist")[:, 1] > joint(points, f"{down} elbow")[:, 1]).all()
        # Left and right are the person's own, and it faces us.
        assert (joint(points, "left shoulder")[:, 0] > joint(points, "right shoulder")[:, 0]).all()


def test_a_turn_to_the_side_keeps_the_body() -> None:
    angles, _ = angles_of("walk", Body(), Style(1.0, 0.4), np.linspace(0, 1, 9))
    right, left = (place_joints(Body(), angles, yaw) for yaw in (90.0, -90.0))
    assert right * np.array([-1, 1, -1]) == pytest.approx(left)


# What is broken


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_a_bone_is_stretched_as_the_truth_says_and_no_other(seed: int) -> None:
    scene = WORLD.draw(seed, damage="stretch", count=1)
    (figure,) = scene.figures
    assert figure.damage is not None
    lengths = bone_lengths(figure.joints(scene.times))
    for name, found in lengths.items():
        if name == figure.damage.part:
            assert found[-1] / found[0] == pytest.approx(figure.damage.amount)
            assert (np.diff(found) >= -1e-12).all()
        else:
            assert np.ptp(found) < 1e-6
    assert WORLD.truth(scene).facts["damage"][0]["part"] == figure.damage.part


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_a_joint_is_bent_beyond_its_limit_and_lengths_stay(seed: int) -> None:
    scene = WORLD.draw(seed, damage="bend", count=1)
    (figure,) = scene.figures
    assert figure.damage is not None
    angles, _ = figure.angles(scene.times)
    limits = limits_of(figure.view)
    for name, angle in angles.items():
        if name == "lean":
            continue
        low, high = limits[name.split()[-1]]
        over = np.maximum(np.maximum(angle - high, low - angle), 0)
        assert (over[-1] > 40) if name == figure.damage.part else (over == 0).all()
    assert max(np.ptp(found) for found in bone_lengths(figure.joints(scene.times)).values()) < 1e-6


def test_a_hand_or_forearm_melts_away_in_the_pictures_too() -> None:
    for seed in range(6):
        scene = WORLD.draw(seed, damage="vanish", count=1, cameras="static", actions="wave")
        (figure,) = scene.figures
        assert figure.damage is not None
        assert bone_lengths(figure.joints(scene.times))[figure.damage.part][-1] < 1e-9
        part = next(part for part in parts_of(scene, figure) if part.name == figure.damage.part)
        assert part.start_radius[-1] < 1e-9 < part.start_radius[0]
        gone = pictures(scene, (128, 128))
        whole = pictures(replace(scene, figures=(replace(figure, damage=None),)), (128, 128))
        assert np.array_equal(gone[0], whole[0])
        assert (np.abs(gone[-1].astype(int) - whole[-1]).max(axis=-1) > 60).sum() > 20


def test_a_third_arm_grows_from_the_shoulder() -> None:
    for seed in range(8):
        scene = WORLD.draw(seed, damage="extra", count=1)
        (figure,) = scene.figures
        assert figure.damage is not None
        side = figure.damage.part.split()[0]
        arm = figure.extra_arm(scene.times)
        assert arm is not None
        assert arm[:, 0] == pytest.approx(joint(figure.joints(scene.times), f"{side} shoulder"))
        full = figure.body.upper_arm * figure.stature
        assert np.linalg.norm(arm[-1, 1] - arm[-1, 0]) == pytest.approx(full)
        assert np.linalg.norm(arm[0, 1] - arm[0, 0]) < 0.2 * full
        assert len([part for part in parts_of(scene, figure) if part.name.startswith("extra")]) == 3


def test_what_is_broken_is_said_and_what_is_whole_is_not() -> None:
    for kind, words in (("stretch", "longer"), ("bend", "wrong way"), ("vanish", "melts"), ("extra", "third arm")):
        truth = WORLD.truth(WORLD.draw(5, damage=kind))
        assert words in truth.captions.dense
        assert words in truth.captions.structured["quality"]
        assert sum(found is not None for found in truth.facts["damage"]) == 1
        assert "quality" not in WORLD.truth(WORLD.draw(5)).captions.structured
    assert rise(np.array([-1, 0, 0.5, 1, 2])) == pytest.approx([0, 0, 0.5, 1, 1])


# Pictures


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib; from curation.worlds.bodies import WORLD; "
        "print(hashlib.sha256(b''.join(p.tobytes() for s in range(6) for p in WORLD.render(WORLD.draw(s), (48, 64))))"
        ".hexdigest(), WORLD.truth(WORLD.draw(3)).captions.dense)"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = hashlib.sha256(b"".join(p.tobytes() for s in range(6) for p in WORLD.render(WORLD.draw(s), (48, 64))))
    assert there == f"{here.hexdigest()} {WORLD.truth(WORLD.draw(3)).captions.dense}"


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 12), st.integers(16, 90), st.integers(16, 90), st.sampled_from(["", *DAMAGES]))
def test_any_size_and_length_can_be_rendered(seed: int, frames: int, height: int, width: int, broken: str) -> None:
    scene = WORLD.draw(seed, frames=frames, damage=broken or (), costumes=("motley", "plain"), count=(1, 3))
    scene = pickle.loads(pickle.dumps(scene))
    found = list(WORLD.render(scene, (height, width)))
    assert len(found) == frames
    assert all(picture.shape == (height, width, 3) and picture.dtype == np.uint8 for picture in found)
    maps = WORLD.maps(scene, (height, width))
    assert maps.masks is not None
    assert maps.depth is not None
    assert maps.flow is not None
    assert maps.masks.shape == maps.depth.shape == (frames, height, width)
    assert maps.flow.shape == (frames - 1, height, width, 2)
    assert np.isfinite(maps.flow).all()
    truth = WORLD.truth(scene)
    assert truth.skeletons is not None
    assert truth.skeletons.shape == (frames, len(scene.figures), len(JOINTS), 2)


def test_frames_do_not_depend_on_how_many_are_drawn_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from curation.worlds.bodies import rendering

    scene = WORLD.draw(5)
    whole = pictures(scene)
    monkeypatch.setattr(rendering, "_BUDGET", 4000)
    # A window may be placed a pixel off, which is the same drawing but for rounding.
    assert np.abs(pictures(scene).astype(int) - whole).max() <= 1


def test_a_larger_picture_shows_the_same() -> None:
    for seed in range(4):
        scene = WORLD.draw(seed)
        small = pictures(scene, (64, 64)).astype(float)
        again = pictures(scene, (256, 256)).astype(float).reshape(16, 64, 4, 64, 4, 3).mean((2, 4))
        assert np.abs(again - small).mean() < 3.5


def test_every_limb_of_a_motley_suit_can_be_seen() -> None:
    scene = WORLD.draw(1, frames=1, actions="jump", count=1, cameras="static")
    (picture,) = WORLD.render(scene, (256, 256))
    for name, rgb in MOTLEY.items():
        direction = np.array(rgb) / np.linalg.norm(rgb)
        colours = picture.reshape(-1, 3) / np.maximum(np.linalg.norm(picture.reshape(-1, 3), axis=1), 1)[:, None]
        assert (colours @ direction > 0.998).sum() > 40, name


# Truth


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from([0.6, 1.0, 1.7]))
def test_figures_are_in_the_picture_apart_and_in_their_boxes(seed: int, aspect: float) -> None:
    scene = WORLD.draw(seed, frames=4, count=(1, 3), aspect=aspect)
    truth = WORLD.truth(scene)
    size = (192, round(192 * aspect))
    masks = WORLD.maps(scene, size).masks
    assert masks is not None
    assert truth.skeletons is not None
    assert truth.facts["count"] == len(truth.things) == len(scene.figures)
    assert (truth.skeletons >= 0).all()
    assert (truth.skeletons <= (aspect, 1)).all()
    for number, thing in enumerate(truth.things):
        assert thing.visible.min() > 0.97
        for frame, mask in enumerate(masks == number + 1):
            y, x = np.nonzero(mask)
            assert len(x)
            box = thing.boxes[frame] * (size[1], size[0], size[1], size[0])
            found = (x.min(), y.min(), x.max() + 1, y.max() + 1)
            assert found == pytest.approx(box, abs=3.0)
            for other in range(number):
                apart = thing.boxes[frame], truth.things[other].boxes[frame]
                assert apart[0][2] <= apart[1][0] or apart[1][2] <= apart[0][0]


def test_joints_lie_on_the_limbs_they_join() -> None:
    for seed in range(4):
        scene = WORLD.draw(seed, frames=4, count=1)
        masks, truth = WORLD.maps(scene, (128, 128)).masks, WORLD.truth(scene)
        assert masks is not None
        assert truth.skeletons is not None
        for frame in range(4):
            near = cv2.dilate((masks[frame] == 1).astype(np.uint8), np.ones((3, 3), np.uint8))
            x, y = (truth.skeletons[frame, 0] * 128).astype(int).T
            assert near[y, x].all()


def test_flow_carries_a_frame_to_the_next() -> None:
    for seed, options in (
        (0, {}),
        (1, {"cameras": "pan left"}),
        (2, {"cameras": "zoom in"}),
        (3, {"damage": "stretch"}),
    ):
        scene = WORLD.draw(seed, frames=3, fps=12, **options)
        maps = WORLD.maps(scene, (128, 128))
        assert maps.flow is not None
        assert maps.masks is not None
        frames = pictures(scene, (128, 128)).astype(np.float32)
        x, y = np.meshgrid(np.arange(128, dtype=np.float32), np.arange(128, dtype=np.float32))
        to_x, to_y = x + maps.flow[0, ..., 0], y + maps.flow[0, ..., 1]
        carried = cv2.remap(frames[1], to_x, to_y, cv2.INTER_LINEAR)
        there = cv2.remap(maps.masks[1], to_x, to_y, cv2.INTER_NEAREST)
        seen = (there == maps.masks[0]) & (to_x > 1) & (to_x < 126) & (to_y > 1) & (to_y < 126)
        off = np.abs(carried - frames[0]).mean(axis=-1)
        still = np.abs(frames[1] - frames[0]).mean(axis=-1)
        assert off[seen].mean() < 2.0
        figure = seen & (maps.masks[0] > 0)
        assert np.median(off[figure]) < 0.5 * np.median(still[figure]) + 1.0


def test_figures_stand_before_what_is_behind_them() -> None:
    scene = WORLD.draw(2, frames=2, count=2, cameras="static")
    maps = WORLD.maps(scene, (96, 96))
    assert maps.depth is not None
    assert maps.masks is not None
    wall = maps.depth[0, 0].max()
    assert (maps.depth[0][maps.masks[0] > 0] < wall).all()
    assert maps.depth.min() > 0
    column = maps.depth[0][:, 0]
    assert (np.diff(column) <= 1e-6).all(), "the ground comes nearer downwards"


def test_the_camera_path_leads_from_the_picture_to_the_world() -> None:
    for camera in ("pan left", "pan right", "zoom in", "zoom out"):
        scene = WORLD.draw(4, cameras=camera, aspect=1.5)
        path, sides = scene.camera_path(), np.array([1.5, 1.0])
        points = scene.figures[0].joints(scene.times)[..., :2]
        seen = 2 * scene.seen(points) / sides - 1
        world = np.einsum("fij,fnj->fni", path[:, :, :2], seen) + path[:, None, :, 2]
        assert world == pytest.approx(2 * points / sides - 1)
        assert WORLD.truth(scene).camera == camera
        assert camera in MEASURED
        goes = path[-1, 0, 2] - path[0, 0, 2]
        grows = path[-1, 0, 0] / path[0, 0, 0]
        assert {"pan left": goes < 0, "pan right": goes > 0, "zoom in": grows < 1, "zoom out": grows > 1}[camera]


def test_a_scene_is_told_at_four_densities() -> None:
    truth = WORLD.truth(WORLD.draw(8, actions="wave", count=1, sides="left", cameras="zoom in"))
    words = truth.captions
    assert words.label == "a person waving"
    assert words.short.startswith("A person waves the left hand ")
    assert words.short.endswith(".")
    assert len(words.label) < len(words.short) < len(words.dense)
    assert "The camera zooms in." in words.dense
    assert set(words.structured) == {"subject", "count", "action", "setting", "camera"}
    assert words.structured["count"] == "one"
    assert [(t.subject, t.predicate, t.object) for t in truth.graph] == [("person", "waves", "the left hand")]
    many = WORLD.truth(WORLD.draw(8, actions="clap", count=3))
    assert many.captions.label == "three people clapping"
    assert sum(triple.predicate == "left of" for triple in many.graph) == 2


def test_who_wears_what_is_said_in_the_order_of_places() -> None:
    scene = WORLD.draw(21, count=3, costumes="plain", actions=("clap", "wave", "dance"))
    told = WORLD.truth(scene).captions.structured["subject"]
    places = [
        told.index(f"{f.top} shirt and {f.bottom} trousers") for f in sorted(scene.figures, key=lambda f: f.place)
    ]
    assert places == sorted(places)
