"""How the standard models come into memory: from local files, whole, or not at all."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from experts import weights
from experts.standard._place import Place
from experts.torchvision import ready
from experts.weights import ModelFile
from media.errors import ConfigError, RushesError

__all__ = ["folder_of", "image_processor", "load_tensors", "model_type", "pretrained", "reading"]

_CLIP: Final = frozenset({"ftfy", "open_clip", "timm", "torchvision"})
"""What the extra `clip` brings."""


@contextlib.contextmanager
def reading(role: str, path: Path, what: str) -> Iterator[None]:
    """Turn whatever goes wrong in the block into a ConfigError that names role, path and what was expected there."""
    try:
        yield
    except RushesError:
        raise
    except ImportError as error:
        named = (error.name or "a package").partition(".")[0]
        hint = "; `pip install -e '.[clip]'` in the checkout brings it" if named in _CLIP else ""
        raise ConfigError(f"the model of {role!r} needs {named}, which is not installed{hint}") from error
    except Exception as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error):
            raise ConfigError(
                f"the model of {role!r} at {path} does not fit into the memory of this machine"
            ) from error
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(f"the model of {role!r} at {path} is not {what}, or is damaged: {first[:300]}") from error


def folder_of(role: str, profile: str, override: Mapping[str, str | Path] | None) -> ModelFile:
    """Return the folder of a role's model. MissingModelError if it is not here, ConfigError if it is a file."""
    found = weights.resolve(role, profile, override)
    if not found.path.is_dir():
        raise ConfigError(f"the model of {role!r} is a folder, as it is saved; {found.path} is a file")
    return found


def model_type(role: str, found: ModelFile, what: str, known: Collection[str]) -> str:
    """Return the family of a model of transformers, as its config says; ConfigError for one that is not `known`."""
    with reading(role, found.path, what):
        ready()
        from transformers import AutoConfig

        kind = str(AutoConfig.from_pretrained(found.path, local_files_only=True).model_type)
    if kind not in known:
        raise ConfigError(f"the model of {role!r} at {found.path} is {kind!r}; it may be {', '.join(known)}")
    return kind


def pretrained(kind: str, role: str, found: ModelFile, place: Place) -> Any:
    """Return a model of transformers, of the class `kind`, from a folder that `save_pretrained` wrote.

    Every weight must be there: transformers itself would fill what lacks with random numbers, and say so in a log.
    """
    with reading(role, found.path, f"a checkpoint of {kind}"):
        ready()
        import transformers

        with _quiet():
            model, told = getattr(transformers, kind).from_pretrained(
                found.path, local_files_only=True, use_safetensors=True, dtype=place.dtype, output_loading_info=True
            )
        lacking = sorted({*told["missing_keys"], *(str(wrong) for wrong in told.get("mismatched_keys") or ())})
        if lacking:
            raise ConfigError(
                f"the model of {role!r} at {found.path} is not a checkpoint of {kind}: it lacks {len(lacking)} "
                f"weights, {lacking[0]} among them"
            )
        return model.to(place.device).eval()


def image_processor(role: str, found: ModelFile) -> Any:
    """Return the picture processor beside a model of transformers: the one on Pillow, the same on every machine.

    It is told that channels come last: of a picture three pixels high it would guess that they come first.
    """
    with reading(role, found.path, "a checkpoint with its preprocessor_config.json"):
        ready()
        from transformers import AutoImageProcessor

        with _quiet():
            made = AutoImageProcessor.from_pretrained(found.path, local_files_only=True, backend="pil")
    return functools.partial(made, return_tensors="pt", input_data_format="channels_last")


def load_tensors(role: str, path: Path) -> dict[str, Any]:
    """Return the tensors of a .safetensors, .pth or .pt file, on the CPU; code in a pickle is not run."""
    with reading(role, path, "a file of tensors"):
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        import torch

        read = torch.load(path, map_location="cpu", weights_only=True)
        tensors = read.get("state_dict", read)
        return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and from logging what is checked here."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
