"""Pictures as vectors, for whoever asks whether two of them show the same scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from experts._tagger import tagger
from experts.base import Rgb

__all__ = ["embed_pictures"]


def embed_pictures(frames: Sequence[Rgb], profile: str = "embedded", threads: int = 1) -> npt.NDArray[np.float32]:
    """Return the pooled features of the profile's tagger: float32 [N, 1280], rows of unit length.

    The dot product of two rows is their likeness, 0 to 1. MissingModelError where the tagger is not there.
    """
    return tagger(profile, None, threads).embeddings(frames)
