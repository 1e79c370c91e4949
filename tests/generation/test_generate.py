"""A checkpoint turned into video: reproducible, guided, anchored, and clear about what it cannot do."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import media
import training
from dataset.shards import ShardReader
from generation import generate, write_mp4
from media.errors import ConfigError, MissingModelError, UserError
from tests.training import build
from training import TrainResult, checkpoint
from training.checkpoint import Loaded
from training.models.vae import load_vae
from training.pixels import to_pixels, to_unit


@pytest.fixture(scope="module")
def model(trained: TrainResult) -> Loaded:
    """Six steps teach little: wake the network up, so that every condition shows."""
    loaded = checkpoint.load(trained.checkpoint)
    noise = torch.Generator().manual_seed(0)
    for parameter in loaded.unet.parameters():
        parameter.data.add_(0.08 * torch.randn(parameter.shape, generator=noise))
    return loaded


def test_a_prompt_gives_a_video_of_the_trained_shape(trained: TrainResult) -> None:
    ticks: list[tuple[int, int]] = []
    videos = generate(trained.checkpoint, ["a red square", ""], steps=3, progress=lambda *at: ticks.append(at))
    assert [v.shape for v in videos] == [(4, 32, 32, 3)] * 2
    assert all(v.dtype == np.uint8 for v in videos)
    assert ticks == [(i, 6) for i in range(1, 7)]
    assert generate(trained.log.parent, ["a red square"], steps=3)[0].tobytes() == videos[0].tobytes()


def test_the_averaged_weights_are_the_ones_used(trained: TrainResult) -> None:
    loaded, saved = checkpoint.load(trained.checkpoint), checkpoint.read(trained.checkpoint)
    state = loaded.unet.state_dict()
    average, live = saved.tensors("ema"), saved.tensors("model")
    assert all(torch.equal(state[name], value) for name, value in average.items())
    assert any(not torch.equal(live[name], value) for name, value in average.items())


def test_the_same_call_gives_the_same_bytes_and_other_prompts_do_not_matter(model: Loaded) -> None:
    first = generate(model, ["a red square", "a blue square"], steps=3, seed=5)
    again = generate(model, ["a red square", "moves left"], steps=3, seed=5)
    assert first[0].tobytes() == again[0].tobytes()
    assert first[1].tobytes() != again[1].tobytes()
    assert generate(model, ["a red square"], steps=3, seed=6)[0].tobytes() != first[0].tobytes()


def test_guidance_zero_forgets_the_prompt_and_one_needs_no_negative(model: Loaded) -> None:
    def bytes_of(prompt: str, **how: object) -> bytes:
        return generate(model, [prompt], steps=3, **how)[0].tobytes()  # type: ignore[arg-type]

    assert bytes_of("a red square", guidance=0.0) == bytes_of("moves left", guidance=0.0)
    assert bytes_of("a red square", guidance=2.0) != bytes_of("moves left", guidance=2.0)
    assert bytes_of("a red square", guidance=1.0, negative="up") == bytes_of("a red square", guidance=1.0)
    assert bytes_of("a red square", guidance=4.0, negative="up") != bytes_of("a red square", guidance=4.0)
    assert bytes_of("a red square", guidance=4.0, rescale=0.9) != bytes_of("a red square", guidance=4.0)
    assert bytes_of("a red square", fps=30.0) != bytes_of("a red square", fps=6.0)


def test_the_first_frame_is_the_given_one_as_the_autoencoder_sees_it(model: Loaded) -> None:
    given = build.square((200, 60, 60), 0, frames=1)[0]
    free, anchored = generate(model, ["a red square"] * 2, steps=4, first_frame=[None, given])
    vae = load_vae()
    seen = to_pixels(vae.decode(vae.encode(to_unit(torch.from_numpy(given))[None])))[0].numpy()
    assert np.abs(anchored[0].astype(int) - seen.astype(int)).max() <= 1
    assert np.abs(free[0].astype(int) - seen.astype(int)).max() > 10
    both = generate(model, ["a red square"] * 2, steps=4, first_frame=given)
    assert both[1].tobytes() == anchored.tobytes()


def test_even_a_hardly_trained_model_goes_on_from_its_first_frame(trained: TrainResult) -> None:
    given = build.square((200, 60, 60), 0, frames=1)[0]
    free, anchored = generate(trained.checkpoint, [""] * 2, steps=10, guidance=1.0, first_frame=[None, given])

    def distance(video: np.ndarray) -> float:
        return float(np.abs(video[1:].astype(float) - given).mean())

    assert distance(anchored) < 0.7 * distance(free)


def test_sizes_and_lengths_are_free_within_the_model(model: Loaded) -> None:
    assert generate(model, ["x"], frames=1, height=16, width=48, steps=2)[0].shape == (1, 16, 48, 3)
    given = build.square((200, 60, 60), 0, frames=1, size=48)[0]
    assert generate(model, ["x"], frames=8, first_frame=given, steps=2)[0].shape == (8, 32, 32, 3)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"height": 20}, "size 32x20: this model needs multiples of 16 px"),
        ({"frames": 9}, "frames: 9, but this model does 1 to 8"),
        ({"steps": 0}, "steps: 0, but sampling needs at least 1"),
        ({"first_frame": [None, None]}, "2 pictures for 1 prompts"),
        ({"first_frame": np.zeros((4, 4), np.uint8)}, r"u8\[H, W, 3\] is needed, not uint8\[4, 4\]"),
    ],
)
def test_what_cannot_be_done_is_said(how: dict[str, object], message: str, model: Loaded) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(model, ["a"], **how)  # type: ignore[arg-type]


def test_the_encoder_must_be_the_one_of_training(trained: TrainResult, encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match="rushes weights pull"):
        generate(trained.checkpoint, ["a"], text_encoder_path=tmp_path)
    other = shutil.copytree(encoder, tmp_path / "other")
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text() + "\n")
    with pytest.raises(ConfigError, match="not the one this model was trained with"):
        generate(trained.checkpoint, ["a"], text_encoder_path=other)


def test_a_checkpoint_can_be_moved_and_used_alone(trained: TrainResult, encoder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(trained.checkpoint, tmp_path / "moved")
    videos = [generate(c, ["a red square"], steps=2, text_encoder_path=encoder)[0] for c in (moved, trained.checkpoint)]
    assert videos[0].tobytes() == videos[1].tobytes()
    with pytest.raises(UserError, match="no checkpoint there"):
        generate(tmp_path / "nothing", ["a"])


@pytest.mark.parametrize("motion", [["temporal_conv"], ["temporal_attention", "temporal_conv"]])
def test_flows_and_other_motion_layers_generate_too(
    motion: list[str], squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    recipe = build.recipe(model={"motion": motion}, diffusion=build.flow())
    result = training.train(squares, recipe, tmp_path, text_encoder_path=encoder, cache_dir=caches, max_steps=1)
    assert generate(result.checkpoint, ["a red square"], steps=2)[0].shape == (4, 32, 32, 3)


def test_a_model_without_an_anchor_says_so(squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path) -> None:
    recipe = build.recipe(model={"anchor": False, "fps": False}, anchor={"probability": 0.0, "residual": False})
    result = training.train(squares, recipe, tmp_path, text_encoder_path=encoder, cache_dir=caches, max_steps=1)
    assert generate(result.checkpoint, ["a"], steps=1, fps=5.0)[0].shape == (4, 32, 32, 3)
    with pytest.raises(ConfigError, match=r"trained with model\.anchor: false"):
        generate(result.checkpoint, ["a"], first_frame=np.zeros((32, 32, 3), np.uint8))


def test_a_video_is_written_whole_and_reads_back(tmp_path: Path) -> None:
    video = build.square((200, 60, 60), 1, frames=6)
    path = write_mp4(tmp_path / "deep" / "video.mp4", video, fps=8.0, enlarge=3)
    frames = media.decode_bytes(path.read_bytes())
    assert frames.shape == (6, 96, 96, 3)
    assert np.abs(frames[:, 1::3, 1::3].astype(int) - video.astype(int)).mean() < 4.0
    assert media.probe(path).fps == pytest.approx(8.0)
    assert [p.name for p in path.parent.iterdir()] == ["video.mp4"]
    with pytest.raises(ValueError, match="enlarge"):
        write_mp4(path, video, fps=8.0, enlarge=0)
