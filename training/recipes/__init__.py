"""Recipes: everything a training run is told, validated before anything is loaded."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from media.errors import ConfigError
from training.recipes.config import DiffusionRecipe, Recipe, VaeRecipe
from training.recipes.named import NAMED

__all__ = ["NAMED", "DiffusionRecipe", "Recipe", "VaeRecipe", "load", "parse"]


def load(name_or_yaml: str | Path) -> DiffusionRecipe | VaeRecipe:
    """Return the recipe of that name, or the one in that YAML file.

    A YAML file may say `base: <name>` and then only what differs. Raises ConfigError, naming file and field.
    """
    text = str(name_or_yaml)
    if text in NAMED:
        return NAMED[text]()
    path = Path(name_or_yaml)
    if not path.is_file():
        near = difflib.get_close_matches(text, NAMED, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{text}: neither a recipe ({', '.join(sorted(NAMED))}) nor a YAML file{hint}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of fields, not {type(values).__name__}")
    return parse(values, where=str(path))


def parse(values: dict[str, Any], *, where: str = "recipe") -> DiffusionRecipe | VaeRecipe:
    """Return the recipe these values describe. Raises ConfigError: one line with place, field and fix."""
    values = dict(values)
    base = values.pop("base", None)
    if base is not None:
        if base not in NAMED:
            raise ConfigError(f"{where}: base: no recipe is named {base!r}; there are {', '.join(sorted(NAMED))}")
        values = _merged(NAMED[base]().model_dump(), values)
    values.setdefault("task", "diffusion")
    adapter: TypeAdapter[DiffusionRecipe | VaeRecipe] = TypeAdapter(Recipe)
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explain(error, values)}") from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay `above` over `below`, section by section."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def _explain(error: ValidationError, values: dict[str, Any]) -> str:
    """Put pydantic's first complaint into one line, with the nearest right name for an unknown key."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"][1:]]  # the first is the union's tag
    field = ".".join(path) or "recipe"
    if first["type"] != "extra_forbidden":
        return f"{field}: {first['msg']}"
    known = sorted(_section(values.get("task", "diffusion"), path[:-1]).model_fields)
    near = difflib.get_close_matches(path[-1], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"{field}: unknown key; {hint}"


def _section(task: str, path: list[str]) -> type[BaseModel]:
    """Return the section's model at that path."""
    model: type[BaseModel] = VaeRecipe if task == "vae" else DiffusionRecipe
    for part in path:
        annotation = model.model_fields[part].annotation
        options = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
        if not options:
            break
        model = options[0]
    return model
