"""The recipe of a bucket plan: which shapes a model trains on, and what a sample may lose to fit one."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Bucket", "BucketRecipe"]


class Bucket(BaseModel):
    """One shape: frames, height and width in pixels, and frame rate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int = Field(ge=1, description="frames of a sample; 1 trains on stills")
    height_px: int = Field(ge=1, description="height of a sample")
    width_px: int = Field(ge=1, description="width of a sample")
    fps: float | None = Field(None, gt=0, description="frame rate to sample at; none keeps every sample's own")

    @property
    def label(self) -> str:
        """The bucket in one word, for instance `16x128x224@8`: frames x height x width @ frame rate."""
        return f"{self.frames}x{self.height_px}x{self.width_px}@{'native' if self.fps is None else f'{self.fps:g}'}"


class BucketRecipe(BaseModel):
    """How samples become batches. Frozen; the same recipe, samples, seed and epoch give the same plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    buckets: tuple[Bucket, ...] = Field(min_length=1, description="the shapes; each one that is used compiles once")
    tokens_per_batch: int = Field(ge=1, description="budget of a batch: as many samples as fit it")
    max_batch_size: int | None = Field(None, ge=1, description="most samples in a batch, whatever the budget")
    spatial_stride: int = Field(8, ge=1, description="pixels per token, in height and in width: autoencoder x patch")
    temporal_stride: int = Field(1, ge=1, description="frames per token in time")
    causal: bool = Field(False, description="whether the first frame is a token of its own: 1 + (frames - 1) / stride")
    max_crop_fraction: float = Field(0.35, ge=0, lt=1, description="most of a picture that may be cut away")
    max_upscale: float = Field(1.0, gt=0, description="most a picture may be enlarged; 1 is not at all")
    fps_tolerance: float = Field(0.1, ge=0, lt=1, description="how far a sample may be below a bucket's frame rate")
    assign: Literal["best", "random"] = Field(
        "best",
        description="best: the bucket that keeps most of the sample, crop counted four times, ties to the one named "
        "first; random: any that fits, another one each epoch",
    )
    first_frame: Literal["random", "start", "middle"] = Field(
        "random", description="where in a longer sample its frames begin; random draws anew each epoch"
    )
    remainder: Literal["smaller", "reject"] = Field(
        "smaller", description="what becomes of samples that do not fill a last batch: a smaller batch, or rejected"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        labels = [bucket.label for bucket in self.buckets]
        for bucket in self.buckets:
            label = bucket.label
            if labels.count(label) > 1:
                raise ValueError(f"bucket {label} is there twice")
            if bucket.height_px % self.spatial_stride or bucket.width_px % self.spatial_stride:
                raise ValueError(f"bucket {label}: height and width must be multiples of {self.spatial_stride}")
            if (bucket.frames - self.causal) % self.temporal_stride:
                rule = f"{self.temporal_stride}k + 1" if self.causal else f"{self.temporal_stride}k"
                raise ValueError(f"bucket {label}: the number of frames must be {rule}")
            if self.tokens(bucket) > self.tokens_per_batch:
                needs = f"one sample is {self.tokens(bucket)} tokens, a batch may have {self.tokens_per_batch}"
                raise ValueError(f"bucket {label}: {needs}")
        return self

    def tokens(self, bucket: Bucket) -> int:
        """Return the number of tokens of one sample in `bucket`."""
        time = self.causal + (bucket.frames - self.causal) // self.temporal_stride
        return time * (bucket.height_px // self.spatial_stride) * (bucket.width_px // self.spatial_stride)

    def batch_size(self, bucket: Bucket) -> int:
        """Return how many samples a full batch of `bucket` has."""
        size = self.tokens_per_batch // self.tokens(bucket)
        return size if self.max_batch_size is None else min(size, self.max_batch_size)
