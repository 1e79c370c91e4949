"""Paths of several motions at once, of shaking hands, of asked speeds, and around what should stay in view."""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curation import PseudoConfig, pseudo
from curation.measure import measure_frames
from curation.pseudo import DEPTH_MOTIONS, EASINGS, MOTIONS, affines, clip_id_of, parse, render, shaken, speed_per_s
from curation.saliency import Box
from media.errors import UserError
from tests.curation.pictures import photograph

F64 = npt.NDArray[np.float64]
CORNERS = np.array([[x, y, 1] for x in (-1, 1) for y in (-1, 1)]).T

motions = st.sampled_from(MOTIONS)
boxes = st.tuples(st.floats(0, 0.75), st.floats(0, 0.75), st.floats(0.05, 0.25), st.floats(0.05, 0.25)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@st.composite
def several(draw: Any) -> str:
    """One to three motions that go together."""
    named = [draw(motions)]
    for more in draw(st.lists(motions, max_size=2)):
        try:
            parse("+".join([*named, more]))
        except UserError:
            continue
        named.append(more)
    return "+".join(named)


def holds(path: npt.NDArray[np.float32], box: Box) -> bool:
    """Whether every view holds the whole box."""
    inside = True
    points = np.array([[x * 2 - 1, y * 2 - 1] for x in box[::2] for y in box[1::2]])
    for matrix in path.astype(float):
        seen = np.linalg.solve(matrix[:, :2], (points - matrix[:, 2]).T)
        inside &= bool(np.abs(seen).max() <= 1 + 1e-4)
    return inside


@given(
    several(), st.integers(1, 30), st.floats(0.02, 0.6), st.floats(1, 40), st.floats(0.3, 3.5),
    st.sampled_from(EASINGS), st.none() | boxes, st.floats(0, 0.03),
)  # fmt: skip
@settings(deadline=None)
def test_no_view_crosses_the_border_whatever_is_asked(
    motion: str, frames: int, travel: float, roll: float, aspect: float, easing: Any, keep: Box | None, shake: float
) -> None:
    path = affines(
        motion,
        frames,
        travel=travel,
        roll_deg=roll,
        aspect=aspect,
        easing=easing,
        keep=keep,
        shake=shaken(frames, frames, 12.0, shake),
    )
    assert path.shape == (frames, 2, 3)
    assert np.isfinite(path).all()
    assert np.abs(path @ CORNERS).max() <= 1 + 1e-5


class TestNames:
    """What is a motion, and what is none."""

    def test_every_name_is_a_motion(self) -> None:
        assert all(len(parse(name)) == 1 for name in (*MOTIONS, *DEPTH_MOTIONS))

    @pytest.mark.parametrize(
        ("motion", "said"),
        [
            ("spin", "'spin'"),
            ("zoom_in+", "''"),
            ("zoom_in+zoom_out", "one way twice"),
            ("pan_left+pan_right", "one way twice"),
            ("pan_up_left+tilt_up", "one way twice"),
            ("truck_left+zoom_in", "mixed with each other only"),
        ],
    )
    def test_a_slip_is_named(self, motion: str, said: str) -> None:
        with pytest.raises(UserError, match="motion") as caught:
            parse(motion)
        assert said in str(caught.value)
        with pytest.raises(ValidationError):
            PseudoConfig(motions=(motion,))

    def test_an_unknown_easing_is_named(self) -> None:
        with pytest.raises(UserError, match="bounce"):
            affines("pan_left", 4, easing="bounce")  # type: ignore[arg-type]

    def test_names_are_written_one_way(self) -> None:
        assert PseudoConfig(motions=("zoom_in + pan_left",)).motions == ("zoom_in+pan_left",)
        assert clip_id_of("ab", 9, "zoom_in+pan_left") == "ab:0-9@zoom_in_and_pan_left"


class TestCompositions:
    """Several motions at once are each what they are alone."""

    def content(self, path: npt.NDArray[np.float32], aspect: float) -> list[tuple[float, float, F64]]:
        """From each view to the next: growth, turn, and where the centre's content goes, in half views."""
        isotropic = np.diag([aspect, 1.0])
        found = []
        for before, after in pairwise(path.astype(float)):
            full = [np.vstack([m, [0, 0, 1]]) for m in (before, after)]
            goes = np.linalg.inv(full[1]) @ full[0]
            linear = isotropic @ goes[:2, :2] @ np.linalg.inv(isotropic)
            found.append((float(np.hypot(*linear[0])), float(np.arctan2(linear[1, 0], linear[0, 0])), goes[:2, 2]))
        return found

    @given(st.floats(0.05, 0.5), st.floats(0.4, 2.5), st.integers(4, 40))
    def test_zoom_and_pan_keep_their_pace(self, travel: float, aspect: float, frames: int) -> None:
        steps = self.content(affines("zoom_in+pan_left", frames, travel=travel, aspect=aspect), aspect)
        share = 1 / (frames - 1)
        growth = np.array([step[0] for step in steps])
        assert np.allclose(growth, (1 - travel) ** -share, rtol=1e-4)
        # A camera that pans left moves the picture right, at the pace it would have alone.
        shift = np.array([step[2] for step in steps])
        assert np.allclose(shift[:, 0], 2 * travel / (1 - travel) * share * (1 + growth) / 2, rtol=2e-3)
        assert np.allclose(shift[:, 1], 0, atol=1e-5)

    def test_a_roll_turns_as_far_with_a_pan_as_without(self) -> None:
        alone, both = (
            sum(step[1] for step in self.content(affines(m, 9, roll_deg=20, aspect=1.5), 1.5))
            for m in ("roll_right", "roll_right+tilt_up")
        )
        assert alone == pytest.approx(both, rel=1e-3)
        assert np.degrees(both) == pytest.approx(-20, rel=1e-3)

    @given(several(), st.integers(2, 20))
    def test_backwards_is_the_opposite(self, motion: str, frames: int) -> None:
        opposite = {"in": "out", "left": "right", "up": "down"}
        opposite |= {there: here for here, there in opposite.items()}
        other = "+".join("_".join(opposite.get(word, word) for word in part.split("_")) for part in motion.split("+"))
        assert np.allclose(affines(motion, frames)[::-1], affines(other, frames), atol=1e-5)

    def test_each_part_is_measured_at_its_own_speed(self) -> None:
        config = PseudoConfig(motions=("zoom_in+pan_left",), frames=25, fps=12.5, height_px=120)
        (row,) = pseudo.pseudo_clips("a.png", "f" * 32, photograph(5, 480, 360), config, run_id="r1")
        assert row["motion"] == "zoom_in+pan_left"
        assert row["clip_id"].endswith("@zoom_in_and_pan_left")
        assert row["camera_zoom_per_s"] == pytest.approx(0.125 / log(2), rel=0.03)
        assert row["camera_dx_fraction_per_s"] == pytest.approx(-0.125, rel=0.03)


class TestSpeed:
    """Speed is a share of the picture per second, so that longer clips go farther and are not slower or faster."""

    @pytest.mark.parametrize("motion", ["pan_left", "tilt_up", "zoom_in"])
    @pytest.mark.parametrize(("frames", "fps"), [(13, 12.0), (25, 12.0), (49, 24.0), (60, 15.0)])
    def test_the_asked_speed_is_the_speed_at_any_length_and_rate(self, motion: str, frames: int, fps: float) -> None:
        config = PseudoConfig(motions=(motion,), frames=frames, fps=fps, height_px=96, speed_per_s=0.1)
        (row,) = pseudo.pseudo_clips("a.png", "f" * 32, photograph(7, 400, 300), config, run_id="r1")
        assert row["motion_speed_per_s"] == pytest.approx(0.1)
        column = {"pan": "camera_dx_fraction_per_s", "tilt": "camera_dy_fraction_per_s", "zoom": "camera_zoom_per_s"}
        unit = 1 / log(2) if motion.startswith("zoom") else 1
        assert abs(row[column[motion.split("_")[0]]]) == pytest.approx(0.1 * unit, rel=0.03)

    def test_none_goes_farther_than_the_still_allows(self) -> None:
        config = PseudoConfig(motions=("pan_left", "zoom_in", "roll_left"), frames=100, fps=1.0, height_px=32)
        rows = pseudo.pseudo_clips("a.png", "f" * 32, photograph(8, 80, 60), config, run_id="r1")
        pan, zoom, _ = (np.array(row["affine"]).reshape(-1, 2, 3) for row in rows)
        assert pan[:, 0, 0].min() >= 0.4 - 1e-6
        assert zoom[:, 0, 0].min() >= 0.4 - 1e-6
        assert rows[0]["motion_speed_per_s"] == pytest.approx(1.5 / 99)
        assert rows[2]["motion_speed_per_s"] == pytest.approx(45 / 360 / 99)

    def test_how_far_can_be_asked_instead(self) -> None:
        config = PseudoConfig(motions=("pan_left",), frames=20, height_px=32, travel_fraction=0.3)
        (row,) = pseudo.pseudo_clips("a.png", "f" * 32, photograph(8, 80, 60), config, run_id="r1")
        path = np.array(row["affine"]).reshape(-1, 2, 3)
        assert path[0, 0, 2] - path[-1, 0, 2] == pytest.approx(0.6, abs=1e-5)

    def test_of_several_the_first_counts(self) -> None:
        assert speed_per_s("zoom_in+pan_left", 25, 24.0) == speed_per_s("zoom_in", 25, 24.0)
        assert speed_per_s("pan_left", 1, 24.0) == 0


class TestShake:
    """Hands: smooth, seeded, of the size asked for."""

    @given(st.integers(0, 2**63), st.floats(0.001, 0.03))
    @settings(max_examples=20)
    def test_it_is_as_large_as_asked(self, seed: int, amount: float) -> None:
        path = shaken(seed, 3000, 30.0, amount)
        assert np.allclose(np.sqrt((path[:, :2] ** 2).mean(axis=0)), amount, rtol=0.25)

    @given(st.integers(0, 1000), st.integers(2, 60))
    def test_the_same_seed_is_the_same_curve_at_any_length_and_rate(self, seed: int, frames: int) -> None:
        long, short = shaken(seed, 80, 30.0, 0.01), shaken(seed, frames, 30.0, 0.01)
        assert np.array_equal(long[:frames], short)
        assert np.allclose(shaken(seed, 40, 30.0, 0.01), shaken(seed, 80, 60.0, 0.01)[::2], atol=1e-9)
        assert not np.allclose(shaken(seed + 1, frames, 30.0, 0.01), short)

    def test_its_spectrum_falls(self) -> None:
        power = np.abs(np.fft.rfft(shaken(3, 6000, 30.0, 0.01)[:, 0])) ** 2
        hertz = np.fft.rfftfreq(6000, 1 / 30)
        bands = [power[(hertz >= low) & (hertz < 2 * low)].sum() for low in (0.5, 1, 2, 4)]
        assert all(low > high for low, high in pairwise(bands))
        assert power[hertz > 10.5].sum() < 1e-3 * power.sum()

    def test_what_a_rate_cannot_show_is_left_out(self) -> None:
        slow = shaken(4, 400, 2.0, 0.01)
        turns = np.abs(np.diff(np.sign(np.diff(slow[:, 0])))).mean() / 2
        assert turns < 0.8  # it is no alternation from frame to frame

    def test_it_shows_and_the_motion_is_still_named(self) -> None:
        image = photograph(11, 480, 360)
        calm, held = (
            PseudoConfig(motions=("pan_left",), frames=24, fps=12, height_px=120, shake_fraction=shake)
            for shake in (0.0, 0.004)
        )
        (still,), (shaky,), (again,) = (
            pseudo.pseudo_clips("a.png", "e" * 32, image, config, run_id="r") for config in (calm, held, held)
        )
        assert shaky["affine"] == again["affine"] != still["affine"]
        assert shaky["camera_motion"] == "pan left"
        tilts = np.array(shaky["affine"])[:, 5]
        assert np.ptp(tilts) > 0.005
        other = pseudo.pseudo_clips("a.png", "d" * 32, image, held, run_id="r")
        assert other[0]["affine"] != shaky["affine"]


class TestKeeping:
    """The path is laid around what should stay in view."""

    @given(st.sampled_from(["tilt_up", "tilt_down", "pan_left", "pan_right"]), boxes)
    def test_a_pan_holds_a_small_thing_wherever_it_is(self, motion: str, box: Box) -> None:
        width, height = (box[2] - box[0]) / 4, (box[3] - box[1]) / 4
        small = (box[0], box[1], box[0] + width, box[1] + height)
        path = affines(motion, 12, travel=0.1, keep=small)
        axis = 0 if motion.startswith("pan") else 1
        across = 1 - axis
        # Across the pan there is room to lay the path wherever the thing is.
        view = path[:, across, across].astype(float)
        low, high = (path[:, across, 2] - view).max(), (path[:, across, 2] + view).min()
        assert low <= small[across] * 2 - 1 + 1e-5
        assert high >= small[across + 2] * 2 - 1 - 1e-5

    @given(boxes)
    def test_the_middle_needs_no_keeping(self, box: Box) -> None:
        middle = (0.45, 0.45, 0.55, 0.55)
        for motion in ("pan_left", "zoom_in", "roll_right"):
            assert np.allclose(affines(motion, 9, keep=middle), affines(motion, 9), atol=1e-6)

    @given(st.floats(0.12, 0.88), st.floats(0.12, 0.88))
    def test_a_zoom_aims_at_what_is_kept_and_stays_a_zoom(self, x: float, y: float) -> None:
        box = (x - 0.08, y - 0.08, x + 0.08, y + 0.08)
        path = affines("zoom_in", 9, travel=0.3, keep=box)
        plain = affines("zoom_in", 9, travel=0.3)
        assert np.allclose(path[:, :, :2], plain[:, :, :2])
        aimed = path[-1, :, 2].astype(float)
        middle = np.array([x, y]) * 2 - 1
        assert (np.abs(middle - aimed) <= np.abs(middle) + 1e-6).all()
        assert np.abs(aimed).max() <= 0.3 * 0.6  # the pan of the centre stays a fraction of the zoom

    @pytest.mark.parametrize("motion", MOTIONS)
    def test_more_is_held_than_without(self, motion: str) -> None:
        rng = np.random.default_rng(3)
        kept = plain = 0
        for _ in range(60):
            left, top = rng.uniform(0.02, 0.78, 2)
            box = (left, top, left + 0.2, top + 0.2)
            kept += holds(affines(motion, 9, travel=0.2, keep=box), box)
            plain += holds(affines(motion, 9, travel=0.2), box)
        assert kept >= plain
        if not motion.startswith("roll"):
            assert kept > plain

    def test_a_view_is_not_made_smaller_than_the_pixels_allow(self) -> None:
        corner = (0.0, 0.0, 0.1, 0.1)
        tight, loose = (affines("pan_right", 9, keep=corner, least=least) for least in (0.8, 0.3))
        assert tight[0, 0, 0] == pytest.approx(0.8, abs=1e-5)
        assert loose[0, 0, 0] < 0.8

    def test_rows_keep_what_stands_out_unless_told_not_to(self) -> None:
        image = np.full((300, 400, 3), 120, np.uint8)
        image[28:98, 35:125] = photograph(2, 90, 70)
        free = PseudoConfig(motions=("pan_left", "tilt_up"), frames=24, height_px=96, keep_salient=False)
        held = free.model_copy(update={"keep_salient": True})
        box, heart = (35 / 400, 28 / 300, 125 / 400, 98 / 300), (50 / 400, 40 / 300, 110 / 400, 86 / 300)
        made = {}
        for name, config, keep in (("free", free, None), ("found", held, None), ("given", held, box)):
            rows = pseudo.pseudo_clips("a.png", "f" * 32, image, config, run_id="r", keep=keep)
            paths = [np.array(row["affine"]).reshape(-1, 2, 3) for row in rows]
            made[name] = [(holds(path, box), holds(path, heart)) for path in paths]
        assert made["given"] == [(True, True)] * 2
        assert [heart for _, heart in made["found"]] == [True, True]
        assert [whole for whole, _ in made["free"]] == [False, False]


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["zoom_in", "zoom_out"]), boxes)
def test_a_zoom_that_aims_is_still_measured_as_a_zoom(seed: int, motion: str, box: Box) -> None:
    image = photograph(seed, 480, 360)
    path = affines(motion, 13, travel=0.25, aspect=4 / 3, keep=box)
    assert measure_frames(render(image, path, (144, 192)), 8.0)["camera_motion"] == motion.replace("_", " ")
