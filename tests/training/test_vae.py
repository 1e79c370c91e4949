"""The autoencoder: the packaged weights on photographs, its statistics, its files, its training."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

import training
from curation.worlds.leaves import leaves
from media import load_still, resize
from media.errors import ConfigError, CorruptionError, MissingModelError
from training import checkpoint
from training.models.vae import PACKAGED, Vae, load_vae, save_vae
from training.pixels import to_unit
from training.recipes import parse
from training.recipes.config import VaeConfig
from training.vae_task import kl, psnr

if TYPE_CHECKING:
    from experts.weights import Footage

SMALL = VaeConfig(encoder_widths=(8, 8), decoder_widths=(8, 8, 8), encoder_blocks=(1, 1), decoder_blocks=(1, 1, 1))


def pictures(count: int, size: int = 64) -> torch.Tensor:
    return to_unit(torch.stack([torch.from_numpy(leaves(10_000 + i, size, size)) for i in range(count)]))


def test_photographs_survive_the_packaged_autoencoder(footage: Footage) -> None:
    vae, found = load_vae(), {}
    for path in footage.photos:
        picture = load_still(path)
        height, width = picture.shape[:2]
        if min(height, width) < 256:
            continue
        small = resize(picture, height=256)
        unit = to_unit(torch.from_numpy(small[:, : small.shape[1] // 8 * 8].copy()))[None]
        found[path.stem] = psnr(vae.decode(vae.encode(unit)), unit).item()
    assert len(found) >= 4
    assert sum(found.values()) / len(found) >= 22.0, found


def test_the_packaged_autoencoder_is_small_and_its_latents_are_normal() -> None:
    assert PACKAGED.stat().st_size < 2_000_000
    vae = load_vae()
    assert vae.channels == 4
    assert vae.factor == 8
    latents = vae.encode(pictures(12))
    assert latents.shape == (12, 4, 8, 8)
    assert latents.mean((0, 2, 3)).abs().max() < 0.35
    assert 0.6 < latents.std((0, 2, 3)).min() < latents.std((0, 2, 3)).max() < 1.6


def test_calibration_gives_zero_mean_and_unit_variance() -> None:
    vae, pixels = Vae(SMALL), pictures(6)
    vae.calibrate(pixels)
    latents = vae.encode(pixels)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(vae.decode(latents), vae.reconstruct(vae.posterior(pixels)[0]), rtol=1e-3, atol=1e-4)


def test_a_file_keeps_the_autoencoder(tmp_path: Path) -> None:
    vae = Vae(SMALL)
    vae.calibrate(pictures(2))
    save_vae(vae, tmp_path / "vae.safetensors")
    again, pixels = load_vae(tmp_path / "vae.safetensors"), pictures(1)
    torch.testing.assert_close(again.encode(pixels), vae.encode(pixels), rtol=0, atol=2e-2)
    assert again.identity == load_vae(tmp_path / "vae.safetensors").identity != load_vae().identity


def test_the_divergence_is_zero_for_the_prior_and_right_elsewhere() -> None:
    zeros = torch.zeros(2, 3)
    assert kl(zeros, zeros).item() == 0.0
    ours = torch.distributions.Normal(torch.tensor([0.5]), torch.tensor([0.3]))
    expected = torch.distributions.kl_divergence(ours, torch.distributions.Normal(0.0, 1.0))
    assert kl(torch.tensor([0.5]), 2 * torch.tensor([0.3]).log()).item() == pytest.approx(expected.item())


def test_psnr_is_per_picture_and_clamped() -> None:
    a = torch.zeros(2, 3, 4, 4)
    b = a.clone()
    b[1] += 0.2
    assert psnr(a, b)[1].item() == pytest.approx(20.0)
    assert psnr(a, b)[0].item() >= 100.0
    assert psnr(torch.full((1, 3, 2, 2), 5.0), torch.ones(1, 3, 2, 2))[0].item() >= 100.0


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="60x64 px: both sizes must be multiples of 8"):
        load_vae().encode(torch.zeros(1, 3, 64, 60))


def test_other_files_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match="nothing"):
        load_vae(tmp_path / "nothing.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(PACKAGED.read_bytes()[:1000])
    with pytest.raises(CorruptionError, match=r"damaged\.safetensors"):
        load_vae(damaged)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match="not written by Rushes"):
        load_vae(tmp_path / "other.safetensors")


def test_a_diffusers_folder_needs_diffusers_and_a_config(tmp_path: Path) -> None:
    if importlib.util.find_spec("diffusers") is None:
        with pytest.raises(MissingModelError, match="pip install diffusers"):
            load_vae(tmp_path)
    else:
        with pytest.raises(ConfigError, match=r"no config\.json"):
            load_vae(tmp_path)


def test_an_autoencoder_learns_and_is_exported(tmp_path: Path) -> None:
    recipe = parse({
        "base": "vae", "model": SMALL.model_dump(), "batch_images": 4,
        "leaves": {"images": 8, "size_px": 48, "crop_px": 32, "held_out": 4},
        "optimiser": {"lr": 5e-3, "warmup_steps": 5, "decay_steps": None, "ema_decay": 0.9, "clip_norm": 1.0},
        "loop": {"max_steps": 40, "checkpoint_every": 100},
    })  # fmt: skip
    result = training.train(None, recipe, tmp_path, seed=1)
    assert result.after["psnr_db"] > result.before["psnr_db"] + 3.0
    vae = load_vae(tmp_path / "vae.safetensors")
    held_out = pictures(2, 48)
    assert psnr(vae.decode(vae.encode(held_out)), held_out).mean().item() > 10.0
    with pytest.raises(Exception, match="an autoencoder, not a text-to-video model"):
        checkpoint.load(result.checkpoint)
