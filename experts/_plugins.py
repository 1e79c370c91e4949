"""Experts that a profile brings: a class of an installed module, or of a Python file."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from experts.base import Expert
from media.errors import ConfigError

__all__ = ["plugin"]

_DECLARED: Final = ("version", "needs", "roles", "columns", "resources", "measure", "state")
_DECLARED_TO_DRAW: Final = ("version", "roles", "resources")


def plugin(name: str, where: str, profile: str) -> type[Any]:
    """Return the class of the expert `name` that a profile gives as `module:Class`, or as a file of Python.

    In a file it is the class whose `name` is the expert's. One that has `control` need not measure.

    Raises:
        ConfigError: it cannot be imported or declares too little; the message names profile and expert.
    """
    said = f"profile {profile!r}, experts.{name}: {where}"
    try:
        found = _in_file(Path(where), name) if where.endswith(".py") else _in_module(where)
    except Exception as error:  # whatever the module does when it is imported
        raise ConfigError(f"{said}: cannot be imported: {type(error).__name__}: {error}") from error
    if found is None:
        raise ConfigError(f'{said}: has no class with `name = "{name}"`')
    if getattr(found, "name", None) != name:
        raise ConfigError(f"{said}: its name is {getattr(found, 'name', None)!r}; the profile calls it {name!r}")
    only_draws = hasattr(found, "control") and not hasattr(found, "measure")
    if lacking := [part for part in (_DECLARED_TO_DRAW if only_draws else _DECLARED) if not hasattr(found, part)]:
        raise ConfigError(f"{said}: lacks {', '.join(lacking)} (see {Expert.__module__}.{Expert.__name__})")
    return found


def _in_module(where: str) -> type[Any] | None:
    module, _, attribute = where.partition(":")
    found: type[Any] | None = getattr(importlib.import_module(module), attribute or "Expert", None)
    return found


def _in_file(path: Path, name: str) -> type[Any] | None:
    module = _imported(path, path.stat().st_mtime_ns)
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    return next((value for value in own if getattr(value, "name", None) == name), None)


@functools.lru_cache(maxsize=64)
def _imported(path: Path, _mtime_ns: int) -> ModuleType:
    unique = f"rushes_expert_{path.stem}_{blake2b(str(path).encode(), digest_size=4).hexdigest()}"
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
