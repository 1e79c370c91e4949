"""The contract: every table of a dataset, its columns, their types, units and meaning.

A table is a list of `Column`s. The Arrow schema is made from it, and every column's document travels in the
Arrow field's metadata (key `doc`), so that Parquet files explain themselves to any reader.

Conventions. Units stand in names where they are not obvious (`_s`, `_px`, `_px_per_s`, `_fraction`). Spans are
source frame numbers, half-open. Times come from timestamps. Every row carries `run_id`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import pyarrow as pa

from dataset.fields import Column, arrow_schema, struct_type
from dataset.measures import MEASURES

__all__ = [
    "BASE_TABLES",
    "CAPTION_LINT",
    "CAPTION_LINT_COLUMNS",
    "KINDS",
    "MEASURES",
    "RIGHTS",
    "RIGHTS_BASES",
    "STATEMENT_TYPE",
    "Column",
    "Kind",
    "arrow_schema",
    "expert_schema",
    "grade_schema",
    "struct_type",
]

Kind = Literal["clip", "still", "pseudo", "synthetic"]
KINDS: Final[tuple[Kind, ...]] = ("clip", "still", "pseudo", "synthetic")
"""What a clip is: real footage, a photograph (one frame), a still that was made to move, or a rendered world."""

RIGHTS_BASES: Final = ("license", "permission", "public_domain", "own", "exception")
"""Why a source may be used: its licence, a permission, no rights in it, it is ours, or an exception of the law."""


_f32, _f64, _i32, _i64, _str, _bool = pa.float32(), pa.float64(), pa.int32(), pa.int64(), pa.string(), pa.bool_()

_RUN = Column("run_id", _str, "the run that wrote this row: runs/<run_id>.json", nullable=False)

_CUT = struct_type(
    Column("frame", _i32, "end of the shot before, half-open"),
    Column("end_frame", _i32, "first frame of the next shot; equals frame for a hard cut"),
    Column("time_s", _f64, "timestamp of frame"),
    Column("kind", _str, "hard | dissolve | fade | wipe"),
    Column("score", _f32, "the detector's confidence, 0 to 1"),
    Column("detector", _str, "the detector that found it"),
    Column("stitched", _bool, "whether both sides show the same scene and the shot was taken to go on"),
)

_KEYFRAME = struct_type(
    Column("frame", _i32, "source frame number"),
    Column("time_s", _f64, "its timestamp"),
    Column("jpeg", pa.binary(), "the picture, JPEG"),
    Column("phash", pa.uint64(), "64-bit DCT perceptual hash of the picture"),
)

STATEMENT_TYPE: Final = struct_type(
    Column("expert", _str, "who says it"),
    Column("dimension", _str, "the part of a caption it belongs to: subject | count | appearance | action | setting | "
           "text | camera | light | style | quality"),
    Column("subject", _str, "what is spoken of"),
    Column("predicate", _str, "what is said of it"),
    Column("value", _str, "the value said"),
    Column("confidence", _f32, "0 to 1"),
    Column("first_frame", _i32, "first source frame it was seen in"),
    Column("end_frame", _i32, "end of the frames it was seen in, half-open"),
)  # fmt: skip
"""One thing an expert says of a clip, with its confidence and the frames it was seen in."""

_TRIPLE = struct_type(
    Column("subject", _str, "the thing"),
    Column("predicate", _str, "its relation or act"),
    Column("object", _str, "what it is related to, or how"),
    Column("attributes", pa.list_(_str), "attributes of the subject"),
)

_WINDOW = struct_type(
    Column("first_frame", _i32, "source span"),
    Column("end_frame", _i32, "source span, half-open"),
    Column("outcome", _str, "of its text, as of a caption; null where nothing is new"),
    Column("text", _str, "what is new in it; null where nothing is"),
    Column("begins", pa.list_(_str), "statements that hold in it and not in the window before"),
    Column("ends", pa.list_(_str), "statements that held in the window before"),
)

_EVIDENCE = struct_type(
    Column("span", _str, "the words of the caption"),
    Column("dimension", _str, "the part of the caption they belong to"),
    Column("expert", _str, "the expert whose statement supports them"),
    Column("statement", _str, "the statement"),
    Column("score", _f32, "1 for a closed-class match, else the sentence cosine"),
)

RIGHTS: Final = (
    Column("source", _str, "who or what it came from, as the user's config says"),
    Column("license", _str, "SPDX identifier or expression, else text, as the user's config says"),
    Column("source_url", _str, "where it was published, which may be elsewhere than uri"),
    Column("rights_basis", _str, "why it may be used: license | permission | public_domain | own | exception"),
    Column(
        "retrieved_at",
        pa.timestamp("ms", tz="UTC"),
        "when it was fetched from where it was published: as the config says, else when an address was first read",
    ),
    Column("opt_out", _bool, "whether its owner has reserved it from training; such a source is quarantined unread"),
)
"""What is known of a source's rights."""

_VIDEOS = (
    Column("video_id", _str, "128-bit BLAKE2b of the source's bytes, hex", nullable=False),
    Column("uri", _str, "where the source was read from", nullable=False),
    Column("media", _str, "video | image", nullable=False),
    Column("status", _str, "ok | quarantined", nullable=False),
    Column("reason", _str, "why it is quarantined: a closed set (media.errors.Reason), null when ok"),
    Column("detail", _str, "the decoder's own words on the reason"),
    Column("size_bytes", _i64, "size of the source"),
    Column("container", _str, "container or image format"),
    Column("codec", _str, "video codec"),
    Column("pixel_format", _str, "libav's name of the pixel format"),
    Column("width_px", _i32, "display width: after rotation and pixel aspect"),
    Column("height_px", _i32, "display height: after rotation and pixel aspect"),
    Column("rotation_deg", _i32, "clockwise rotation that a player applies: 0, 90, 180, 270"),
    Column("frames", _i32, "its frames, counted"),
    Column(
        "frames_decoded",
        _i32,
        "frames that were decoded to measure it; the others are ones that no other is predicted from, where nothing "
        "happens (CurateConfig.decode)",
    ),
    Column("duration_s", _f64, "from the first timestamp to the end of the last frame"),
    Column("fps", _f64, "mean rate: frames / duration"),
    Column("variable_frame_rate", _bool, "whether frame durations differ by more than 10%"),
    Column("has_audio", _bool, "whether an audio stream is present"),
    Column("cuts", pa.list_(_CUT), "shot boundaries, in frame order"),
    *RIGHTS,
    _RUN,
)

_CLIPS = (
    Column(
        "clip_id",
        _str,
        "<video_id>:<first>-<end>, and for a pseudo-video @<motion>, `+` written `_and_`",
        nullable=False,
    ),
    Column(
        "video_id", _str, "the source; of a pseudo-video its still, whose own clip is <video_id>:0-1", nullable=False
    ),
    Column("kind", _str, "clip | still | pseudo | synthetic", nullable=False),
    Column("uri", _str, "where the source was read from", nullable=False),
    Column("first_frame", _i32, "first source frame", nullable=False),
    Column("end_frame", _i32, "end source frame, half-open", nullable=False),
    Column("start_s", _f64, "timestamp of the first frame"),
    Column("end_s", _f64, "timestamp at which the last frame ends"),
    Column("duration_s", _f64, "end_s - start_s"),
    Column("frames", _i32, "number of frames", nullable=False),
    Column("fps", _f64, "frames / duration_s"),
    Column("width_px", _i32, "display width of the source; of a pseudo-video, its own"),
    Column("height_px", _i32, "display height of the source; of a pseudo-video, its own"),
    Column("shot", _i32, "index of the shot within its source"),
    Column("cut_in", _str, "how the clip begins: start | hard | dissolve | fade | wipe | split"),
    Column("cut_out", _str, "how the clip ends: end | hard | dissolve | fade | wipe | split"),
    *MEASURES,
    Column("phash", pa.uint64(), "64-bit DCT perceptual hash of the middle keyframe"),
    Column("keyframes", pa.list_(_KEYFRAME), "a few JPEG keyframes, in frame order, at most 360 px high"),
    Column("motion", _str, "pseudo-videos: the motion asked for, for instance zoom_in, or zoom_in+pan_left"),
    Column("motion_speed_per_s", _f32, "pseudo-videos: share of the picture travelled per second"),
    Column(
        "affine",
        pa.list_(pa.list_(_f32, 6)),
        "pseudo-videos: per frame, the 2x3 matrix from output to source, "
        "in normalised coordinates (-1 to 1), row-major",
    ),
    _RUN,
)

_CAPTIONS = (
    Column("clip_id", _str, "the clip", nullable=False),
    Column("outcome", _str, "ok | repaired | template | blocked | error", nullable=False),
    Column("keyframes_hash", _str, "128-bit BLAKE2b, hex, of the keyframes that it was made of"),
    Column("short", _str, "at most 15 words"),
    Column("medium", _str, "what matters most, in about 40 words"),
    Column("dense", _str, "as much as the evidence supports, up to 200 words"),
    Column("short_zh", _str, "the short caption in Chinese; null where it was not asked for, or did not hold"),
    Column("dense_zh", _str, "the dense caption in Chinese, likewise"),
    Column("structured", pa.map_(_str, _str), "the caption by dimension: subject, count, action, setting ..."),
    Column("graph", pa.list_(_TRIPLE), "the scene graph: triples with attributes"),
    Column("evidence", pa.list_(_EVIDENCE), "what supports each span"),
    Column("dropped", pa.list_(_str), "spans the model wrote that no statement supports"),
    Column("flags", pa.list_(_str), "lint of this caption alone: repetition, length, motion_contradiction ..."),
    Column("conflicts", pa.list_(_str), "statements that lost to a weightier one, with both weights"),
    Column("experts", pa.list_(_str), "the experts whose statements were used"),
    Column("windows", pa.list_(_WINDOW), "a long clip's windows, with what begins and ends in each; else empty"),
    Column("backend", _str, "openai | vllm | transformers | embedded | template; of a synthetic clip: truth"),
    Column("model", _str, "the language model; null for the template"),
    Column("model_hash", _str, "sha256 of its weights, first 12 hex digits"),
    Column("prompt_hash", _str, "BLAKE2b of the prompt template, 12 hex digits"),
    Column("raw", _str, "what the language model wrote, unedited"),
    Column("tokens_in", _i32, "prompt tokens, of all tries, windows and translations together"),
    Column("tokens_out", _i32, "completion tokens, likewise"),
    Column("tries", _i32, "how often the language model was asked until its answer could be used"),
    Column("wall_s", _f32, "time spent on this caption"),
    Column("error", _str, "the backend's error, when outcome is error or the fallback was taken for it"),
    _RUN,
)

CAPTION_LINT: Final = "caption_lint.parquet"
"""What comes of comparing all captions: no table of parts, but one file that is made anew from `captions`."""

CAPTION_LINT_COLUMNS: Final = (
    Column("clip_id", _str, "the clip", nullable=False),
    Column("flags", pa.list_(_str), "duplicate, near_duplicate, length_outlier, with a detail after a colon", False),
    _RUN,
)
"""The columns of `CAPTION_LINT`, and of the view `caption_lint`."""

_SELECTIONS = (
    Column("clip_id", _str, "the clip", nullable=False),
    Column("kept", _bool, "whether every rule passed", nullable=False),
    Column("rejected_by", pa.list_(_str), "names of the rules that rejected it, in the rules' order", nullable=False),
    _RUN,
)

_DUPLICATES = (
    Column("clip_id", _str, "the clip; a row for each that has a duplicate", nullable=False),
    Column("cluster_id", _str, "64-bit BLAKE2b, hex, of the ids of the cluster's clips", nullable=False),
    Column("kind", _str, "exact | near | semantic; of a representative, the strongest in its cluster", nullable=False),
    Column("representative", _bool, "whether it is the best of its cluster, to be kept", nullable=False),
    Column("representative_id", _str, "the best clip of its cluster: the one it is a duplicate of", nullable=False),
    Column(
        "distance",
        _f32,
        "from the representative; near: bits of 64, mean over the keyframes that match; semantic: 1 - cosine; exact: "
        "the share of the shorter clip that is not in the other; null for the representative",
    ),
    Column("reason", _str, "what is alike; of a representative, why it is the best", nullable=False),
    _RUN,
)

_BALANCE = (
    Column("clip_id", _str, "the clip; a row for each that was weighed", nullable=False),
    Column("concept", _i32, "the cluster it is in, by what it shows; 0 is the largest, null where nothing tells"),
    Column("concept_name", _str, "the words that set this concept apart from the others"),
    Column("motion_tier", _str, "none | gentle | clear | strong, by how much moves; else unmeasured", nullable=False),
    Column("camera", _str, "static | pan | tilt | zoom | roll | handheld; else unmeasured", nullable=False),
    Column("weight", _f32, "how often to draw it, against 1 in the mean, for groups to be even", nullable=False),
    _RUN,
)

_SHARDS = (
    Column("clip_id", _str, "the clip", nullable=False),
    Column("video_id", _str, "the source", nullable=False),
    Column("kind", _str, "clip | still | pseudo | synthetic", nullable=False),
    Column(
        "media",
        pa.large_binary(),
        "the clip's bytes; of a pseudo-video that was not encoded its still's; null where cut is reference",
    ),
    Column("media_type", _str, "video/mp4, or that of the still; null where cut is reference"),
    Column("media_hash", _str, "128-bit BLAKE2b of media, hex; of a reference, of its source and span", nullable=False),
    Column("cut", _str, "copy: the source's own packets | exact: encoded again | reference: frames stay at uri"),
    Column("in_frame", _i32, "the clip's first frame, as a frame number of media; of a reference, of uri"),
    Column("out_frame", _i32, "the frame after its last, so half-open; media may go on"),
    Column("psnr_db", _f32, "fidelity of an exact cut: PSNR of luma against what was encoded"),
    Column("frames", _i32, "out_frame - in_frame, counted when the cut was verified", nullable=False),
    Column("fps", _f64, "the clip's rate", nullable=False),
    Column("width_px", _i32, "width of its pictures, upright", nullable=False),
    Column("height_px", _i32, "height of its pictures, upright", nullable=False),
    Column("duration_s", _f64, "frames / fps", nullable=False),
    Column("first_frame", _i32, "source span", nullable=False),
    Column("end_frame", _i32, "source span, half-open", nullable=False),
    Column("bucket", _str, "the bucket of the recipe that the set is laid out by, FRAMESxHEIGHTxWIDTH@FPS; null: none"),
    Column("short", _str, "the short caption"),
    Column("medium", _str, "the medium caption"),
    Column("dense", _str, "the dense caption"),
    Column("dense_zh", _str, "the dense caption in Chinese, where there is one"),
    Column("caption_outcome", _str, "ok | repaired | template"),
    Column("flow_mean_px_per_s", _f32, "measured motion, for conditioning"),
    Column("camera_motion", _str, "measured camera, for conditioning"),
    Column("sharpness_laplacian", _f32, "measured sharpness, for conditioning"),
    Column("tags", pa.list_(_str), "the tagger's labels"),
    Column("phash", pa.uint64(), "perceptual hash of the middle keyframe"),
    Column("uri", _str, "the source's address"),
    Column("source", _str, "who or what it came from"),
    Column("license", _str, "SPDX identifier or expression, else text"),
    Column("source_url", _str, "where the source was published"),
    Column("rights_basis", _str, "why it may be used"),
    _RUN,
)

_REMOVALS = (
    Column(
        "source", _str, "what was to be removed: an address, a folder that ends in /, or a video_id", nullable=False
    ),
    Column("video_id", _str, "a source that is removed by it; null if nothing of it was here"),
    Column("uri", _str, "that source's address"),
    Column("reason", _str, "why, in the words of who removed it"),
    Column("removed_at", pa.timestamp("ms", tz="UTC"), "since when no reader sees it", nullable=False),
    _RUN,
)

_UNCUT = (
    Column("clip_id", _str, "the clip", nullable=False),
    Column("reason", _str, "why it is no training row: a closed set (media.errors.Reason)", nullable=False),
    Column("detail", _str, "what was found"),
    _RUN,
)

BASE_TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "videos": _VIDEOS,
    "clips": _CLIPS,
    "captions": _CAPTIONS,
    "selections": _SELECTIONS,
    "duplicates": _DUPLICATES,
    "balance": _BALANCE,
    "shards": _SHARDS,
    "uncut": _UNCUT,
    "removals": _REMOVALS,
}
"""Tables whose columns are fixed; experts and grades declare their own value columns."""

_EXPERT_KEYS = (
    Column("clip_id", _str, "the clip", nullable=False),
    Column("version", _str, "the expert's version", nullable=False),
    Column("model", _str, "its model, null for classical vision"),
    Column("model_hash", _str, "sha256 of the model's weights, first 12 hex digits"),
    Column("statements", pa.list_(STATEMENT_TYPE), "what it says of the clip, for captions"),
    Column("error", _str, "why the values are null, when the expert failed on this clip"),
    _RUN,
)


def expert_schema(values: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of an expert's table: the fixed columns, then its own `values`."""
    return arrow_schema((*_EXPERT_KEYS, *values))


_GRADE_KEYS = (
    Column("sample_id", _str, "what was graded: a clip's id, or a generated video's", nullable=False),
    _RUN,
)


def grade_schema(values: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of a table of grades: the fixed columns, then a column for every metric in `values`."""
    return arrow_schema((*_GRADE_KEYS, *values))
