"""Videos to grade, synthetic and real, and the damage done to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from evaluation import Profile, load_profile

Frames = npt.NDArray[np.uint8]
Damage = Callable[[Frames], Frames]

CLASSICAL = ("dynamic_degree", "motion", "smoothness", "flicker", "clarity", "richness", "frozen")
"""The metrics that need no model."""


def small_profile() -> Profile:
    """Return the embedded profile at a smaller size, for speed."""
    profile = load_profile("embedded")
    return profile.model_copy(update={"view": profile.view.model_copy(update={"short_side_px": 144})})


def texture(height: int, width: int, seed: int = 0) -> Frames:
    """Return a colourful picture with edges at several scales."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for sigma, weight in ((2, 0.7), (6, 1.0), (16, 1.2)):
        layer = cv2.GaussianBlur(rng.normal(size=(height, width, 3)).astype(np.float32), (0, 0), sigma)
        picture += weight * np.sign(layer) * 30
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.7) + 128, 0, 255).astype(np.uint8)


def pan(frames: int = 24, px: int = 2, height: int = 144, width: int = 192) -> Frames:
    """Return a pan over a texture, `px` pixels a frame, while a bright ball crosses it the other way."""
    world = texture(height, width + px * frames)
    out = []
    for i in range(frames):
        frame = world[:, i * px : i * px + width].copy()
        cv2.circle(frame, (width - 20 - 4 * i, height // 2), 12, (250, 240, 200), -1, cv2.LINE_AA)
        out.append(frame)
    return np.stack(out)


def still(frames: int = 16, height: int = 144, width: int = 192) -> Frames:
    """Return a camera that stands, with one ball that moves."""
    world = texture(height, width, seed=3)
    out = []
    for i in range(frames):
        frame = world.copy()
        cv2.circle(frame, (20 + 6 * i, height // 2), 12, (250, 240, 200), -1, cv2.LINE_AA)
        out.append(frame)
    return np.stack(out)


def real(path: Path, first: int = 32, count: int = 24, height: int = 144) -> Frames:
    """Return `count` frames of a file, small."""
    from media import read_span

    return np.stack([frame.rgb(height) for frame in read_span(path, first, first + count)])


def noise(sigma: float) -> Damage:
    def apply(video: Frames) -> Frames:
        grain = np.random.default_rng(1).normal(0, sigma, video.shape)
        return np.asarray(np.clip(video + grain, 0, 255), dtype=np.uint8)

    return apply


def blur(sigma: float) -> Damage:
    return lambda video: np.stack([np.asarray(cv2.GaussianBlur(f, (0, 0), sigma), np.uint8) for f in video])


def shuffle(video: Frames) -> Frames:
    return video[np.random.default_rng(2).permutation(len(video))]


def freeze(share: float) -> Damage:
    def apply(video: Frames) -> Frames:
        live = max(1, round(len(video) * (1 - share)))
        return np.concatenate([video[:live], np.repeat(video[live - 1 : live], len(video) - live, axis=0)])

    return apply


def flickering(levels: float) -> Damage:
    def apply(video: Frames) -> Frames:
        lift = np.random.default_rng(4).uniform(-levels, levels, (len(video), 1, 1, 1))
        return np.asarray(np.clip(video + lift, 0, 255), dtype=np.uint8)

    return apply


def jitter(px: int) -> Damage:
    def apply(video: Frames) -> Frames:
        moves = np.random.default_rng(5).integers(-px, px + 1, (len(video), 2))
        return np.stack([np.roll(f, (int(y), int(x)), (0, 1)) for f, (y, x) in zip(video, moves, strict=True)])

    return apply


def grey(video: Frames) -> Frames:
    return np.repeat(video.mean(-1, keepdims=True), 3, -1).astype(np.uint8)


def fog(video: Frames) -> Frames:
    return (video * 0.3 + 110).astype(np.uint8)


def shrink(factor: int) -> Damage:
    def apply(video: Frames) -> Frames:
        size = (video.shape[2] // factor, video.shape[1] // factor)
        return np.stack([np.asarray(cv2.resize(f, size, interpolation=cv2.INTER_AREA), np.uint8) for f in video])

    return apply


DAMAGES: dict[str, tuple[Damage, Damage]] = {
    "noise": (noise(6), noise(20)),
    "blur": (blur(0.8), blur(2.5)),
    "freeze": (freeze(0.3), freeze(0.8)),
    "flicker": (flickering(4), flickering(12)),
    "jitter": (jitter(2), jitter(5)),
    "shuffle": (shuffle, shuffle),
    "grey": (grey, grey),
    "fog": (fog, fog),
    "small": (shrink(2), shrink(4)),
}
"""Damage by name: a little, and a lot. Where there are no degrees, both are the same."""
