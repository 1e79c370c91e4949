"""The parts of a balance: clusters, tiers, weights, names. Each keeps its promise, whatever the order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from curation.balance.concepts import concept_names
from curation.balance.config import BalanceConfig
from curation.balance.report import axis_report
from curation.balance.tiers import CAMERAS, CUTS_PX_PER_S, TIERS, cameras, motion_tiers
from curation.balance.weights import balanced_weights, bounded, effective_number
from curation.kmeans import nearest_centres, spherical_kmeans
from experts import motion
from experts.base import ClipView
from experts.motion import CAMERA_WORDS, Motion

SEEDS = st.integers(0, 2**32 - 1)
WIDE = 1e9  # a limit that no weight reaches


def unit(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def blobs(seed: int, sizes: list[int], dimensions: int = 16, spread: float = 0.1) -> npt.NDArray[np.float32]:
    """Unit vectors around orthogonal directions, blob after blob."""
    random = np.random.default_rng(seed)
    centres = np.repeat(np.eye(dimensions)[: len(sizes)], sizes, axis=0)
    return unit(centres + spread * random.normal(size=centres.shape) / np.sqrt(dimensions))


class TestClusters:
    @settings(max_examples=25, deadline=None)
    @given(seed=SEEDS, sizes=st.lists(st.integers(3, 40), min_size=1, max_size=8))
    def test_find_what_is_apart_the_largest_first(self, seed: int, sizes: list[int]) -> None:
        labels, centres = spherical_kmeans(blobs(seed, sizes), len(sizes), seed=seed)
        found = [np.unique(part) for part in np.split(labels, np.cumsum(sizes)[:-1])]
        assert [len(names) for names in found] == [1] * len(sizes)
        assert sorted(int(names[0]) for names in found) == list(range(len(sizes)))
        counts = np.bincount(labels)
        assert (np.diff(counts) <= 0).all()
        np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-5)

    def test_are_the_same_again(self) -> None:
        vectors = unit(np.random.default_rng(3).normal(size=(500, 8)))
        first, second = spherical_kmeans(vectors, 12), spherical_kmeans(vectors, 12)
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])

    @settings(max_examples=25, deadline=None)
    @given(seed=SEEDS, different=st.integers(1, 6), clusters=st.integers(1, 12))
    def test_are_never_more_than_there_are_different_vectors(self, seed: int, different: int, clusters: int) -> None:
        random = np.random.default_rng(seed)
        which = random.integers(different, size=50)
        labels, centres = spherical_kmeans(np.eye(8, dtype=np.float32)[which], clusters)
        assert len(centres) == len(np.unique(labels)) == min(clusters, len(np.unique(which)))

    def test_every_vector_is_with_its_nearest_centre(self) -> None:
        vectors = unit(np.random.default_rng(5).normal(size=(400, 8)))
        labels, centres = spherical_kmeans(vectors, 9)
        nearest, cosines = nearest_centres(vectors, centres)
        np.testing.assert_array_equal(labels, nearest)
        np.testing.assert_allclose(cosines, (vectors * centres[labels]).sum(axis=1), atol=1e-5)

    def test_of_nothing_there_are_none(self) -> None:
        labels, centres = spherical_kmeans(np.zeros((0, 4), np.float32), 3)
        assert (len(labels), centres.shape) == (0, (0, 4))


def table(*rows: tuple[str | None, float | None, float | None]) -> pa.Table:
    columns = zip(*rows, strict=True)
    names = ("camera_motion", "flow_mean_px_per_s", "object_motion_px_per_s")
    kinds = (pa.string(), pa.float32(), pa.float32())
    return pa.table({n: pa.array(c, k) for n, c, k in zip(names, columns, kinds, strict=True)})


class TestTiers:
    @settings(max_examples=200, deadline=None)
    @given(
        camera=st.sampled_from([None, *CAMERA_WORDS]),
        flow=st.none() | st.floats(0, 500, width=32),
        own=st.none() | st.floats(0, 500, width=32),
    )
    def test_are_those_of_the_motion_expert(self, camera: str | None, flow: float | None, own: float | None) -> None:
        row = {"camera_motion": camera, "flow_mean_px_per_s": flow, "object_motion_px_per_s": own}
        said = Motion().measure([ClipView("aa:0-1", [], [], [], 0, 1, row)])[0]["motion_level"]
        assert motion_tiers(table((camera, flow, own))).to_pylist() == [said or "unmeasured"]
        assert said is None or said in TIERS

    def test_every_camera_that_is_measured_has_a_class(self) -> None:
        assert set(CAMERAS) == set(CAMERA_WORDS)
        shown = cameras(table(("pan left", 1, 1), ("pan right", 1, 1), ("handheld", 1, 1), (None, 1, 1)))
        assert shown.to_pylist() == ["pan", "pan", "handheld", "unmeasured"]


def shares(groups: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    held = np.bincount(groups, weights)
    return held / held.sum()


class TestWeights:
    @settings(max_examples=50, deadline=None)
    @given(seed=SEEDS, alpha=st.floats(0, 1), axes=st.integers(1, 3), clips=st.integers(1, 200))
    def test_are_one_in_the_mean_and_within_the_limit(self, seed: int, alpha: float, axes: int, clips: int) -> None:
        random = np.random.default_rng(seed)
        groups = [random.geometric(0.3, clips) - 2 for _ in range(axes)]
        weights = balanced_weights(groups, alpha, 4.0)
        assert weights.mean() == pytest.approx(1, abs=1e-6)
        assert weights.min() >= 0.25 - 1e-9
        assert weights.max() <= 4 + 1e-9

    @settings(max_examples=50, deadline=None)
    @given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=8), alpha=st.floats(0, 1))
    def test_give_a_group_of_n_the_share_of_n_to_the_1_minus_alpha(self, counts: list[int], alpha: float) -> None:
        groups = np.repeat(np.arange(len(counts)), counts)
        wanted = np.array(counts, float) ** (1 - alpha)
        np.testing.assert_allclose(
            shares(groups, balanced_weights([groups], alpha, WIDE)), wanted / wanted.sum(), rtol=1e-4
        )

    @settings(max_examples=30, deadline=None)
    @given(
        first=st.lists(st.integers(1, 5), min_size=1, max_size=4),
        second=st.lists(st.integers(1, 5), min_size=1, max_size=4),
        alpha=st.floats(0, 1),
    )
    def test_of_independent_axes_are_the_product(self, first: list[int], second: list[int], alpha: float) -> None:
        cells = [(i, j) for i, n in enumerate(first) for j, m in enumerate(second) for _ in range(n * m)]
        one, other = np.array(cells).T
        product = np.array(first)[one] ** -alpha * np.array(second)[other] ** -alpha
        weights = balanced_weights([one, other], alpha, WIDE)
        np.testing.assert_allclose(weights, product / product.mean(), rtol=1e-4)

    def test_flatten_axes_that_depend_on_each_other_where_the_product_does_not(self) -> None:
        random = np.random.default_rng(1)
        concept = random.choice(4, 4000, p=[0.6, 0.25, 0.1, 0.05])
        motion = np.where(random.random(4000) < 0.7, np.minimum(concept, 2), random.integers(0, 3, 4000))
        weights = balanced_weights([concept, motion], 1.0, WIDE)
        np.testing.assert_allclose(shares(concept, weights), 1 / 4, atol=1e-4)
        np.testing.assert_allclose(shares(motion, weights), 1 / 3, atol=1e-4)
        product = 1 / np.bincount(concept)[concept] / np.bincount(motion)[motion]
        assert np.abs(shares(concept, product) - 1 / 4).max() > 0.05

    @settings(max_examples=30, deadline=None)
    @given(seed=SEEDS, alpha=st.floats(0.1, 1))
    def test_do_not_depend_on_the_order_of_clips_or_on_the_groups_numbers(self, seed: int, alpha: float) -> None:
        random = np.random.default_rng(seed)
        groups = [random.integers(-1, 4, 60), random.integers(-1, 3, 60)]
        weights = balanced_weights(groups, alpha, 10.0)
        order, numbers = random.permutation(60), np.array([7, 3, 11, 5])
        renumbered = [np.where(g >= 0, numbers[np.maximum(g, 0)], -1)[order] for g in groups]
        np.testing.assert_allclose(balanced_weights(renumbered, alpha, 10.0), weights[order], rtol=1e-5)

    def test_with_alpha_0_are_all_1(self) -> None:
        np.testing.assert_allclose(balanced_weights([np.array([0, 0, 0, 1])], 0.0, 10.0), 1, rtol=1e-6)

    def test_leave_alone_what_has_no_group(self) -> None:
        groups = np.array([0] * 8 + [1] * 2 + [-1] * 5)
        weights = balanced_weights([groups], 1.0, WIDE)
        np.testing.assert_allclose(weights[groups < 0], 1, rtol=1e-6)
        assert weights[groups == 0].sum() == pytest.approx(weights[groups == 1].sum())
        np.testing.assert_allclose(balanced_weights([np.full(5, -1)], 1.0, WIDE), 1)

    def test_settle_where_the_axes_contradict_each_other(self) -> None:
        concept = np.array([0] * 10 + [1] * 10 + [2] * 10)
        motion = np.array([0] * 20 + [1] * 10)  # half to each motion gives concept 2 a half
        weights = balanced_weights([concept, motion], 1.0, 10.0)
        of_concept, of_motion = shares(concept, weights), shares(motion, weights)
        assert of_concept[0] == pytest.approx(of_concept[1])
        assert 1 / 3 < of_concept[2] < 1 / 2
        assert of_concept[2] == pytest.approx(of_motion[1])

    def test_a_clip_alone_in_its_group_does_not_take_over(self) -> None:
        groups = np.array([0] * 999 + [1])
        weights = balanced_weights([groups], 1.0, 10.0)
        assert weights[-1] == pytest.approx(10)
        assert weights[:-1].min() > 0.98

    @settings(max_examples=100, deadline=None)
    @given(weights=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50), limit=st.floats(1, 100))
    def test_bounded_keep_their_order(self, weights: list[float], limit: float) -> None:
        given_ = np.array(weights)
        found = bounded(given_, limit)
        assert found.mean() == pytest.approx(1, abs=1e-6)
        assert (found >= 1 / limit - 1e-9).all()
        assert (found <= limit + 1e-9).all()
        assert (np.diff(found[np.argsort(given_)]) >= -1e-9).all()

    def test_of_no_clips_are_none(self) -> None:
        assert len(balanced_weights([np.empty(0, np.int64)], 1.0, 10.0)) == 0
        assert len(bounded(np.empty(0), 2.0)) == 0


class TestEffectiveNumber:
    @given(st.integers(1, 50))
    def test_of_equal_groups_is_their_number(self, groups: int) -> None:
        assert effective_number(np.full(groups, 7.0)) == pytest.approx(groups)

    @given(st.lists(st.floats(0.01, 100), min_size=2, max_size=10))
    def test_is_between_one_and_the_number_of_groups(self, held: list[float]) -> None:
        assume(max(held) > min(held))
        assert 1 <= effective_number(np.array(held)) <= len(held) + 1e-9

    def test_of_nothing_is_0(self) -> None:
        assert effective_number(np.zeros(3)) == 0


class TestNames:
    def test_are_the_words_that_set_a_concept_apart(self) -> None:
        words = [["dog", "runs", "grass", "terrier"]] * 5 + [["boat", "water", "speedboat"]] * 5
        names = concept_names(np.repeat([0, 1], 5), 2, words)
        assert names[0].split(" / ")[0] in {"dog", "runs", "grass", "terrier"}
        assert set(names[1].split(" / ")) <= {"boat", "water", "speedboat"}

    def test_a_word_that_is_everywhere_names_nothing(self) -> None:
        words = [["man", "dog"], ["man", "dog"], ["man", "boat"], ["man", "boat"]]
        assert [n.split(" / ")[0] for n in concept_names(np.array([0, 0, 1, 1]), 2, words)] == ["dog", "boat"]

    def test_are_told_apart_and_are_there_without_words(self) -> None:
        names = concept_names(np.array([0, 1, 2, -1]), 3, [["dog"], ["dog"], [], ["cat"]])
        assert names == ["dog", "dog (1)", "concept 2"]


def test_a_report_tells_counts_shares_and_what_the_weights_make_of_them() -> None:
    groups = np.array([1, 1, 1, 0, -1])
    told = axis_report("camera", groups, ["pan", "static"], np.array([1.0, 1, 1, 3, 9]))
    assert [(g.name, g.clips, g.share, g.weighted_share) for g in told.groups] == [
        ("static", 3, 0.75, 0.5),
        ("pan", 1, 0.25, 0.5),
    ]
    assert (told.without, told.effective_weighted) == (1, pytest.approx(2))
    assert told.effective < 2


@pytest.mark.parametrize("wrong", [{"alpha": 2}, {"clusters": 0}, {"axes": ()}, {"concepts": "clip"}, {"limit": 0.5}])
def test_a_setting_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        BalanceConfig.model_validate(wrong)


def test_the_tiers_and_their_cut_points_are_those_of_the_motion_expert() -> None:
    assert CUTS_PX_PER_S is motion.CUTS_PX_PER_S
    assert TIERS is motion.LEVELS
