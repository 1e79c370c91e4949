"""A causal video autoencoder: 4k + 1 frames of pixels to k + 1 latents of 1/8 the size, and back.

The first latent is the encoding of the first frame alone, so an image is a video of one frame and needs no other
autoencoder; each later one stands for four frames and sees none after them (the causal 3D autoencoder of
MAGVIT-v2, Yu et al. 2024, section 3.2). Its spatial layers are the image autoencoder's, frame by frame; time is mixed
and halved twice at 1/8 of the size, where it is cheap, by convolutions padded with the past only. Those start as
nothing, so a fresh one made from an image autoencoder keeps the last frame of each four, and repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from media.errors import ConfigError
from training.models.layers import zeroed
from training.models.vae import FACTOR, decoder_of, encoder_of
from training.recipes.models import VideoVaeConfig

__all__ = ["TEMPORAL_FACTOR", "CausalConv", "VideoVae"]

TEMPORAL_FACTOR = 4
"""Frames to a latent in time, after the first."""

_HALVINGS = 2
_TAPS = 3


class CausalConv(nn.Module):
    """A 3 x 3 x 3 convolution that sees a frame and the two before it.

    Before the first frame stand copies of it. With stride 2 the output at k is at frame 2k.
    """

    def __init__(self, wide_in: int, wide_out: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.taps = nn.ModuleList(nn.Conv2d(wide_in, wide_out, 3, padding=1, bias=tap == 0) for tap in range(_TAPS))

    def forward(self, x: Tensor) -> Tensor:
        """Map f32[B, F, C, h, w] to f32[B, (F - 1) / stride + 1, C', h, w]."""
        frames = x.shape[1]
        before = torch.cat([x[:, :1]] * (_TAPS - 1) + [x], 1)
        out: Tensor | None = None
        for lag, tap in enumerate(self.taps):  # tap 0 sees the frame itself
            first = _TAPS - 1 - lag
            seen = before[:, first : first + frames : self.stride]
            part = tap(seen.flatten(0, 1)).view(*seen.shape[:2], -1, *seen.shape[3:])
            out = part if out is None else out + part
        assert out is not None
        return out


class _TimeBlock(nn.Module):
    """Two causal convolutions around a SiLU, added to the input; the second starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = CausalConv(width, width), zeroed(CausalConv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(F.silu(self.conv1(F.silu(x))))
        return x + out


class _Halve(nn.Module):
    """2k + 1 frames to k + 1: every second one, and what a causal convolution, zero at first, adds of the others."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = zeroed(CausalConv(width, width, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.silu(x))
        return x[:, ::2] + out


class _Double(nn.Module):
    """k + 1 frames to 2k + 1: each twice, the first once, and what a causal convolution, zero at first, adds."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = zeroed(CausalConv(width, 2 * width))

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.conv(F.silu(x)).view(*x.shape[:2], 2, *x.shape[2:])
        return (x[:, :, None] + added).flatten(1, 2)[:, 1:]


class VideoVae(nn.Module):
    """Our causal autoencoder. `encode_clip` and `decode_clip` speak normalised latents; `posterior` is for training."""

    shift: Tensor
    scale: Tensor

    def __init__(self, config: VideoVaeConfig) -> None:
        super().__init__()
        self.config = config
        self.channels, self.factor, self.temporal_factor = config.latent_channels, FACTOR, TEMPORAL_FACTOR
        self.identity = "untrained"
        self.encoder, self.decoder = encoder_of(config), decoder_of(config)
        self.linear_in = nn.Conv2d(3, config.latent_channels, FACTOR, stride=FACTOR)
        self.linear_out = nn.ConvTranspose2d(config.latent_channels, 3, FACTOR, stride=FACTOR)
        self.encode_time, self.decode_time = nn.Sequential(), nn.Sequential()
        for _ in range(_HALVINGS):
            wide, far = config.encoder_widths[1], config.decoder_widths[0]
            self.encode_time.extend([*(_TimeBlock(wide) for _ in range(config.temporal_blocks)), _Halve(wide)])
            self.decode_time.extend([_Double(far), *(_TimeBlock(far) for _ in range(config.temporal_blocks))])
        self.register_buffer("shift", torch.zeros(config.latent_channels))
        self.register_buffer("scale", torch.ones(config.latent_channels))

    def start(self, image: Mapping[str, Tensor]) -> None:
        """Take the spatial layers, and the latents' statistics, of an image autoencoder of the same widths."""
        own = self.state_dict()
        wrong = [name for name, value in image.items() if name not in own or own[name].shape != value.shape]
        if wrong:
            raise ConfigError(
                f"model.start: packaged, but its {wrong[0]} has another shape; keep its widths, or random"
            )
        self.load_state_dict({**own, **image})

    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the raw latents, each f32[B, F', C, h, w], of f32[B, F, 3, H, W].

        Raises ConfigError unless F is 4k + 1 and H and W are multiples of 8.
        """
        frames, _, height, width = pixels.shape[1:]
        if (frames - 1) % TEMPORAL_FACTOR:
            raise ConfigError(f"clip of {frames} frames: this autoencoder takes 4k + 1, as 1, 5, 9")
        if height % FACTOR or width % FACTOR:
            raise ConfigError(f"clip of {width}x{height} px: both sizes must be multiples of {FACTOR}")
        features = _each(self.encoder[:-2], pixels)
        mean, log_variance = _each(self.encoder[-2:], self.encode_time(features)).chunk(2, 2)
        linear = _each(self.linear_in, pixels[:, ::TEMPORAL_FACTOR])
        return mean + linear, log_variance.clamp(-20.0, 10.0)

    def reconstruct(self, raw: Tensor) -> Tensor:
        """Return pixels f32[B, F, 3, H, W] of raw latents f32[B, F', C, h, w]."""
        features = self.decode_time(_each(self.decoder[:1], raw))
        linear = _each(self.linear_out, raw).repeat_interleave(TEMPORAL_FACTOR, 1)[:, TEMPORAL_FACTOR - 1 :]
        return _each(self.decoder[1:], features) + linear

    def encode_clip(self, pixels: Tensor) -> Tensor:
        """Return normalised latents f32[F', C, h, w] of a clip f32[F, 3, H, W] in -1..1."""
        mean, _ = self.posterior(pixels[None])
        return (mean[0] - self.shift.view(-1, 1, 1)) * self.scale.view(-1, 1, 1)

    def decode_clip(self, latents: Tensor) -> Tensor:
        """Return the clip f32[F, 3, H, W] of normalised latents f32[F', C, h, w], in -1..1 but not clamped."""
        return self.reconstruct((latents / self.scale.view(-1, 1, 1) + self.shift.view(-1, 1, 1))[None])[0]

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the latents f32[N, C, h, w] of pictures f32[N, 3, H, W], each a video of one frame."""
        mean, _ = self.posterior(pixels[:, None])
        return (mean[:, 0] - self.shift.view(-1, 1, 1)) * self.scale.view(-1, 1, 1)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the pictures f32[N, 3, H, W] of latents f32[N, C, h, w], each a video of one frame."""
        return self.reconstruct((latents / self.scale.view(-1, 1, 1) + self.shift.view(-1, 1, 1))[:, None])[:, 0]

    @torch.no_grad()
    def calibrate(self, pixels: Tensor) -> None:
        """Set shift and scale so that the latents of these clips have zero mean and unit variance per channel."""
        mean, _ = self.posterior(pixels)
        self.shift.copy_(mean.mean((0, 1, 3, 4)))
        self.scale.copy_(1.0 / mean.std((0, 1, 3, 4)).clamp_min(1e-6))


def _each(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer of pictures to every frame of f32[B, F, C, h, w]."""
    out: Tensor = layer(x.flatten(0, 1))
    return out.view(*x.shape[:2], *out.shape[1:])
