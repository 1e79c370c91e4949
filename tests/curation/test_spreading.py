"""A video scanned in spans, by whoever, gives the rows of one pass, to the bit."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curation
import media
from curation import CurateConfig
from curation.planes import View
from tests.curation.pictures import Rgb, dissolve, fade, moving, photograph
from tests.videos import write_video

GROUPS = {"preset": "ultrafast", "x264-params": "keyint=20:min-keyint=6:bframes=3:b-adapt=0:b-pyramid=normal"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 15 seconds with every kind of boundary, in short groups of pictures, so that many lie near a seam."""
    shots: list[Rgb] = moving(1, 50, "pan_left", travel=0.3)
    for seed, motion in ((2, "zoom_in"), (3, "tilt_up"), (4, "pan_right")):
        shots += moving(seed, 40, motion)
    shots = dissolve(shots, moving(5, 60, "zoom_out"), 14)
    shots = fade(shots, moving(6, 60, "pan_right"), 10, 3)
    still = [photograph(7)] * 40
    lit = [
        np.asarray(np.clip(f.astype(int) + (70 if 20 <= k < 22 else 0), 0, 255), np.uint8) for k, f in enumerate(still)
    ]
    return write_video(tmp_path_factory.mktemp("spread") / "film.mp4", [*shots, *lit, *moving(8, 45)], options=GROUPS)


def rows(path: Path, config: CurateConfig, scanned: Iterator[View] | None = None) -> tuple[Any, Any]:
    got = curation.ingest(str(path), config, run_id="r", scanned=scanned)
    assert got.video["status"] == "ok", got.video
    return got.video, got.clips


def travelled(path: Path, spans: list[tuple[int, int]], config: CurateConfig) -> Iterator[View]:
    for first, end in spans:
        yield from pickle.loads(pickle.dumps(curation.scan(path, first, end, config)))


@pytest.mark.parametrize(
    ("detector", "decode", "max_s"),
    [("cascade", "skim", 10.0), ("cascade", "auto", 2.0), ("cascade", "whole", 10.0), ("adaptive", "auto", 10.0),
     ("scenedetect:content", "skim", 10.0)],
)  # fmt: skip
def test_any_spans_give_the_rows_of_one_pass(detector: str, decode: Any, max_s: float, film: Path) -> None:
    config = CurateConfig(detector=detector, decode=decode, max_clip_s=max_s, looks_per_s=3)
    index = media.frame_index(film)
    whole = rows(film, config)
    assert len(whole[1]) >= 6

    @settings(max_examples=6, deadline=None)
    @given(st.sets(st.sampled_from([int(key) for key in index.keys[1:]]), min_size=1))
    def check(seams: set[int]) -> None:
        edges = [0, *sorted(seams), index.frames]
        spans = list(pairwise(edges))
        assert rows(film, config, travelled(film, spans, config)) == whole

    check()


def test_spans_need_not_start_at_keyframes_to_be_right(film: Path) -> None:
    config = CurateConfig()
    spans = [(0, 7), (7, 101), (101, 102), (102, media.frame_index(film).frames)]
    assert rows(film, config, travelled(film, spans, config)) == rows(film, config)


@pytest.mark.parametrize("span_s", [0.5, 2.0, 5.0, 100.0])
def test_a_plan_covers_the_file_from_keyframe_to_keyframe(span_s: float, film: Path) -> None:
    index = media.frame_index(film)
    spans = curation.plan_spans(film, span_s)
    assert spans[0][0] == 0
    assert spans[-1][1] == index.frames
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert {first for first, _ in spans} <= set(index.keys.tolist())
    assert (len(spans) > 1) == (span_s < 10)


def test_a_file_that_cannot_be_read_in_parts_has_no_plan(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", moving(9, 30), codec="mpeg4")
    assert curation.plan_spans(path, 0.3) == []


def test_what_travels_is_small(film: Path) -> None:
    """A frame of a calm shot takes a few kilobytes: pictures of 32x18 and 48x27, not the planes."""
    views = curation.scan(film, 0, 100, CurateConfig(looks_per_s=0.01, flow_pairs_per_s=0.01))
    calm = [view for view in views if view.candidate is None and view.noted is not None and view.noted.look is None]
    assert np.median([len(pickle.dumps(view)) for view in calm]) < 8000
