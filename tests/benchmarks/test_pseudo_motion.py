"""The measure of motion itself: it sees what is wrong, and passes what is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks import pseudo_motion, world_sheets
from benchmarks.pseudo_motion import MOVES, motion_errors, pseudo_frames_per_s, stills
from curation.pseudo import MOTIONS, render
from media.frames import Rgb


def test_motions_are_as_asked_within_two_percent() -> None:
    found = motion_errors(
        stills(1, 480, 640), ["pan_left", "zoom_out", "roll_right", "pan_up_left", "zoom_in+pan_left"]
    )
    assert max(one.error for one in found) < 0.02
    assert len({(one.frames, one.travel) for one in found}) == 3


@pytest.mark.parametrize(("motion", "axis"), [("pan_left", 0), ("zoom_in", None), ("roll_left", None)])
def test_a_motion_that_is_not_as_asked_is_seen(motion: str, axis: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten percent too slow is ten percent of error."""

    def slower(image: Rgb, path: Any, size: tuple[int, int]) -> Iterator[Rgb]:
        middle = path[len(path) // 2]
        return render(image, (middle + 0.9 * (path - middle)).astype(np.float32), size)

    monkeypatch.setattr(pseudo_motion, "render", slower)
    (one,) = motion_errors(stills(1, 480, 640), [motion])
    assert one.error == pytest.approx(0.1, abs=0.02)


def test_every_motion_is_among_those_that_are_measured() -> None:
    assert set(MOTIONS) < set(MOVES)


def test_speed_is_a_number_of_frames() -> None:
    assert 1 < pseudo_frames_per_s(quick=True) < 1e6


def test_a_sheet_shows_every_world_and_motion(tmp_path: Any) -> None:
    from tests.curation.worlds import tiny

    class Named:
        """A world by any name."""

        def __call__(self, _: str) -> Any:
            return tiny.WORLD

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world_sheets, "world_named", Named())
        sheet = world_sheets.world_sheet("shapes", count=3, columns=4, height=32)
    # Three strips in two columns of four squares, with their words.
    assert sheet.shape[1] > 2 * 4 * 32
    assert sheet.shape[0] > 2 * 32
    with pytest.raises(SystemExit):
        world_sheets.main(["nothing", "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())
