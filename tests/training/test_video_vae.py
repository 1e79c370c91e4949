"""The causal video autoencoder: what each latent may see, what a picture is to it, and that it learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import training
from curation.worlds.leaves import leaves
from dataset.shards import ShardReader
from generation import generate
from media.errors import ConfigError
from tests.training import build
from tests.training.test_denoisers import awake
from training.models.vae import Vae, load_vae, save_vae
from training.models.video_vae import CausalConv, VideoVae
from training.pixels import to_unit
from training.recipes import parse
from training.recipes.models import VaeConfig, VideoVaeConfig
from training.vae_task import drifting, psnr

WIDTHS = {"encoder_widths": (8, 8), "decoder_widths": (8, 8, 8), "encoder_blocks": (1, 1), "decoder_blocks": (1, 1, 1)}
SMALL = VideoVaeConfig(**WIDTHS, start="random")  # type: ignore[arg-type]


def vae(wake: bool = True) -> VideoVae:
    made = VideoVae(SMALL)
    if wake:
        awake(made.encode_time)
        awake(made.decode_time, 1)
    return made.eval()


def clip(frames: int, seed: int = 0, size: int = 16) -> Tensor:
    return torch.rand(frames, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


@given(st.integers(0, 4))
@settings(max_examples=5, deadline=None)
def test_4k_plus_1_frames_are_k_plus_1_latents_and_back(k: int) -> None:
    made = vae()
    latents = made.encode_clip(clip(4 * k + 1))
    assert latents.shape == (k + 1, 4, 2, 2)
    assert made.decode_clip(latents).shape == (4 * k + 1, 3, 16, 16)


@torch.no_grad()
@pytest.mark.parametrize("wake", [False, True])
def test_the_first_latent_is_the_encoding_of_the_first_frame(wake: bool) -> None:
    made, pixels = vae(wake), clip(9)
    torch.testing.assert_close(made.encode_clip(pixels)[:1], made.encode(pixels[:1]), rtol=0, atol=1e-5)
    torch.testing.assert_close(made.encode(pixels)[3:4], made.encode(pixels[3:4]), rtol=0, atol=1e-5)
    latents = made.encode_clip(pixels)
    torch.testing.assert_close(made.decode_clip(latents)[:1], made.decode(latents[:1]), rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("frame", [0, 1, 4, 5, 8])
def test_no_latent_sees_a_frame_after_its_own(frame: int) -> None:
    made, pixels = vae(), clip(9)
    moved = pixels.clone()
    moved[frame] = -moved[frame]
    change = (made.encode_clip(moved) - made.encode_clip(pixels)).abs().amax((1, 2, 3)) > 1e-6
    first = (frame + 3) // 4  # frames 4i - 3 to 4i belong to latent i
    assert change.tolist()[:first] == [False] * first
    assert bool(change[first])


@torch.no_grad()
@pytest.mark.parametrize("latent", [0, 1, 2])
def test_no_frame_is_decoded_from_a_latent_after_its_own(latent: int) -> None:
    made, latents = vae(), torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    moved = latents.clone()
    moved[latent] += 1.0
    change = (made.decode_clip(moved) - made.decode_clip(latents)).abs().amax((1, 2, 3)) > 1e-6
    first = max(0, 4 * latent - 3)
    assert change.tolist()[:first] == [False] * first
    assert bool(change[first : 4 * latent + 1].all())


def test_a_causal_convolution_is_a_3d_one_padded_with_copies_of_the_first_frame() -> None:
    for stride in (1, 2):
        conv, x = CausalConv(3, 5, stride), torch.randn(2, 7, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        kernel = torch.stack([conv.taps[2 - i].weight for i in range(3)], 2)  # type: ignore[misc]
        padded = torch.cat([x[:, :1], x[:, :1], x], 1).transpose(1, 2)
        expected = torch.nn.functional.conv3d(
            padded,
            kernel,
            conv.taps[0].bias,
            stride=(stride, 1, 1),
            padding=(0, 1, 1),  # type: ignore[arg-type]
        )
        torch.testing.assert_close(conv(x), expected.transpose(1, 2), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_made_of_an_image_autoencoder_it_is_that_one_for_pictures_and_repeats_it_for_clips() -> None:
    packaged = load_vae()
    assert isinstance(packaged, Vae)
    made = VideoVae(VideoVaeConfig()).eval()
    made.start(packaged.state_dict())
    pictures = clip(3, size=32)
    torch.testing.assert_close(made.encode(pictures), packaged.encode(pictures), rtol=0, atol=1e-4)
    pixels = clip(9, size=32)
    latents = made.encode_clip(pixels)
    torch.testing.assert_close(latents, packaged.encode(pixels[::4]), rtol=0, atol=1e-4)
    shown = packaged.decode(latents)[[0, 1, 1, 1, 1, 2, 2, 2, 2]]
    torch.testing.assert_close(made.decode_clip(latents), shown, rtol=0, atol=1e-4)
    with pytest.raises(ConfigError, match="keep its widths, or random"):
        vae().start(packaged.state_dict())


def test_calibration_gives_zero_mean_and_unit_variance() -> None:
    made, clips = vae(), torch.stack([clip(5, seed) for seed in range(6)])
    made.calibrate(clips)
    latents = torch.cat([made.encode_clip(pixels) for pixels in clips])
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), rtol=0, atol=2e-2)


def test_clips_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="clip of 8 frames: this autoencoder takes 4k \\+ 1"):
        vae().encode_clip(clip(8))
    with pytest.raises(ConfigError, match="clip of 20x20 px: both sizes must be multiples of 8"):
        vae().encode_clip(clip(5, size=20))


def test_a_file_keeps_it(tmp_path: Path) -> None:
    made = vae()
    save_vae(made, tmp_path / "video.safetensors")
    again = load_vae(tmp_path / "video.safetensors")
    assert isinstance(again, VideoVae)
    assert (again.temporal_factor, again.factor, again.channels) == (4, 8, 4)
    torch.testing.assert_close(again.encode_clip(clip(5)), made.encode_clip(clip(5)), rtol=0, atol=3e-2)
    save_vae(Vae(VaeConfig(**WIDTHS)), tmp_path / "image.safetensors")  # type: ignore[arg-type]
    assert isinstance(load_vae(tmp_path / "image.safetensors"), Vae)


def test_windows_drift_evenly_from_where_they_begin_to_where_they_end() -> None:
    # On a ramp a window's mean is its place: even steps in the mean are even steps in place.
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    ramp = torch.stack([rows, columns, rows + columns])[None] / 64.0
    clips = drifting(ramp.expand(4, -1, -1, -1), 9, torch.Generator().manual_seed(0))
    assert clips.shape == (4, 9, 3, 48, 48)
    places = clips.mean((-1, -2)) * 64.0
    steps = places.diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), rtol=0, atol=1e-2)
    assert steps.abs().amax() > 0.2
    assert places[:, :, :2].amin() >= 23.5 - 1e-3
    assert places[:, :, :2].amax() <= 23.5 + 16.0 + 1e-3
    torch.testing.assert_close(clips[:, :, 0, 1] - clips[:, :, 0, 0], torch.full((4, 9, 48), 1 / 64), rtol=0, atol=1e-4)
    again = drifting(ramp, 1, torch.Generator().manual_seed(1))
    assert again.shape == (1, 1, 3, 48, 48)


def test_it_learns_in_the_same_task_and_a_denoiser_learns_in_its_latents(
    squares: ShardReader, encoder: Path, tmp_path: Path
) -> None:
    recipe = parse({
        "base": "vae", "batch_images": 4, "leaves": {"images": 8, "size_px": 48, "crop_px": 32, "held_out": 4},
        "model": {**SMALL.model_dump(), "clip_frames": 5},
        "optimiser": {"lr": 5e-3, "warmup_steps": 5, "decay_steps": None, "ema_decay": 0.9, "clip_norm": 1.0},
        "loop": {"max_steps": 40, "checkpoint_every": 100},
    })  # fmt: skip
    result = training.train(None, recipe, tmp_path / "vae", seed=1)
    assert result.after["psnr_db"] > result.before["psnr_db"] + 3.0
    file = tmp_path / "vae" / "vae.safetensors"
    picture = to_unit(torch.from_numpy(leaves(10_000, 64, 64)))[None]
    made, pixels = load_vae(file), drifting(picture, 9, torch.Generator().manual_seed(0))[0]
    assert psnr(made.decode_clip(made.encode_clip(pixels)), pixels).mean().item() > 10.0
    plan = {"buckets": [{"frames": 5, "height_px": 32, "width_px": 32}], "tokens_per_batch": 128,
            "temporal_stride": 4, "causal": True}  # fmt: skip
    told = build.recipe(vae=str(file), clips={"plan": plan, "image_probability": 0.5})
    trained = training.train(squares, told, tmp_path / "run", text_encoder_path=encoder, max_steps=4)
    first = build.square((200, 60, 60), 0, frames=1)[0]
    (video,) = generate(trained.checkpoint, ["a red square"], steps=2, frames=9, first_frame=first)
    assert video.shape == (9, 32, 32, 3)
    with pytest.raises(ConfigError, match=r"frames: 8, but this model does 4k \+ 1"):
        generate(trained.checkpoint, ["a"], frames=8)
    with pytest.raises(ConfigError, match="only frame 0 can be given"):
        generate(trained.checkpoint, ["a"], known_frames={-1: first})
    plain = build.recipe(vae=str(file))
    with pytest.raises(ConfigError, match=r"joins 4 frames; set temporal_stride: 4, causal: true"):
        training.train(squares, plain, tmp_path / "other", text_encoder_path=encoder)
