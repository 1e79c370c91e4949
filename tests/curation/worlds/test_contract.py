"""Every world keeps the contract of `curation.worlds.base`: one suite over all of them."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from curation.worlds import WORLDS, world_named
from media.errors import UserError

SIZES = ((48, 48), (40, 64), (64, 40))


@pytest.mark.parametrize("name", WORLDS)
def test_the_same_seed_gives_the_same_in_another_process(name: str) -> None:
    code = (
        f"import hashlib; from curation.worlds import world_named; w = world_named({name!r}); "
        "print(hashlib.sha256(b''.join(p.tobytes() for s in range(3) "
        "for p in w.render(w.draw(s, frames=5), (40, 48)))).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    world = world_named(name)
    pictures = (p.tobytes() for s in range(3) for p in world.render(world.draw(s, frames=5), (40, 48)))
    assert hashlib.sha256(b"".join(pictures)).hexdigest() == there


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("frames", [1, 2, 9])
@pytest.mark.parametrize("size", SIZES)
def test_any_size_and_length_can_be_rendered_and_mapped(name: str, frames: int, size: tuple[int, int]) -> None:
    world = world_named(name)
    scene = pickle.loads(pickle.dumps(world.draw(4, frames=frames)))
    pictures = list(world.render(scene, size))
    assert len(pictures) == frames
    assert all(picture.shape == (*size, 3) and picture.dtype == np.uint8 for picture in pictures)
    maps, truth = world.maps(scene, size), world.truth(scene)
    assert maps.masks is not None
    assert maps.masks.shape == (frames, *size)
    assert maps.masks.max() <= len(truth.things)
    assert maps.depth is None or maps.depth.shape == (frames, *size)
    assert maps.flow is None or maps.flow.shape == (frames - 1, *size, 2)
    assert maps.normals is None or maps.normals.shape == (frames, *size, 3)


@pytest.mark.parametrize("name", WORLDS)
def test_the_truth_is_whole(name: str) -> None:
    world = world_named(name)
    for seed in range(12):
        truth = world.truth(world.draw(seed, frames=8))
        assert (truth.world, truth.frames) == (name, 8)
        assert truth.things
        for thing in truth.things:
            assert thing.boxes.shape == (8, 4)
            assert thing.visible.shape == (8,)
            assert np.nanmin(thing.visible) >= 0
            assert np.nanmax(thing.visible) <= 1
            boxes = thing.boxes[~np.isnan(thing.boxes).any(1)]
            assert (boxes[:, :2] <= boxes[:, 2:]).all()
        said = truth.captions
        assert said.label
        assert len(said.short) <= len(said.dense)
        assert said.dense.endswith(".")
        assert set(said.structured) >= {"subject", "camera"}
        assert truth.graph
        if truth.skeletons is not None:
            assert truth.skeletons.shape[0] == 8
            assert truth.skeletons.shape[2:] == (len(truth.joints), 2)


@pytest.mark.parametrize("name", WORLDS)
def test_boxes_are_around_the_masks(name: str) -> None:
    world = world_named(name)
    for seed in range(6):
        scene = world.draw(seed, frames=4)
        truth, masks = world.truth(scene), world.maps(scene, (64, 64)).masks
        assert masks is not None
        for number, thing in enumerate(truth.things):
            for frame in range(4):
                rows, columns = np.nonzero(masks[frame] == number + 1)
                if len(rows) and not np.isnan(thing.boxes[frame]).any():
                    left, top, right, bottom = thing.boxes[frame] * 64
                    assert left - 2 <= columns.min()
                    assert columns.max() + 1 <= right + 2
                    assert top - 2 <= rows.min()
                    assert rows.max() + 1 <= bottom + 2


def test_a_world_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean bodies"):
        world_named("body")
