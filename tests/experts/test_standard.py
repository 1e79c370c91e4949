"""The contract suite over the standard experts, with tiny checkpoints; and where they run, and what they want."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import experts
from experts.base import ClipView, Controller, Expert
from experts.registry import load_control
from experts.standard import _load, _place, captioner
from experts.standard._batches import BatchMemo, in_batches
from experts.weights import load_profile
from media.errors import ConfigError, MissingModelError, UserError
from pipelines.steps import expert_names, preflight
from tests.experts import test_contract as contract
from tests.experts import tiny
from tests.experts.conftest import view_of

Load = Callable[[str], Expert]
every_expert = pytest.mark.parametrize("name", experts.STANDARD)

CHECKS = (
    contract.test_every_column_is_documented_and_belongs_to_it_alone,
    contract.test_a_batch_of_one_is_a_batch_of_many_in_any_order,
    contract.test_nothing_comes_of_nothing,
    contract.test_the_values_are_exactly_the_declared_columns,
    contract.test_rows_fit_the_schema_and_carry_model_version_and_run,
    contract.test_statements_are_whole_sure_to_a_degree_and_within_the_clip,
    contract.test_a_clip_without_pictures_is_a_row_with_an_error_or_nulls,
    contract.test_the_frames_are_left_as_they_were,
    contract.test_a_view_of_a_larger_array_is_as_good_as_a_copy,
    contract.test_it_works_with_no_network,
    contract.test_grades_are_numbers_or_nothing,
)
"""The checks of the embedded experts that hold for these too; the others are made anew below."""


def close(a: Any, b: Any) -> bool:
    """Equality of nested values, numbers to rounding: a batch of another size adds up in another order."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return a == pytest.approx(b, rel=1e-3, abs=1e-4, nan_ok=True)
    return bool(a == b)


@pytest.fixture(scope="module")
def loaded(checkpoints: tiny.Checkpoints) -> Load:
    """A standard expert by name, its tiny model in memory once."""

    @functools.cache
    def load(name: str) -> Expert:
        return experts.load(name, "standard", override=checkpoints.of(experts.expert_class(name).roles))

    return load


@pytest.fixture
def fresh(checkpoints: tiny.Checkpoints) -> Load:
    """A standard expert that remembers no picture."""
    from experts.standard import _openclip

    def load(name: str) -> Expert:
        _openclip._shared.cache_clear()
        return experts.load(name, "standard", override=checkpoints.of(experts.expert_class(name).roles))

    return load


@pytest.fixture(scope="module")
def views(views: list[ClipView]) -> list[ClipView]:
    """The clips of the contract, and one that is seen whole: the experts of `frames` have something to look at."""
    moving = [np.roll(views[0].frames[0][:96, :96], 3 * step, axis=1) for step in range(5)]
    whole = ClipView("whole", moving, range(10, 15), [at / 25 for at in range(5)], 10, 15)
    return [*views, whole]


@pytest.fixture(autouse=True)
def _able(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip experts whose packages are absent; run the others on the CPU, and let the captioner be brief."""
    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    if name in experts.STANDARD and (lacking := tiny.lacks(experts.expert_class(name).roles)):
        pytest.skip(lacking)
    monkeypatch.setenv(_place.DEVICE, "cpu")
    monkeypatch.setattr(captioner, "_TOKENS", 12)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("test_"))
@every_expert
def test_it_keeps_the_contract(
    name: str, check: Callable[..., None], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "same", close)
    wanted = [parameter for parameter in inspect.signature(check).parameters if parameter != "name"]
    if check is contract.test_grades_are_numbers_or_nothing and name == "clip":
        pytest.skip("a CLIP score goes up to 2.5, see test_standard_models")
    check(name=name, **{parameter: request.getfixturevalue(parameter) for parameter in wanted})


@every_expert
def test_it_is_an_expert_and_says_so(name: str, loaded: Load) -> None:
    expert = loaded(name)
    assert isinstance(expert, Expert)
    assert (expert.name, type(expert)) == (name, experts.expert_class(name))
    assert 0 < expert.resources.gpus <= 1
    assert set(expert.roles) <= set(load_profile("standard").roles)
    assert expert.model is not None
    assert len(expert.model.hash) == 12


@every_expert
def test_the_same_clip_gives_the_same_row_again(name: str, fresh: Load, views: list[ClipView]) -> None:
    assert contract.same(fresh(name).measure(views[-1:]), fresh(name).measure(views[-1:]))


@every_expert
def test_in_bfloat16_it_sees_about_the_same(
    name: str, loaded: Load, fresh: Load, views: list[ClipView], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = loaded(name).measure(views[-1:])[0]
    monkeypatch.setattr(_place.Place, "half", property(lambda place: True))
    expert = fresh(name)
    rough = expert.measure(views[-1:])[0]
    assert rough.keys() == exact.keys()
    table = experts.run(expert, views[:1], run_id="r")
    assert [row["error"] for row in table] == [None]
    for column, value in exact.items():
        if isinstance(value, list) and value and isinstance(value[0], float):
            ours, theirs = np.asarray(rough[column]), np.asarray(value)
            assert np.abs(ours - theirs).mean() < 0.05 * np.abs(theirs).mean() + 0.01


@every_expert
def test_a_missing_model_is_one_clear_error(
    name: str, tmp_path: Path, checkpoints: tiny.Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path))
    roles = load_profile("standard").roles
    lacking = experts.expert_class(name).roles[-1]
    there = tuple(role for role in experts.expert_class(name).roles if role != lacking)
    with pytest.raises(MissingModelError) as caught:
        experts.load(name, "standard", override=checkpoints.of(there))
    message = str(caught.value)
    assert roles[lacking].model in message
    assert "'standard'" in message
    way = f"put {roles[lacking].file}" if roles[lacking].by_hand else "`rushes weights pull --profile standard`"
    assert way in message
    assert "local file or folder" in message


@every_expert
def test_a_folder_that_holds_something_else_is_named(name: str, tmp_path: Path, checkpoints: tiny.Checkpoints) -> None:
    role = experts.expert_class(name).roles[-1]
    path = tmp_path / Path(checkpoints[role]).name
    if checkpoints[role].is_dir():
        path.mkdir()
        (path / "config.json").write_text('{"model_type": "bert"}')
    else:
        path.write_bytes(b"no tensors")
    others = tuple(r for r in experts.expert_class(name).roles if r != role)
    with pytest.raises(ConfigError, match=rf"{role}.*{path.name}|{path.name}.*"):
        experts.load(name, "standard", override={**checkpoints.of(others), role: path})


@pytest.mark.parametrize("name", ["depth", "segmentation", "raft"])
def test_what_it_draws_is_as_large_as_the_frames(name: str, loaded: Load, views: list[ClipView]) -> None:
    expert = loaded(name)
    assert isinstance(expert, Controller)
    for view in (views[0], views[2], views[-1], ClipView("none", [], [], [], 0, 1)):
        drawn = expert.control(view)
        size = view.frames[0].shape[:2] if view.frames else (0, 0)
        assert drawn.maps.shape[:3] == (len(view.frames), *size)
        assert drawn.pictures().shape == (len(view.frames), *size, 3)
        if view.frames:
            assert drawn.low <= drawn.maps.min() <= drawn.maps.max() <= drawn.high


def test_a_control_of_the_standard_profile_is_loaded_like_the_others(checkpoints: tiny.Checkpoints) -> None:
    expert = load_control("depth", "standard", override=checkpoints.of(("depth",)))
    assert expert.control(view_of([np.zeros((40, 60, 3), np.uint8)])).kind == "depth"
    with pytest.raises(ConfigError, match="did you mean 'depth'"):
        load_control("depht", "standard")


def test_weights_that_lack_a_part_are_refused_and_never_made_up(checkpoints: tiny.Checkpoints, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in checkpoints["depth"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = load_file(tmp_path / "model.safetensors")
    lost = next(name for name in whole if name.startswith("head."))
    save_file({n: t for n, t in whole.items() if n != lost}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError, match=f"lacks 1 weights, {lost}"):
        experts.load("depth", "standard", override={"depth": tmp_path})


def test_a_model_too_large_is_not_called_damaged() -> None:
    with pytest.raises(ConfigError, match="does not fit into the memory"), _load.reading("clip", Path(), "x"):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")


def test_only_a_captioner_can_be_served() -> None:
    with pytest.raises(ConfigError, match=r"roles\.depth: only the captioner can be a server"):
        experts.load("depth", "standard", override={"depth": "http://127.0.0.1:1/v1"})


def test_a_package_that_lacks_is_named_with_its_extra() -> None:
    with (
        pytest.raises(ConfigError, match=r"'clip' needs open_clip.*\.\[clip\]"),
        _load.reading("clip", Path(), "x"),
    ):
        raise ModuleNotFoundError("no", name="open_clip")


def test_profiles_say_which_experts_they_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert experts.names("embedded") == experts.EMBEDDED
    assert experts.names("standard") == (*experts.EMBEDDED, *experts.STANDARD)
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path))
    without = set(experts.names("standard", given=True))
    assert set(experts.STANDARD) - without == {"raft", "video_quality"}
    assert expert_names("standard") == list(experts.names("standard", given=True))
    assert expert_names("standard", ["raft"]) == ["raft"]  # asked for, it is missing and not passed over
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / str(load_profile("standard").roles["raft"].file)).write_bytes(b"weights")
    assert "raft" in experts.names("standard", given=True)


def test_a_profile_with_some_roles_has_some_of_the_experts(tmp_path: Path) -> None:
    role = {"model": "mine", "license": "MIT", "path": "depth"}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"name": "own", "extends": "embedded", "roles": {"depth": role}}))
    assert experts.names(str(path)) == (*experts.EMBEDDED, "depth")


def test_without_a_gpu_standard_says_so_before_it_looks_for_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_place.DEVICE)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=r"experts clip, depth: they want a GPU.*RUSHES_EXPERT_DEVICE=cpu"):
        preflight("standard", ["tags", "clip", "depth"])
    with pytest.raises(UserError, match="expert depth: it wants a GPU"):
        experts.load("depth", "standard")
    preflight("embedded", ["tags"])


def test_a_cpu_is_taken_where_it_is_asked_for_and_no_share_of_a_gpu_then(monkeypatch: pytest.MonkeyPatch) -> None:
    assert experts.needs_gpu("standard", list(experts.STANDARD)) == []
    assert experts.resources(["clip", "depth", "tags"], "standard").gpus == 0
    assert _place.place_of("clip", 3) == _place.Place("cpu", 3)
    monkeypatch.setenv(_place.DEVICE, "abacus")
    with pytest.raises(ConfigError, match="RUSHES_EXPERT_DEVICE: 'abacus'"):
        _place.place_of("clip", None)


def test_on_a_gpu_shares_add_up_to_one_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv(_place.DEVICE, "cuda:0")
    assert experts.resources(["clip", "depth", "tags"], "standard").gpus == pytest.approx(0.2)
    assert experts.resources(list(experts.STANDARD), "standard").gpus == 1.0
    assert experts.resources([], "standard").cpus == 1.0
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    place = _place.place_of("clip", 1)
    assert (place.device, place.dtype) == ("cuda:0", torch.bfloat16)
    assert _place.Place("cpu", 1).dtype == torch.float32


def test_batches_keep_order_and_size_and_share_only_what_is_alike() -> None:
    asked: list[list[int]] = []

    def run(batch: list[int]) -> list[int]:
        asked.append(batch)
        return [10 * item for item in batch]

    assert in_batches([1, 2, 3, 4, 5], 2, run, alike=lambda item: item % 2) == [10, 20, 30, 40, 50]
    assert asked == [[1, 3], [5], [2, 4]]
    assert in_batches([], 2, run) == []


def test_a_memo_asks_only_for_pictures_that_it_has_not_seen_lately() -> None:
    frames = [np.full((2, 2, 3), value, np.uint8) for value in range(4)]
    asked: list[int] = []

    def look(lacking: list[Any]) -> list[int]:
        asked.extend(int(frame[0, 0, 0]) for frame in lacking)
        return [int(frame[0, 0, 0]) for frame in lacking]

    memo: BatchMemo[int] = BatchMemo(size=2)
    assert memo.get([frames[0], frames[1], frames[0]], look) == [0, 1, 0]
    assert memo.get(frames, look) == [0, 1, 2, 3]
    assert asked == [0, 1, 2, 3]
    assert memo.get(frames[:1], look) == [0]
    assert asked[-1] == 0
