"""Generated frames to a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from generation.sampling import Video
from media import encode

__all__ = ["write_mp4"]


def write_mp4(path: str | Path, frames: Video, *, fps: float, enlarge: int = 1, crf: float = 12.0) -> Path:
    """Write u8[F, H, W, 3] as an H.264 MP4, whole or not at all, and return its path.

    `enlarge` repeats every pixel that many times each way, so that players do not blur a small picture. The default
    quality is high: small pictures show compression first.
    """
    if enlarge < 1:
        raise ValueError(f"enlarge must be 1 or more, not {enlarge}")
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    large = np.repeat(np.repeat(frames, enlarge, axis=1), enlarge, axis=2)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.write_bytes(encode(large, fps=fps, crf=crf).data)
    temporary.replace(target)
    return target
