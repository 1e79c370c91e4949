"""Latents of clips, computed once: decode, take the frames, fit them into the bucket, encode, cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dataset.plan import Batch
from dataset.shards import FRAME_COLUMNS, shard_frames
from training.data.cache import ArrayCache
from training.data.clips import Clip, Shards
from training.models.vae import Autoencoder
from training.pixels import fit_frames

__all__ = ["Latents"]

Half = npt.NDArray[np.float16]
Progress = Callable[[int, int], None]

_CHUNK_PX = 1 << 18
"""Pixels encoded at once: bounds memory whatever the picture's size."""


class Latents:
    """Latents by clip, size and frame number. Where starts are random all frames of a clip are kept, else the used."""

    def __init__(
        self, shards: Shards, clips: Iterable[Clip], vae: Autoencoder, cache: ArrayCache, *, whole: bool
    ) -> None:
        self._shards, self._vae, self._cache = shards, vae, cache
        self.joins_frames = vae.temporal_factor > 1
        # What an autoencoder makes of a frame may depend on those before it: then only the used ones are encoded.
        self._whole = whole and not self.joins_frames
        self._clips: Mapping[str, Clip] = {clip.clip_id: clip for clip in clips}

    def fill(self, batches: Sequence[Batch], progress: Progress | None = None) -> None:
        """Compute what these batches need and the cache lacks, and write it to the cache."""
        samples = ((batch, i) for batch in batches for i in range(len(batch)))
        needs = [(batch, i) for batch, i in samples if self._cache.get(self._key(batch, i)) is None]
        for done, (batch, i) in enumerate(needs, 1):
            self._compute(batch, i)
            if progress is not None:
                progress(done, len(needs))
        self._cache.flush()

    def of(self, batch: Batch) -> Tensor:
        """Return f32[B, F, C, h, w] of a batch; what is not there yet is computed."""
        samples = []
        for i in range(len(batch)):
            known = self._cache.get(self._key(batch, i))
            latents = self._compute(batch, i) if known is None else known
            samples.append(torch.from_numpy(latents[batch.frames_of(i)] if self._whole else latents).float())
        return torch.stack(samples)

    def _frames(self, batch: Batch, i: int) -> list[int]:
        return list(range(self._clips[batch.ids[i]].frames)) if self._whole else batch.frames_of(i)

    def _key(self, batch: Batch, i: int) -> str:
        """Return a key that changes with the media, the autoencoder, the size and the frames."""
        bucket, clip = batch.bucket, self._clips[batch.ids[i]]
        what = [clip.media_hash, self._vae.identity, bucket.height_px, bucket.width_px, self._frames(batch, i)]
        return hashlib.blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()

    @torch.no_grad()
    def _compute(self, batch: Batch, i: int) -> Half:
        clip_id, wanted = batch.ids[i], self._frames(batch, i)
        frames = torch.from_numpy(shard_frames(self._shards.rows([clip_id], FRAME_COLUMNS)[0], wanted))
        height, width = batch.bucket.height_px, batch.bucket.width_px
        if self.joins_frames:
            latents = _half(self._vae.encode_clip(fit_frames(frames, height, width)))
        else:
            pieces = torch.split(frames, max(1, _CHUNK_PX // (height * width)))
            latents = np.concatenate([_half(self._vae.encode(fit_frames(x, height, width))) for x in pieces])
        self._cache.put(self._key(batch, i), latents)
        return latents


def _half(x: Tensor) -> Half:
    return x.to(torch.float16).numpy()
