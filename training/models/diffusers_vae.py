"""diffusers' AutoencoderKL behind our protocol: for users who have Stable Diffusion's or another's weights."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from media.errors import ConfigError, MissingModelError

__all__ = ["DiffusersVae"]

_TOGETHER: Final = 8
"""Frames encoded or decoded at once."""


class DiffusersVae:
    """An AutoencoderKL folder. z = scaling_factor * (E(x) - shift_factor), posterior mean."""

    def __init__(self, folder: Path) -> None:
        try:
            diffusers = importlib.import_module("diffusers")
        except ImportError as error:
            raise MissingModelError(
                f"autoencoder {folder}: reading this folder needs diffusers: pip install diffusers; "
                "or leave `vae` empty for the packaged one"
            ) from error
        if not (folder / "config.json").is_file():
            raise ConfigError(f"autoencoder {folder}: no config.json, so not a diffusers AutoencoderKL")
        self._model = diffusers.AutoencoderKL.from_pretrained(folder).eval().requires_grad_(False)
        config = self._model.config
        self._scale, self._shift = float(config.scaling_factor), float(config.shift_factor or 0.0)
        self.channels: int = config.latent_channels
        self.temporal_factor = 1
        self.factor: int = 2 ** (len(config.block_out_channels) - 1)
        digest = hashlib.sha256()
        for part in sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")):
            digest.update(part.read_bytes())
        self.identity = digest.hexdigest()[:12]

    def to(self, device: torch.device | str, /) -> DiffusersVae:
        """Move to a device and return itself."""
        self._model.to(device)
        return self

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Return latents of pixels f32[N, 3, H, W] in -1..1."""
        mean: Tensor = self._model.encode(pixels).latent_dist.mean
        return (mean - self._shift) * self._scale

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels of latents, in -1..1 but not clamped."""
        pixels: Tensor = self._model.decode(latents / self._scale + self._shift).sample
        return pixels

    def encode_clip(self, pixels: Tensor) -> Tensor:
        """Return the latents of a clip's frames, each by itself."""
        return torch.cat([self.encode(some) for some in torch.split(pixels, _TOGETHER)])

    def decode_clip(self, latents: Tensor) -> Tensor:
        """Return the pixels of a clip's frames, a few at a time."""
        return torch.cat([self.decode(some) for some in torch.split(latents, _TOGETHER)])
