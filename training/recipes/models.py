"""The networks of a recipe: denoisers, their conditions, autoencoders. `kind` says which one is meant."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from training.recipes.section import MotionLayer, Section, VectorName

__all__ = [
    "KINDS",
    "AnyAutoencoder",
    "AnyDenoiser",
    "ConnectorConfig",
    "DenoiserConfig",
    "DiTConfig",
    "ImageConfig",
    "UNetConfig",
    "VaeConfig",
    "VideoVaeConfig",
]


class ConnectorConfig(Section):
    """Brings a text encoder to a denoiser that was made for another: learned queries read it at every timestep."""

    queries: int = Field(64, ge=1, description="token states it gives, whatever the caption's length")
    width: int = Field(768, ge=2, description="width of these; 768 is what Stable Diffusion reads")
    blocks: int = Field(6, ge=1, description="attention blocks")
    heads: int = Field(8, ge=1, description="attention heads")

    @model_validator(mode="after")
    def _divisible(self) -> ConnectorConfig:
        if self.width % self.heads:
            raise ValueError(f"connector.width: {self.width} is not divisible by heads={self.heads}")
        return self


class ImageConfig(Section):
    """A picture as a second prompt: its latent's patches are read beside the text, through gates that start shut."""

    patch: int = Field(2, ge=1, description="latent positions, each way, to one of its tokens")
    width: int = Field(64, ge=4, description="width of its tokens")


class DenoiserConfig(Section):
    """What every denoiser has: its latent, its length, its conditions."""

    latent_channels: int = Field(4, ge=1, description="channels of the latent")
    text_dim: int = Field(384, ge=1, description="width of the text encoder's token states")
    max_frames: int = Field(32, ge=1, description="longest video it is made for, latent frames")
    anchor: bool = Field(True, description="accept known frames: the input is [z_t, mask, masked z_0]")
    fps: bool = Field(True, description="accept the frame rate as a condition")
    vectors: tuple[VectorName, ...] = Field(
        (), description="further numbers it is told: frames, size, motion (px/s), aesthetic (score)"
    )
    segmentation_classes: int | None = Field(
        None, ge=1, description="accept a map of that many classes for every frame; none: no such input"
    )
    image: ImageConfig | None = Field(None, description="accept a picture as a prompt; none: no such input")
    connector: ConnectorConfig | None = Field(None, description="a connector to the text encoder; none: read directly")

    @property
    def context_dim(self) -> int:
        """Width of the token states that cross-attention reads."""
        return self.text_dim if self.connector is None else self.connector.width

    @property
    def input_channels(self) -> int:
        """Channels of the first layer: the noisy latent, the anchor's, one for every class of a segmentation map."""
        anchor = self.latent_channels + 1 if self.anchor else 0
        return self.latent_channels + anchor + (self.segmentation_classes or 0)

    @model_validator(mode="after")
    def _distinct(self) -> DenoiserConfig:
        if len(set(self.vectors)) < len(self.vectors):
            raise ValueError(f"vectors: {', '.join(self.vectors)}: one is there twice")
        return self


class UNetConfig(DenoiserConfig):
    """A 2D text-to-image UNet with motion layers between its spatial ones."""

    kind: Literal["unet"] = Field("unet", description="which denoiser: unet or dit")
    widths: tuple[int, ...] = Field((32, 64), min_length=1, description="channels at each level; each halves the size")
    blocks: int = Field(1, ge=1, description="residual blocks at each level")
    heads: int = Field(2, ge=1, description="attention heads, everywhere")
    attention_from: int = Field(0, ge=0, description="first level with self-attention and text; 1 spares the largest")
    attention_until: int | None = Field(None, ge=0, description="last such level; none: the smallest")
    norm_groups: int = Field(16, ge=1, description="groups of every GroupNorm; divides every width")
    layout: Literal["small", "stable"] = Field(
        "small", description="stable: Stable Diffusion's blocks, which `spatial` can fill from a diffusers folder"
    )
    motion: tuple[MotionLayer, ...] = Field(("temporal_attention",), description="motion layers after each block")

    @property
    def multiple(self) -> int:
        """Latents' height and width are multiples of this."""
        return 1 << (len(self.widths) - 1)

    def tokens(self, height: int, width: int) -> int:
        """Return how many positions the noise of one latent frame is counted in: all of them."""
        return height * width

    def attends(self, level: int) -> bool:
        """Return whether the blocks of a level have attention."""
        until = len(self.widths) - 1 if self.attention_until is None else self.attention_until
        return self.attention_from <= level <= until

    @model_validator(mode="after")
    def _divisible(self) -> UNetConfig:
        for width in self.widths:
            if self.attention_from >= len(self.widths):
                raise ValueError(f"attention_from: {self.attention_from}, but the last level is {len(self.widths) - 1}")
            if width % self.norm_groups or width % self.heads:
                raise ValueError(
                    f"widths: {width} is not divisible by norm_groups={self.norm_groups} and heads={self.heads}"
                )
        return self


class DiTConfig(DenoiserConfig):
    """A diffusion transformer: every token of the clip sees every other."""

    kind: Literal["dit"] = Field("dit", description="which denoiser: unet or dit")
    width: int = Field(128, ge=4, description="width of the tokens")
    depth: int = Field(4, ge=1, description="blocks")
    heads: int = Field(4, ge=1, description="attention heads; the width of each must be even and 6 or more")
    patch: int = Field(2, ge=1, description="latent positions, each way, to one token")
    mlp_ratio: int = Field(4, ge=1, description="how many times wider a block's MLP is inside")

    @property
    def multiple(self) -> int:
        """Latents' height and width are multiples of this."""
        return self.patch

    def tokens(self, height: int, width: int) -> int:
        """Return the tokens of one latent frame."""
        return (height // self.patch) * (width // self.patch)

    @model_validator(mode="after")
    def _rotary(self) -> DiTConfig:
        each, left = divmod(self.width, self.heads)
        if left or each % 2 or each < 6:
            raise ValueError(f"width: {self.width} gives {self.heads} heads of {self.width / self.heads:g}: "
                             "each must be even and 6 or more, for time, height and width")  # fmt: skip
        return self


class _VaeLayers(Section):
    """The spatial layers of our autoencoders."""

    latent_channels: int = Field(4, ge=1, description="channels of the latent")
    encoder_widths: tuple[int, int] = Field((32, 64), description="channels at 1/4 and 1/8 of the picture's size")
    decoder_widths: tuple[int, int, int] = Field((96, 48, 24), description="channels at 1/8, 1/4 and 1/2")
    encoder_blocks: tuple[int, int] = Field((1, 2), description="residual blocks at each encoder size")
    decoder_blocks: tuple[int, int, int] = Field((3, 2, 1), description="residual blocks at each decoder size")


class VaeConfig(_VaeLayers):
    """A small image autoencoder: 8x8 pixels to one latent position, a KL bottleneck, no normalisation layers."""

    kind: Literal["image"] = Field("image", description="image, or video: causal, with compression in time")


class VideoVaeConfig(_VaeLayers):
    """A causal video autoencoder: the image one's spatial layers, and 4 frames to one: 4k + 1 frames to k + 1."""

    kind: Literal["video"] = Field("video", description="image, or video: causal, with compression in time")
    temporal_blocks: int = Field(1, ge=1, description="causal residual blocks at each rate")
    clip_frames: int = Field(9, ge=5, description="frames of a training clip, 4k + 1")
    start: Literal["packaged", "random"] = Field("packaged", description="packaged: spatial layers of the packaged one")

    @model_validator(mode="after")
    def _causal(self) -> VideoVaeConfig:
        if self.clip_frames % 4 != 1:
            raise ValueError(f"clip_frames: {self.clip_frames}, but a causal clip has 4k + 1 frames, as 5, 9, 13")
        return self


KINDS: Final = ("unet", "dit", "image", "video")
"""What a section's `kind` may say."""


def _kind(value: Any) -> Any:
    """Return which member of a union a section means; a section that does not say means the default."""
    return value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)


AnyDenoiser = Annotated[
    Annotated[UNetConfig, Tag("unet")] | Annotated[DiTConfig, Tag("dit")],
    Discriminator(
        lambda value: _kind(value) or "unet",
        custom_error_type="kind",
        custom_error_message="kind: there are unet and dit",
    ),
]

AnyAutoencoder = Annotated[
    Annotated[VaeConfig, Tag("image")] | Annotated[VideoVaeConfig, Tag("video")],
    Discriminator(
        lambda value: _kind(value) or "image",
        custom_error_type="kind",
        custom_error_message="kind: there are image and video",
    ),
]
