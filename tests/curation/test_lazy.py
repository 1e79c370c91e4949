"""Pseudo-videos that spend no bytes on video: a reader makes the very pixels that would have been encoded."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import media
from curation import PseudoConfig, pseudo
from curation.lazy import AFFINE, image_type, lazy_clips, with_affine
from dataset import open_root, schema_of
from dataset.shards import FRAME_COLUMNS, ShardReader, shard_frames, shard_row, write_shard
from media import CutMode, Encoded, MediaError
from tests.curation.pictures import Rgb, photograph

MOTIONS = ("zoom_in", "pan_left", "roll_right", "zoom_out+tilt_up")
CONFIG = PseudoConfig(motions=MOTIONS, frames=10, fps=10, height_px=96, shake_fraction=0.004)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lazy") / "still.png"
    Image.fromarray(photograph(1, 321, 215)).save(path)
    return path


@pytest.fixture(scope="module")
def rows(still: Path) -> list[dict[str, Any]]:
    return pseudo.pseudo_clips(str(still), media.content_id(still), media.load_still(still), CONFIG, run_id="r1")


def lossless(frames: list[Rgb]) -> bytes:
    """Encode as FFV1 in RGB: nothing is lost."""
    buffer = BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=Fraction(10))
        stream.height, stream.width, _ = frames[0].shape
        stream.pix_fmt = "bgr0"
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def row_of(clip: dict[str, Any], encoded: Encoded | MediaError) -> dict[str, Any]:
    assert isinstance(encoded, Encoded)
    made = shard_row(
        clip,
        encoded.data or None,
        cut=encoded.mode,
        frames=encoded.frames,
        fps=encoded.fps,
        width_px=encoded.width_px,
        height_px=encoded.height_px,
        media_type=image_type(encoded.data),
        run_id="r1",
    )
    return {**made, "affine": clip["affine"]}


@pytest.mark.parametrize("mode", ["copy", "reference"])
@pytest.mark.parametrize("number", range(len(MOTIONS)))
def test_lazy_and_encoded_give_the_same_pixels(
    mode: CutMode, number: int, still: Path, rows: list[dict[str, Any]]
) -> None:
    clip = rows[number]
    encoded = lossless(list(pseudo.render_clip(clip, media.load_still(still))))
    (made,) = lazy_clips([clip], still, mode)
    lazy = shard_frames(row_of(clip, made))
    assert lazy.shape == (10, clip["height_px"], clip["width_px"], 3)
    assert np.array_equal(lazy, shard_frames({"clip_id": clip["clip_id"], "media": encoded}))


def test_some_frames_are_rendered_alone(still: Path, rows: list[dict[str, Any]]) -> None:
    (made,) = lazy_clips(rows[:1], still, "reference")
    row = row_of(rows[0], made)
    assert np.array_equal(shard_frames(row, [7, 2]), shard_frames(row)[[7, 2]])
    with pytest.raises(MediaError, match="frame 10 is asked for"):
        shard_frames(row, [10])


def test_a_reference_costs_no_bytes_and_a_copy_those_of_the_still(still: Path, rows: list[dict[str, Any]]) -> None:
    made = lazy_clips(rows, still, "reference")
    assert [row_of(clip, one)["media"] for clip, one in zip(rows, made, strict=True)] == [None] * 4
    for one in lazy_clips(rows, still, "copy"):
        assert isinstance(one, Encoded)
        assert one.data == still.read_bytes()


def test_a_still_that_cannot_be_read_is_promised_to_nobody(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    for mode in ("copy", "reference"):
        outcomes = lazy_clips(rows, bad, mode)  # type: ignore[arg-type]
        assert [type(one) for one in outcomes] == [MediaError] * 4


@pytest.mark.parametrize(("kind", "said"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp"), ("JPEG2000", "jp2")])
def test_media_types(kind: str, said: str) -> None:
    buffer = BytesIO()
    Image.fromarray(photograph(2)).save(buffer, kind)
    assert image_type(buffer.getvalue()) == f"image/{said}"
    assert image_type(b"nothing known of this one") == "application/octet-stream"


def test_shards_hold_both_kinds_and_read_the_columns_they_need(
    tmp_path: Path, still: Path, rows: list[dict[str, Any]]
) -> None:
    """A set may have parts with the column and parts without, and a reader asks of both for the same columns."""
    root = open_root(tmp_path / "d", create=True)
    (copied,), (referred,) = lazy_clips(rows[:1], still, "copy"), lazy_clips(rows[1:2], still, "reference")
    lazy = [row_of(rows[0], copied), row_of(rows[1], referred)]
    write_shard(root, "train", lazy, key="lazy", schema=with_affine(schema_of("shards/x")))
    frames = list(pseudo.render_clip(rows[2], media.load_still(still)))
    video = media.encode(frames, fps=10)
    size = {"frames": 10, "fps": 10.0, "width_px": video.width_px, "height_px": video.height_px}
    write_shard(root, "train", [shard_row(rows[2], video.data, **size, run_id="r1")], key="video")
    reader = ShardReader(root, "train")
    for clip in rows[:3]:
        row = reader.row(clip["clip_id"], FRAME_COLUMNS)
        seen = shard_frames(row)
        rendered = np.stack(list(pseudo.render_clip(clip, media.load_still(still))))
        exact = row.get("affine") is not None
        assert exact == (clip is not rows[2])
        assert np.abs(seen[:, : rendered.shape[1], : rendered.shape[2]].astype(int) - rendered).max() <= (
            0 if exact else 40
        )
    assert {row["clip_id"] for row in reader.iter_rows(["clip_id", "affine"])} == {row["clip_id"] for row in rows[:3]}


def test_the_column_is_added_once() -> None:
    schema = with_affine(schema_of("shards/x"))
    assert with_affine(schema) == schema
    assert schema.field("affine").type == AFFINE.type
    assert b"output to still" in schema.field("affine").metadata[b"doc"]
