"""What a recipe may say: frozen pydantic models, every field described, unknown keys refused.

Torch-free, so that a recipe can be read, checked and printed at once. Defaults are for small scale: a picture of
64 to 128 pixels and minutes on a CPU. `training.recipes.load` reads them by name or from YAML.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dataset.buckets import Bucket, BucketRecipe

__all__ = [
    "AnchorConfig",
    "CaptionConfig",
    "ClipConfig",
    "DiffusionConfig",
    "DiffusionRecipe",
    "HeldOutConfig",
    "LeavesConfig",
    "LoopConfig",
    "MotionLayer",
    "OptimiserConfig",
    "Recipe",
    "UNetConfig",
    "VaeConfig",
    "VaeRecipe",
]

MotionLayer = Literal["temporal_attention", "temporal_conv"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OptimiserConfig(Section):
    """AdamW, warm-up, clipping, averaging."""

    lr: float = Field(1e-3, gt=0, description="learning rate after the warm-up")
    betas: tuple[float, float] = Field((0.9, 0.99), description="AdamW's decay of the two moments")
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay, on matrices and kernels only")
    warmup_steps: int = Field(20, ge=0, description="steps over which the rate rises linearly from 0")
    decay_steps: int | None = Field(None, description="steps of a cosine fall to 0; none: constant")
    clip_norm: float = Field(1.0, gt=0, description="the gradient's global norm is clipped to this")
    accumulate: int = Field(1, ge=1, description="batches whose gradients are averaged into one step")
    ema_decay: float = Field(0.999, ge=0, lt=1, description="averaging of weights; rises to this as steps pass")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: autocast; the weights stay fp32")


class LoopConfig(Section):
    """How long, and what is kept on the way."""

    max_steps: int = Field(1_000, ge=1, description="steps in all, resumed ones included")
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints")
    keep: int = Field(2, ge=1, description="checkpoints kept; older ones are removed")
    threads: int | None = Field(None, ge=1, description="CPU threads; none: all. Bits may differ with their number")


class VaeConfig(Section):
    """A small image autoencoder: 8x8 pixels to one latent position, a KL bottleneck, no normalisation layers."""

    latent_channels: int = Field(4, ge=1, description="channels of the latent")
    encoder_widths: tuple[int, int] = Field((32, 64), description="channels at 1/4 and 1/8 of the picture's size")
    decoder_widths: tuple[int, int, int] = Field((96, 48, 24), description="channels at 1/8, 1/4 and 1/2")
    encoder_blocks: tuple[int, int] = Field((1, 2), description="residual blocks at each encoder size")
    decoder_blocks: tuple[int, int, int] = Field((3, 2, 1), description="residual blocks at each decoder size")


class LeavesConfig(Section):
    """The procedural pictures an autoencoder is trained on when there are no shards."""

    images: int = Field(1_500, ge=1, description="distinct pictures, rendered once")
    size_px: int = Field(128, ge=8, description="height and width of a picture")
    crop_px: int = Field(64, ge=8, multiple_of=8, description="height and width of a training crop")
    held_out: int = Field(48, ge=1, description="pictures never trained on")


class VaeRecipe(Section):
    """Train an autoencoder."""

    task: Literal["vae"] = Field("vae", description="what is trained")
    name: str = Field("vae", description="the recipe's name")
    model: VaeConfig = Field(default_factory=VaeConfig, description="the autoencoder")
    leaves: LeavesConfig = Field(default_factory=LeavesConfig, description="its pictures")
    batch_images: int = Field(16, ge=1, description="crops in a batch")
    kl_weight: float = Field(1e-4, ge=0, description="weight of the KL divergence per latent value")
    optimiser: OptimiserConfig = Field(default_factory=OptimiserConfig, description="the optimiser")
    loop: LoopConfig = Field(default_factory=LoopConfig, description="the loop")


class UNetConfig(Section):
    """A small 2D text-to-image UNet with motion layers between its spatial ones."""

    latent_channels: int = Field(4, ge=1, description="channels of the latent")
    widths: tuple[int, ...] = Field((32, 64), min_length=1, description="channels at each level; each halves the size")
    blocks: int = Field(1, ge=1, description="residual blocks at each level")
    heads: int = Field(2, ge=1, description="attention heads, everywhere")
    attention_from: int = Field(0, ge=0, description="first level with self-attention and text; 1 spares the largest")
    norm_groups: int = Field(16, ge=1, description="groups of every GroupNorm; divides every width")
    text_dim: int = Field(384, ge=1, description="width of the text encoder's token states")
    motion: tuple[MotionLayer, ...] = Field(("temporal_attention",), description="motion layers after each block")
    max_frames: int = Field(32, ge=1, description="longest video the temporal positions cover, frames")
    anchor: bool = Field(True, description="accept known frames: conv_in takes [z_t, mask, masked z_0]")
    fps: bool = Field(True, description="accept the frame rate as a condition")

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


class DiffusionConfig(Section):
    """The forward process, the target, and the weight of each timestep."""

    objective: Literal["eps", "v", "flow"] = Field("v", description="what the network predicts")
    schedule: Literal["linear", "scaled_linear", "cosine"] = Field("cosine", description="noise schedule of eps and v")
    zero_terminal_snr: bool = Field(True, description="rescale the schedule so that t = T is pure noise; not with eps")
    shared_noise: Fraction = Field(0.0, description="share of the noise's variance that a clip's frames have alike")
    min_snr_gamma: float | None = Field(5.0, gt=0, description="min-SNR weighting of eps and v; none: weight 1")

    @model_validator(mode="after")
    def _possible(self) -> DiffusionConfig:
        if self.objective == "eps" and self.zero_terminal_snr:
            raise ValueError("zero_terminal_snr: eps carries no signal at pure noise; use v, or set it to false")
        return self


class AnchorConfig(Section):
    """Training with the first frame known."""

    probability: Fraction = Field(0.7, description="share of samples whose first frame is given")
    fill: Literal["zeros", "repeat"] = Field(
        "repeat", description="what the condition holds at unknown frames: zeros, or the last known frame"
    )
    residual: bool = Field(
        True, description="where a frame is filled by repetition, the network starts from that guess of it"
    )
    residual_std: float = Field(1.0, gt=0, le=1, description="how far frames are from the guess, latent units")


class CaptionConfig(Section):
    """Which caption is learned, and how often none."""

    dense: Fraction = Field(0.5, description="share of steps that use the dense caption; the rest use the short one")
    dropout: Fraction = Field(0.1, description="share of samples whose caption is emptied, for guidance")
    max_tokens: int = Field(64, ge=4, le=512, description="tokens kept of a caption")


def _small_buckets() -> BucketRecipe:
    """Two seconds at 8 fps or one at 16, square, wide or tall, some 64 px high; 4 square clips to a batch."""
    sizes = ((64, 64), (64, 96), (96, 64))
    buckets = tuple(Bucket(frames=16, height_px=h, width_px=w, fps=fps) for fps in (8.0, 16.0) for h, w in sizes)
    return BucketRecipe(buckets=buckets, tokens_per_batch=4_096, first_frame="start")


class ClipConfig(Section):
    """What a training sample looks like."""

    plan: BucketRecipe = Field(default_factory=_small_buckets, description="the bucket plan: shapes, rates, batch size")
    image_probability: Fraction = Field(0.1, description="share of batches of which one frame is taken, as images")


class HeldOutConfig(Section):
    """The samples kept aside to see whether it learns."""

    fraction: Fraction = Field(0.1, description="share of sources (not clips: siblings would leak) that is kept aside")
    max_clips: int = Field(12, ge=1, description="clips used of them")
    bins: int = Field(4, ge=1, description="timestep bins, each with noise that never changes")


class DiffusionRecipe(Section):
    """Train a latent text-to-video model."""

    task: Literal["diffusion"] = Field("diffusion", description="what is trained")
    name: str = Field("custom", description="the recipe's name")
    model: UNetConfig = Field(default_factory=UNetConfig, description="the denoiser")
    vae: str | None = Field(None, description="file of ours or diffusers folder; none: the packaged one")
    train: Literal["all", "motion"] = Field("all", description="motion: the spatial layers are frozen")
    spatial: str | None = Field(None, description="checkpoint whose spatial layers to start from")
    diffusion: DiffusionConfig = Field(default_factory=DiffusionConfig, description="the process")
    anchor: AnchorConfig = Field(default_factory=AnchorConfig, description="first-frame conditioning")
    captions: CaptionConfig = Field(default_factory=CaptionConfig, description="text conditioning")
    clips: ClipConfig = Field(default_factory=ClipConfig, description="the samples")
    held_out: HeldOutConfig = Field(default_factory=HeldOutConfig, description="the held-out samples")
    optimiser: OptimiserConfig = Field(default_factory=OptimiserConfig, description="the optimiser")
    loop: LoopConfig = Field(default_factory=LoopConfig, description="the loop")

    @model_validator(mode="after")
    def _consistent(self) -> DiffusionRecipe:
        multiple = 8 * 2 ** (len(self.model.widths) - 1)
        for bucket in self.clips.plan.buckets:
            if bucket.frames > self.model.max_frames:
                raise ValueError(f"clips.plan: bucket {bucket.label}, but model.max_frames is {self.model.max_frames}")
            if bucket.height_px % multiple or bucket.width_px % multiple:
                raise ValueError(f"clips.plan: bucket {bucket.label}: this model needs multiples of {multiple} px")
        if self.anchor.probability > 0 and not self.model.anchor:
            raise ValueError("anchor.probability: the model takes no anchor; set model.anchor or a probability of 0")
        if self.anchor.residual and self.anchor.fill != "repeat":
            raise ValueError("anchor.residual: needs anchor.fill: repeat")
        if self.train == "motion" and not self.model.motion:
            raise ValueError("train: motion, but model.motion is empty")
        return self


Recipe = Annotated[DiffusionRecipe | VaeRecipe, Field(discriminator="task")]
