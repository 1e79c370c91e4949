"""Hostile files at the door of this room: frames, or a MediaError with the right reason, and nothing else."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

import media
from media import Guard, MediaError
from tests import hostile, hostile_headers, videos


def ending(path: Path) -> str:
    try:
        media.probe(path)
        return f"{sum(1 for _ in media.decode(path, wall_limit_s=20))} frames"
    except MediaError as error:
        return error.reason


def still_ending(path: Path) -> str:
    try:
        return str(media.load_still(path).shape)
    except MediaError as error:
        return error.reason


def test_a_size_that_changes_ends_the_pass_in_its_place(tmp_path: Path) -> None:
    path = hostile.MAKERS["a size that changes in the middle"][0](tmp_path)
    shown: list[int] = []
    with pytest.raises(MediaError, match="frame 30 is 192 x 64, those before are 128 x 96") as caught:
        shown.extend(frame.index for frame in media.decode(path))
    assert caught.value.reason == "undecodable"
    assert shown == list(range(29))  # the thirtieth waits for the time of the next


def test_a_header_that_ends_beyond_the_file(tmp_path: Path) -> None:
    path = hostile_headers.lie(".mkv", (hostile_headers.EBML, 0, hostile_headers.BEYOND))(tmp_path)
    assert ending(path) == "truncated"


@pytest.mark.parametrize("kind", hostile.STILLS)
def test_stills_with_flipped_bytes(kind: str, tmp_path: Path) -> None:
    whole = hostile.still(kind)
    endings = {still_ending(hostile.written(tmp_path, "a", hostile.mutated(whole, seed))) for seed in range(25)}
    reasons = {end for end in endings if not end.startswith("(")}
    assert reasons <= {"truncated", "undecodable", "not_media"}


@pytest.mark.parametrize("kind", hostile.STILLS)
def test_stills_cut_off_are_never_taken_for_whole(kind: str, tmp_path: Path) -> None:
    whole = hostile.still(kind)
    for keep in (0.01, 0.2, 0.5, 0.9):
        path = hostile.written(tmp_path, "a", whole[: max(1, int(len(whole) * keep))])
        assert still_ending(path) in {"truncated", "undecodable", "not_media"}, keep


@pytest.mark.parametrize("suffix", [".ts", ".flv", ".mpg", ".wmv", ".nut", ".264", ".gif"])
def test_other_containers_with_flipped_bytes(suffix: str, tmp_path: Path) -> None:
    codec = {".mpg": "mpeg1video", ".wmv": "msmpeg4v3", ".gif": "gif"}.get(suffix, "libx264")
    whole = hostile.base(codec, suffix, pixel_format="rgb8" if codec == "gif" else "yuv420p", frames=20)
    for seed in range(12):
        path = hostile.written(tmp_path, f"a{suffix}", hostile.mutated(whole, seed))
        end = ending(path)
        assert end.endswith("frames") or end in hostile.OURS, seed


def never_ends(path: str) -> None:
    next(iter(media.decode(path)))
    ctypes.PyDLL(None).sleep(600)


def reads_beyond_its_buffer(path: str) -> None:
    next(iter(media.decode(path)))
    ctypes.string_at(0)


def test_a_decoder_that_hangs_or_crashes_costs_one_file(tmp_path: Path) -> None:
    path = str(videos.write_video(tmp_path / "a.mp4", videos.numbered_frames(3)))
    with Guard() as guard:
        for function, reason in ((never_ends, "timeout"), (reads_beyond_its_buffer, "crashed")):
            with pytest.raises(MediaError) as caught:
                guard.run(function, path, limit_s=1.0)
            assert caught.value.reason == reason
            assert guard.run(ending, Path(path), limit_s=60.0) == "3 frames"
