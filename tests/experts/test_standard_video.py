"""The standard experts that look at moving pictures: flow, the video embedding, the quality head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import experts
from experts.base import ClipView, Rgb
from experts.frames import evenly, pairs_of
from experts.standard import _place
from experts.torchvision import have_torchvision, ready
from media.errors import ConfigError
from tests.experts import tiny
from tests.experts.conftest import view_of

with_torchvision = pytest.mark.skipif(not have_torchvision(), reason="torchvision is not installed")


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_place.DEVICE, "cpu")


@pytest.fixture
def frames() -> list[Rgb]:
    dice = np.random.default_rng(4)
    return [dice.integers(0, 255, (72, 96, 3), dtype=np.uint8) for _ in range(3)]


@pytest.fixture
def load(checkpoints: tiny.Checkpoints) -> Callable[..., Any]:
    def loaded(name: str, **other: Path) -> Any:
        roles = tuple(role for role in experts.expert_class(name).roles if role not in other)
        return experts.load(name, "standard", override={**checkpoints.of(roles), **other})

    return loaded


def unit(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


# Flow, and frames that are read again


@with_torchvision
def test_flow_is_raft_s_own_cut_back_from_its_padding(
    load: Callable[..., Any], checkpoints: tiny.Checkpoints, frames: list[Rgb]
) -> None:
    ready()
    from torchvision.models.optical_flow import raft_small

    network = raft_small(weights=None)
    network.load_state_dict(torch.load(checkpoints["raft"], weights_only=True))
    pair = [np.pad(frame, ((0, 56), (0, 32), (0, 0)), mode="edge") for frame in frames[:2]]
    first, second = (torch.from_numpy(frame).permute(2, 0, 1)[None] / 127.5 - 1 for frame in pair)
    with torch.inference_mode():
        wanted = network.eval()(first, second)[-1][0, :, :72, :96].permute(1, 2, 0).numpy()
    assert np.allclose(load("raft").flow([(frames[0], frames[1])])[0], wanted, atol=1e-3)


@with_torchvision
def test_speeds_are_pixels_a_second_at_a_height_of_360(
    load: Callable[..., Any], frames: list[Rgb], monkeypatch: pytest.MonkeyPatch
) -> None:
    raft = load("raft")
    flow = np.zeros((72, 96, 2), np.float32)
    flow[:, :, 0] = 2.0
    flow[:36, :, 0] = 4.0
    monkeypatch.setattr(raft, "flow", lambda pairs: [flow for _ in pairs])
    view = ClipView("c", frames, [0, 1, 2], [0.0, 0.1, 0.2], 0, 3)
    (values,) = raft.measure([view])
    assert values == {
        "raft_mean_px_per_s": pytest.approx(3.0 / 0.1 * 5),
        "raft_top5_px_per_s": pytest.approx(4.0 / 0.1 * 5),
        "raft_pairs": 1,
    }


def test_pairs_and_spread_frames_come_from_the_file_exactly(numbered_video: Callable[..., Path]) -> None:
    from media import read_span

    path = numbered_video(frames=40, width=128, height=96)
    truth = {frame.index: frame.rgb() for frame in read_span(path, 0, 40)}
    view = ClipView("v", [truth[10]], [10], [0.4], 5, 35, {"uri": str(path), "kind": "clip"})
    found = evenly(view, 4, 96)
    assert found is not None
    assert all(np.array_equal(a, truth[at]) for a, at in zip(found, (5, 15, 24, 34), strict=True))
    pairs = list(pairs_of(view, 2.0, 96))
    starts = [next(at for at, rgb in truth.items() if np.array_equal(rgb, first)) for first, _, _ in pairs]
    assert all(np.array_equal(second, truth[at + 1]) for (_, second, _), at in zip(pairs, starts, strict=True))
    assert starts[0] == 5
    assert len(starts) >= 2
    assert all(apart > 0 for _, _, apart in pairs)
    still = ClipView("s", [truth[0]], [0], [0.0], 0, 40, {"uri": str(path), "kind": "still"})
    assert evenly(still, 4, 96) is None
    assert list(pairs_of(still, 2.0, 96)) == []


def test_a_whole_view_is_taken_as_it_is_and_a_short_one_gives_frames_twice(frames: list[Rgb]) -> None:
    view = ClipView("w", frames, [7, 8, 9], [0.0, 0.04, 0.08], 7, 10)
    found = evenly(view, 5, 96)
    assert found is not None
    assert [next(at for at in range(3) if frame is frames[at]) for frame in found] == [0, 0, 1, 2, 2]
    assert [seconds for _, _, seconds in pairs_of(view, 100.0, 96)] == pytest.approx([0.04, 0.04])


def test_frames_of_a_whole_view_are_no_higher_than_asked(frames: list[Rgb]) -> None:
    view = ClipView("w", frames, [7, 8, 9], [0.0, 0.04, 0.08], 7, 10)
    found = evenly(view, 3, 36)
    assert found is not None
    assert [frame.shape for frame in found] == [(36, 48, 3)] * 3
    assert {picture.shape for first, second, _ in pairs_of(view, 100.0, 36) for picture in (first, second)} == {
        (36, 48, 3)
    }


# Video embedding and quality


@pytest.mark.parametrize(("kind", "write"), [("videomae", tiny.videomae), ("xclip", tiny.xclip)])
def test_both_video_backbones_see_the_clip_as_transformers_does(
    kind: str, write: Callable[[Path], None], load: Callable[..., Any], tmp_path: Path, frames: list[Rgb]
) -> None:
    from transformers import AutoImageProcessor, AutoModel

    write(tmp_path)
    view = ClipView("w", frames, [0, 1, 2], [0.0, 0.04, 0.08], 0, 3)
    clip = [frames[at] for at in (0, 1, 1, 2)]
    seen = evenly(view, 4, 96)
    assert seen is not None
    pixels = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")(seen, return_tensors="pt")["pixel_values"]
    network = AutoModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        if kind == "xclip":
            wanted = network.get_video_features(pixel_values=pixels).pooler_output[0].numpy()
        else:
            wanted = network(pixel_values=pixels).last_hidden_state[0].mean(dim=0).numpy()
    expert = load("video_embedding", video_embedding=tmp_path)
    assert np.allclose(expert.features([view])[0], wanted, atol=1e-5)
    assert expert.measure([view])[0]["video_embedding"] == pytest.approx(unit(wanted).tolist(), abs=1e-5)
    assert expert.measure([view_of(clip)]) == [{"video_embedding": None}]


def test_the_quality_head_is_dovers_formula(load: Callable[..., Any], frames: list[Rgb]) -> None:
    quality, embedding = load("video_quality"), load("video_embedding")
    view = ClipView("w", frames, [0, 1, 2], [0.0, 0.04, 0.08], 0, 3)
    (tokens,) = embedding._backbone.tokens([view])
    scores = {}
    for branch, head in quality._heads.items():
        t = {part: torch.from_numpy(array) for part, array in head.items()}
        hidden = torch.nn.functional.gelu(torch.from_numpy(tokens).double() @ t["hidden.weight"].T + t["hidden.bias"])
        scores[branch] = ((hidden @ t["last.weight"].T + t["last.bias"]).mean() - t["mean"]).item() / 0.7
    (values,) = quality.measure([view])
    whole = 0.4 * scores["technical"] + 0.6 * scores["aesthetic"]
    assert values["opinion_score"] == pytest.approx(1 / (1 + np.exp(-whole)), rel=1e-4)
    assert values["opinion_technical"] == pytest.approx(1 / (1 + np.exp(-scores["technical"])), rel=1e-4)
    assert quality.grade(view) == values["opinion_score"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"technical.std": None}, "'technical' lacks std"),
        ({"technical.hidden.weight": torch.ones(8, 5)}, r"is \[8, 5\], and the backbone gives 16 numbers"),
        ({"aesthetic.weight": torch.zeros(1)}, "must be above 0"),
        ({"other.weight": torch.zeros(1)}, "it holds other.weight"),
    ],
)
def test_a_quality_head_of_another_form_is_refused(
    changes: dict[str, Any], said: str, load: Callable[..., Any], tmp_path: Path
) -> None:
    tiny.quality_head(tmp_path / "head.safetensors", **changes)
    with pytest.raises(ConfigError, match=rf"head\.safetensors: .*{said}"):
        load("video_quality", video_quality=tmp_path / "head.safetensors")
