"""The face `control`: one contract over every expert that has it, and what each draws."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import pytest

import media
from experts import flow, registry
from experts.base import ClipView, Control, Controller, Expert, Rgb, Statement
from experts.canny import edges
from experts.mask import Mask
from experts.motion import Motion
from experts.quality import DEFECTS, Quality
from experts.shots import Shots
from experts.weights import load_profile
from media.errors import ConfigError
from tests.experts.conftest import view_of

Photo = Callable[[str], Rgb]
Keyframes = Callable[..., list[Rgb]]

every_control = pytest.mark.parametrize("name", registry.CONTROLS)
KINDS = {"canny": "edges", "skeleton": "skeleton", "flow": "flow", "mask": "mask"}
CHANNELS = {"canny": (), "skeleton": (3,), "flow": (2,), "mask": ()}


@pytest.fixture(scope="module")
def controls() -> dict[str, Controller]:
    return {name: registry.load_control(name) for name in registry.CONTROLS}


@pytest.fixture(scope="module")
def clip(keyframes: Keyframes) -> list[Rgb]:
    """Five frames of the cyclist, wide."""
    return [media.resize(frame, height=180) for frame in keyframes("bikes.mp4", 116, 137, 5)]


def shapes(clip: Sequence[Rgb]) -> list[list[Rgb]]:
    """Clips of one frame, tall, tiny, all black, of odd sides."""
    tall = np.ascontiguousarray(np.rot90(clip[0]))
    return [
        [clip[0]],
        [tall, tall],
        [np.full((1, 1, 3), 200, np.uint8)] * 2,
        [np.zeros((40, 301, 3), np.uint8)] * 3,
    ]


# -- the contract ----------------------------------------------------------------------------------------------------


@every_control
def test_it_is_a_controller_and_no_expert_with_a_table(name: str, controls: dict[str, Controller]) -> None:
    control = controls[name]
    assert isinstance(control, Controller)
    assert not isinstance(control, Expert)
    assert name not in registry.EMBEDDED
    assert control.name == name
    assert control.version
    assert set(control.roles) <= set(load_profile("embedded").roles)
    assert (control.model is None) == (control.roles == ())
    assert control.resources.gpus == 0


@every_control
def test_maps_are_as_declared_for_frames_of_any_shape(
    name: str, controls: dict[str, Controller], clip: list[Rgb]
) -> None:
    for frames in [clip, *shapes(clip)]:
        drawn = controls[name].control(view_of(frames))
        assert drawn.kind == KINDS[name]
        assert drawn.maps.shape == (len(frames), *frames[0].shape[:2], *CHANNELS[name])
        assert drawn.maps.dtype == (np.float32 if name == "flow" else np.uint8)
        assert drawn.low <= drawn.maps.min() <= drawn.maps.max() <= drawn.high
        assert np.isfinite(drawn.maps).all()
        assert drawn.pictures().shape == (len(frames), *frames[0].shape)
        assert drawn.pictures().dtype == np.uint8


@every_control
def test_a_clip_without_frames_has_no_maps(name: str, controls: dict[str, Controller]) -> None:
    drawn = controls[name].control(ClipView("none", [], [], [], 0, 10))
    assert drawn.maps.shape == (0, 0, 0, *CHANNELS[name])
    assert drawn.pictures().shape == (0, 0, 0, 3)


@every_control
def test_maps_go_with_their_frames(name: str, controls: dict[str, Controller], clip: list[Rgb]) -> None:
    whole, later = (controls[name].control(view_of(frames)) for frames in (clip, clip[1:]))
    assert np.array_equal(whole.maps[1:], later.maps)
    assert np.array_equal(whole.pictures()[1:], later.pictures())
    if name != "flow":  # a flow goes from one frame to the next: it depends on their order
        backwards = controls[name].control(view_of(clip[::-1]))
        assert np.array_equal(backwards.maps[::-1], whole.maps)


@every_control
def test_the_same_frames_give_the_same_maps(name: str, controls: dict[str, Controller], clip: list[Rgb]) -> None:
    before = [frame.copy() for frame in clip]
    first, again = (controls[name].control(view_of(clip)).maps for _ in range(2))
    assert np.array_equal(first, again)
    assert all(np.array_equal(a, b) for a, b in zip(before, clip, strict=True))
    strided = [np.repeat(frame, 2, axis=1)[:, ::2] for frame in clip]
    assert np.array_equal(controls[name].control(view_of(strided)).maps, first)


def test_an_unknown_control_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="no control 'cany', did you mean 'canny'"):
        registry.load_control("cany")


# -- the value -------------------------------------------------------------------------------------------------------


def test_a_grey_map_is_drawn_from_its_low_to_its_high() -> None:
    nearness = np.array([[[0.0, 0.5, 1.0]]], np.float32)
    assert Control("depth", nearness, 0, 1).pictures()[0, 0, :, 0].tolist() == [0, 127, 255]
    centred = Control("depth", nearness * 4 - 2, -2, 2).pictures()
    assert centred[0, 0].tolist() == [[0, 0, 0], [127, 127, 127], [255, 255, 255]]


@pytest.mark.parametrize(
    ("maps", "low", "high"),
    [
        (np.zeros((2, 4, 4), np.float64), 0, 1),
        (np.zeros((4, 4), np.uint8), 0, 255),
        (np.zeros((2, 4, 4), np.uint8), 255, 255),
    ],
)
def test_what_is_no_map_is_refused(maps: Any, low: float, high: float) -> None:
    with pytest.raises(ValueError, match="no control"):
        Control("edges", maps, low, high)


def test_maps_that_nobody_can_draw_are_refused() -> None:
    with pytest.raises(ValueError, match="need to be drawn"):
        Control("flow", np.zeros((2, 4, 4, 2), np.float32), -1, 1)
    with pytest.raises(ValueError, match="need to be drawn"):
        Control("flow", np.zeros((2, 4, 4, 2), np.float32), -1, 1, np.zeros((2, 4, 5, 3), np.uint8))


def test_a_control_can_be_sent_to_another_process(controls: dict[str, Controller], clip: list[Rgb]) -> None:
    drawn = controls["canny"].control(view_of(clip))
    assert np.array_equal(pickle.loads(pickle.dumps(drawn)).pictures(), drawn.pictures())


# -- what each draws -------------------------------------------------------------------------------------------------


def texture(width: int, height: int, seed: int = 3) -> Rgb:
    noise = np.random.default_rng(seed).integers(30, 220, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def overlap(a: Any, b: Any) -> float:
    """Intersection over union."""
    return float(((a > 0) & (b > 0)).sum() / max(1, ((a > 0) | (b > 0)).sum()))


def test_edges_lie_where_brightness_steps() -> None:
    picture = np.full((60, 80, 3), 40, np.uint8)
    picture[:, 50:] = 200
    rows, columns = np.nonzero(edges(picture))
    assert set(columns.tolist()) <= {49, 50}
    assert len(set(rows.tolist())) > 50
    assert not edges(np.full((60, 80, 3), 40, np.uint8)).any()


def test_a_skeleton_is_drawn_on_its_person(controls: dict[str, Controller], clip: list[Rgb]) -> None:
    skeleton = controls["skeleton"].control(view_of(clip)).maps
    people = controls["mask"].control(view_of(clip)).maps
    near = np.stack([cv2.dilate(mask, np.ones((9, 9), np.uint8)) for mask in people])
    drawn = skeleton.any(axis=-1)
    assert 0.002 < drawn.mean() < 0.05
    assert (near[drawn] > 0).mean() > 0.9
    assert len(np.unique(skeleton[drawn], axis=0)) > 10  # each limb has its colour


def test_nobody_leaves_skeleton_and_mask_black(controls: dict[str, Controller], photo: Photo) -> None:
    for name in ("skeleton", "mask"):
        assert not controls[name].control(view_of([photo("coffee.png")])).maps.any()


@pytest.mark.parametrize(("dx", "dy"), [(6, 0), (-4, 3), (0, -5)])
def test_flow_is_how_far_things_move_in_pixels(dx: int, dy: int) -> None:
    wide = texture(400, 300)
    before, after = wide[40:240, 40:340], wide[40 - dy : 240 - dy, 40 - dx : 340 - dx]
    inner = flow.between(before, after)[30:-30, 30:-30]
    assert np.median(inner, axis=(0, 1)) == pytest.approx([dx, dy], abs=0.3)
    large = [cv2.resize(np.ascontiguousarray(p), (1200, 800)) for p in (before, after)]
    assert np.median(flow.between(*large), axis=(0, 1)) == pytest.approx([4 * dx, 4 * dy], abs=1.2)


def test_the_last_frames_flow_is_nothing_for_nothing_follows(controls: dict[str, Controller], clip: list[Rgb]) -> None:
    maps = controls["flow"].control(view_of(clip)).maps
    assert np.abs(maps[:-1]).max() > 0.5
    assert not maps[-1].any()


def test_flow_is_coloured_by_direction_and_white_where_nothing_moves() -> None:
    still = np.zeros((1, 100, 2), np.float32)
    right, left, down, half = still.copy(), still.copy(), still.copy(), still.copy()
    right[..., 0], left[..., 0], down[..., 1], half[..., 0] = 2, -9, 2, 1  # full from 2% of 100 px
    colours = [flow.draw(vectors)[0, 0].tolist() for vectors in (still, right, left, down, half)]
    assert colours == [[255, 255, 255], [255, 0, 0], [0, 255, 255], [127, 255, 0], [255, 128, 128]]


@pytest.fixture(scope="module")
def mask(controls: dict[str, Controller]) -> Mask:
    found = controls["mask"]
    assert isinstance(found, Mask)
    return found


def test_a_click_on_a_person_is_that_person_alone(mask: Mask, keyframes: Keyframes) -> None:
    (frame,) = keyframes("bikes.mp4", 124, 125, 1)
    frame = media.resize(frame, height=360)
    two = np.concatenate([frame[:, 430:680], frame[:, 430:680][:, ::-1]], axis=1)
    everyone = mask.control(view_of([two])).maps[0]
    left = mask.mask_from_click(two, (0.28, 0.4))
    assert left[:, 250:].sum() == 0
    assert overlap(left[:, :250], everyone[:, :250]) > 0.95


@pytest.mark.parametrize(
    ("name", "point", "box"),
    [
        ("flower.jpg", (0.62, 0.45), (0.27, 0.2, 0.69, 0.85)),  # the dahlia
        ("rocket.jpg", (0.503, 0.5), (0.48, 0.4, 0.53, 0.96)),  # the white of the rocket
    ],
)
def test_a_click_on_a_thing_is_that_thing(
    name: str, point: tuple[float, float], box: tuple[float, ...], mask: Mask, photo: Photo
) -> None:
    found = mask.mask_from_click(photo(name), point)
    rows, columns = np.nonzero(found)
    height, width = found.shape
    corners = (columns.min() / width, rows.min() / height, columns.max() / width, rows.max() / height)
    assert corners == pytest.approx(box, abs=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_a_thing_is_cut_from_its_ground_to_the_pixel_or_nearly(seed: int, mask: Mask) -> None:
    picture, truth = disc_on(texture(320, 180, seed), (90 + 40 * seed, 90), 30 + 6 * seed)
    found = mask.mask_from_click(picture, ((90 + 40 * seed) / 320, 0.5))
    assert overlap(found, truth) > 0.9


def disc_on(ground: Rgb, centre: tuple[int, int], radius: int) -> tuple[Rgb, Any]:
    """A striped red disc on a blue and green ground, and where it is."""
    ground = ground.copy()
    ground[..., 0] //= 4
    truth = cv2.circle(np.zeros(ground.shape[:2], np.uint8), centre, radius, 255, -1)
    disc = np.full_like(ground, (220, 60, 40))
    disc[:, (np.arange(ground.shape[1]) - centre[0]) % 12 < 4] = (180, 30, 30)
    ground[truth > 0] = disc[truth > 0]
    return ground, truth


@pytest.mark.parametrize("start", [0, 9])
def test_a_mask_follows_its_thing_through_the_clip(start: int, mask: Mask) -> None:
    made = [disc_on(texture(320, 180), (70 + 14 * i, 60 + 5 * i), 26 + i) for i in range(10)]
    frames, truths = [frame for frame, _ in made], [truth for _, truth in made]
    point = (70 + 14 * start) / 320, (60 + 5 * start) / 180
    followed = mask.control_from_click(view_of(frames, step=1), point, frame=start)
    assert followed.kind == "mask"
    assert followed.maps.shape == (10, 180, 320)
    assert set(np.unique(followed.maps).tolist()) == {0, 255}
    assert min(overlap(a, b) for a, b in zip(followed.maps, truths, strict=True)) > 0.8
    assert np.array_equal(followed.maps[start], mask.mask_from_click(frames[start], point))


def test_a_person_is_followed_through_a_shot(mask: Mask, keyframes: Keyframes) -> None:
    frames = [media.resize(frame, height=180) for frame in keyframes("bikes.mp4", 112, 137, 8)]
    view = view_of(frames, step=3)
    people, followed = mask.control(view).maps, mask.control_from_click(view, (0.66, 0.35), frame=4).maps
    assert min(overlap(a, b) for a, b in zip(followed, people, strict=True)) > 0.9


def test_a_taxis_sign_is_followed_as_the_taxi_drives_in(mask: Mask, keyframes: Keyframes) -> None:
    """The white box of the sign, by hand, left and right: it drives in from the left, and in the end stands there."""
    frames = [media.resize(frame, height=360) for frame in keyframes("bikes.mp4", 66, 76, 10)]
    followed = mask.control_from_click(view_of(frames, step=1), (0.5, 0.57), frame=9).maps
    columns = [np.nonzero(found)[1] / found.shape[1] for found in followed]
    assert (columns[-1].min(), columns[-1].max()) == pytest.approx((0.39, 0.81), abs=0.04)
    assert all(a.max() < b.max() + 0.01 for a, b in itertools.pairwise(columns))
    assert columns[0].max() < 0.6


def test_a_click_gives_the_same_mask_however_often_and_on_any_picture(mask: Mask, photo: Photo) -> None:
    cup = photo("coffee.png")
    assert np.array_equal(mask.mask_from_click(cup, (0.4, 0.2)), mask.mask_from_click(cup, (0.4, 0.2)))
    for picture in (np.full((1, 1, 3), 200, np.uint8), np.zeros((40, 301, 3), np.uint8)):
        found = mask.mask_from_click(picture, (0.5, 0.5))
        assert (found.shape, found.dtype) == (picture.shape[:2], np.uint8)
        followed = mask.control_from_click(view_of([picture] * 3), (0.5, 0.5), frame=1)
        assert followed.maps.shape == (3, *picture.shape[:2])


def test_a_click_beside_the_picture_is_refused(mask: Mask, photo: Photo) -> None:
    with pytest.raises(ValueError, match="outside the picture"):
        mask.mask_from_click(photo("coffee.png"), (1.0, 0.5))
    with pytest.raises(IndexError, match="frame 1 of a view of 1"):
        mask.control_from_click(view_of([photo("coffee.png")]), (0.5, 0.5), frame=1)


# -- grades and statements of what the pass measured -----------------------------------------------------------------


def graded(expert: Any, **row: Any) -> float | None:
    found: float | None = expert.grade(view_of([], **row))
    return found


@pytest.mark.parametrize("defect", [name for name in DEFECTS if name != "blurred"])
def test_a_defect_divides_the_grade_by_how_far_it_is_past_its_threshold(defect: str) -> None:
    column, threshold, _ = DEFECTS[defect]
    assert graded(Quality(), sharpness_laplacian=3000.0, **{column: threshold * 0.9}) == pytest.approx(1.0)
    assert graded(Quality(), sharpness_laplacian=3000.0, **{column: threshold * 2.0}) == pytest.approx(0.5)


def test_without_a_sharpness_there_is_no_grade_of_quality() -> None:
    assert graded(Quality(), noise_sigma=2.0) is None


@pytest.mark.parametrize(
    ("flow_px_per_s", "grade"), [(0.0, 0.0), (0.5, 0.0), (6**0.5, 0.5), (12.0, 1.0), (60.0, 1.0), (240.0, 0.25)]
)
def test_motion_is_graded_by_how_much_moves(flow_px_per_s: float, grade: float) -> None:
    assert graded(Motion(), flow_mean_px_per_s=flow_px_per_s) == pytest.approx(grade, abs=1e-6)


def test_a_shaken_camera_halves_the_grade_of_motion_and_a_panned_one_does_not() -> None:
    row = {"flow_mean_px_per_s": 30.0, "camera_confidence": 0.8}
    assert graded(Motion(), camera_motion="handheld", **row) == pytest.approx(0.6)
    assert graded(Motion(), camera_motion="pan left", **row) == 1.0
    assert graded(Motion()) is None


def test_a_cut_inside_a_clip_is_stated_where_it_is(photo: Photo) -> None:
    cat, cup = (media.resize(photo(name), size=(48, 27)) for name in ("chelsea.png", "coffee.png"))
    shots = Shots()

    def said(frames: list[Rgb]) -> list[Statement]:
        view = view_of(frames, step=1, first=100)
        return shots.state(view, shots.measure([view])[0])

    (statement,) = said([cat] * 10 + [cup] * 10)
    assert (statement.subject, statement.predicate, statement.value) == ("picture", "cuts", "to another shot")
    assert (statement.first_frame, statement.end_frame) == (109, 111)
    assert statement.confidence > 0.5
    assert said([cat] * 20) == []
    assert said([cat] * 2) == []
