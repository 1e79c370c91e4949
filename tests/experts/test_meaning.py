"""Sentences and pictures in one space; the vocabulary; TransNetV2 over whole videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from experts import weights
from experts._imagenet import CLASSES, vocabulary
from experts.alignment import Alignment, conse, model_ref
from experts.base import Expert, Rgb
from experts.sentence import Sentence
from experts.shots import TransNet, small
from experts.tags import Tags
from tests.experts.conftest import view_of

if TYPE_CHECKING:
    from experts.weights import Footage

CAPTIONS = {
    "chelsea.png": "close-up of the face of a tabby cat",
    "coffee.png": "a cup of espresso on a red saucer",
    "motorcycle_left.png": "a red motorcycle is parked in a garage",
    "china.jpg": "a temple tower above a lake",
    "rocket.jpg": "a rocket stands on its launch pad",
    "flower.jpg": "an orange dahlia in front of dark leaves",
}


@pytest.fixture(scope="module")
def sentence() -> Sentence:
    return Sentence()


@pytest.fixture(scope="module")
def alignment(loaded: Callable[[str], Expert]) -> Alignment:
    expert = loaded("alignment")
    assert isinstance(expert, Alignment)
    return expert


def test_embeddings_are_unit_vectors_one_a_text(sentence: Sentence) -> None:
    vectors = sentence.embed(["a cat", "", "a much longer sentence about nothing in particular, " * 40])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert sentence.embed([]).shape == (0, 384)


def test_what_means_the_same_is_near(sentence: Sentence) -> None:
    cat, kitten, market = sentence.embed(
        ["a cat sits on a mat", "a kitten is sitting on a rug", "the stock market fell"]
    )
    assert cat @ kitten > 0.6
    assert cat @ market < 0.2


def test_a_text_is_the_same_in_any_company(sentence: Sentence) -> None:
    texts = ["a dog", "two horses graze in a field under a wide sky", "rain", "a man reads the newspaper"]
    together = sentence.embed(texts)
    assert sentence.embed(texts[::-1])[::-1] == pytest.approx(together, abs=1e-5)
    for text, vector in zip(texts, together, strict=True):
        assert sentence.embed([text])[0] == pytest.approx(vector, abs=1e-5)


def test_the_encoder_gives_the_numbers_of_the_reference(sentence: Sentence) -> None:
    """The numbers are those of transformers 5.23's BertModel with mean pooling, on the same weights, padded."""
    cat, bicycles = sentence.embed(["a cat sits on a mat", "Two bicycles lean against a wall, in the rain!"])
    assert cat[:4] == pytest.approx([0.1200318, -0.0353829, -0.0234644, 0.0452110], abs=1e-5)
    assert bicycles[:4] == pytest.approx([0.0008130, 0.0847549, -0.0105950, 0.0511289], abs=1e-5)
    assert cat @ bicycles == pytest.approx(-0.0280725, abs=1e-5)


def test_a_picture_fits_its_own_caption_best(alignment: Alignment, photo: Callable[[str], Rgb]) -> None:
    pictures = alignment.pictures([view_of([photo(name)]) for name in CAPTIONS])
    scores = pictures @ alignment.texts(list(CAPTIONS.values())).T
    assert (scores.argmax(axis=1) == np.arange(len(CAPTIONS))).all()
    own = np.diag(scores)
    others = scores[~np.eye(len(CAPTIONS), dtype=bool)]
    assert own.min() > 0.1
    assert abs(others.mean()) < 0.1


def test_scores_are_of_pairs_and_grade_is_one_of_them(alignment: Alignment, photo: Callable[[str], Rgb]) -> None:
    views = [view_of([photo(name)]) for name in ("chelsea.png", "coffee.png")]
    scores = alignment.score(views, ["a cat", "a cat"])
    assert scores[0] > 0.5 > scores[1]
    assert scores == conse(views, ["a cat", "a cat"])
    assert alignment.grade(views[0], "a cat") == pytest.approx(scores[0])
    assert alignment.grade(views[0], None) is None
    assert alignment.score([], []) == []
    with pytest.raises(ValueError, match="1 views but 2 prompts"):
        alignment.score(views[:1], ["a", "b"])


def test_a_clip_is_the_mean_of_its_frames_before_the_top_ten(alignment: Alignment, photo: Callable[[str], Rgb]) -> None:
    cat, cup = photo("chelsea.png"), photo("coffee.png")
    both = alignment.score([view_of([cat, cup])] * 2, ["a cat", "a cup of coffee"])
    assert min(both) > 0.3
    assert alignment.pictures([view_of([cat] * 3)]) == pytest.approx(alignment.pictures([view_of([cat])]), abs=1e-6)


def test_the_pair_of_models_is_named_without_loading_them(alignment: Alignment) -> None:
    assert alignment.model == model_ref()
    assert "efficientnet-lite0" in model_ref().name
    assert "MiniLM" in model_ref().name


@pytest.mark.parametrize("role", ["tags", "tag_names", "sentence"])
def test_whatever_makes_the_value_is_in_the_hash(role: str, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    changed, now = model_ref("embedded", {role: other}), model_ref()
    assert (changed.hash != now.hash, len(now.hash)) == (True, 12)
    if role != "sentence":
        assert Tags.model_ref("embedded", {role: other}).hash != Tags.model_ref().hash
    assert Tags.model_ref().name == "efficientnet-lite0"


def test_kept_embeddings_that_are_damaged_are_made_again(
    alignment: Alignment, sentence: Sentence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experts.alignment import _kept

    monkeypatch.setenv("RUSHES_HOME", str(tmp_path))
    first = _kept(sentence, ["a", "b"])
    (path,) = (tmp_path / "cache").iterdir()
    assert (np.load(path) == first).all()
    path.write_bytes(b"damaged")
    assert (_kept(sentence, ["a", "b"]) == first).all()
    assert (np.load(path) == first).all()


def test_the_vocabulary_is_whole_and_its_groups_do_not_overlap() -> None:
    words = vocabulary(weights.resolve("tag_names").path)
    assert len(words.names) == CLASSES
    assert (words.names[281], words.names[967], words.names[457]) == ("tabby cat", "espresso", "bow tie")
    assert len(set(words.names)) >= CLASSES - 3  # sunglasses and swimsuit are there twice, as in ImageNet
    for masks in (words.kinds, words.groups):
        assert np.sum(list(masks.values()), axis=0).max() == 1
    assert words.kind_of(281) == "animal"
    assert words.kind_of(446) is None
    assert {group: words.kind_of_group(group) for group in ("cat", "boat", "cup of coffee", "suit and tie")} == {
        "cat": "animal",
        "boat": "vehicle",
        "cup of coffee": "food",
        "suit and tie": "clothing",
    }


def test_transnet_finds_the_cut_of_real_footage(footage: Footage) -> None:
    import media

    span = media.read_span(footage.of("bikes.mp4").path, 24, 74)
    probabilities = TransNet().probabilities(np.stack([small(frame.rgb(108)) for frame in span]))
    assert probabilities.shape == (50,)
    assert (24 + np.flatnonzero(probabilities > 0.5)).tolist() == [29]  # looked at, frame by frame


@pytest.mark.parametrize("count", [0, 1])
def test_transnet_takes_videos_of_any_length(count: int) -> None:
    probabilities = TransNet().probabilities(np.full((count, 27, 48, 3), 90, np.uint8))
    assert probabilities.shape == (count,)
    assert (probabilities < 0.5).all()


def test_transnet_refuses_what_is_not_its_size() -> None:
    with pytest.raises(ValueError, match=r"\[N, 27, 48, 3\]"):
        TransNet().probabilities(np.zeros((5, 48, 27, 3), np.uint8))
