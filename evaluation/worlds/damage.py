"""What happens to videos: noise, blur, compression. Readers are reported under each."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

import media

__all__ = ["DAMAGES", "damaged"]

U8 = npt.NDArray[np.uint8]

DAMAGES: Final = ("clean", "noise", "blur", "compression")
"""None; white noise of 12 levels in every channel; a Gaussian blur of 1 pixel at 64; H.264 4:2:0 at a CRF of 30."""

_SIGMA: Final = 12.0
_BLUR_AT_64: Final = 1.0
_CRF: Final = 30.0


def damaged(frames: U8, damage: str, *, fps: float, seed: int = 0) -> U8:
    """Return a video, u8 (F, H, W, 3), after a damage of `DAMAGES`. ValueError for another."""
    if damage == "clean":
        return frames
    if damage == "noise":
        noise = np.random.default_rng([0xD1, seed]).normal(0, _SIGMA, frames.shape)
        return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)
    if damage == "blur":
        sigma = _BLUR_AT_64 * min(frames.shape[1:3]) / 64
        return np.stack([np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8) for frame in frames])
    if damage == "compression":
        decoded = media.decode_bytes(media.encode(frames, fps=fps, crf=_CRF).data)
        return decoded[:, : frames.shape[1], : frames.shape[2]]
    raise ValueError(f"{damage!r} is no damage; there are {', '.join(DAMAGES)}")
