"""The part of a denoiser that hears: times and numbers to one embedding, text by its connector, pictures to tokens."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from media.errors import ConfigError
from training.conditions.connector import Connector
from training.conditions.image import ImagePatches
from training.conditions.rate import FrameRate
from training.conditions.vectors import Vectors
from training.models.inputs import ImagePrompt, ImageTokens, Text
from training.models.layers import sinusoid
from training.recipes.models import DenoiserConfig

__all__ = ["Told"]


class Told(nn.Module):
    """What every denoiser hears, whatever it is made of. Conditions that a recipe leaves out have no weights."""

    def __init__(self, config: DenoiserConfig, width: int, embedding: int, *, clock: float = 1000.0) -> None:
        """`clock` is what time 1 is called: 999 in Stable Diffusion."""
        super().__init__()
        self.width, self.clock = width, clock
        self.time = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.fps = FrameRate(width, embedding) if config.fps else None
        self.vectors = Vectors(config.vectors, width, embedding)
        self.connector = None if config.connector is None else Connector(config.text_dim, config.connector)
        image = config.image
        self.picture = None if image is None else ImagePatches(config.latent_channels, image.patch, image.width)

    def embedding(self, t: Tensor, fps: Tensor | None, vectors: Mapping[str, Tensor]) -> Tensor:
        """Return f32[B, F, E] of times f32[B, F], of the frame rate f32[B] and of numbers where the model knows them.

        Raises ConfigError for one that it was built without.
        """
        embedding: Tensor = self.time(sinusoid(self.clock * t, self.width))
        if fps is not None:
            if self.fps is None:
                raise ConfigError("fps given, but this model was trained with model.fps: false")
            embedding = embedding + self.fps(fps)[:, None]
        if vectors:
            embedding = embedding + self.vectors(vectors)[:, None]
        return embedding

    def text(self, text: Text, t: Tensor) -> Text:
        """Return the token states that are read; a connector sees the noisiest of a clip's times f32[B, F]."""
        if self.connector is None:
            return text
        out: Text = self.connector(text, t.amax(1))
        return out

    def image(self, prompt: ImagePrompt | None) -> ImageTokens | None:
        """Return the tokens of an image prompt. Raises ConfigError for a model that was built without."""
        if prompt is None:
            return None
        if self.picture is None:
            raise ConfigError("image prompt given, but this model was trained without model.image")
        out: ImageTokens = self.picture(prompt)
        return out
