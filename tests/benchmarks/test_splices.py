"""The labels of a splice are true: shots of one colour each show which frames belong to which shot."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.matching import Score
from benchmarks.shots import Result
from benchmarks.splices import TRAPS, Boundary, Material, Rgb, Splice, Trap, material, splice
from experts.weights import Footage

SIZE = (36, 64)
COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (180, 180, 40), (40, 180, 180), (180, 40, 180)]
SEEDS = range(12)
Levels = npt.NDArray[np.int_]


def flat(colour: tuple[int, ...]) -> Rgb:
    return np.full((*SIZE, 3), colour, np.uint8)


@pytest.fixture(scope="module")
def colours() -> Material:
    """Three shots and three stills, each of a colour of its own."""
    return Material(tuple([flat(c)] * 20 for c in COLOURS[:3]), tuple(flat(c) for c in COLOURS[3:]), SIZE)


@pytest.fixture(scope="module")
def splices(colours: Material) -> list[Splice]:
    return [splice(colours, seed, traps=0) for seed in SEEDS]


def colour_of(frame: Rgb) -> tuple[int, ...] | None:
    """Return the colour of a frame that has but one."""
    return tuple(int(v) for v in frame[0, 0]) if (frame == frame[0, 0]).all() else None


def test_between_two_boundaries_lies_one_shot_and_the_next_is_another(splices: list[Splice]) -> None:
    for made in splices:
        spans = [(0, 0), *((b.first, b.end) for b in made.boundaries), (len(made.frames), 0)]
        inside = [{colour_of(f) for f in made.frames[a[1] : b[0]]} for a, b in pairwise(spans)]
        assert len(inside) == 6
        assert all(len(found) == 1 and found <= set(COLOURS) for found in inside)
        assert all(a != b for a, b in pairwise(inside))


def test_every_frame_of_a_transition_is_between_its_shots(splices: list[Splice]) -> None:
    for made in splices:
        for boundary in made.boundaries:
            before, after = made.frames[boundary.first - 1], made.frames[boundary.end]
            amid = made.frames[boundary.first : boundary.end]
            assert (boundary.kind == "hard") == (not amid)
            assert not any((f == before).all() or (f == after).all() for f in amid)
            CHECKS[boundary.kind](before.astype(int), after.astype(int), [f.astype(int) for f in amid])


def check_hard(before: Levels, after: Levels, amid: list[Levels]) -> None:
    assert (before != after).any()


def check_dissolve(before: Levels, after: Levels, amid: list[Levels]) -> None:
    shares = (np.arange(len(amid)) + 1)[:, None, None, None] / (len(amid) + 1)
    assert 5 <= len(amid) <= 30
    assert np.abs(np.stack(amid) - (before * (1 - shares) + after * shares)).max() <= 1


def check_wipe(before: Levels, after: Levels, amid: list[Levels]) -> None:
    covered = [float((f == after).all(axis=2).mean()) for f in amid]
    assert all(((f == before) | (f == after)).all() for f in amid)
    assert all(a < b for a, b in pairwise([0.0, *covered, 1.0]))


def check_fade(before: Levels, after: Levels, amid: list[Levels]) -> None:
    flats = [i for i, f in enumerate(amid) if (f == 0).all() or (f == 255).all()]
    assert flats
    assert flats == list(range(flats[0], flats[-1] + 1))
    through = amid[flats[0]]
    away = [np.abs(f - through).mean() for f in [before, *amid[: flats[0] + 1]]]
    back = [np.abs(f - through).mean() for f in [*amid[flats[-1] :], after]]
    assert all(a > b for a, b in pairwise(away))
    assert all(a < b for a, b in pairwise(back))


CHECKS = {"hard": check_hard, "dissolve": check_dissolve, "wipe": check_wipe, "fade": check_fade}


def test_all_kinds_and_all_traps_occur(colours: Material, splices: list[Splice]) -> None:
    assert {b.kind for made in splices for b in made.boundaries} == set(CHECKS)
    assert {t.kind for seed in SEEDS for t in splice(colours, seed, traps=1).traps} == set(TRAPS)


def test_a_trap_changes_no_boundary_and_no_frame_but_its_own(colours: Material, splices: list[Splice]) -> None:
    """Nothing shows of pan and shake on one colour; a change of light stays until the shot has gone."""
    for seed, plain in zip(SEEDS, splices, strict=True):
        made = splice(colours, seed, traps=1)
        assert made.boundaries == plain.boundaries
        assert len(made.traps) == len(plain.boundaries) + 1
        allowed: set[int] = set()
        for trap in made.traps:
            later = [b for b in made.boundaries if b.first >= trap.end]
            gone = later[0].end if later else len(made.frames)
            allowed |= set(range(trap.first, {"flash": trap.end, "light": gone}.get(trap.kind, trap.first)))
            assert not any(b.first - 10 < trap.end and trap.first < b.end + 10 for b in made.boundaries)
        changed = {i for i, (a, b) in enumerate(zip(made.frames, plain.frames, strict=True)) if (a != b).any()}
        assert changed <= allowed
        assert {t.first for t in made.traps if t.kind in ("flash", "light")} <= changed


def test_a_pan_and_a_shake_move_the_picture_only_in_their_frames() -> None:
    texture = np.random.default_rng(0).integers(0, 256, (2, 72, 128, 3), dtype=np.uint8)
    rich = Material(tuple([t[:36, :64]] * 20 for t in texture), tuple(texture), SIZE)
    moved = set()
    for seed in SEEDS:
        made = splice(rich, seed, shots=1, traps=1)
        (trap,) = made.traps
        moves = [i for i, (a, b) in enumerate(pairwise(made.frames), 1) if (a != b).any()]
        # Over a still, a shake comes on top of another camera move: those are left out.
        if trap.kind == "pan" or (trap.kind == "shake" and len(moves) < len(made.frames) - 1):
            moved.add(trap.kind)
            assert moves
            assert set(moves) <= set(range(trap.first, trap.end + 1))
    assert moved == {"pan", "shake"}


def test_the_shots_of_the_footage_begin_where_they_are_said_to(footage: Footage) -> None:
    taken = material(Footage((footage.of("bikes.mp4"),)), SIZE)
    steps = [[float(np.abs(a.astype(int) - b).mean()) for a, b in pairwise(shot)] for shot in taken.shots]
    assert [len(shot) for shot in taken.shots] == [30, 46, 61, 50, 55]
    assert max(map(max, steps)) < 25
    between = [float(np.abs(a[-1].astype(int) - b[0]).mean()) for a, b in pairwise(taken.shots)]
    assert min(between) > 40


def test_the_same_seed_is_the_same_video(colours: Material) -> None:
    one, two = splice(colours, 3), splice(colours, 3)
    assert (one.boundaries, one.traps) == (two.boundaries, two.traps)
    assert all((a == b).all() for a, b in zip(one.frames, two.frames, strict=True))
    assert splice(colours, 4).boundaries != one.boundaries


def test_a_result_counts_what_was_told_seen_and_taken_for_a_boundary() -> None:
    true = [Boundary(50, 50, "hard"), Boundary(100, 120, "dissolve"), Boundary(200, 210, "wipe")]
    made = Splice([], true, [Trap(160, 162, "flash")])
    found = [
        Boundary(51, 51, "hard"),
        Boundary(102, 118, "dissolve"),
        Boundary(160, 160, "hard"),
        Boundary(201, 210, "dissolve"),
        Boundary(300, 300, "hard"),
    ]
    result = Result()
    result.add(made, found, 1.5)
    assert result.hard == {0: Score(0, 3, 1), 2: Score(1, 2, 0)}
    assert result.gradual == {0: Score(2, 0, 0), 2: Score(2, 0, 0)}
    assert result.any == {0: Score(2, 3, 1), 2: Score(3, 2, 0)}
    figures = result.figures("scenedetect:adaptive")
    assert figures["scenedetect_adaptive_hard_f1_t2"] == pytest.approx(0.5)
    assert figures["scenedetect_adaptive_gradual_kind_right"] == 0.5
    assert (figures["scenedetect_adaptive_false_flash"], figures["scenedetect_adaptive_false_nothing"]) == (1, 1)
    assert figures["scenedetect_adaptive_cpu_s"] == 1.5
