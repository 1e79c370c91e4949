"""Synthetic worlds and stills that move: how exactly truth is read back from pixels, and how fast clips are made.

Accuracy is of each reader of each world, over scenes of seeds that no reader was made with, clean and under noise, blur
and compression (`evaluation.worlds.damage`). What each reader is asked of is said where its accuracy is counted.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.common import main
from evaluation.worlds.damage import DAMAGES

__all__ = ["accuracy_figures", "made", "readers", "speed_figures", "table", "worlds"]

Accuracy = Callable[[int, str], dict[str, float]]

_SEED: Final = 100_000
_SCENES: Final = {"shapes": (40, 600), "bodies": (3, 40), "scenes3d": (6, 100)}
"""Scenes of each world that every reader and damage is asked of, quick and not."""
_CLIPS: Final = (256, 10_000)
_TIMED: Final = 100


def readers() -> dict[str, Accuracy]:
    """Return, for each world, a function of a number of scenes and a damage: the share of right answers by reader."""
    from evaluation.worlds import accuracy as shapes
    from evaluation.worlds import bodies, scenes

    return {
        "shapes": lambda n, damage: shapes.accuracy(n, damage, seed=_SEED).shares(),
        "bodies": lambda n, damage: bodies.accuracy("all", n, damage, seed=_SEED),
        "scenes3d": lambda n, damage: scenes.accuracy("all", n, damage, seed=_SEED),
    }


def accuracy_figures(quick: bool, told: Mapping[str, Accuracy] | None = None) -> dict[str, Any]:
    """Return `<world>_<reader>_<damage>`, and the least of those that are clean, of each world and of all."""
    figures: dict[str, Any] = {}
    least: dict[str, float] = {}
    for world, accuracy in (told or readers()).items():
        for damage in DAMAGES if not quick or world == "shapes" else DAMAGES[:1]:
            shares = accuracy(_SCENES[world][0 if quick else 1], damage)
            figures |= {f"{world}_{reader.replace(' ', '_')}_{damage}": round(n, 4) for reader, n in shares.items()}
            if damage == "clean":
                least[world] = min(shares.values())
    figures |= {f"{world}_accuracy_clean_min": round(share, 4) for world, share in least.items()}
    return {"reader_accuracy_clean_min": round(min(least.values()), 4), **figures}


def table(figures: Mapping[str, Any]) -> str:
    """Return the accuracies as a table in Markdown, a row for each reader, a column for each damage."""
    rows = [f"| world | reader | {' | '.join(DAMAGES)} |", f"| --- | --- |{' --- |' * len(DAMAGES)}"]
    for world in _SCENES:
        for name in (n for n in figures if n.startswith(f"{world}_") and n.endswith("_clean")):
            reader = name.removeprefix(f"{world}_").removesuffix("_clean")
            shares = [figures.get(f"{world}_{reader}_{damage}") for damage in DAMAGES]
            cells = " | ".join("-" if share is None else f"{100 * share:.1f}%" for share in shares)
            rows.append(f"| {world} | {reader.replace('_', ' ')} | {cells} |")
    return "\n".join(rows)


def speed_figures() -> dict[str, float]:
    """Return what a clip of shapes, 16 x 64 x 64, takes on one core, ms: to draw and render, and to read."""
    from curation.worlds.shapes import WORLD
    from evaluation.worlds import read_shapes

    read_shapes(np.stack(list(WORLD.render(WORLD.draw(0), (64, 64)))), 8.0)  # what is made once
    began = time.process_time()
    videos = [np.stack(list(WORLD.render(WORLD.draw(_SEED + n), (64, 64)))) for n in range(_TIMED)]
    rendered = time.process_time()
    for video in videos:
        read_shapes(video, 8.0)
    read = time.process_time()
    return {
        "shapes_render_cpu_ms": round((rendered - began) / _TIMED * 1000, 2),
        "shapes_read_cpu_ms": round((read - rendered) / _TIMED * 1000, 2),
    }


def made(count: int, engine: str, workers: int | None = None) -> float:
    """Return the seconds that `count` clips of shapes take into a new dataset: rendered, described and sharded."""
    from dataset import open_root
    from pipelines.worlding import make_world

    with tempfile.TemporaryDirectory() as folder:
        root = open_root(Path(folder) / "dataset", create=True)
        began = time.perf_counter()
        make_world(root, "shapes", count, frames=16, size=(64, 64), engine=engine, workers=workers)
        took = time.perf_counter() - began
        if (rows := root.count("shards/train")) != count:
            raise RuntimeError(f"{rows} clips were sharded, not {count}")
    return took


def worlds(quick: bool) -> Mapping[str, Any]:
    """Measure the readers' accuracy, the time of 10,000 clips of shapes on 2 workers, and stills that move.

    Quick: fewer scenes, damages of shapes only, and 256 clips in one process, which give a rate and no `shapes_10k_s`.
    """
    from benchmarks import pseudo_motion

    count = _CLIPS[0 if quick else 1]
    seconds = made(count, "local") if quick else made(count, "ray", 2)
    figures: dict[str, Any] = {"shapes_clips_per_s": round(count / seconds, 1)}
    if not quick:
        figures["shapes_10k_s"] = round(seconds, 1)
    figures |= speed_figures()
    figures["pseudo_frames_per_s"] = round(pseudo_motion.pseudo_frames_per_s(quick), 1)
    figures["pseudo_motion_error_max_fraction"] = round(pseudo_motion.pseudo_motion_error_max_fraction(quick), 5)
    figures |= accuracy_figures(quick)
    print(table(figures))
    return figures


if __name__ == "__main__":
    main("worlds", worlds)
