"""Recipes: everything a training run is told, validated before anything is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from media.errors import ConfigError
from training.recipes.config import DiffusionRecipe, Recipe, VaeRecipe
from training.recipes.models import KINDS
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
    """Lay `above` over `below`, section by section; one of another kind takes the place of what was there."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("kind", old.get("kind")) == old.get("kind"):
            out[key] = _merged(old, value)
        else:
            out[key] = value
    return out


def _explain(error: ValidationError, values: dict[str, Any]) -> str:
    """Put pydantic's first complaint into one line, with the nearest right name for an unknown key."""
    first = error.errors()[0]
    path = _path(first["loc"][1:], values)  # the first is the union's tag
    field = ".".join(path) or "recipe"
    if first["type"] != "extra_forbidden":
        return f"{field}: {first['msg']}"
    known = sorted(_section(values, path[:-1]).model_fields)
    near = difflib.get_close_matches(path[-1], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"{field}: unknown key; {hint}"


def _path(location: Sequence[int | str], values: Any) -> list[str]:
    """Return where a complaint is in the file: pydantic's location without the tags of unions."""
    path: list[str] = []
    for part in location:
        if isinstance(values, dict) and part not in values and part in KINDS:
            continue
        path.append(str(part))
        if isinstance(values, dict):
            values = values.get(part)
        elif isinstance(values, list | tuple) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            values = None
    return path


def _section(values: Any, path: list[str]) -> type[BaseModel]:
    """Return the section's model at that path."""
    model: type[BaseModel] = VaeRecipe if values.get("task") == "vae" else DiffusionRecipe
    for part in path:
        values = values.get(part) if isinstance(values, dict) else None
        options = list(_sections(model.model_fields[part].annotation)) if part in model.model_fields else []
        if not options:
            break
        kind = values.get("kind") if isinstance(values, dict) else None
        model = next(
            (o for o in options if "kind" in o.model_fields and o.model_fields["kind"].default == kind), options[0]
        )
    return model


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that an annotation allows, in its order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)
