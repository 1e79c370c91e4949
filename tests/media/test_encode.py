"""Encoding: the same bytes from the same pictures, and what is written is what was promised."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import media
from media.encoding import encode_timed, exact_rate
from tests import videos

_ELSEWHERE = """
import hashlib, media
from tests import videos
data = media.encode(videos.numbered_frames(30, 130, 98), fps=24, gop=8).data
print(hashlib.sha256(data).hexdigest())
"""


def test_another_process_writes_the_same_bytes() -> None:
    here = media.encode(videos.numbered_frames(30, 130, 98), fps=24, gop=8).data
    there = subprocess.run([sys.executable, "-c", _ELSEWHERE], check=True, capture_output=True, text=True).stdout
    assert there.strip() == hashlib.sha256(here).hexdigest()


@pytest.mark.parametrize(("width", "height"), [(84, 64), (130, 98), (144, 96)])
def test_the_state_of_the_memory_does_not_matter(width: int, height: int) -> None:
    pictures = list(videos.numbered_frames(30, width, height))
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(12):
        litter = [rng.bytes(int(rng.integers(1_000, 2_000_000))) for _ in range(3)]
        seen.add(media.encode(pictures, fps=25).data)
        del litter
    assert len(seen) == 1


@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(1, 30),
    width=st.integers(16, 90),
    height=st.integers(16, 90),
    fps=st.sampled_from([8.0, 23.976, 24.0, 25.0, 29.97, 50.0, 12.5]),
)
def test_count_size_and_rate_are_as_told(count: int, width: int, height: int, fps: float) -> None:
    encoded = media.encode(videos.scene_frames(count, width, height), fps=fps, preset="ultrafast")
    pictures = media.decode_bytes(encoded.data)
    assert pictures.shape == (count, height + height % 2, width + width % 2, 3)
    assert (encoded.frames, encoded.height_px, encoded.width_px) == pictures.shape[:3]
    assert encoded.fps == pytest.approx(fps, abs=0.01)
    times = [frame.time_s for frame in media.decode(encoded.data)]
    assert times == pytest.approx([index / fps for index in range(count)], abs=1e-3)


def test_odd_sizes_repeat_the_last_line() -> None:
    picture = np.zeros((17, 33, 3), np.uint8)
    picture[:, -1] = picture[-1, :] = 255
    shown = media.decode_bytes(media.encode([picture] * 2, fps=25, crf=1).data)[0]
    assert shown.shape == (18, 34, 3)
    assert shown[:, -1].min() > 200
    assert shown[-1, :].min() > 200


@pytest.mark.parametrize("paint", [(200, 60, 40), (10, 200, 90), (250, 250, 5), (128, 128, 128), (0, 0, 0)])
def test_colours_come_back(paint: tuple[int, int, int]) -> None:
    data = media.encode([np.full((32, 32, 3), paint, np.uint8)] * 3, fps=25, crf=10).data
    assert np.abs(media.decode_bytes(data)[1].astype(int) - paint).max() <= 4


def test_groups_are_closed_and_as_long_as_asked(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("encode") / "clip.mp4"
    path.write_bytes(media.encode(videos.numbered_frames(40), fps=25, gop=10).data)
    assert not media.frame_index(path).doubt
    assert list(media.frame_index(path).keys) == [0, 10, 20, 30]


def test_the_index_stands_at_the_front_and_no_date_is_written() -> None:
    data = media.encode(videos.numbered_frames(3), fps=25).data
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"Lavf" not in data


def test_a_variable_rate_is_written_as_it_is(varying_times_s: list[float]) -> None:
    stamped = [(videos.numbered(index), round(time * 1000)) for index, time in enumerate(varying_times_s)]
    data = encode_timed(stamped, time_base=Fraction(1, 1000), rate=Fraction(17)).data
    frames = list(media.decode(data))
    assert [frame.time_s for frame in frames] == pytest.approx(varying_times_s, abs=1e-4)
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].frames == 40


def test_a_lower_crf_is_nearer_to_the_source() -> None:
    pictures = list(videos.scene_frames(5, 96, 64, seed=4))

    def error(crf: float) -> float:
        shown = media.decode_bytes(media.encode(pictures, fps=25, crf=crf).data)
        return float(np.abs(shown.astype(int) - np.stack(pictures)).mean())

    assert error(12) < error(28) < error(45)


def test_nothing_and_mixed_sizes_are_mistakes() -> None:
    with pytest.raises(ValueError, match="no frames"):
        media.encode([], fps=25)
    with pytest.raises(ValueError, match="frame 1 has shape"):
        media.encode([np.zeros((32, 32, 3), np.uint8), np.zeros((32, 34, 3), np.uint8)], fps=25)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (29.97, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (25.0, Fraction(25)),
        (30.0, Fraction(30)),
        (12.5, Fraction(25, 2)),
        (Fraction(7, 3), Fraction(7, 3)),
        (8, Fraction(8)),
    ],
)
def test_rates_are_taken_as_meant(said: float | Fraction, meant: Fraction) -> None:
    assert exact_rate(said) == meant


@pytest.mark.parametrize("fps", [0, -3.0])
def test_a_rate_is_above_zero(fps: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        media.encode([np.zeros((16, 16, 3), np.uint8)], fps=fps)
