"""Bad food: every file ends in frames or in a MediaError whose reason is the right one."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import media
from media.errors import MediaError, Reason
from tests import videos

Maker = Callable[..., Path]


def reason_of(path: Path) -> Reason:
    with pytest.raises(MediaError) as caught:
        media.probe(path)
    with pytest.raises(MediaError) as again:
        list(media.decode(path))
    assert caught.value.reason == again.value.reason
    assert str(path.parent) not in caught.value.detail or caught.value.reason == "unreadable"
    return caught.value.reason


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "nothing.mp4") == "unreadable"
    assert reason_of(tmp_path) == "unreadable"


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert reason_of(tmp_path / "empty.mp4") == "empty_file"


@pytest.mark.parametrize(
    "content",
    [
        b"once upon a time there was a file that was no video\n" * 40,
        b"1\n00:00:01,000 --> 00:00:02,000\na subtitle\n\n" * 10,
        np.random.default_rng(0).bytes(30_000),
        b"\0" * 5_000,
        b"x",
        b"%PDF-1.7\n" + b"0 obj\n" * 200,
    ],
    ids=["text", "subtitles", "noise", "zeros", "one byte", "pdf"],
)
def test_what_is_no_media(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "named.mp4").write_bytes(content)
    assert reason_of(tmp_path / "named.mp4") == "not_media"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".wav"])
def test_sound_alone(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"sound{suffix}"
    if suffix == ".wav":
        data = b"\0" * 8000
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(data)
    else:
        videos.write_silence(path)
    assert reason_of(path) == "no_video"


def test_a_picture_is_not_decoded_as_a_video(tmp_path: Path) -> None:
    Image.fromarray(videos.numbered(3)).save(tmp_path / "picture.png")
    assert media.probe(tmp_path / "picture.png").is_still
    with pytest.raises(MediaError) as caught:
        list(media.decode(tmp_path / "picture.png"))
    assert caught.value.reason == "no_video"


@pytest.mark.parametrize(
    "playlist",
    ["ffconcat version 1.0\nfile '{}'\n", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n"],
    ids=["concat", "hls"],
)
def test_a_playlist_opens_no_other_file(playlist: str, numbered_video: Maker, tmp_path: Path) -> None:
    other = numbered_video(suffix=".ts")
    (tmp_path / "list.mp4").write_text(playlist.format(other))
    assert reason_of(tmp_path / "list.mp4") == "not_media"


TRUNCATED: dict[str, dict[str, object]] = {
    "mp4": {},
    "mp4, index first": {"container_options": {"movflags": "+faststart"}},
    "mp4, index first, sound": {"container_options": {"movflags": "+faststart"}, "audio": True},
    "mp4, fragments": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "mov": {"suffix": ".mov"},
    "mkv": {"suffix": ".mkv"},
    "webm": {"suffix": ".webm", "codec": "libvpx-vp9"},
    "avi": {"suffix": ".avi", "codec": "mpeg4"},
}


@pytest.mark.parametrize("kind", TRUNCATED)
def test_a_cut_off_file_is_truncated_wherever_it_ends(kind: str, numbered_video: Maker, tmp_path: Path) -> None:
    whole = numbered_video(**TRUNCATED[kind])
    size = whole.stat().st_size
    for keep in (0.02, 0.1, 0.3, 0.5, 0.8, 0.95, (size - 12) / size):
        assert reason_of(videos.truncate(whole, tmp_path / f"part{whole.suffix}", keep)) == "truncated", keep


def test_a_box_that_ends_with_the_file_is_held_to_its_table(numbered_video: Maker, tmp_path: Path) -> None:
    """An 'mdat' of size 0 runs to the end of the file, wherever that is: only the sample table knows better."""
    data = bytearray(numbered_video(container_options={"movflags": "+faststart"}).read_bytes())
    at = data.index(b"mdat") - 4
    data[at : at + 4] = bytes(4)
    (tmp_path / "open.mp4").write_bytes(data)
    assert media.probe(tmp_path / "open.mp4").frames_header == 40
    (tmp_path / "open.mp4").write_bytes(data[:-300])
    assert reason_of(tmp_path / "open.mp4") == "truncated"


def test_trailing_bytes_are_no_harm(numbered_video: Maker, tmp_path: Path) -> None:
    for junk in (b"\0\0\0", b"\0" * 64, b"\1\2\3\4\5\6\7\x08" * 8):
        (tmp_path / "tail.mp4").write_bytes(numbered_video().read_bytes() + junk)
        assert len(list(media.decode(tmp_path / "tail.mp4"))) == 40


def test_a_container_with_garbage_for_pictures_is_undecodable(numbered_video: Maker, tmp_path: Path) -> None:
    data = bytearray(numbered_video(container_options={"movflags": "+faststart"}).read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = np.random.default_rng(1).bytes(len(data) - start)
    (tmp_path / "garbage.mp4").write_bytes(data)
    assert reason_of(tmp_path / "garbage.mp4") == "undecodable"


def test_a_damaged_index_is_undecodable(numbered_video: Maker, tmp_path: Path) -> None:
    data = bytearray(numbered_video().read_bytes())
    at = data.index(b"stsd")
    data[at : at + 4] = b"xxxx"
    (tmp_path / "index.mp4").write_bytes(data)
    assert reason_of(tmp_path / "index.mp4") in {"undecodable", "no_video"}


@pytest.mark.parametrize(
    "kind", [{}, {"suffix": ".mkv", "codec": "libx265"}, {"suffix": ".webm", "codec": "libvpx-vp9"}], ids=str
)
def test_flipped_bits_end_in_frames_or_in_a_reason(
    kind: dict[str, object], numbered_video: Maker, tmp_path: Path
) -> None:
    data = numbered_video(**kind).read_bytes()
    path = tmp_path / "flipped.bin"

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(1, 255)), min_size=1, max_size=4))
    def check(flips: list[tuple[int, int]]) -> None:
        damaged = bytearray(data)
        for at, mask in flips:
            damaged[at] ^= mask
        path.write_bytes(damaged)
        try:
            media.probe(path)
            shown = sum(1 for frame in media.decode(path, wall_limit_s=20) if frame.luma().size)
        except MediaError as error:
            ending: str = error.reason
        else:
            ending = f"{shown} frames"
        assert ending in {"truncated", "undecodable", "not_media", "no_video", *(f"{n} frames" for n in range(1, 60))}

    check()
