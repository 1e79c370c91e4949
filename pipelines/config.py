"""The configuration of a run: pydantic models with described fields, YAML in, unknown keys refused.

A config names the dataset, the sources and how each step works; every field has a default that is right for a
small machine and the `embedded` profile. The resolved config and its hash are saved with the run.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from captioning.backends import BackendConfig
from curation.config import CurateConfig, PseudoConfig
from media import CutMode, Preset
from media.errors import ConfigError

__all__ = ["EngineConfig", "RunConfig", "ShardConfig", "SourceConfig", "load_config", "validate"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceConfig(_Section):
    """Some files, and what is known of their rights."""

    uris: list[str] = Field(
        min_length=1,
        description="files, folders or addresses (local, s3://, gs://, http); "
        "a folder is searched for every file below it",
    )
    source: str | None = Field(None, description="who or what the files come from; written in every row")
    license: str | None = Field(None, description="SPDX identifier or expression, else text; written in every row")
    source_url: str | None = Field(None, description="where the files were published, if not at their addresses")
    rights_basis: Literal["license", "permission", "public_domain", "own", "exception"] | None = Field(
        None, description="why they may be used: their license, a permission, no rights in them, our own, an exception"
    )
    opt_out: bool | None = Field(
        None, description="their owner has reserved them from training: they are quarantined, and not read"
    )
    rights: str | None = Field(
        None,
        description="a manifest, CSV, .jsonl or .parquet: a column uri (or file names), and any of source, license, "
        "source_url, rights_basis, retrieved_at, opt_out; what it says of a file stands before what is said here",
    )


class ShardConfig(_Section):
    """The training rows: encoding and layout."""

    name: str = Field("train", description="the shard set's name: shards/<name>")
    kinds: list[Literal["clip", "pseudo", "synthetic"]] = Field(
        ["clip", "pseudo", "synthetic"], description="which kinds of clips go in"
    )
    max_height_px: int | None = Field(None, ge=16, description="larger clips are scaled down to this height")
    cut: CutMode = Field(
        "exact",
        description="exact: encoded again, frame-exact; copy: the source's own packets from the keyframe before, no "
        "loss; reference: no bytes, frames are read from the source. A pseudo-video keeps its still's bytes with copy, "
        "nothing with reference, and is rendered when it is read; a synthetic clip is always exact",
    )
    crf: int = Field(18, ge=0, le=51, description="x264 constant rate factor of exact cuts; lower is better and larger")
    preset: Preset = Field(
        "lean",
        description="x264 preset of exact cuts; lean: veryfast with 40% less CPU time, 4 to 7% larger at equal quality",
    )
    gop: int | None = Field(
        None, ge=1, description="most frames between keyframes of exact cuts; default: two seconds of them"
    )
    rows_per_part: int = Field(64, ge=1, description="clips in one Parquet part")
    by_bucket: str | None = Field(
        None, description="a training recipe: each part holds clips of one bucket of its plan; without it, by clip id"
    )

    @field_validator("cut")
    @classmethod
    def _scaling_needs_encoding(cls, cut: CutMode, info: ValidationInfo) -> CutMode:
        if cut != "exact" and info.data.get("max_height_px") is not None:
            raise ValueError(f"{cut} keeps pictures as they are; leave max_height_px out, or cut exact")
        return cut


class EngineConfig(_Section):
    """Where the stages run."""

    kind: Literal["ray", "local"] = Field(
        "ray",
        description="ray: Ray Data, on the cluster of RAY_ADDRESS or one started here; local: one process, no Ray",
    )
    workers: int | None = Field(
        None, ge=1, description="actors for each stage; default: one a core. More than the cluster has cores is refused"
    )
    span_s: float = Field(
        120.0,
        gt=0,
        description="a video at least twice as long is spread over the workers, in spans of about this length, "
        "when there are fewer files than workers; the rows are the same",
    )
    wall_limit_s: float = Field(600.0, gt=0, description="one file's time limit; beyond it the file is quarantined")


class RunConfig(_Section):
    """One run from raw files to shards: `rushes run CONFIG`."""

    dataset: str = Field(description="the dataset root: a local folder, s3:// or gs://")
    sources: list[SourceConfig] = Field(min_length=1, description="what to read; stills are told from video by content")
    profile: str = Field("embedded", description="which models fill the experts' roles: embedded, standard or a YAML")
    curate: CurateConfig = Field(default_factory=CurateConfig, description="splitting and measuring")
    experts: list[str] | None = Field(None, description="experts to run; default: all of the profile")
    rules: str | dict[str, str] = Field(
        "default",
        description="named SQL predicates; or default (the single pass), experts (those too), or a YAML file of them",
    )
    selection: str = Field("default", description="the selection's name: selections/<name>")
    captions: BackendConfig = Field(default_factory=BackendConfig, description="caption fusion")
    pseudo: PseudoConfig = Field(default_factory=PseudoConfig, description="stills turned into pseudo-videos")
    shards: ShardConfig = Field(default_factory=ShardConfig, description="the training rows")
    engine: EngineConfig = Field(default_factory=EngineConfig, description="where the stages run")


def load_config(path: str | Path) -> RunConfig:
    """Read a YAML config.

    Raises:
        ConfigError: in one line, with the file, the field and, for an unknown key, the nearest right name.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where else ""
        raise ConfigError(f"{path}{line}: is not YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds no mapping; begin with `dataset:` and `sources:`")
    return validate(RunConfig, data, str(path))


M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], data: dict[str, Any], where: str) -> M:
    """Return `model` made from `data`; a ConfigError says where, which field and what it may be."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(_explain(model, item) for item in error.errors())) from None


def _explain(model: type[BaseModel], item: Any) -> str:
    location = [str(part) for part in item["loc"]]
    field = ".".join(location)
    if item["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"one of: {', '.join(sorted(known))}"
        return f"unknown key `{field}`: {hint}"
    if item["type"] == "missing":
        return f"`{field}` is missing"
    said = str(item["msg"])
    # Our own words stand as they are; pydantic's begin with a capital.
    said = said.removeprefix("Value error, ") if item["type"] == "value_error" else said[:1].lower() + said[1:]
    return f"`{field}`: {said}"


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return the field names of the section that `path` leads to."""
    current: Any = model
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = current.model_fields[part].annotation
            arguments = getattr(current, "__args__", ())
            models = [a for a in arguments if isinstance(a, type) and issubclass(a, BaseModel)]
            current = models[0] if models else current
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
