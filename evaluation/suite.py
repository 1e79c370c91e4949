"""Prompt suites: prompts with fixed ids, by the dimension they try."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from media.errors import ConfigError

__all__ = ["SUITE_DIMENSIONS", "SuitePrompt", "load_suite"]

SUITE_DIMENSIONS: Final = (
    "count",
    "colour",
    "spatial",
    "action",
    "motion",
    "camera",
    "style",
    "text",
    "multi_object",
    "people",
)
"""What a prompt tries, as the suite names it."""

_HERE: Final = Path(__file__).parent / "prompts"


class SuitePrompt(BaseModel):
    """One prompt of a suite. Its id never changes, and never goes to another prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z_]+-\d{2}$", description="<dimension>-<number>")
    dimension: str = Field(description="what the prompt tries")
    text: str = Field(min_length=1, description="the prompt")


def load_suite(name_or_path: str | Path = "suite") -> tuple[SuitePrompt, ...]:
    """Load a suite that comes with Rushes by name, or any other by the path of its YAML, in file order.

    The file maps each dimension to {id: prompt}. Raises ConfigError naming the file, the entry and the fix.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = _HERE / f"{name_or_path}.yaml"
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: no prompt suite there; the one that comes with Rushes is called 'suite'") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML ({error})") from error
    if not isinstance(raw, dict) or not all(isinstance(entries, dict) for entries in raw.values()):
        raise ConfigError(f"{path}: must map each dimension to {{id: prompt}}")
    try:
        prompts = tuple(
            SuitePrompt(id=key, dimension=dimension, text=text)
            for dimension, entries in raw.items()
            for key, text in entries.items()
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{path}: {first['loc'][0]} {first['input']!r}: {first['msg']}") from error
    seen: set[str] = set()
    for prompt in prompts:
        if prompt.id in seen:
            raise ConfigError(f"{path}: {prompt.id}: this id is used twice; give every prompt its own")
        seen.add(prompt.id)
    return prompts
