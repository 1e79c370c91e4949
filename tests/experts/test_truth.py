"""What the experts say of pictures that we have looked at ourselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

import experts
import media
from experts.base import Expert, Rgb, Statement
from experts.shots import Shots
from tests.experts.conftest import view_of

if TYPE_CHECKING:
    from experts.weights import Footage

Load = Callable[[str], Expert]
Photo = Callable[[str], Rgb]


def said(expert: Expert, frames: list[Rgb], **row: Any) -> list[Statement]:
    view = view_of(frames, **row)
    return expert.state(view, expert.measure([view])[0])


def words(statements: list[Statement]) -> list[str]:
    return [f"{s.subject} {s.predicate} {s.value}" for s in statements]


def texture(width: int, height: int = 360, seed: int = 3) -> Rgb:
    """A picture with detail and no text."""
    noise = np.random.default_rng(seed).integers(40, 200, (height // 20, width // 20, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def written(picture: Rgb, text: str, x: int, y: int, scale: float = 1.4) -> Rgb:
    copy = picture.copy()
    size, _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, 2)
    cv2.rectangle(copy, (x - 8, y - size[1] - 8), (x + size[0] + 8, y + 12), (20, 60, 120), -1)
    cv2.putText(copy, text, (x, y), cv2.FONT_HERSHEY_DUPLEX, scale, (255, 255, 255), 2, cv2.LINE_AA)
    return copy


# -- tags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("chelsea.png", "animal looks like cat"),
        ("coffee.png", "food looks like espresso"),
        ("coffee.png", "food looks like cup of coffee"),
        ("motorcycle_left.png", "vehicle looks like motorcycle"),
        ("china.jpg", "building looks like church or temple"),
    ],
)
def test_well_known_photographs_are_named(name: str, sentence: str, loaded: Load, photo: Photo) -> None:
    assert sentence in words(said(loaded("tags"), [photo(name)]))


@pytest.mark.parametrize("name", ["hubble_deep_field.jpg", "astronaut.png"])
def test_what_the_classes_do_not_know_is_not_named(name: str, loaded: Load, photo: Photo) -> None:
    assert said(loaded("tags"), [photo(name)]) == []


def test_the_bow_tie_is_seen(loaded: Load, keyframes: Callable[..., list[Rgb]]) -> None:
    frames = keyframes("carphone_pristine.mp4", 0, 110, 4)
    assert "bow tie" in loaded("tags").measure([view_of(frames)])[0]["labels"][:2]
    assert "clothing looks like suit and tie" in words(said(loaded("tags"), frames))


def test_a_class_must_hold_over_the_keyframes(loaded: Load, photo: Photo) -> None:
    mixed = [photo("chelsea.png"), photo("hubble_deep_field.jpg"), photo("rocket.jpg")]
    assert said(loaded("tags"), mixed) == []


# -- faces, count, composition ---------------------------------------------------------------------------------------


def test_the_astronauts_face_is_found_where_it_is(loaded: Load, photo: Photo) -> None:
    values = loaded("faces").measure([view_of([photo("astronaut.png")])])[0]
    (face,) = values["faces"]
    assert (face["left"], face["top"]) == pytest.approx((0.35, 0.15), abs=0.04)
    assert (face["width"], face["height"]) == pytest.approx((0.19, 0.19), abs=0.04)
    assert face["score"] > 0.9
    right_eye, left_eye, nose, mouth = (face["landmarks"][i : i + 2] for i in range(0, 8, 2))
    assert right_eye[0] < nose[0] < left_eye[0]  # as we see her, her right eye is on the left
    assert right_eye[1] < nose[1] < mouth[1]


def test_the_man_in_the_car_is_one_in_every_frame(loaded: Load, keyframes: Callable[..., list[Rgb]]) -> None:
    frames = keyframes("carphone_pristine.mp4", 0, 110, 4)
    assert loaded("count").measure([view_of(frames)])[0]["face_counts"] == [1, 1, 1, 1]
    assert words(said(loaded("count"), frames)) == ["picture shows one person"]
    assert words(said(loaded("faces"), frames)) == ["person shows their face"]
    assert "shot is a close-up" in words(said(loaded("composition"), frames))


@pytest.mark.parametrize(
    "name", ["chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg", "motorcycle_left.png", "china.jpg"]
)
def test_no_face_is_seen_where_there_is_none(name: str, loaded: Load, photo: Photo) -> None:
    values = loaded("faces").measure([view_of([photo(name)])])[0]
    assert values["face_count_max"] == 0
    assert values["largest_face_fraction"] is None
    assert said(loaded("count"), [photo(name)]) == []
    assert said(loaded("composition"), [photo(name)]) == []


def test_two_people_are_counted_and_their_places_told(loaded: Load, photo: Photo) -> None:
    woman = photo("astronaut.png")[20:220, 60:260]
    both = np.concatenate([woman, texture(200, 200), woman[:, ::-1]], axis=1)
    values = loaded("count").measure([view_of([both, both])])[0]
    assert (values["face_count"], values["face_count_agreement"]) == (2, 1.0)
    assert words(said(loaded("count"), [both, both])) == ["picture shows two people"]
    alone = np.concatenate([texture(260, 200), woman], axis=1)
    assert "person is on the right" in words(said(loaded("composition"), [alone]))


def test_counts_that_disagree_are_not_stated(loaded: Load, photo: Photo) -> None:
    woman = photo("astronaut.png")
    frames = [woman, np.concatenate([woman, woman], axis=1), np.concatenate([woman] * 3, axis=1)]
    assert loaded("count").measure([view_of(frames)])[0]["face_counts"] == [1, 2, 3]
    assert said(loaded("count"), frames) == []


def test_a_smaller_face_is_a_wider_shot(loaded: Load, photo: Photo) -> None:
    woman = photo("astronaut.png")
    wide = texture(640)
    wide[:180, :180] = media.resize(woman, height=180)
    frames = [woman[20:200, 70:250], woman, wide]
    sizes = [loaded("composition").measure([view_of([frame])])[0]["shot_size"] for frame in frames]
    assert sizes == ["close-up", "medium close-up", "medium shot"]


# -- text ------------------------------------------------------------------------------------------------------------


def test_a_sign_is_read(loaded: Load) -> None:
    sign = written(texture(640), "PLATFORM 9 TO LONDON", 40, 200)
    values = loaded("text").measure([view_of([sign])])[0]
    assert values["text"] == "PLATFORM 9 TO LONDON"
    (line,) = values["lines"]
    assert (line["left"], line["top"] + line["height"]) == pytest.approx((40 / 640, 205 / 360), abs=0.04)
    assert values["text_area_fraction"] == pytest.approx(line["width"] * line["height"], rel=1e-5)
    assert words(said(loaded("text"), [sign])) == ["text reads PLATFORM 9 TO LONDON"]


def test_text_that_stays_while_the_picture_moves_is_laid_over_it(loaded: Load) -> None:
    wide = texture(900)
    frames = [written(wide[:, x : x + 640].copy(), "EVENING NEWS", 60, 320) for x in (0, 100, 200)]
    assert words(said(loaded("text"), frames)) == ["on-screen text reads EVENING NEWS"]
    values = loaded("text").measure([view_of(frames)])[0]
    assert values["overlay_area_fraction"] == pytest.approx(values["text_area_fraction"])


def test_text_that_moves_with_the_picture_stands_in_it(loaded: Load) -> None:
    wide = written(texture(900), "GRAND HOTEL", 320, 200)
    frames = [wide[:, x : x + 640].copy() for x in (0, 100, 200)]
    assert words(said(loaded("text"), frames)) == ["text in the scene reads GRAND HOTEL"]
    assert loaded("text").measure([view_of(frames)])[0]["overlay_area_fraction"] == 0


def test_of_text_in_a_picture_that_does_not_change_neither_is_said(loaded: Load) -> None:
    sign = written(texture(640), "STOP HERE", 100, 200)
    assert words(said(loaded("text"), [sign, sign])) == ["text reads STOP HERE"]


def test_text_is_stated_over_the_frames_it_was_read_in(loaded: Load) -> None:
    plain = texture(640)
    frames = [plain, written(plain, "CHAPTER ONE", 100, 200), plain]
    (statement,) = said(loaded("text"), frames)
    assert (statement.first_frame, statement.end_frame) == (10, 11)


def test_lines_are_read_from_the_top_whichever_came_first(loaded: Load) -> None:
    first = written(texture(640), "SECOND LINE", 100, 260)
    values = loaded("text").measure([view_of([first, written(first, "FIRST LINE", 100, 120)])])[0]
    assert values["text"].splitlines() == ["FIRST LINE", "SECOND LINE"]
    assert [line["text"] for line in values["lines"]] == ["FIRST LINE", "SECOND LINE"]


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "flower.jpg"])
def test_no_text_is_read_where_there_is_none(name: str, loaded: Load, photo: Photo) -> None:
    values = loaded("text").measure([view_of([photo(name)])])[0]
    assert (values["text"], values["text_presence"]) == ("", 0.0)


# -- shots -----------------------------------------------------------------------------------------------------------


def test_a_cut_is_found_inside_a_clip_and_none_within_a_shot(loaded: Load, footage: Footage) -> None:
    bikes = str(footage.of("bikes.mp4").path)
    rows = [
        {"clip_id": "two shots", "first_frame": 8, "end_frame": 58, "uri": bikes, "kind": "clip"},
        {"clip_id": "one shot", "first_frame": 31, "end_frame": 74, "uri": bikes, "kind": "clip"},
        {"clip_id": "a still", "first_frame": 0, "end_frame": 40, "uri": bikes, "kind": "pseudo"},
    ]
    two, one, still = experts.run(loaded("shots"), experts.clip_views(rows), run_id="r")
    assert two["missed_cut_probability"] > 0.5
    assert two["missed_cut_frame"] == 30  # looked at: frame 29 is the last of the first shot
    assert (two["frames_seen"], one["frames_seen"], still["frames_seen"]) == (50, 43, 0)
    assert one["missed_cut_probability"] < 0.3
    assert (still["missed_cut_probability"], still["error"]) == (None, None)


def test_a_generated_video_is_looked_at_where_it_is(photo: Photo) -> None:
    cat, cup = (media.resize(photo(name), size=(48, 27)) for name in ("chelsea.png", "coffee.png"))
    values = Shots().measure([view_of([cat] * 10 + [cup] * 10, step=1)])[0]
    assert values["missed_cut_frame"] == 10
    assert values["missed_cut_probability"] > 0.5
    assert Shots().grade(view_of([cat] * 5, step=1)) == 1  # too short for a cut to be inside
    assert Shots().grade(view_of([cat, cup], step=10)) is None  # two frames of twenty cannot tell


def test_a_source_that_is_gone_is_an_error_in_the_row(loaded: Load) -> None:
    row = {"clip_id": "c", "first_frame": 0, "end_frame": 40, "uri": "gone.mp4", "kind": "clip"}
    (result,) = experts.run(loaded("shots"), experts.clip_views([row]), run_id="r")
    assert "gone.mp4" in result["error"]


# -- nsfw, colour, light ---------------------------------------------------------------------------------------------


def test_ordinary_photographs_are_safe(loaded: Load, footage: Footage, photo: Photo) -> None:
    for path in footage.photos:
        assert loaded("nsfw").measure([view_of([photo(path.name)])])[0]["nsfw_max"] < 0.1, path.name


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("chelsea.png", ["picture is mostly brown"]),
        ("rocket.jpg", ["picture is mostly blue"]),
        ("hubble_deep_field.jpg", ["picture is mostly black"]),
        ("coffee.png", ["picture has much brown", "picture has some red"]),
        ("flower.jpg", ["picture has much teal", "picture has some orange"]),
    ],
)
def test_photographs_have_the_colours_we_see(name: str, sentences: list[str], loaded: Load, photo: Photo) -> None:
    assert set(sentences) <= set(words(said(loaded("colour"), [photo(name)])))


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("hubble_deep_field.jpg", ["picture is dark", "contrast is low"]),
        ("rocket.jpg", ["colours are cool", "picture is dark", "contrast is low"]),
        ("coffee.png", ["colours are warm"]),
        ("astronaut.png", ["colours are warm", "contrast is high"]),
    ],
)
def test_photographs_are_lit_as_we_see(name: str, sentences: list[str], loaded: Load, photo: Photo) -> None:
    assert words(said(loaded("light"), [photo(name)])) == sentences
