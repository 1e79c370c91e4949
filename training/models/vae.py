"""The image autoencoder: 8 x 8 pixels to one latent position, a diagonal Gaussian bottleneck.

The latent is z = s * (E(x) - m) with m and s per channel, measured after training, so that a denoiser sees zero
mean and unit variance (Rombach et al. 2022 use one s; a mean and a scale per channel cost nothing more).

Small and quick on a CPU: most work is done at 1/8 and 1/4 of the size, sizes change by pixel shuffles, there are
no normalisation layers, and a learned linear path from pixels to latent and back (compare the residual shortcuts
of DC-AE, Chen et al. 2024) carries what a linear code can, leaving the convolutions the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from media.errors import ConfigError, CorruptionError, MissingModelError
from training.recipes.models import AnyAutoencoder, VaeConfig, VideoVaeConfig

if TYPE_CHECKING:
    from training.models.video_vae import VideoVae

__all__ = [
    "FACTOR",
    "PACKAGED",
    "Autoencoder",
    "Vae",
    "autoencoder_of",
    "decoder_of",
    "encoder_of",
    "load_vae",
    "save_vae",
]

PACKAGED: Final = Path(__file__).resolve().parent.parent / "weights" / "tiny_vae.safetensors"
"""The autoencoder that comes with Rushes; weights/README.md tells how it was made."""

FACTOR: Final = 8
"""Pixels to a latent position, each way."""

_TOGETHER: Final = 8
"""Frames decoded at once."""


class Autoencoder(Protocol):
    """What training and generation need of an autoencoder. Of an image one `temporal_factor` is 1."""

    channels: int
    factor: int
    temporal_factor: int
    identity: str

    def encode(self, pixels: Tensor) -> Tensor:
        """Return latents f32[N, channels, H/factor, W/factor] of pixels f32[N, 3, H, W] in -1..1."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels f32[N, 3, H, W] in -1..1, not clamped."""
        ...

    def encode_clip(self, pixels: Tensor) -> Tensor:
        """Return latents f32[F', channels, h, w] of a clip f32[F, 3, H, W], F = temporal_factor (F' - 1) + 1."""
        ...

    def decode_clip(self, latents: Tensor) -> Tensor:
        """Return the clip f32[F, 3, H, W] of latents f32[F', channels, h, w], not clamped."""
        ...

    def to(self, device: Any, /) -> Any:
        """Move to a device and return itself."""
        ...


class _Block(nn.Module):
    """Two 3x3 convolutions around a SiLU, added to the input; the second starts small in place of a norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.conv2.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(F.silu(self.conv1(F.silu(x))))
        return x + out


def encoder_of(config: VaeConfig | VideoVaeConfig) -> nn.Sequential:
    """Return the layers from pixels to mean and log-variance; the last two make these of the features."""
    near, far = config.encoder_widths
    return nn.Sequential(
        nn.PixelUnshuffle(4),
        nn.Conv2d(48, near, 3, padding=1),
        *(_Block(near) for _ in range(config.encoder_blocks[0])),
        nn.PixelUnshuffle(2),
        nn.Conv2d(4 * near, far, 1),
        *(_Block(far) for _ in range(config.encoder_blocks[1])),
        nn.SiLU(),
        nn.Conv2d(far, 2 * config.latent_channels, 3, padding=1),
    )


def decoder_of(config: VaeConfig | VideoVaeConfig) -> nn.Sequential:
    """Return the layers from a latent to pixels; the first makes features of it."""
    far, near, fine = config.decoder_widths
    return nn.Sequential(
        nn.Conv2d(config.latent_channels, far, 3, padding=1),
        *(_Block(far) for _ in range(config.decoder_blocks[0])),
        nn.Conv2d(far, 4 * near, 1),
        nn.PixelShuffle(2),
        *(_Block(near) for _ in range(config.decoder_blocks[1])),
        nn.Conv2d(near, 4 * fine, 1),
        nn.PixelShuffle(2),
        *(_Block(fine) for _ in range(config.decoder_blocks[2])),
        nn.SiLU(),
        nn.Conv2d(fine, 12, 3, padding=1),
        nn.PixelShuffle(2),
    )


class Vae(nn.Module):
    """Our autoencoder. `encode` and `decode` speak normalised latents; `posterior` is for training."""

    shift: Tensor
    scale: Tensor

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        self.channels, self.factor, self.temporal_factor = config.latent_channels, FACTOR, 1
        self.identity = "untrained"
        self.encoder, self.decoder = encoder_of(config), decoder_of(config)
        self.linear_in = nn.Conv2d(3, config.latent_channels, FACTOR, stride=FACTOR)
        self.linear_out = nn.ConvTranspose2d(config.latent_channels, 3, FACTOR, stride=FACTOR)
        self.register_buffer("shift", torch.zeros(config.latent_channels))
        self.register_buffer("scale", torch.ones(config.latent_channels))

    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance of the raw latent, each f32[N, C, H/8, W/8]."""
        if pixels.shape[-1] % FACTOR or pixels.shape[-2] % FACTOR:
            size = f"{pixels.shape[-1]}x{pixels.shape[-2]}"
            raise ConfigError(f"picture of {size} px: both sizes must be multiples of {FACTOR}")
        mean, log_variance = self.encoder(pixels).chunk(2, dim=1)
        return mean + self.linear_in(pixels), log_variance.clamp(-20.0, 10.0)

    def reconstruct(self, raw: Tensor) -> Tensor:
        """Return pixels of a raw latent."""
        out: Tensor = self.decoder(raw) + self.linear_out(raw)
        return out

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the normalised mean latent f32[N, C, H/8, W/8] of pixels f32[N, 3, H, W] in -1..1."""
        mean, _ = self.posterior(pixels)
        return (mean - self.shift.view(-1, 1, 1)) * self.scale.view(-1, 1, 1)

    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels f32[N, 3, H, W] of normalised latents, in -1..1 but not clamped."""
        return self.reconstruct(latents / self.scale.view(-1, 1, 1) + self.shift.view(-1, 1, 1))

    def encode_clip(self, pixels: Tensor) -> Tensor:
        """Return the latents of a clip's frames, each by itself."""
        return self.encode(pixels)

    def decode_clip(self, latents: Tensor) -> Tensor:
        """Return the pixels of a clip's frames, a few at a time."""
        return torch.cat([self.decode(some) for some in torch.split(latents, _TOGETHER)])

    @torch.no_grad()
    def calibrate(self, pixels: Tensor) -> None:
        """Set shift and scale so that the latents of these pixels have zero mean and unit variance per channel."""
        mean, _ = self.posterior(pixels)
        self.shift.copy_(mean.mean((0, 2, 3)))
        self.scale.copy_(1.0 / mean.std((0, 2, 3)).clamp_min(1e-6))


def autoencoder_of(config: VaeConfig | VideoVaeConfig) -> Vae | VideoVae:
    """Return a fresh autoencoder of that section of a recipe, of images or of videos."""
    if isinstance(config, VaeConfig):
        return Vae(config)
    from training.models.video_vae import VideoVae

    return VideoVae(config)


def save_vae(vae: Vae | VideoVae, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the autoencoder in half precision (its statistics in full), atomically."""
    tensors = {k: (v if k in ("shift", "scale") else v.half()).contiguous() for k, v in vae.state_dict().items()}
    notes = {"format": "rushes-vae-1", "config": vae.config.model_dump_json(), **(metadata or {})}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    save_file(tensors, temporary, notes)
    temporary.replace(path)


def load_vae(path: str | Path | None = None) -> Autoencoder:
    """Load an autoencoder: the packaged one, a file of `save_vae`, or a folder of diffusers' AutoencoderKL.

    Raises MissingModelError if there is nothing there (or diffusers is wanted and absent), CorruptionError if
    the file is damaged. The result is frozen and in evaluation mode.
    """
    where = PACKAGED if path is None else Path(path)
    if where.is_dir():
        from training.models.diffusers_vae import DiffusersVae

        return DiffusersVae(where)
    if not where.is_file():
        raise MissingModelError(f"autoencoder: {where} is neither a .safetensors file nor a diffusers folder")
    try:
        with safe_open(where, "pt") as file:
            notes: dict[str, Any] = file.metadata() or {}
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CorruptionError(f"autoencoder {where}: {error}") from error
    if notes.get("format") != "rushes-vae-1":
        raise ConfigError(f"autoencoder {where}: not written by Rushes; give a diffusers folder for other kinds")
    vae = autoencoder_of(TypeAdapter(AnyAutoencoder).validate_json(notes["config"]))
    vae.load_state_dict(tensors)
    vae.identity = hashlib.sha256(where.read_bytes()).hexdigest()[:12]
    return vae.eval().requires_grad_(False)
