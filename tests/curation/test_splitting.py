"""Clips come out of the pass in order, as soon as they are certain, and from shots alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curation
import media
from curation import CurateConfig
from curation.detectors import Cut, make
from curation.keyframes import Album, even_positions
from curation.planes import View
from curation.splitting import Splitter, split
from tests.curation.pictures import moving, photograph, views
from tests.videos import write_video


def test_an_endless_shot_is_clipped_as_it_runs_in_bounded_memory() -> None:
    """What the splitter holds while a camera never cuts stops growing, and clips come out all along."""
    given: list[tuple[int, int]] = []
    config = CurateConfig(detector="adaptive", min_clip_s=0.4, max_clip_s=1.0, looks_per_s=4)
    splitter = Splitter(make("adaptive"), config, lambda span, values: given.append((span.first, span.end)))
    frames = moving(15, 60, "zoom_in", width=64, height=48)
    loop = [*frames, *frames[::-1]]
    held = []
    for view in views((loop[k % len(loop)] for k in range(1500)), fps=25):
        splitter.feed(view)
        if view.index in (400, 1499):
            meter, album = splitter._meter, splitter._album
            held.append((len(meter._steps), len(meter._looks), len(meter._flows), len(album._held)))
    assert len(given) > 50
    assert held[1] <= tuple(n + 30 for n in held[0])
    splitter.finish()
    assert given[0][0] == 0
    assert given[-1][1] == 1500
    assert all(a[1] == b[0] for a, b in pairwise(given))


def test_the_album_keeps_few_and_spreads_them() -> None:
    album = Album(48, 0.04)
    frames = moving(16, 20, width=64, height=48)
    for view in views(frames[k % 20] for k in range(700)):
        album.feed(view)
    chosen = [c.frame for c in album.choose(0, 700, 4)]
    assert len(album._held) <= 48
    assert np.abs(np.array(chosen) - np.array(even_positions(0, 700, 4))).max() <= 40
    album.forget(650)
    assert all(c.frame >= 650 for c in album._held)


@pytest.mark.parametrize(("span", "count", "expected"), [((0, 9), 3, [1, 4, 7]), ((5, 6), 3, [5]), ((0, 2), 3, [0, 1])])
def test_keyframes_lie_in_the_middles_of_equal_parts(span: tuple[int, int], count: int, expected: list[int]) -> None:
    assert even_positions(*span, count) == expected


def test_long_shots_can_be_cut_by_a_stride(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(18, 150, "pan_right", width=96, height=64))
    config = CurateConfig(detector="adaptive", min_clip_s=0.5, max_clip_s=2.0, division="stride", stride_s=1.0)
    clips = curation.ingest(str(path), config, run_id="r").clips
    assert [(c["first_frame"], c["end_frame"]) for c in clips] == [(k, k + 50) for k in range(0, 101, 25)]
    assert [c["cut_in"] for c in clips] == ["start", "split", "split", "split", "split"]
    assert {c["shot"] for c in clips} == {0}


class Told:
    """A detector that was told of the boundaries (frame, end), and says so ten frames after they began."""

    name: ClassVar[str] = "told"

    def __init__(self, boundaries: Iterable[tuple[int, int]]) -> None:
        self._left = sorted(boundaries)
        self._next = 0

    @property
    def settled(self) -> int:
        return max(0, self._next - 10)

    def feed(self, view: View) -> list[Cut]:
        self._next = view.index + 1
        return self._until(self.settled)

    def finish(self) -> list[Cut]:
        return self._until(self._next)

    def _until(self, frame: int) -> list[Cut]:
        ready = [b for b in self._left if b[0] < frame]
        self._left = [b for b in self._left if b[0] >= frame]
        return [Cut(a, b, a / 25, "dissolve" if b > a else "hard", 1.0, self.name) for a, b in ready]


def test_a_boundary_with_the_same_scene_on_both_sides_is_stitched(
    tmp_path: Path, footage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stretch of frames is missing in the midst of a shot: the detector sees a jump, the eye the same place."""
    bikes = next(path for path in footage.videos if path.name == "bikes.mp4")
    frames = [frame.rgb(136) for frame in media.decode(bikes)]
    path = write_video(tmp_path / "a.mp4", [*frames[187:212], *frames[217:242], *frames[76:126]])
    monkeypatch.setattr("curation.ingestion.make", lambda name: Told([(25, 25), (50, 50)]))
    config = CurateConfig(min_clip_s=0.4, max_clip_s=10)
    apart = curation.ingest(str(path), config, run_id="r")
    assert [(cut["frame"], cut["stitched"]) for cut in apart.video["cuts"]] == [(25, False), (50, False)]
    together = curation.ingest(str(path), config.model_copy(update={"stitch_likeness": 0.6}), run_id="r")
    assert [(cut["frame"], cut["stitched"]) for cut in together.video["cuts"]] == [(25, True), (50, False)]
    assert [(c["first_frame"], c["end_frame"]) for c in together.clips] == [(0, 50), (50, 100)]


def spans_of(boundaries: Iterable[tuple[int, int]], frames: int) -> list[tuple[int, int, str, str, int]]:
    """Return the clips of a video with these boundaries, of which every shot of a frame or more gives one."""
    config = CurateConfig(min_clip_s=0.04, max_clip_s=100, looks_per_s=1)
    given: list[tuple[int, int, str, str, int]] = []
    splitter = Splitter(
        Told(boundaries), config, lambda s, _: given.append((s.first, s.end, s.cut_in, s.cut_out, s.shot))
    )
    split(views([photograph(1, 16, 16)] * frames), splitter)
    return given


def test_shots_lie_between_cuts_and_leave_transitions_out() -> None:
    assert spans_of([(30, 30), (60, 72)], 100) == [
        (0, 30, "start", "hard", 0),
        (30, 60, "hard", "dissolve", 1),
        (72, 100, "dissolve", "end", 2),
    ]


def test_a_video_that_begins_in_a_transition_has_its_first_shot_after_it() -> None:
    assert spans_of([(0, 12)], 50) == [(12, 50, "dissolve", "end", 0)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=8), st.integers(1, 60))
def test_shots_are_disjoint_in_order_and_hold_all_that_no_transition_holds(
    drawn: list[tuple[int, int]], frames: int
) -> None:
    boundaries = [(first, first + length) for first, length in drawn if first + length <= frames and first < frames]
    spans = spans_of(boundaries, frames)
    assert all(first < end <= frames for first, end, *_ in spans)
    assert all(a[1] <= b[0] and a[4] < b[4] for a, b in pairwise(spans))
    inside = {frame for first, end, *_ in spans for frame in range(first, end)}
    gone = {frame for first, end in boundaries for frame in range(first, end)}
    assert inside == set(range(frames)) - gone
