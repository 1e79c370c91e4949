"""The films that benchmarks run on are what they say."""

from __future__ import annotations

from pathlib import Path

import media
from benchmarks.films import FPS, film
from benchmarks.passes import decode_to_nothing


def test_a_film_repeats_its_fifteen_seconds(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 72, 30)
    probe = media.probe(path)
    assert (probe.width_px, probe.height_px) == (128, 72)
    index = media.frame_index(path)
    assert index.doubt == ""
    assert index.frames == 2 * 382 == decode_to_nothing(path)
    assert index.time_s(382) == 382 / FPS
    assert 382 in index.keys
    assert index.droppable.mean() > 0.25  # as x264 makes them by default: there is something to leave out
