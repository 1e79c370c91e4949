"""Denoisers by the recipe's word: built, counted, and started from what another was trained to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from media.errors import ConfigError
from training.models.dit import DiT
from training.models.unet import UNet
from training.recipes.models import DenoiserConfig, DiTConfig, UNetConfig

__all__ = ["Denoiser", "PartCount", "build_denoiser", "count_parameters", "freeze", "graft", "part_of"]

Denoiser = UNet | DiT
"""Every denoiser: a module that maps (z, t, text, fps, anchor, extras) to a prediction of z's shape."""

_FRESH: Final = (".motion.", "told.fps.", "told.vectors.", "told.picture.", "told.connector.", ".fusion.")
"""What is added to a trained model: each starts as nothing, but for the connector, which has to be learned."""

_PARTS: Final = (
    (".motion.", "motion layers"),
    (".fusion.", "image condition"),
    ("told.picture.", "image condition"),
    ("told.connector.", "text connector"),
    ("told.", "time and numbers"),
    (".attend_text.", "text attention"),
    (".norm_text.", "text attention"),
    ("", "spatial layers"),
)
"""Where a parameter belongs: the first word that its name holds decides."""


def build_denoiser(config: DenoiserConfig) -> Denoiser:
    """Return a fresh denoiser of that section of a recipe."""
    if isinstance(config, DiTConfig):
        return DiT(config)
    if isinstance(config, UNetConfig):
        return UNet(config)
    raise ConfigError(f"model: no denoiser is made of {type(config).__name__}")


def freeze(denoiser: Denoiser, train: str) -> None:
    """Let all of it train, or only its motion layers, or these and all else that was added to the spatial layers.

    Raises ConfigError for motion layers of a denoiser that has none.
    """
    if train == "added":
        for name, parameter in denoiser.named_parameters():
            parameter.requires_grad_(any(word in name for word in _FRESH))
    if train == "motion":
        if not isinstance(denoiser, UNet):
            raise ConfigError("train: motion, but a dit has no motion layers: it sees all frames in every block")
        denoiser.freeze_spatial()


@dataclass(frozen=True, slots=True)
class PartCount:
    """How many parameters of a part are trained, and how many are frozen."""

    part: str
    trained: int
    frozen: int


def part_of(name: str, denoiser: nn.Module) -> str:
    """Return which part of a denoiser a parameter belongs to, in a word for the plan."""
    part = next(part for word, part in _PARTS if word in name)
    return "transformer" if part == "spatial layers" and isinstance(denoiser, DiT) else part


def count_parameters(denoiser: nn.Module) -> list[PartCount]:
    """Return a row for every part of a denoiser that has parameters, largest first."""
    counts: dict[str, list[int]] = {}
    for name, parameter in denoiser.named_parameters():
        counts.setdefault(part_of(name, denoiser), [0, 0])[not parameter.requires_grad] += parameter.numel()
    rows = [PartCount(part, *both) for part, both in counts.items()]
    return sorted(rows, key=lambda row: (-(row.trained + row.frozen), row.part))


def graft(denoiser: Denoiser, state: Mapping[str, Tensor]) -> None:
    """Load a state of the same denoiser with fewer conditions: no motion layers, no anchor channels, no frame rate.

    What the state lacks keeps its start, which is an identity. Raises ConfigError if the rest does not fit.
    """
    own, first = denoiser.state_dict(), denoiser.input_weight
    merged = dict(state)
    given = state.get(first)
    if given is not None and len(given) == len(own[first]) and given.shape[1] in _narrower(denoiser):
        padded = torch.zeros_like(own[first])
        padded[:, : given.shape[1]] = given
        merged[first] = padded
    missing = [k for k in own if k not in merged and not any(word in k for word in _FRESH)]
    wrong = [k for k, v in merged.items() if k not in own or own[k].shape != v.shape]
    if missing or wrong:
        name = (missing + wrong)[0]
        raise ConfigError(
            f"spatial: the checkpoint does not fit this model: {name} (model.kind, widths, blocks, text_dim?)"
        )
    denoiser.load_state_dict({**own, **merged})


def _narrower(denoiser: Denoiser) -> set[int]:
    """Return the widths of a first layer with fewer inputs: the noisy latent alone, or that and the anchor's."""
    config = denoiser.config
    area = config.patch**2 if isinstance(config, DiTConfig) else 1
    channels = config.latent_channels
    return {count * area for count in (channels, 2 * channels + 1 if config.anchor else channels)}
