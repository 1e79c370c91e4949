"""Where a run's denoiser starts from: a checkpoint of ours, or Stable Diffusion's weights in a diffusers folder."""

from __future__ import annotations

from pathlib import Path

from media.errors import ConfigError
from training import checkpoint
from training.models.diffusers_unet import diffusers_unet_state, is_diffusers_unet
from training.models.factory import Denoiser, graft
from training.models.unet import UNet

__all__ = ["start_from"]


def start_from(denoiser: Denoiser, path: str | Path) -> None:
    """Load what is at `path` into a fresh denoiser; parts that it lacks keep their start.

    `path` is a checkpoint, a training folder, a folder of diffusers' UNet2DConditionModel or a pipeline with one.
    Raises ConfigError if it does not fit, and what `checkpoint.read` raises.
    """
    where = Path(path)
    if is_diffusers_unet(where):
        if not isinstance(denoiser, UNet):
            raise ConfigError(f"spatial: {where} is a UNet, and model.kind is not")
        graft(denoiser, diffusers_unet_state(where, denoiser.config))
        return
    saved = checkpoint.read(where)
    graft(denoiser, {**saved.tensors("model"), **saved.tensors("ema")})
