"""Dead leaves: random pictures with the statistics of photographs, free of any licence.

Opaque shapes of power-law sizes (density r^-3) fall on one another until the picture is covered, which gives the
edges, occlusions and scale invariance of natural images (Matheron 1968; Lee, Mumford and Huang 2001). Each leaf
carries a shade, a 1/f texture or stripes; chroma varies less than luma, as it does in the world. Small networks
that learn from such pictures work on photographs (Baradad et al. 2021, "Learning to See by Looking at Noise").
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["leaves", "pink_noise"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_SUPERSAMPLE: Final = 2
_SMALLEST_PX: Final = (2.5, 24.0)
"""Range of the smallest leaf's radius, output pixels: from leaf litter to a wall."""
_COVER: Final = 2.0
"""Expected area of all leaves, in picture areas: what they leave bare is background."""

# Opponent axes (luma, blue-yellow, red-green) to RGB, all near 0 to 1: the rows sum the BT.601 way.
_TO_RGB: Final = np.array([[1.0, 0.0, 1.4], [1.0, -0.34, -0.71], [1.0, 1.77, 0.0]], np.float32)


def pink_noise(rng: np.random.Generator, height: int, width: int, slope: float = 1.0) -> Floats:
    """Return f32[height, width] noise of amplitude spectrum f^-slope, zero mean and unit variance."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    amplitude = np.hypot(fy, fx)
    amplitude[0, 0] = np.inf
    shape = (height, width // 2 + 1)
    spectrum = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / amplitude**slope
    noise = np.fft.irfft2(spectrum, (height, width))
    noise -= noise.mean()
    return (noise / max(float(noise.std()), 1e-9)).astype(np.float32)


def leaves(seed: int, height: int = 128, width: int = 128) -> npt.NDArray[np.uint8]:
    """Return one picture, u8[height, width, 3]; the same seed and size give the same bytes."""
    if height < 1 or width < 1:
        raise ValueError(f"a picture needs at least one pixel, not {width}x{height}")
    rng = np.random.default_rng((seed, height, width))
    rows, columns = height * _SUPERSAMPLE, width * _SUPERSAMPLE
    canvas = np.empty((rows, columns, 3), np.float32)
    mood = rng.normal(0.0, 0.04, 2)
    spread = float(rng.uniform(0.01, 0.06))
    textures = [pink_noise(rng, rows, columns, s) for s in (0.6, 1.0, 1.4)]
    canvas[:] = _paint(rng, np.indices((rows, columns), np.float32), textures, mood, spread)
    for radius in _radii(rng, rows, columns):
        _drop(rng, canvas, radius, textures, mood, spread)
    canvas[..., 0] = _light(rng, canvas[..., 0], textures[2])
    small = canvas.reshape(height, _SUPERSAMPLE, width, _SUPERSAMPLE, 3).mean((1, 3))
    small = _blur(small, float(rng.choice([0.0, 0.0, 0.5, 1.0])))
    small[..., 0] += rng.normal(0.0, rng.uniform(0.0, 0.015), (height, width)).astype(np.float32)
    small[..., 1:] *= 0.25 + 1.5 * small[..., :1]  # what is dark has little colour
    rgb = np.clip(small @ _TO_RGB.T, 0.0, 1.0)
    return np.asarray(np.rint(rgb * 255.0), np.uint8)


def _radii(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Radii of density r^-3 between the smallest leaf and half the picture, largest first half of the time."""
    low = _SUPERSAMPLE * float(np.exp(rng.uniform(*np.log(_SMALLEST_PX))))
    high = max(rows, columns) * 0.6
    high = max(high, low * 1.01)
    mean_area = np.pi * 2.0 * np.log(high / low) / (low**-2 - high**-2)
    count = max(3, int(_COVER * rows * columns / mean_area))
    u = rng.random(count)
    radii = (low**-2 - u * (low**-2 - high**-2)) ** -0.5
    if rng.random() < 0.5:
        radii[::-1].sort()  # small things in front: what a camera focused on detail sees
    return radii.astype(np.float32)


def _drop(
    rng: np.random.Generator, canvas: Floats, radius: float, textures: list[Floats], mood: Doubles, spread: float
) -> None:
    """Draw one leaf on the canvas, in place."""
    rows, columns = canvas.shape[:2]
    cy, cx = rng.uniform(-radius * 0.5, rows + radius * 0.5), rng.uniform(-radius * 0.5, columns + radius * 0.5)
    top, bottom = max(0, int(cy - radius)), min(rows, int(cy + radius) + 1)
    left, right = max(0, int(cx - radius)), min(columns, int(cx + radius) + 1)
    if top >= bottom or left >= right:
        return
    where = np.indices((bottom - top, right - left), np.float32)
    where[0] += top
    where[1] += left
    inside = _shape(rng, (where[0] - cy) / radius, (where[1] - cx) / radius)
    roll = int(rng.integers(0, rows)), int(rng.integers(0, columns))
    patches = [
        t[np.ix_((np.arange(top, bottom) + roll[0]) % rows, (np.arange(left, right) + roll[1]) % columns)]
        for t in textures
    ]
    paint = _paint(rng, where, patches, mood, spread)
    region = canvas[top:bottom, left:right]
    region[inside] = paint[inside]


def _shape(rng: np.random.Generator, y: Floats, x: Floats) -> npt.NDArray[np.bool_]:
    """Return the mask of a random shape in coordinates where the leaf's circle has radius 1."""
    angle = float(rng.uniform(0.0, 2.0 * np.pi))
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    aspect = float(rng.uniform(0.25, 1.0))
    kind = rng.integers(0, 4)
    if kind == 0:
        return np.asarray(u**2 + v**2 <= 1.0)
    if kind == 1:
        return np.asarray(u**2 + (v / aspect) ** 2 <= 1.0)
    if kind == 2:
        return np.asarray((np.abs(u) <= 0.9) & (np.abs(v) <= 0.9 * aspect))
    sides = int(rng.integers(3, 7))
    turns = 2.0 * np.pi * (np.arange(sides) + rng.uniform(-0.3, 0.3, sides)) / sides
    inside = np.ones(u.shape, bool)
    for turn in turns:
        inside &= u * np.cos(turn) + v * np.sin(turn) <= 0.6
    return np.asarray(inside & (u**2 + v**2 <= 1.0))


def _paint(rng: np.random.Generator, where: Floats, textures: list[Floats], mood: Doubles, spread: float) -> Floats:
    """Return f32[h, w, 3] in opponent colours: a base, a shade across the leaf, a texture or stripes."""
    y, x = where
    paint = np.empty((*y.shape, 3), np.float32)
    paint[..., 0] = rng.beta(1.1, 1.3)
    paint[..., 1:] = mood + rng.normal(0.0, spread, 2)
    angle, size = float(rng.uniform(0.0, 2.0 * np.pi)), float(max(y.shape))
    ramp = ((x - x.mean()) * np.cos(angle) + (y - y.mean()) * np.sin(angle)) / size
    paint[..., 0] += ramp * rng.normal(0.0, 0.25)
    paint[..., 1] += ramp * rng.normal(0.0, 0.02)
    texture = textures[int(rng.integers(0, len(textures)))]
    paint[..., 0] += texture * rng.exponential(0.04)
    paint[..., 2] += texture * rng.normal(0.0, 0.008)
    if rng.random() < 0.12:
        period = float(rng.uniform(6.0, 40.0))
        phase = (x * np.cos(angle) + y * np.sin(angle)) * (2.0 * np.pi / period)
        paint[..., 0] += np.clip(np.sin(phase) * 3.0, -1.0, 1.0) * rng.normal(0.0, 0.15)
    return paint


def _light(rng: np.random.Generator, luma: Floats, cloud: Floats) -> Floats:
    """Light the scene: a soft uneven lamp, then a random exposure and contrast."""
    lit = np.clip(luma, 0.0, 1.0) * (1.0 + np.clip(cloud, -2.0, 2.0) * rng.uniform(0.0, 0.2))
    lit = np.clip(lit, 0.0, 1.0) ** rng.uniform(0.7, 1.5)
    return np.asarray(rng.uniform(0.0, 0.1) + lit * rng.uniform(0.6, 1.0), np.float32)


def _blur(image: Floats, sigma: float) -> Floats:
    """Blur by a separable Gaussian, edges repeated: a lens is never perfectly sharp."""
    if sigma <= 0.0:
        return image
    reach = max(1, int(3.0 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        pad = [(0, 0)] * image.ndim
        pad[axis] = (reach, reach)
        wide = np.pad(image, pad, mode="edge")
        image = sum(k * np.take(wide, np.arange(i, i + image.shape[axis]), axis) for i, k in enumerate(kernel))
    return image
