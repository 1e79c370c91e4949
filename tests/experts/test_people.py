"""People: found where we see them, counted, measured, drawn; and what the decoding rests on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

import experts
import media
from experts import _figures, _pose
from experts._blazeface import Face
from experts._pedestrians import upright_people
from experts._pose import KEYPOINTS, Person, PoseModel
from experts.base import Expert, Rgb, Statement
from tests.debian import opencv_example
from tests.experts.conftest import view_of

Load = Callable[[str], Expert]
Photo = Callable[[str], Rgb]
Keyframes = Callable[..., list[Rgb]]

NOSE, LEFT_SHOULDER, RIGHT_SHOULDER = (KEYPOINTS.index(n) for n in ("nose", "left shoulder", "right shoulder"))
LEFT_EYE, RIGHT_EYE = KEYPOINTS.index("left eye"), KEYPOINTS.index("right eye")


@pytest.fixture(scope="module")
def pose() -> PoseModel:
    return _pose.pose_model("embedded", None, 1)


@pytest.fixture(scope="module")
def cyclist(keyframes: Keyframes) -> list[Rgb]:
    """A man with a helmet stands astride his bicycle, from head to feet, right of the middle, behind a van."""
    return [media.resize(frame, height=360) for frame in keyframes("bikes.mp4", 110, 137)]


@pytest.fixture(scope="module")
def suit(keyframes: Keyframes) -> Rgb:
    """A man in a dark suit, from head to hips, left of the middle, before parked cars."""
    return media.resize(keyframes("bikes.mp4", 30, 31, 1)[0], height=360)


def measured(expert: Expert, *frames: Rgb) -> dict[str, Any]:
    return expert.measure([view_of(frames)])[0]


def said(expert: Expert, *frames: Rgb) -> list[Statement]:
    view = view_of(frames)
    return expert.state(view, expert.measure([view])[0])


def words(statements: list[Statement]) -> list[str]:
    return [f"{s.subject} {s.predicate} {s.value}" for s in statements]


def points(row: dict[str, Any]) -> Any:
    return np.array(row["keypoints"]).reshape(33, 5)


def pasted(picture: Rgb, height: int, left: int = 0, size: tuple[int, int] = (640, 360)) -> Rgb:
    """The picture shrunk to `height`, at the foot of a grey one."""
    canvas = np.full((size[1], size[0], 3), 110, np.uint8)
    small = media.resize(picture, height=height)
    canvas[size[1] - height :, left : left + small.shape[1]] = small[:, : size[0] - left]
    return canvas


# -- what is seen ----------------------------------------------------------------------------------------------------


def test_a_cyclist_is_found_from_head_to_feet(loaded: Load, cyclist: list[Rgb]) -> None:
    values = measured(loaded("people"), *cyclist)
    assert (values["person_count_max"], values["people_presence"], values["full_body_presence"]) == (1, 1.0, 1.0)
    assert values["person_score"] > 0.9
    assert values["largest_person_fraction"] == pytest.approx(0.97, abs=0.05)
    for row in values["people"]:
        assert (row["left"], row["left"] + row["width"]) == pytest.approx((0.53, 0.76), abs=0.03)
    assert words(said(loaded("people"), *cyclist)) == ["scene shows a person", "person is seen from head to feet"]


def test_a_man_to_the_hips_is_found_and_not_his_feet(loaded: Load, suit: Rgb) -> None:
    values = measured(loaded("people"), suit)
    (man,) = values["people"]
    assert (man["left"], man["top"], man["width"], man["height"]) == pytest.approx((0.26, 0, 0.35, 1), abs=0.04)
    assert not man["full_body"]
    keypoints = points(man)
    assert keypoints[RIGHT_SHOULDER, 0] < keypoints[NOSE, 0] < keypoints[LEFT_SHOULDER, 0]  # he faces us
    assert keypoints[NOSE, 1] < keypoints[LEFT_SHOULDER, 1]
    assert words(said(loaded("people"), suit)) == ["scene shows a person"]


def test_keypoints_of_a_head_lie_on_the_face_that_another_network_finds(loaded: Load, photo: Photo) -> None:
    (face,) = measured(loaded("faces"), photo("astronaut.png"))["faces"]
    (person,) = measured(loaded("people"), photo("astronaut.png"))["people"]
    landmarks = np.array(face["landmarks"]).reshape(6, 2)
    assert points(person)[[RIGHT_EYE, LEFT_EYE, NOSE], :2] == pytest.approx(landmarks[:3], abs=0.03)


@pytest.mark.parametrize(
    "name", ["chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg", "motorcycle_left.png", "china.jpg"]
)
def test_nobody_is_seen_where_there_is_none(name: str, loaded: Load, photo: Photo) -> None:
    values = measured(loaded("people"), photo(name))
    assert (values["person_count_max"], values["person_area_fraction"]) == (0, 0)
    assert (values["person_score"], values["largest_person_fraction"]) == (None, None)
    assert said(loaded("people"), photo(name)) == []


@pytest.mark.parametrize(("first", "end"), [(50, 74), (150, 185), (214, 250)])
def test_cars_a_fence_and_a_bicycle_are_nobody(first: int, end: int, loaded: Load, keyframes: Keyframes) -> None:
    frames = [media.resize(frame, height=360) for frame in keyframes("bikes.mp4", first, end, 5)]
    assert measured(loaded("people"), *frames)["person_count_max"] == 0


def test_a_body_cut_off_at_the_hips_has_no_feet(loaded: Load, photo: Photo) -> None:
    for height in (360, 240, 180, 120):
        (person,) = measured(loaded("people"), pasted(photo("astronaut.png"), height))["people"]
        assert not person["full_body"], height


@pytest.mark.parametrize("height", [240, 180, 120, 100])
def test_people_are_found_however_much_of_the_picture_they_leave(
    height: int, loaded: Load, cyclist: list[Rgb], photo: Photo
) -> None:
    picture = photo("china.jpg").copy()
    alone = media.resize(cyclist[1][:, 430:680], height=height)
    picture[360 - height :, 40 : 40 + alone.shape[1]] = alone
    values = measured(loaded("people"), picture)
    (person,) = values["people"]
    assert person["height"] == pytest.approx(height / 360, abs=0.05)
    assert person["left"] + person["width"] / 2 == pytest.approx((40 + alone.shape[1] / 2) / picture.shape[1], abs=0.03)
    assert values["largest_person_fraction"] == person["height"]


def test_one_person_seen_in_several_tiles_is_one(pose: PoseModel, keyframes: Keyframes) -> None:
    for frame in keyframes("bikes.mp4", 79, 83, 4):  # behind a car, from head to hips
        assert len(pose.see(media.resize(frame, height=360)).people) == 1


def test_several_people_are_each_found(loaded: Load, cyclist: list[Rgb], suit: Rgb) -> None:
    one, other = cyclist[1][:, 430:680], suit[:, 200:550]
    picture = np.concatenate([one, other, one[:, ::-1]], axis=1)
    values = measured(loaded("people"), picture)
    assert values["person_count_max"] == 3
    places = sorted(row["left"] + row["width"] / 2 for row in values["people"])
    assert places == pytest.approx([125 / 850, 425 / 850, 725 / 850], abs=0.07)
    assert words(said(loaded("count"), picture)) == ["picture shows three people"]


def test_people_who_are_seen_too_seldom_are_not_stated(loaded: Load, suit: Rgb) -> None:
    empty = np.full_like(suit, 90)
    assert said(loaded("people"), empty, empty, suit) == []
    values = measured(loaded("people"), empty, empty, suit)
    assert values["people_presence"] == pytest.approx(1 / 3)
    assert [row["frame"] for row in values["people"]] == [20]


def test_a_statement_names_the_frames_it_was_seen_in(loaded: Load, suit: Rgb) -> None:
    (statement,) = said(loaded("people"), np.full_like(suit, 90), suit, suit)
    assert (statement.first_frame, statement.end_frame) == (10, 21)
    assert statement.confidence == pytest.approx(2 / 3 * measured(loaded("people"), suit)["person_score"], abs=1e-3)


# -- pedestrians, from a window above a campus -----------------------------------------------------------------------

PEDESTRIANS = {50: 6, 150: 8, 250: 7, 350: 6, 450: 3, 550: 6, 650: 6, 750: 8}
"""Frame: people in it, counted by hand, those who stand half behind a pole or are a twentieth as high as it too."""


@pytest.fixture(scope="module")
def pedestrians() -> dict[int, Rgb]:
    path = opencv_example("vtest.avi")
    return {f.index: f.rgb(360) for f in media.read_span(path, 0, max(PEDESTRIANS) + 1) if f.index in PEDESTRIANS}


@pytest.mark.timeout(300)
def test_pedestrians_are_counted(loaded: Load, pedestrians: dict[int, Rgb]) -> None:
    values = loaded("people").measure([view_of([frame]) for frame in pedestrians.values()])
    found = dict(zip(pedestrians, (clip["person_count_max"] for clip in values), strict=True))
    assert all(found[frame] <= there for frame, there in PEDESTRIANS.items())
    assert {frame: found[frame] for frame in (450, 650)} == {450: 3, 650: 6}  # all of them stand in the open
    assert sum(found.values()) >= 0.7 * sum(PEDESTRIANS.values())
    assert words(said(loaded("count"), pedestrians[650])) == ["picture shows six people"]
    assert words(said(loaded("count"), *[pedestrians[450]] * 2)) == ["picture shows three people"]


def test_pedestrians_stand_where_they_stand(loaded: Load, pedestrians: dict[int, Rgb]) -> None:
    people = measured(loaded("people"), pedestrians[450])["people"]
    seen = sorted((p["left"] + p["width"] / 2, p["top"], p["top"] + p["height"]) for p in people)
    by_hand = [(0.42, 0.36, 0.5), (0.65, 0.32, 0.45), (0.755, 0.42, 0.585)]
    assert np.array(seen) == pytest.approx(np.array(by_hand), abs=0.02)
    assert all(person["full_body"] for person in people)


def test_an_outline_that_is_no_person_from_head_to_feet_is_nobody(photo: Photo) -> None:
    for name in ("astronaut.png", "motorcycle_left.png", "china.jpg"):
        assert upright_people(media.resize(photo(name), height=360))  # alone, the outlines' detector is easily fooled
    assert upright_people(np.zeros((3, 3, 3), np.uint8)) == []


# -- count and composition -------------------------------------------------------------------------------------------


def test_a_man_whose_face_is_too_small_is_counted_by_his_body(loaded: Load, cyclist: list[Rgb]) -> None:
    far = pasted(cyclist[1][:, 380:700], 150, left=200)
    values = measured(loaded("count"), far)
    assert (values["face_count"], values["person_count"]) == (0, 1)
    assert words(said(loaded("count"), far)) == ["picture shows one person"]


def test_a_face_and_its_body_are_one_person(loaded: Load, suit: Rgb, photo: Photo) -> None:
    for picture in (suit, photo("astronaut.png")):
        values = measured(loaded("count"), picture)
        assert (values["face_counts"], values["person_counts"]) == ([1], [1])


def test_from_head_to_feet_is_a_wide_shot(loaded: Load, cyclist: list[Rgb]) -> None:
    values = measured(loaded("composition"), *cyclist)
    assert (values["shot_size"], values["main_person_place"]) == ("wide shot", "right")
    assert "shot is a wide shot" in words(said(loaded("composition"), *cyclist))


def test_sizes_of_shots_that_we_have_looked_at(loaded: Load, suit: Rgb, keyframes: Keyframes) -> None:
    assert measured(loaded("composition"), suit)["shot_size"] in ("medium shot", "medium close-up")
    carphone = keyframes("carphone_pristine.mp4", 0, 30)
    assert measured(loaded("composition"), *carphone)["shot_size"] == "close-up"


def body(**places: tuple[float, float]) -> Person:
    """A person of whom only the named keypoints are visible."""
    keypoints = np.zeros((33, 5), np.float32)
    for name, place in places.items():
        keypoints[KEYPOINTS.index(name.replace("_", " "))] = (*place, 0, 1, 1)
    return Person((0.4, 0.2, 0.2, 0.3), keypoints, 0.9)


def test_a_stature_is_told_by_the_longest_part() -> None:
    thigh = {"left_hip": (0.5, 0.4), "left_knee": (0.5, 0.645)}
    assert _figures.stature(body(**thigh), 16 / 9) == pytest.approx(1.0, rel=1e-3)
    flat = {"left_hip": (0.5, 0.4), "left_knee": (0.5 + 0.245 * 9 / 16, 0.4)}
    assert _figures.stature(body(**flat), 16 / 9) == pytest.approx(1.0, rel=1e-3)
    bent = {"left_shoulder": (0.5, 0.4), "left_elbow": (0.5, 0.41)}  # it points at the camera
    assert _figures.stature(body(**thigh, **bent), 16 / 9) == pytest.approx(1.0, rel=1e-3)
    assert _figures.stature(body(), 1.0) == pytest.approx(0.3)  # at least what is seen of it


def test_faces_and_bodies_are_paired_by_heads() -> None:
    head = dict.fromkeys(KEYPOINTS[:11], (0.5, 0.3))
    person = body(**{name.replace(" ", "_"): place for name, place in head.items()})
    on_it = Face((0.46, 0.26, 0.1, 0.1), (), 0.8)
    beside = Face((0.7, 0.26, 0.08, 0.08), (), 0.7)
    both = _figures.paired([on_it, beside], [person], 1.0)
    assert [(figure.face, figure.person) for figure in both] == [(on_it, person), (beside, None)]
    assert both[0].score == 0.9
    (alone,) = _figures.paired([], [person], 1.0)
    assert (alone.face, alone.x, alone.y) == (None, pytest.approx(0.5), pytest.approx(0.35))
    assert _figures.paired([], [], 1.0) == ()


# -- the decoding ----------------------------------------------------------------------------------------------------


def test_a_mirrored_picture_is_a_mirrored_person(pose: PoseModel, suit: Rgb) -> None:
    (man,), (mirrored,) = pose.see(suit).people, pose.see(suit[:, ::-1]).people
    swapped = [
        KEYPOINTS.index(n.replace("left", "?").replace("right", "left").replace("?", "right")) for n in KEYPOINTS
    ]
    seen = man.visible & mirrored.visible[swapped]
    assert seen.sum() >= 13
    expected = mirrored.keypoints[swapped][:, :2] * (-1, 1) + (1, 0)
    assert np.abs(man.keypoints[seen, :2] - expected[seen]).mean() < 0.02


def test_a_turned_picture_is_a_turned_person(pose: PoseModel, suit: Rgb) -> None:
    square = suit[:, 200:560]
    turn = cv2.getRotationMatrix2D((180, 180), 25, 1.0)
    turned = np.asarray(cv2.warpAffine(square, turn, (360, 360), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)
    (man,), (leaning,) = pose.see(square).people, pose.see(turned).people
    seen = [NOSE, LEFT_EYE, RIGHT_EYE, LEFT_SHOULDER, RIGHT_SHOULDER]
    expected = np.c_[man.keypoints[seen, :2] * 360, np.ones(5)] @ turn.T / 360
    assert np.abs(leaning.keypoints[seen, :2] - expected).max() < 0.05


def test_the_mask_is_of_the_person_and_of_nothing_else(pose: PoseModel, cyclist: list[Rgb]) -> None:
    seen = pose.see(cyclist[1])
    (man,) = seen.people
    height, width = seen.mask.shape
    assert (seen.mask.dtype, width) == (np.uint8, 320)
    inside = seen.mask >= 128
    assert 0.04 < inside.mean() < 0.12  # his silhouette, by hand: 0.07
    left, top, wide, high = (man.box[i] * (width, height)[i % 2] for i in range(4))
    columns, rows = np.nonzero(inside)[1], np.nonzero(inside)[0]
    assert ((columns >= left - 1) & (columns <= left + wide + 1)).mean() > 0.98
    assert ((rows >= top - 1) & (rows <= top + high + 1)).mean() > 0.98
    for name in ("nose", "left shoulder", "right shoulder", "left hip", "right hip", "right knee"):
        x, y = man.keypoints[KEYPOINTS.index(name), :2]
        assert inside[int(y * height), int(x * width)], name


def test_the_same_picture_gives_the_same_people_however_often(suit: Rgb) -> None:
    fresh = PoseModel("embedded", {}, 1)
    first, again = fresh.see(suit), PoseModel("embedded", {}, 1).see(suit.copy())
    assert fresh.see(suit) is first  # remembered
    assert first.people[0].box == again.people[0].box
    assert np.array_equal(first.people[0].keypoints, again.people[0].keypoints)
    assert np.array_equal(first.mask, again.mask)


def test_a_square_goes_to_the_picture_and_its_pixels_with_it() -> None:
    up = _pose._Square.around(np.array([100.0, 200.0], np.float32), np.array([100.0, 100.0], np.float32))
    assert (up.x, up.y, up.side, up.angle) == (100, 200, 250, 0)
    right = _pose._Square.around(np.array([100.0, 200.0], np.float32), np.array([200.0, 200.0], np.float32))
    assert right.angle == pytest.approx(math.pi / 2)
    for square in (up, right):
        pixels = np.array([[0, 0], [255, 0], [100, 30]], np.float32)
        by_matrix = np.c_[pixels, np.ones(3)] @ square.matrix(256).T
        assert by_matrix + 0.5 == pytest.approx(square.to_picture((pixels + 0.5) / 256), abs=1e-3)
    head = right.to_picture(np.array([[0.5, 0.1]], np.float32))[0]
    assert head == pytest.approx([200, 200], abs=1e-3)  # what is up in the square is where the body points


def test_anchors_are_as_many_as_the_detector_answers() -> None:
    anchors = _pose._anchors()
    assert anchors.shape == (2254, 2)
    assert anchors[0] == pytest.approx([4 / 224, 4 / 224])
    assert anchors[-1] == pytest.approx([208 / 224, 208 / 224])


@pytest.mark.parametrize(
    ("height", "width", "sides"),
    [
        (100, 100, [100]),
        (100, 119, [119]),
        (100, 178, [178, 100, 100]),
        (235, 100, [235, 100, 100, 100]),
        (360, 360, [360, 216, 216, 216, 216]),
        (360, 640, [640, 360, 360, 216, 216, 216, 216, 216, 216, 216, 216]),
    ],
)
def test_pictures_are_looked_at_whole_and_in_tiles_that_cover_them(height: int, width: int, sides: list[int]) -> None:
    regions = list(_pose._regions(height, width))
    assert [region.side for region in regions] == sides
    for side in set(sides[1:]):
        seen = np.zeros((height, width), bool)
        for tile in (region for region in regions if region.side == side):
            left, top = round(tile.x - side / 2), round(tile.y - side / 2)
            assert left >= 0
            assert top >= 0
            assert left + side <= width + 1
            assert top + side <= height + 1
            seen[top : top + side, left : left + side] = True
        assert seen.all()


def test_every_expert_that_looks_for_people_names_the_same_models() -> None:
    assert experts.load("count").model == experts.load("composition").model
    people = experts.load("people").model
    assert people is not None
    assert people.name == "blazepose-detector+blazepose-full"
    assert people.license == "Apache-2.0"
