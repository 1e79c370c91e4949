"""A config is checked before anything runs, and a mistake is one line that names file, field and fix."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ConfigError
from pipelines.config import RunConfig, load_config

GOOD = {"dataset": "d", "sources": [{"uris": ["a.mp4"]}]}


def written(tmp_path: Path, data: object) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_defaults_fill_everything_but_dataset_and_sources(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD))
    assert config.profile == "embedded"
    assert config.captions.backend == "embedded"
    assert config.engine.kind == "ray"


def test_the_resolved_config_reads_back_the_same(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD))
    assert load_config(written(tmp_path, config.model_dump(mode="json"))) == config


@pytest.mark.parametrize(
    ("change", "field", "fix"),
    [
        ({"datset": "x"}, "datset", "did you mean `dataset`?"),
        ({"captions": {"bakend": "template"}}, "captions.bakend", "did you mean `backend`?"),
        ({"curate": {"min_clip": 1}}, "curate.min_clip", "did you mean `min_clip_s`?"),
        ({"sources": [{"uri": ["a"]}]}, "sources.0.uri", "did you mean `uris`?"),
        ({"engine": {"kind": "dask"}}, "engine.kind", "'ray' or 'local'"),
        ({"shards": {"crf": 99}}, "shards.crf", "less than or equal to 51"),
        ({"pseudo": {"motions": ["Zoom"]}}, "pseudo.motions", "there is no motion 'Zoom'"),
    ],
)
def test_a_mistake_names_file_field_and_fix(tmp_path: Path, change: dict, field: str, fix: str) -> None:  # type: ignore[type-arg]
    path = written(tmp_path, {**GOOD, **change})
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert str(path) in message
    assert f"`{field}`" in message
    assert fix in message
    assert "\n" not in message


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1).filter(lambda k: k not in RunConfig.model_fields))
def test_no_unknown_key_is_ever_accepted(key: str) -> None:
    from pipelines.config import validate

    with pytest.raises(ConfigError, match="unknown key"):
        validate(RunConfig, {**GOOD, key: 1}, "here")


@pytest.mark.parametrize("text", ["", "- a list", "a: [", "just words"])
def test_what_is_no_mapping_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
