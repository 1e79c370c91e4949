"""Duplicates: the time at ten thousand to a million clips, and what is found of planted copies of real footage.

The million is made up, and stored as a real table of clips without pictures: three random hashes a clip, a tenth of the
clips copied with up to `PLANTED_BITS` bits flipped, one picture in a thousand black, and one clip in a thousand from a
crowd that all show one picture. The time is that of `find_duplicates`, reading and writing included.

The copies are made of the footage in packages: decoded, changed, encoded, ingested as any source is. A shot of the
original and the shot of the copy that lies over it should be in one cluster; other shots should not.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

import media
from benchmarks.common import main
from curation import CurateConfig, ingest
from curation.duplicates import DuplicatesConfig, find_duplicates
from dataset import Root, open_root, schema_of
from dataset.schema import Column, expert_schema
from experts.pictures import embed_pictures
from experts.weights import footage

Rgb = npt.NDArray[np.uint8]

RUN: Final = "20261101T000000-00000000"
SIZES: Final = (10_000, 100_000, 1_000_000)
QUICK_SIZES: Final = (10_000, 100_000)
PLANTED_BITS: Final = 6
PART: Final = 100_000
MOST_FRAMES, QUICK_FRAMES = 600, 180
HEIGHT: Final = 360
LOOKS: Final = expert_schema([Column("vector", pa.list_(pa.float32()), "the tagger's features of the keyframes")])


def dedup(quick: bool) -> Mapping[str, Any]:
    """Time the search at each size; then measure what it finds of planted copies.

    Quick: to 100,000 clips, and less footage.
    """
    figures: dict[str, Any] = {}
    for clips in QUICK_SIZES if quick else SIZES:
        figures |= _timed(clips)
    sizes = sorted(int(key.split("_")[1]) for key in figures if key.endswith("_clips_s"))
    for low, high in pairwise(sizes):
        ratio = figures[f"dedup_{high}_clips_s"] / figures[f"dedup_{low}_clips_s"]
        figures[f"dedup_growth_exponent_{low}_to_{high}"] = round(math.log(ratio) / math.log(high / low), 2)
    if not quick:
        figures["dedup_1m_s"] = figures[f"dedup_{SIZES[-1]}_clips_s"]
    return figures | _recall(quick)


def _timed(clips: int) -> dict[str, Any]:
    """Return seconds, and the share of planted copies that are found."""
    with tempfile.TemporaryDirectory(prefix="rushes-dedup-") as folder:
        root = open_root(Path(folder, "D"), create=True)
        copies = _made_up(root, clips)
        started = time.perf_counter()
        found = find_duplicates(root, DuplicatesConfig(), RUN)
        took = time.perf_counter() - started
        rows = root.read("duplicates/default", ["clip_id", "representative_id"]).to_pydict()
    head = dict(zip(rows["clip_id"], rows["representative_id"], strict=True))
    together = sum(head.get(_id(a)) == head.get(_id(b)) is not None for a, b in copies)
    return {
        f"dedup_{clips}_clips_s": round(took, 2),
        f"dedup_{clips}_planted_found": round(together / len(copies), 5),
        f"dedup_{clips}_clusters": found.clusters,
        f"dedup_{clips}_comparisons_left_out": found.skipped,
    }


def _id(clip: int) -> str:
    return f"{clip:032x}:0-96"


def _made_up(root: Root, clips: int) -> list[tuple[int, int]]:
    """Write a table of clips; return the pairs (original, copy)."""
    random = np.random.default_rng(clips)
    hashes = random.integers(0, 1 << 64, (clips, 3), dtype=np.uint64)
    hashes[random.random((clips, 3)) < 0.001] = 0
    hashes[random.random(clips) < 0.001] = 0x0F1E2D3C4B5A6978
    tenth = clips // 11
    source = random.choice(clips - tenth, tenth, replace=False)
    hashes[clips - tenth :] = hashes[source]
    for _ in range(PLANTED_BITS):  # each of them, once in a while, meets a bit that was flipped before
        bits = np.uint64(1) << random.integers(0, 64, (tenth, 3)).astype(np.uint64)
        hashes[clips - tenth :] ^= np.where(random.random((tenth, 3)) < 0.7, bits, np.uint64(0))
    for low in range(0, clips, PART):
        root.write_part("clips", _clip_rows(random, hashes[low : low + PART], low), key=str(low))
    black = (hashes == 0).any(axis=1)
    pairs = enumerate(source.tolist(), clips - tenth)
    return [(a, b) for b, a in pairs if not black[a] and not black[b]]


def _clip_rows(random: np.random.Generator, hashes: npt.NDArray[np.uint64], low: int) -> pa.Table:
    rows = len(hashes)
    ids = [_id(low + i) for i in range(rows)]
    keyframe = schema_of("clips").field("keyframes").type.value_type
    nothing = {"frame": pa.int32(), "time_s": pa.float64(), "jpeg": pa.binary()}
    fields = [pa.nulls(rows * 3, kind) for kind in nothing.values()]
    frames = pa.StructArray.from_arrays([*fields, pa.array(hashes.ravel())], fields=list(keyframe))
    lists = pa.ListArray.from_arrays(pa.array(np.arange(0, rows * 3 + 1, 3, dtype=np.int32)), frames)
    same = {"kind": "clip", "uri": "x", "first_frame": 0, "end_frame": 96, "frames": 96, "shot": 0, "run_id": RUN}
    return pa.table(
        {
            "clip_id": pa.array(ids),
            "video_id": pa.array([name.partition(":")[0] for name in ids]),
            "width_px": pa.array(random.choice([640, 1280, 1920], rows), pa.int32()),
            "height_px": pa.array(np.full(rows, 720), pa.int32()),
            "sharpness_laplacian": pa.array(random.gamma(3, 60, rows), pa.float32()),
            "duration_s": pa.array(random.uniform(1, 10, rows)),
            "keyframes": lists,
            **{name: pa.repeat(pa.scalar(value), rows) for name, value in same.items()},
        }
    )


# Planted copies of real footage


def _same(frames: list[Rgb]) -> list[Rgb]:
    return frames


def _each(change: Callable[[Rgb], Rgb]) -> Callable[[list[Rgb]], list[Rgb]]:
    return lambda frames: [np.ascontiguousarray(change(frame)) for frame in frames]


def _half(frame: Rgb) -> Rgb:
    size = frame.shape[1] // 2, frame.shape[0] // 2
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _crop(frame: Rgb) -> Rgb:
    """Return the middle 90% of each side."""
    rows, columns = frame.shape[0] // 20, frame.shape[1] // 20
    return frame[rows : frame.shape[0] - rows, columns : frame.shape[1] - columns]


def _logo(frame: Rgb) -> Rgb:
    """Return the frame with a channel's logo in a corner: a white disc and letters, an eighth of the height."""
    out = frame.copy()
    side = frame.shape[0] // 8
    centre = frame.shape[1] - side, side
    cv2.circle(out, centre, side // 2, (255, 255, 255), -1, cv2.LINE_AA)
    cv2.putText(out, "TV", (centre[0] - side // 3, centre[1] + side // 6), cv2.FONT_HERSHEY_DUPLEX, side / 60,
                (200, 0, 0), 2, cv2.LINE_AA)  # fmt: skip
    return out


def _bright(frame: Rgb) -> Rgb:
    return np.asarray(np.clip(frame * 1.25 + 10, 0, 255), np.uint8)


ATTACKS: Final[dict[str, tuple[Callable[[list[Rgb]], list[Rgb]], float]]] = {
    "reencode_crf35": (_same, 35),
    "rescale_half": (_each(_half), 23),
    "crop_90": (_each(_crop), 23),
    "logo": (_each(_logo), 23),
    "shift_300ms": (_same, 23),
    "brightness": (_each(_bright), 23),
}
"""What is done to the frames, and x264's constant rate factor."""


def _recall(quick: bool) -> dict[str, Any]:
    """Return, for each attack, the share of the shots whose copy is clustered with them; and false pairs."""
    with tempfile.TemporaryDirectory(prefix="rushes-dedup-") as folder:
        clips = [row for film in _films(quick) for row in _planted(*film, Path(folder))]
    figures: dict[str, Any] = {"planted_originals": sum(row["attack"] == "original" for row in clips)}
    vectors = _looks(clips)
    settings: dict[str, tuple[DuplicatesConfig, Any]] = {
        "": (DuplicatesConfig(), None),
        "_distance_4": (DuplicatesConfig(distance=4), None),
        "_distance_12_nearest_8": (DuplicatesConfig(distance=12, nearest=8), None),
        "_crops": (DuplicatesConfig(crops=(0.95, 0.9, 0.85)), None),
        "_with_embedding": (DuplicatesConfig(cosine=0.9, embedding="looks.vector"), vectors),
    }
    for label, (config, given) in settings.items():
        figures |= {f"{name}{label}": value for name, value in _judged(clips, config, given).items()}
    figures["dedup_recall_planted"] = figures["recall_all"]
    return figures


def _planted(film: str, frames: list[Rgb], fps: float, folder: Path) -> list[dict[str, Any]]:
    """Return the clips of a film and of its copies, with `attack`, `film`, their time in it, and the scene they show.

    A scene is a shot of the original: that in which the middle of the clip lies.
    """
    skip = round(0.3 * fps)
    found: list[dict[str, Any]] = []
    for attack, (change, crf) in {"original": (_same, 18.0), **ATTACKS}.items():
        late = skip if attack == "shift_300ms" else 0
        target = folder / f"{film}-{attack}.mp4"
        target.write_bytes(media.encode(change(frames[late:]), fps=fps, crf=crf).data)
        for row in ingest(str(target), CurateConfig(), run_id=RUN).clips:
            span = {"from": row["first_frame"] + late, "to": row["end_frame"] + late}
            found.append({**row, **span, "attack": attack, "film": film})
    for row in found:
        middle = (row["from"] + row["to"]) / 2
        shots = [o["shot"] for o in found if o["attack"] == "original" and o["from"] <= middle < o["to"]]
        row["scene"] = (film, shots[0] if shots else None)
    return found


def _films(quick: bool) -> Iterator[tuple[str, list[Rgb], float]]:
    """Yield the videos, and photographs with a camera moving over them for two seconds, and their rates."""
    taken = footage()
    for path in taken.videos:
        frames = islice(media.decode(path), QUICK_FRAMES if quick else MOST_FRAMES)
        yield path.stem, [_low(frame.rgb()) for frame in frames], round(media.probe(path).fps or 25)
    for path in taken.photos[: 2 if quick else None]:
        photo = _low(media.load_still(path))
        rows, columns = (int(side * 0.8) // 2 * 2 for side in photo.shape[:2])
        across, down = photo.shape[1] - columns, photo.shape[0] - rows
        steps = [(down * i // 47, across * i // 47) for i in range(48)]
        yield path.stem, [np.ascontiguousarray(photo[y : y + rows, x : x + columns]) for y, x in steps], 24.0


def _low(rgb: Rgb) -> Rgb:
    """Return the picture at most `HEIGHT` high."""
    if rgb.shape[0] <= HEIGHT:
        return rgb
    size = round(rgb.shape[1] * HEIGHT / rgb.shape[0] / 2) * 2, HEIGHT
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _looks(clips: list[dict[str, Any]]) -> npt.NDArray[np.float32]:
    """Return for each clip the mean of its keyframes' features by the tagger, unit length."""
    rows = []
    for row in clips:
        seen = embed_pictures([media.decode_jpeg(k["jpeg"]) for k in row["keyframes"]])
        mean = seen.mean(axis=0)
        rows.append(mean / np.linalg.norm(mean))
    return np.array(rows, np.float32)


def _judged(clips: list[dict[str, Any]], config: DuplicatesConfig, vectors: Any) -> dict[str, Any]:
    """Cluster originals with the copies of one attack at a time; return recall of each, of all, and false pairs."""
    figures: dict[str, Any] = {}
    hit = wanted = false = pairs = 0
    for attack in ATTACKS:
        chosen = [i for i, row in enumerate(clips) if row["attack"] in ("original", attack)]
        rows = [clips[i] for i in chosen]
        head = _heads(rows, config, None if vectors is None else vectors[chosen])
        met = [(a, b, head[i] == head[j]) for i, a in enumerate(rows) for j, b in enumerate(rows[:i])]
        copies = [same for a, b, same in met if a["attack"] != b["attack"] and _shared(a, b) >= 0.5]
        strange = [same for a, b, same in met if a["scene"] != b["scene"]]
        figures[f"recall_{attack}"] = round(sum(copies) / len(copies), 3)
        hit, wanted = hit + sum(copies), wanted + len(copies)
        false, pairs = false + sum(strange), pairs + len(strange)
    return {**figures, "recall_all": round(hit / wanted, 3), "false_pairs": false, "pairs_of_other_shots": pairs}


def _heads(rows: list[dict[str, Any]], config: DuplicatesConfig, vectors: Any) -> list[str]:
    """Return the representative of each row."""
    schema = schema_of("clips")
    table = pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema)
    ids = [row["clip_id"] for row in rows]
    with tempfile.TemporaryDirectory(prefix="rushes-dedup-") as folder:
        root = open_root(Path(folder, "D"), create=True)
        root.write_part("clips", table, key="all")
        if vectors is not None:
            given = [
                {"clip_id": name, "version": "1", "vector": vector.tolist(), "run_id": RUN}
                for name, vector in zip(ids, vectors, strict=True)
            ]
            root.write_part("experts/looks", given, LOOKS, key="all")
        find_duplicates(root, config, RUN)
        found = root.read("duplicates/default", ["clip_id", "representative_id"]).to_pydict()
    head = dict(zip(found["clip_id"], found["representative_id"], strict=True))
    return [head.get(name, name) for name in ids]


def _shared(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Return how much of the shorter clip's time in the film the other has as well."""
    common = min(a["to"], b["to"]) - max(a["from"], b["from"])
    return max(0, common) / min(a["frames"], b["frames"]) if a["film"] == b["film"] else 0.0


if __name__ == "__main__":
    main("dedup", dedup)
