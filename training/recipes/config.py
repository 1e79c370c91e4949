"""What a recipe may say: frozen pydantic models, every field described, unknown keys refused.

Torch-free, so that a recipe can be read, checked and printed at once. Defaults are for small scale: a picture of
64 to 128 pixels and minutes on a CPU. `training.recipes.load` reads them by name or from YAML.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dataset.buckets import Bucket, BucketRecipe
from training.recipes.models import AnyAutoencoder, AnyDenoiser, DenoiserConfig, DiTConfig, UNetConfig, VaeConfig
from training.recipes.section import Fraction, KnownFrames, MotionLayer, SamplerName, Section, VectorName

__all__ = [
    "AnchorConfig",
    "CaptionConfig",
    "ClipConfig",
    "DenoiserConfig",
    "DiTConfig",
    "DiffusionConfig",
    "DiffusionRecipe",
    "HeldOutConfig",
    "KnownFrames",
    "LeavesConfig",
    "LoopConfig",
    "MotionLayer",
    "OptimiserConfig",
    "Recipe",
    "SamplerName",
    "UNetConfig",
    "VaeConfig",
    "VaeRecipe",
    "VectorName",
]


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
    model: AnyAutoencoder = Field(default_factory=VaeConfig, description="the autoencoder")
    leaves: LeavesConfig = Field(default_factory=LeavesConfig, description="its pictures")
    batch_images: int = Field(16, ge=1, description="crops in a batch")
    image_probability: Fraction = Field(0.2, description="share of a video autoencoder's batches that are stills")
    kl_weight: float = Field(1e-4, ge=0, description="weight of the KL divergence per latent value")
    optimiser: OptimiserConfig = Field(default_factory=OptimiserConfig, description="the optimiser")
    loop: LoopConfig = Field(default_factory=LoopConfig, description="the loop")


class DiffusionConfig(Section):
    """The forward process, the target, and the weight of each timestep."""

    objective: Literal["eps", "v", "flow"] = Field("v", description="what the network predicts")
    schedule: Literal["linear", "scaled_linear", "cosine"] = Field("cosine", description="noise schedule of eps and v")
    zero_terminal_snr: bool = Field(True, description="rescale the schedule so that t = T is pure noise; not with eps")
    shared_noise: Fraction = Field(0.0, description="share of the noise's variance that a clip's frames have alike")
    min_snr_gamma: float | None = Field(5.0, gt=0, description="min-SNR weighting of eps and v; none: weight 1")
    timestep_shift: float | None = Field(
        1.0, gt=0, description="times are moved to noise by this factor; none: by the clip's number of tokens; 1: not"
    )

    @model_validator(mode="after")
    def _possible(self) -> DiffusionConfig:
        if self.objective == "eps" and self.zero_terminal_snr:
            raise ValueError("zero_terminal_snr: eps carries no signal at pure noise; use v, or set it to false")
        return self


class AnchorConfig(Section):
    """Training with frames known: the first, unless `frames` says otherwise."""

    probability: Fraction = Field(0.7, description="share of samples some of whose frames are given")
    frames: dict[KnownFrames, Annotated[float, Field(gt=0)]] = Field(
        {"first": 1.0}, min_length=1, description="which ones, by weight: first, last, ends (both), any (a random set)"
    )
    fill: Literal["zeros", "repeat"] = Field(
        "repeat", description="what the condition holds at unknown frames: zeros, or the last known frame"
    )
    residual: bool = Field(
        True, description="where a frame is filled by repetition, the network starts from that guess of it"
    )
    residual_std: float = Field(1.0, gt=0, le=1, description="how far frames are from the guess, latent units")


class CaptionConfig(Section):
    """Which caption is learned, and how often none."""

    dense: Fraction = Field(0.5, description="share of samples that use the dense caption; the rest use the short one")
    medium: Fraction = Field(0.0, description="share that use the medium caption")
    dropout: Fraction = Field(
        0.1,
        description="share of samples whose caption is emptied, for guidance; of these, half lose an image prompt "
        "too, and as many lose only that",
    )
    vector_dropout: Fraction = Field(0.1, description="share of samples for which one of model.vectors is not said")
    max_tokens: int = Field(64, ge=4, le=512, description="tokens kept of a caption")

    @model_validator(mode="after")
    def _shares(self) -> CaptionConfig:
        if self.dense + self.medium > 1.0:
            raise ValueError(f"dense: {self.dense} and medium: {self.medium} are more than 1 together")
        return self


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
    model: AnyDenoiser = Field(default_factory=UNetConfig, description="the denoiser")
    vae: str | None = Field(None, description="file of ours or diffusers folder; none: the packaged one")
    train: Literal["all", "motion", "added"] = Field(
        "all",
        description="motion: all else is frozen; added: new conditions and a connector train, too, not the input layer",
    )
    spatial: str | None = Field(
        None, description="where the layers to start from are: a checkpoint, or a diffusers UNet folder"
    )
    diffusion: DiffusionConfig = Field(default_factory=DiffusionConfig, description="the process")
    anchor: AnchorConfig = Field(default_factory=AnchorConfig, description="first-frame conditioning")
    captions: CaptionConfig = Field(default_factory=CaptionConfig, description="text conditioning")
    clips: ClipConfig = Field(default_factory=ClipConfig, description="the samples")
    held_out: HeldOutConfig = Field(default_factory=HeldOutConfig, description="the held-out samples")
    optimiser: OptimiserConfig = Field(default_factory=OptimiserConfig, description="the optimiser")
    loop: LoopConfig = Field(default_factory=LoopConfig, description="the loop")

    @model_validator(mode="after")
    def _consistent(self) -> DiffusionRecipe:
        multiple = 8 * self.model.multiple
        plan = self.clips.plan
        for bucket in plan.buckets:
            frames = plan.causal + (bucket.frames - plan.causal) // plan.temporal_stride
            if frames > self.model.max_frames:
                raise ValueError(f"clips.plan: bucket {bucket.label}, but model.max_frames is {self.model.max_frames}")
            if bucket.height_px % multiple or bucket.width_px % multiple:
                raise ValueError(f"clips.plan: bucket {bucket.label}: this model needs multiples of {multiple} px")
        if self.anchor.probability > 0 and not self.model.anchor:
            raise ValueError("anchor.probability: the model takes no anchor; set model.anchor or a probability of 0")
        if self.anchor.residual and self.anchor.fill != "repeat":
            raise ValueError("anchor.residual: needs anchor.fill: repeat")
        if self.train == "motion" and not (isinstance(self.model, UNetConfig) and self.model.motion):
            raise ValueError("train: motion, but model.motion is empty, or the model has none")
        if self.train == "motion" and self.model.connector is not None:
            raise ValueError("train: motion would leave model.connector as it is made, by chance; train: added")
        return self


Recipe = Annotated[DiffusionRecipe | VaeRecipe, Field(discriminator="task")]
