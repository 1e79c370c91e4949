"""Readers of bodies: exact on true skeletons, right on clean pictures, and every kind of damage is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.worlds.bodies import ACTIONS, DAMAGES, JOINTS, WORLD
from evaluation.worlds.bodies import READERS, SEEN_JOINTS, accuracy, read_bodies
from evaluation.worlds.hues import grain, hue_labels, hue_of, smoothed
from evaluation.worlds.limbs import (
    LIMBS,
    action_of,
    facing_of,
    joint_excess_deg,
    limb_lengths,
    limb_spread,
    view_of,
)
from evaluation.worlds.patches import find_patches, patch_of
from evaluation.worlds.points import flat_camera, follow

SEEDS = st.integers(0, 2**31 - 1)


def video(seed: int, size: int = 128, **options: object) -> np.ndarray:
    return np.stack(list(WORLD.render(WORLD.draw(seed, **options), (size, size))))  # type: ignore[arg-type]


# Skeletons


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_a_whole_figure_is_read_as_it_is(seed: int) -> None:
    scene = WORLD.draw(seed, count=(1, 3))
    for figure, skeleton in zip(scene.figures, np.moveaxis(scene.skeletons(), 1, 0), strict=True):
        assert view_of(skeleton, JOINTS) == figure.view
        assert action_of(skeleton, JOINTS) == figure.action
        assert max(limb_spread(limb_lengths(skeleton, JOINTS)).values()) < 1e-9, "whatever the camera does"
        assert max(joint_excess_deg(skeleton, JOINTS).values()) == 0
        if figure.view == "side":
            assert facing_of(skeleton, JOINTS) == np.sign(figure.yaw_deg)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(["stretch", "bend"]))
def test_what_is_broken_is_told_with_its_place(seed: int, kind: str) -> None:
    scene = WORLD.draw(seed, damage=kind, count=1)
    (figure,) = scene.figures
    skeleton = scene.skeletons()[:, 0]
    spread, excess = limb_spread(limb_lengths(skeleton, JOINTS)), joint_excess_deg(skeleton, JOINTS)
    found = spread if kind == "stretch" else excess
    assert figure.damage is not None
    assert max(found, key=lambda name: found[name]) == figure.damage.part
    assert found[figure.damage.part] > (0.35 if kind == "stretch" else 40)
    if kind == "stretch":
        assert max(excess.values()) == 0
    else:
        assert max(spread.values()) < 1e-9


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0.3, 4), st.floats(-2, 2), st.floats(-2, 2))
def test_where_and_how_large_a_figure_is_does_not_matter(seed: int, scale: float, x: float, y: float) -> None:
    scene = WORLD.draw(seed, damage=("stretch", "bend"), count=1)
    skeleton = scene.skeletons()[:, 0]
    moved = skeleton * scale + np.array([x, y])
    for measure in (lambda s: limb_spread(limb_lengths(s, JOINTS)), lambda s: joint_excess_deg(s, JOINTS)):
        assert list(measure(moved).values()) == pytest.approx(list(measure(skeleton).values()), abs=1e-6)
    assert action_of(moved, JOINTS) == action_of(skeleton, JOINTS)


def test_mirrored_bodies_are_read_alike() -> None:
    for seed in range(20):
        skeleton = WORLD.draw(seed, damage="bend", count=1).skeletons()[:, 0]
        mirrored = skeleton * np.array([-1, 1])
        swapped = mirrored[:, [JOINTS.index(_other_side(name)) for name in JOINTS]]
        one, other = joint_excess_deg(skeleton, JOINTS), joint_excess_deg(swapped, JOINTS)
        assert {_other_side(name): value for name, value in other.items()} == pytest.approx(one)


def _other_side(name: str) -> str:
    swap = {"left": "right", "right": "left"}
    first, _, rest = name.partition(" ")
    return f"{swap[first]} {rest}" if first in swap else name


def test_joints_that_are_not_seen_are_left_out() -> None:
    skeleton = WORLD.draw(4, count=1, actions="clap", frames=24, fps=12).skeletons()[:, 0]
    skeleton[::5, JOINTS.index("left elbow")] = np.nan
    skeleton[:, JOINTS.index("right knee")] = np.nan
    spread, excess = limb_spread(limb_lengths(skeleton, JOINTS)), joint_excess_deg(skeleton, JOINTS)
    assert np.isnan([spread["right thigh"], spread["right shank"], excess["right knee"]]).all()
    assert np.isfinite([spread["left forearm"], excess["left elbow"]]).all()
    assert action_of(skeleton, JOINTS) == "clap"
    few = [name for name in JOINTS if "left" in name and name != "left toe"]
    own = skeleton[:, [JOINTS.index(name) for name in few]]
    assert set(limb_lengths(own, few)) == {limb for limb in LIMBS if limb.startswith("left")}
    assert action_of(skeleton[:3], JOINTS) == "unknown"
    assert limb_spread({}) == {}


def test_a_facing_can_be_told_without_toes_even_with_a_broken_joint() -> None:
    names = [name for name in JOINTS if "toe" not in name]
    for seed in range(40):
        scene = WORLD.draw(seed, actions="walk", damage="bend", count=1)
        skeleton = scene.skeletons()[:, 0][:, [JOINTS.index(name) for name in names]]
        assert facing_of(skeleton, names) == np.sign(scene.figures[0].yaw_deg)


# Pixels


def test_hues_are_named_whatever_the_light() -> None:
    hues = [hue_of(rgb) for rgb in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    assert hues == [0.0, 120.0, 240.0]
    colours = np.array(
        [[250, 10, 10], [90, 4, 4], [60, 200, 70], [20, 30, 180], [120, 118, 119], [30, 20, 20]], np.float32
    )
    assert hue_labels(colours, hues, 40, 0.5).tolist() == [1, 1, 2, 3, 0, 0]
    assert hue_labels(np.array([[255, 0, 60]], np.float32), hues, 40, 0.5).tolist() == [1], "round the circle"


def test_grain_is_measured_and_smoothed() -> None:
    clean = video(0, 96)
    noise = np.random.default_rng(0).normal(0, 12, clean.shape)
    noisy = np.clip(clean + noise, 0, 255).astype(np.uint8)
    assert grain(clean.astype(np.float32)) < 3
    assert grain(noisy.astype(np.float32)) == pytest.approx(12, rel=0.15)
    assert np.array_equal(smoothed(clean), clean.astype(np.float32))
    assert np.abs(smoothed(noisy) - clean).mean() < 0.7 * np.abs(noisy.astype(float) - clean).mean()


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 3.2), st.floats(14, 50), st.floats(3, 9))
def test_a_bar_with_round_ends_is_measured(angle: float, length: float, radius: float) -> None:
    x, y = np.meshgrid(np.arange(96) + 0.5 - 48, np.arange(96) + 0.5 - 48)
    way = np.array([np.cos(angle), np.sin(angle)])
    along = np.clip(x * way[0] + y * way[1], -length / 2, length / 2)
    mask = np.hypot(x - along * way[0], y - along * way[1]) < radius
    (patch,) = find_patches(mask, 0, 10)
    assert patch.length == pytest.approx(length, rel=0.03, abs=1.4), "of pixels that are wholly in or out"
    assert patch.radius == pytest.approx(radius, rel=0.05, abs=0.7)
    assert abs(patch.axis @ way) == pytest.approx(1, abs=2e-3)
    ends = sorted(tuple(end - 48) for end in patch.ends)
    assert np.abs(np.array(ends) - sorted(tuple(sign * way * length / 2) for sign in (-1, 1))).max() < 1.5 or angle > 3
    assert patch_of(patch.pixels + 7).middle == pytest.approx(patch.middle + 7)


def test_a_camera_over_a_flat_background_is_told() -> None:
    rng = np.random.default_rng(3)
    world = np.repeat(np.repeat(rng.integers(60, 200, (60, 60, 1), np.uint8), 4, 0), 4, 1).repeat(3, axis=2)
    free = np.ones((8, 100, 100), bool)
    for name, (dx, dy) in {"pan right": (2, 0), "pan left": (-2, 0), "tilt up": (0, -2), "tilt down": (0, 2)}.items():
        frames = np.stack([world[60 + i * dy : 160 + i * dy, 60 + i * dx : 160 + i * dx] for i in range(8)])
        assert flat_camera(follow(frames, free), 8)[0] == name
    still = np.repeat(world[None, 60:160, 60:160], 8, axis=0)
    assert flat_camera(follow(still, free), 8)[0] == "static"
    assert flat_camera(follow(np.full((8, 64, 64, 3), 90, np.uint8), np.ones((8, 64, 64), bool)), 8) == ("static", 0.0)


@pytest.mark.parametrize("action", ACTIONS)
def test_joints_are_found_to_a_twentieth_of_a_stature(action: str) -> None:
    scene = WORLD.draw(11, actions=action, count=1)
    frames = np.stack(list(WORLD.render(scene, (192, 192))))
    seen = read_bodies(frames)
    (read,), (figure,) = seen.figures, scene.figures
    assert (read.action, read.view, read.damage, seen.camera) == (action, figure.view, None, scene.camera)
    true = scene.skeletons()[:, 0][:, [JOINTS.index(name) for name in SEEN_JOINTS]]
    off = np.hypot(*np.moveaxis(read.skeleton - true, -1, 0)) / figure.stature
    near = [name.split()[0] == ("right" if figure.yaw_deg > 0 else "left") for name in SEEN_JOINTS]
    judged = off if figure.view == "front" else off[:, near]
    assert np.nanmedian(judged) < 0.02
    assert np.nanpercentile(judged, 95) < 0.05
    assert np.isnan(judged).mean() < 0.02


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_seen_in_the_pictures(kind: str) -> None:
    for seed in (70, 71, 72):
        scene = WORLD.draw(seed, damage=kind, count=1)
        (read,) = read_bodies(np.stack(list(WORLD.render(scene, (128, 128))))).figures
        (figure,) = scene.figures
        assert figure.damage is not None
        assert read.damage == (kind, figure.damage.part)


def test_every_figure_is_read_in_its_place() -> None:
    for seed, count in ((5, 2), (6, 3), (7, 3)):
        scene = WORLD.draw(seed, count=count)
        seen = read_bodies(np.stack(list(WORLD.render(scene, (160, 160)))))
        assert seen.count == count
        order = sorted(scene.figures, key=lambda figure: figure.place[0])
        assert [read.action for read in seen.figures] == [figure.action for figure in order]


def test_what_is_no_figure_is_none() -> None:
    seen = read_bodies(np.full((6, 80, 120, 3), 140, np.uint8))
    assert (seen.count, seen.camera, seen.camera_confidence) == (0, "static", 0.0)
    noise = np.random.default_rng(1).integers(100, 150, (5, 64, 64, 3), np.uint8)
    assert read_bodies(noise).count == 0
    (read,) = read_bodies(video(3, frames=1, count=1, actions="clap")).figures
    assert read.action == "unknown", "one frame tells of no action"
    with pytest.raises(ValueError, match="frames, height, width, 3"):
        read_bodies(np.zeros((4, 64, 64), np.uint8))


def test_any_shape_of_picture_is_read() -> None:
    for size in ((96, 180), (180, 96), (65, 77)):
        scene = WORLD.draw(9, frames=6, aspect=size[1] / size[0], count=1)
        assert read_bodies(np.stack(list(WORLD.render(scene, size)))).count == 1


# How well


def test_accuracy_is_of_what_is_asked() -> None:
    found = accuracy("count", 4)
    assert found == {"count": 1.0}
    assert set(accuracy("all", 1)) == set(READERS)
    with pytest.raises(ValueError, match="no reader 'colour'"):
        accuracy("colour", 1)
    with pytest.raises(ValueError, match="no damage"):
        accuracy("count", 1, "scratches")


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
def test_readers_are_right_ninety_nine_times_in_a_hundred(kind: str) -> None:
    assert accuracy(kind, 100, seed=5000)[kind] >= 0.99
