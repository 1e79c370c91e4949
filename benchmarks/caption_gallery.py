"""Captions of the real footage in packages, with their evidence, unedited: the page docs/captions.md shows them.

The footage is that of `rushes weights pull --footage`, and with it, where the examples of Debian's opencv-doc were put
beside the weights, pedestrians, a swaying tree and a dozen photographs. Clips are taken as they are cut; none is left
out but beyond the number asked for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dataset import open_root

__all__ = ["gallery"]

_MORE: Final = (
    "vtest.avi", "tree.avi", "fruits.jpg", "home.jpg", "building.jpg", "cards.png", "orange.jpg", "baboon.jpg",
    "stuff.jpg", "board.jpg", "messi5.jpg", "starry_night.jpg", "aero1.jpg", "leuvenA.jpg", "butterfly.jpg",
)  # fmt: skip
_PASSED: Final = "all: clip_id is not null\n"


def gallery(folder: Path, backend: str, count: int) -> str:
    """Curate and caption the footage into `folder`, and return its captions as Markdown."""
    files = [str(path) for path in _footage()]
    rules = folder / "all.yaml"
    rules.write_text(_PASSED)
    root = str(folder / "dataset")
    for command in (
        ["curate", *files, "--out", root, "--workers", "2"],
        ["select", root, "--rules", str(rules)],
        ["caption", root, "--backend", backend, "--workers", "2", "--again"],
    ):
        subprocess.run([sys.executable, "-m", "pipelines", *command], check=True, stdout=subprocess.DEVNULL)
    clips = {
        row["clip_id"]: row
        for row in open_root(root).read("clips", ["clip_id", "uri", "first_frame", "end_frame", "kind"]).to_pylist()
    }
    captions = open_root(root).read("captions").to_pylist()
    captions.sort(key=lambda row: (files.index(clips[row["clip_id"]]["uri"]), clips[row["clip_id"]]["first_frame"]))
    return "\n".join(_entry(n, row, clips[row["clip_id"]]) for n, row in enumerate(captions[:count], 1))


def _footage() -> list[Path]:
    from experts import carriers, weights

    kept = carriers.home() / "debian"
    return [
        *weights.footage().videos,
        *weights.footage().photos,
        *(kept / name for name in _MORE if (kept / name).is_file()),
    ]


def _entry(number: int, row: Mapping[str, Any], clip: Mapping[str, Any]) -> str:
    frames = "" if clip["kind"] == "still" else f", frames {clip['first_frame']} to {clip['end_frame'] - 1}"
    lines = [
        f"**{number}. {Path(clip['uri']).name}{frames}** ({row['outcome']}{_flags(row['flags'])})",
        "",
        f"> {row['dense'] or row['error']}",
        ">",
        f"> *short:* {row['short']}",
        "",
        "Evidence: " + "; ".join(_evidence(row["evidence"])) + ".",
    ]
    return "\n".join([*lines, ""])


def _flags(flags: Sequence[str]) -> str:
    return "".join(f", `{flag}`" for flag in flags)


def _evidence(evidence: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each statement with the expert that made it and the words that it supports, in the caption's order."""
    spans: dict[tuple[str, str], list[str]] = {}
    for piece in evidence:
        spans.setdefault((piece["expert"], piece["statement"]), []).append(piece["span"])
    return [
        f"{expert}: {statement} ({', '.join(dict.fromkeys(words))})" for (expert, statement), words in spans.items()
    ]


def main() -> None:
    """Print the captions, or write them to `--out`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.caption_gallery", description=__doc__)
    parser.add_argument("--backend", default="embedded", help="who fuses")
    parser.add_argument("--count", type=int, default=40, help="captions at most")
    parser.add_argument("--dataset", type=Path, help="keep the dataset in this folder, and go on from it")
    parser.add_argument("--out", type=Path, help="write here instead of printing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rushes-gallery-") as scratch:
        folder = options.dataset or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        text = gallery(folder, options.backend, options.count)
    options.out.write_text(text) if options.out else print(text)


if __name__ == "__main__":
    main()
