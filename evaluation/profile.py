"""A profile: everything that a grade's numbers depend on, named, versioned and hashed."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evaluation.metrics import METRICS
from evaluation.view import ViewSpec
from media.errors import ConfigError

__all__ = ["Bootstrap", "Dimension", "Profile", "Reference", "load_profile"]

_HERE = Path(__file__).parent / "profiles"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reference(_Frozen):
    """The values of a metric on real footage that become level 0 and 1 of the composite."""

    low: float = Field(description="5th percentile of the reference footage")
    high: float = Field(description="95th percentile of the reference footage")

    @model_validator(mode="after")
    def _ordered(self) -> Reference:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low} and {self.high}")
        return self


class Dimension(_Frozen):
    """One dimension of the composite: the mean level of its metrics, with a weight that is never negative."""

    weight: float = Field(ge=0, description="share in the composite; weights are divided by their sum")
    metrics: tuple[str, ...] = Field(min_length=1, description="metrics whose levels are averaged")


class Bootstrap(_Frozen):
    """How intervals are made."""

    resamples: int = Field(ge=100, description="bootstrap resamples of whole prompts")
    level: float = Field(gt=0, lt=1, description="coverage of the percentile interval")
    min_prompts: int = Field(ge=2, description="fewer prompts give 'not enough data' instead of an interval")
    seed: int = Field(description="seed of the resampling")


class Profile(_Frozen):
    """A composite that can be trusted to mean the same tomorrow. Change anything, and raise `version`."""

    name: str = Field(description="name of the profile")
    version: int = Field(ge=1, description="raised with every change to this file")
    view: ViewSpec = Field(description="sampling and resize")
    metrics: tuple[str, ...] = Field(min_length=1, description="metrics measured, in column order")
    models: dict[str, str] = Field(default={}, description="metric to the hash of the model it must run on")
    reference: dict[str, Reference] = Field(description="per metric, the pinned quantiles of real footage")
    dimensions: dict[str, Dimension] = Field(min_length=1, description="the composite's dimensions and weights")
    bootstrap: Bootstrap = Field(description="intervals")

    @model_validator(mode="after")
    def _whole(self) -> Profile:
        for name in self.metrics:
            if name not in METRICS:
                near = difflib.get_close_matches(name, METRICS, n=1)
                raise ValueError(f"no metric is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        for dimension, spec in self.dimensions.items():
            for name in spec.metrics:
                if name not in self.metrics or name not in self.reference:
                    raise ValueError(f"dimension {dimension!r}: {name!r} needs a place in metrics and in reference")
        if sum(d.weight for d in self.dimensions.values()) <= 0:
            raise ValueError("at least one dimension needs a weight above 0")
        return self

    @property
    def hash(self) -> str:
        """BLAKE2b of the resolved profile, 12 hex digits: equal hashes mean comparable numbers."""
        resolved = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.blake2b(resolved.encode(), digest_size=6).hexdigest()


def load_profile(name_or_path: str | Path = "embedded") -> Profile:
    """Load a profile that comes with Rushes by name, or any other by the path of its YAML file.

    Raises ConfigError naming the file, the field and the fix.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = _HERE / f"{name_or_path}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in _HERE.glob("*.yaml")))
            raise ConfigError(f"no evaluation profile is called {str(name_or_path)!r}; there are: {known}")
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Profile.model_validate(raw)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "profile"
        raise ConfigError(f"{path}: {field}: {first['msg'].removeprefix('Value error, ')}") from error
