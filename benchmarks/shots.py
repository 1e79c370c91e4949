"""Every shot detector on videos whose boundaries are known: precision, recall, F1, CPU time, and what deceives it.

The videos are made by `benchmarks.splices` from the footage in packages. The seeds of the reported run were never
used to set a threshold or to fit a weight; those of `TUNING` were.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2

import curation
import media
from benchmarks.common import main
from benchmarks.matching import Score, pairs, score, seen, told
from benchmarks.splices import TRAPS, Boundary, Splice, material, splice
from curation.detectors import NAMES, Cut, make
from curation.planes import view_of_frame
from experts import weights

SEEDS: Final = range(200, 230)
QUICK_SEEDS: Final = range(200, 208)
TUNING: Final = range(140)
EVERY_FRAME: Final = "cascade, every frame"
"""The cascade on all frames, beside its skim: what is left out must not change the answers."""
QUICK_NAMES: Final = ("cascade", EVERY_FRAME, "adaptive", "transnet")
QUICK_NETWORK_VIDEOS: Final = 2
TOLERANCES: Final = (0, 2)
_NEAR: Final = 3
"""A false boundary this many frames from a trap is laid to it."""


@dataclass(slots=True)
class Result:
    """What a detector did: scores by sort and tolerance, kinds named right, false alarms, CPU seconds by video."""

    hard: dict[int, Score] = field(default_factory=lambda: dict.fromkeys(TOLERANCES, Score()))
    gradual: dict[int, Score] = field(default_factory=lambda: dict.fromkeys(TOLERANCES, Score()))
    any: dict[int, Score] = field(default_factory=lambda: dict.fromkeys(TOLERANCES, Score()))
    named: int = 0
    fooled: Counter[str] = field(default_factory=Counter)
    cpu_s: list[float] = field(default_factory=list)

    def add(self, made: Splice, found: Sequence[Boundary], cpu_s: float) -> None:
        """Count one video."""
        true = made.boundaries
        for tolerance in TOLERANCES:
            agree = partial(told, tolerance=tolerance)
            touch = partial(seen, tolerance=tolerance)
            self.hard[tolerance] += score(_hard(true), _hard(found), agree)
            self.gradual[tolerance] += score(_gradual(true), _gradual(found), agree)
            self.any[tolerance] += score(true, found, touch)
        together = pairs(true, found, partial(told, tolerance=0))
        self.named += sum(true[i].kind == found[j].kind != "hard" for i, j in together.items())
        real = set(pairs(true, found, partial(seen, tolerance=max(TOLERANCES))).values())
        for number, boundary in enumerate(found):
            if number not in real:
                self.fooled[_cause(boundary, made)] += 1
        self.cpu_s.append(cpu_s)

    def figures(self, name: str) -> dict[str, Any]:
        """Return everything under flat names that begin with the detector's."""
        prefix = re.sub("[^a-z]+", "_", name)
        out: dict[str, Any] = {}
        for sort in ("hard", "gradual", "any"):
            for tolerance, counted in getattr(self, sort).items():
                for figure in ("precision", "recall", "f1"):
                    out[f"{prefix}_{sort}_{figure}_t{tolerance}"] = _rounded(getattr(counted, figure))
        hits = self.gradual[0].hits
        out[f"{prefix}_gradual_kind_right"] = _rounded(self.named / hits) if hits else None
        out |= {f"{prefix}_false_{cause}": self.fooled[cause] for cause in (*TRAPS, "transition", "nothing")}
        return out | {f"{prefix}_cpu_s": round(sum(self.cpu_s), 2), f"{prefix}_videos": len(self.cpu_s)}


def shots(quick: bool) -> Mapping[str, Any]:
    """Score the shot detectors on spliced footage; CPU seconds are of the whole pass, decoding and planes included.

    Quick: eight videos, two of them for TransNetV2, and three detectors. One thread throughout.
    """
    _one_thread()
    seeds, names = (QUICK_SEEDS, QUICK_NAMES) if quick else (SEEDS, (*NAMES, EVERY_FRAME))
    source = material(weights.footage())
    results: dict[str, Result] = {name: Result() for name in names}
    for name in names:
        make(name.partition(",")[0])  # the network is loaded once, before anything is timed
    decode_s: list[float] = []
    frames, truth, traps = 0, Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="rushes-shots-") as folder:
        for seed in seeds:
            made = splice(source, seed)
            path = made.write(Path(folder) / f"{seed}.mp4")
            truth.update(boundary.kind for boundary in made.boundaries)
            traps.update(trap.kind for trap in made.traps)
            frames += len(made.frames)
            decode_s.append(_timed(partial(_decode, path))[1])
            for name, result in results.items():
                if quick and name == "transnet" and len(result.cpu_s) == QUICK_NETWORK_VIDEOS:
                    continue
                found, cpu_s = _timed(partial(_detect, path, name))
                result.add(made, [Boundary(cut.frame, cut.end_frame, cut.kind) for cut in found], cpu_s)
            path.unlink()
            sys.stderr.write(f"seed {seed}: {len(made.frames)} frames\n")
    print(table(results))
    return {
        **_headline(results, decode_s),
        "seeds": f"{seeds[0]}-{seeds[-1]}",
        "tuning_seeds": f"{TUNING[0]}-{TUNING[-1]}",
        "videos": len(seeds),
        "frames": frames,
        **{f"true_{kind}": truth[kind] for kind in ("hard", "dissolve", "fade", "wipe")},
        **{f"traps_{kind}": traps[kind] for kind in TRAPS},
        "decode_cpu_s": round(sum(decode_s), 2),
        **{key: value for name, result in results.items() for key, value in result.figures(name).items()},
    }


def table(results: Mapping[str, Result]) -> str:
    """Return the results as a Markdown table: percentages, tolerance 0 / 2, detectors by their F1 on all boundaries."""
    heads = ("detector", "hard P", "hard R", "hard F1", "gradual P", "gradual R", "gradual F1", "any F1",
             "false: flash, light, shake, pan", "CPU s")  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for name, result in sorted(results.items(), key=lambda item: -(item[1].any[0].f1 or 0)):
        cells = [_cell(result.hard, figure) for figure in ("precision", "recall", "f1")]
        cells += [_cell(result.gradual, figure) for figure in ("precision", "recall", "f1")]
        cells += [_cell(result.any, "f1"), ", ".join(str(result.fooled[trap]) for trap in TRAPS)]
        lines.append(f"| `{name}` | {' | '.join(cells)} | {sum(result.cpu_s):.1f} |")
    return "\n".join(lines)


def _headline(results: Mapping[str, Result], decode_s: Sequence[float]) -> dict[str, Any]:
    """Return the figures that have a bar: F1 at tolerance 0, the harder one; CPU compared on the same videos."""
    cascade, network = results["cascade"], results["transnet"]
    both = len(network.cpu_s)
    ours, theirs, bare = sum(cascade.cpu_s[:both]), sum(network.cpu_s), sum(decode_s[:both])
    return {
        "cascade_hard_f1": _rounded(cascade.hard[0].f1),
        "cascade_gradual_f1": _rounded(cascade.gradual[0].f1),
        "cascade_every_frame_hard_f1": _rounded(results[EVERY_FRAME].hard[0].f1),
        "cascade_every_frame_gradual_f1": _rounded(results[EVERY_FRAME].gradual[0].f1),
        "cascade_over_transnet_cpu": _rounded(ours / theirs),
        "cascade_over_transnet_cpu_without_decode": _rounded((ours - bare) / (theirs - bare)),
    }


def _hard(boundaries: Iterable[Boundary]) -> list[Boundary]:
    return [b for b in boundaries if b.kind == "hard"]


def _gradual(boundaries: Iterable[Boundary]) -> list[Boundary]:
    return [b for b in boundaries if b.kind != "hard"]


def _cause(false: Boundary, made: Splice) -> str:
    """Say what a false boundary lies on: a trap, a transition that is counted already, or nothing."""
    for trap in made.traps:
        if false.first <= trap.end + _NEAR and false.end >= trap.first - _NEAR:
            return trap.kind
    return "transition" if any(seen(b, false, _NEAR) for b in made.boundaries) else "nothing"


def _detect(path: Path, name: str) -> list[Cut]:
    if name == EVERY_FRAME:
        return curation.detect_shots(path, "cascade", decode="whole")
    return curation.detect_shots(path, name)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `work` returns, and the CPU seconds of this process that it took."""
    before = time.process_time()
    value = work()
    return value, time.process_time() - before


def _decode(path: Path) -> None:
    for frame in media.decode(path, analysis=True):
        view_of_frame(frame).release()


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _cell(scores: Mapping[int, Score], figure: str) -> str:
    values = [getattr(scores[tolerance], figure) for tolerance in TOLERANCES]
    return " / ".join("-" if value is None else f"{100 * value:.1f}" for value in values)


if __name__ == "__main__":
    main("shots", shots)
