"""The registry of export formats: a name, and what writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from dataset.exporting.diffusion_pipe import DiffusionPipeWriter
from dataset.exporting.finetrainers import FinetrainersWriter
from dataset.exporting.mds import MdsWriter
from dataset.exporting.musubi_tuner import MusubiTunerWriter
from dataset.exporting.samples import Sample
from dataset.exporting.video_folder import VideoFolderWriter
from dataset.exporting.webdataset import WebDatasetWriter
from dataset.messages import nearest, spelt
from media.errors import ConfigError

__all__ = ["FORMATS", "Format", "Writer", "format_of"]


class Writer(Protocol):
    """Writes samples, one at a time, in the order they come; `finish` writes what is only known at the end.

    What it writes depends on the samples, their order and the final folder alone: no dates, no random numbers.
    """

    def add(self, sample: Sample) -> None:
        """Write one sample."""

    def finish(self) -> None:
        """Write what is left, indices and configs. Called once, after at least one `add`."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format: `open(folder, final)` returns a writer into `folder`, which will be renamed to `final` when done."""

    name: str
    about: str
    open: Callable[[Path, Path], Writer]


_ALL: Final = (
    Format("webdataset", "tar shards of <key>.mp4, .txt and .json", WebDatasetWriter),
    Format("video_folder", "Hugging Face videofolder: MP4s beside metadata.parquet", VideoFolderWriter),
    Format("mds", "MosaicML Streaming: index.json and shard.*.mds", MdsWriter),
    Format("finetrainers", "MP4s with captions of the same stem, and training.json", FinetrainersWriter),
    Format("diffusion_pipe", "MP4s with captions of the same stem, and dataset.toml", DiffusionPipeWriter),
    Format("musubi_tuner", "MP4s with captions, a folder for each length, and dataset.toml", MusubiTunerWriter),
)
FORMATS: Final[dict[str, Format]] = {made.name: made for made in _ALL}
"""Every format, by its name."""


def format_of(name: str) -> Format:
    """Return the format called `name`; capitals, `-` and `_` do not matter.

    Raises ConfigError, with the nearest name, for one that is not there.
    """
    if known := spelt(name, FORMATS):
        return FORMATS[known]
    near = nearest(name.replace("-", "_"), FORMATS)
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(FORMATS)}"
    raise ConfigError(f"no export format is called {name!r}; {hint}")
