"""Checkpoints: safetensors in a folder that appears whole or not at all, and is checked when read.

    OUT/checkpoints/step-00001200/
        model.safetensors ema.safetensors optimiser.safetensors [vae.safetensors]
        state.json      step, recipe, versions, sha256 of every file

The folder is written under a temporary name, flushed, and renamed: a kill at any moment leaves either the old
newest checkpoint or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media.errors import CorruptionError, UserError

__all__ = ["Checkpoint", "Loaded", "find", "latest", "load", "read", "save"]

if TYPE_CHECKING:
    from training.models.factory import Denoiser
    from training.models.vae import Autoencoder
    from training.recipes import DiffusionRecipe

_FOLDER = "checkpoints"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose files have been checked. `state` is what state.json says."""

    path: Path
    step: int
    recipe: dict[str, Any]
    state: dict[str, Any]

    def tensors(self, name: str) -> dict[str, Any]:
        """Return the tensors of `<name>.safetensors`; empty if the checkpoint has no such file."""
        from safetensors.torch import load_file

        file = self.path / f"{name}.safetensors"
        return dict(load_file(file)) if file.is_file() else {}


def save(
    out: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, Any]],
    state: Mapping[str, Any],
    *,
    keep: int,
    extra: Mapping[str, Callable[[Path], None]] | None = None,
) -> Path:
    """Write checkpoint `step` under `out`, remove all but the newest `keep`, and return its folder.

    `tensors` maps file names to named tensors; `extra` maps file names to functions that write them.
    """
    from safetensors.torch import save_file

    root = out / _FOLDER
    target = root / f"step-{step:08d}"
    temporary = root / f".{target.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, values in tensors.items():
        save_file({k: v.detach().contiguous().cpu() for k, v in values.items()}, temporary / f"{name}.safetensors")
    for name, write in (extra or {}).items():
        write(temporary / name)
    files = {file.name: _sha256(file) for file in sorted(temporary.iterdir())}
    text = json.dumps({"step": step, **state, "files": files}, indent=1, sort_keys=True)
    (temporary / "state.json").write_text(text + "\n", encoding="utf-8")
    for file in temporary.iterdir():
        _flush(file)
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    _flush(root)
    for old in _all(root)[:-keep]:
        shutil.rmtree(old)
    return target


def latest(out: Path) -> Path | None:
    """Return the newest checkpoint of a training folder, or None."""
    found = _all(out / _FOLDER)
    return found[-1] if found else None


def find(path: str | Path) -> Path:
    """Return the checkpoint folder meant: `path` itself, or the newest in the training folder `path`."""
    where = Path(path)
    if (where / "state.json").is_file():
        return where
    newest = latest(where)
    if newest is None:
        raise UserError(f"{where}: no checkpoint there; `rushes train` writes one")
    return newest


def read(path: str | Path) -> Checkpoint:
    """Check and open a checkpoint. Raises CorruptionError for a damaged one, UserError if there is none."""
    folder = find(path)
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        files: dict[str, str] = state["files"]
        step, recipe = int(state["step"]), dict(state["recipe"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptionError(f"{folder / 'state.json'}: damaged: {error}") from error
    for name, digest in files.items():
        file = folder / name
        if not file.is_file() or _sha256(file) != digest:
            raise CorruptionError(f"{file}: missing or damaged; remove {folder.name} to go on from the one before")
    return Checkpoint(folder, step, recipe, state)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A trained model, ready to generate: averaged weights, evaluation mode, on one device.

    `text_encoder` says which encoder it was trained with: `path` (where it was then) and `identity`.
    """

    unet: Denoiser
    vae: Autoencoder
    recipe: DiffusionRecipe
    text_encoder: dict[str, str]
    step: int


def load(path: str | Path, *, device: str = "cpu") -> Loaded:
    """Load what a checkpoint needs to generate: a checkpoint folder, or a training folder (its newest is taken).

    Raises UserError, CorruptionError, or MissingModelError where an autoencoder of the user's own has gone.
    """
    from training.models.factory import build_denoiser
    from training.models.vae import load_vae
    from training.recipes import DiffusionRecipe, parse

    saved = read(path)
    recipe = parse(saved.recipe, where=str(saved.path))
    if not isinstance(recipe, DiffusionRecipe):
        raise UserError(f"{saved.path}: an autoencoder, not a text-to-video model: it generates nothing by itself")
    unet = build_denoiser(recipe.model)
    unet.load_state_dict({**saved.tensors("model"), **saved.tensors("ema")})
    own = saved.path / "vae.safetensors"
    vae = load_vae(own if own.is_file() else saved.state["vae"]["path"]).to(device)
    return Loaded(unet.to(device).eval().requires_grad_(False), vae, recipe, saved.state["text_encoder"], saved.step)


def _all(root: Path) -> list[Path]:
    return sorted(p for p in root.glob("step-*") if (p / "state.json").is_file())


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Force a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
