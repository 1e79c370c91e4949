"""Readers of solids: their number, their colours, and what the camera does in space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curation.worlds.scenes3d import COLOURS, FOCAL, MOVES, WORLD
from evaluation.worlds.points import follow
from evaluation.worlds.scenes import READERS, accuracy, read_scene


def video(seed: int, size: tuple[int, int] = (64, 64), **options: object) -> np.ndarray:
    return np.stack(list(WORLD.render(WORLD.draw(seed, **options), size)))  # type: ignore[arg-type]


@pytest.mark.parametrize("move", MOVES)
def test_every_move_is_told_from_the_others(move: str) -> None:
    seen = read_scene(video(31, moves=move))
    assert seen.move == move
    assert seen.move_confidence > 0.3


@pytest.mark.parametrize("floor", ["checkered", "tiled", "wooden", "sandy"])
def test_a_move_shows_on_every_floor(floor: str) -> None:
    for move in ("truck left", "orbit right", "dolly out"):
        assert read_scene(video(8, moves=move, floors=floor)).move == move


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_is_named(colour: str) -> None:
    assert read_scene(video(12, colours=[colour], count=1, frames=4)).colours == (colour,)


def test_solids_are_counted() -> None:
    for count in (1, 2, 3, 4, 5):
        for seed in range(3):
            scene = WORLD.draw(seed, count=count, frames=4)
            seen = read_scene(np.stack(list(WORLD.render(scene, (64, 64)))))
            assert seen.count == count
            assert set(seen.colours) == {solid.colour for solid in scene.solids}


def test_a_floor_without_solids_has_none() -> None:
    scene = replace(WORLD.draw(3, moves="pan left"), solids=())
    seen = read_scene(np.stack(list(WORLD.render(scene, (64, 64)))))
    assert seen.count == 0
    assert seen.move == "pan left"


def test_what_tells_nothing_is_static_without_confidence() -> None:
    seen = read_scene(np.full((6, 64, 64, 3), 128, np.uint8))
    assert (seen.colours, seen.move, seen.move_confidence) == ((), "static", 0.0)
    assert read_scene(video(1, frames=2)).move_confidence == 0.0, "two frames are too few"
    with pytest.raises(ValueError, match="frames, height, width, 3"):
        read_scene(np.zeros((4, 64, 64, 3), np.float32))  # type: ignore[arg-type]


def test_other_sizes_and_shapes_are_read() -> None:
    for size in ((96, 96), (72, 128)):
        scene = WORLD.draw(4, moves="dolly in", aspect=size[1] / size[0], frames=10)
        seen = read_scene(np.stack(list(WORLD.render(scene, size))))
        assert seen.move == "dolly in"
        assert seen.count == len(scene.solids)


def test_a_video_backwards_goes_the_other_way() -> None:
    for move, back in (("truck left", "truck right"), ("dolly in", "dolly out"), ("roll left", "roll right")):
        assert read_scene(video(14, moves=move)[::-1].copy()).move == back


def test_points_are_followed_to_where_they_are() -> None:
    scene = WORLD.draw(6, moves="pan right", floors="tiled")
    frames = np.stack(list(WORLD.render(scene, (128, 128))))
    masks = WORLD.maps(scene, (128, 128)).masks
    assert masks is not None
    tracks = follow(frames, masks == 0)
    assert tracks is not None
    one, other = scene.poses()[tracks.first], scene.poses()[tracks.second]
    rays = np.concatenate([tracks.start / FOCAL, np.ones((len(tracks.start), 1))], axis=1)
    # A turn on the spot moves points wherever they are.
    own = np.einsum("nji,njk,nk->ni", other[:, :3, :3], one[:, :3, :3], rays)
    off = np.hypot(*(own[:, :2] / own[:, 2:] * FOCAL - tracks.end).T)
    assert np.median(off) * 128 < 0.25
    assert tracks.per_frame > 0


def test_accuracy_is_of_what_is_asked() -> None:
    assert accuracy("count", 3) == {"count": 1.0}
    assert set(accuracy("all", 2)) == set(READERS)
    assert set(accuracy("colours", 2, "compression")) == {"colours"}
    with pytest.raises(ValueError, match="no reader 'shape'"):
        accuracy("shape", 1)


@pytest.mark.slow
def test_readers_are_right_ninety_nine_times_in_a_hundred() -> None:
    assert min(accuracy("all", 100, seed=5000).values()) >= 0.99
