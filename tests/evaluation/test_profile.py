"""Profiles: the one that comes with Rushes is whole, and one with a mistake is refused by file, field and fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation import METRICS, load_profile
from evaluation import profile as profiles
from evaluation.metrics.base import Metric
from experts.base import ModelRef
from media.errors import ConfigError
from tests.evaluation import scenes

EMBEDDED = Path(profiles.__file__).parent / "profiles" / "embedded.yaml"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the embedded profile with changes: `write({"view.fps": 0})`."""

    def change(changes: dict[str, Any]) -> Path:
        content = yaml.safe_load(EMBEDDED.read_text())
        for field, value in changes.items():
            *parents, last = field.split(".")
            place = content
            for parent in parents:
                place = place[parent]
            place[last] = value
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return change


def test_the_embedded_profile_has_five_dimensions_and_pins_everything() -> None:
    profile = load_profile("embedded")
    assert list(profile.dimensions) == ["alignment", "motion", "stability", "clarity", "richness"]
    assert set(profile.metrics) == set(METRICS)
    assert all(spec.weight > 0 for spec in profile.dimensions.values())
    assert set(profile.models) == {name for name in profile.metrics if name == "alignment"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dimensions.motion.weight": -0.07}, r"mine\.yaml: dimensions\.motion\.weight: .*greater than or equal to 0"),
        ({"metrics": ["sharpnes"]}, r"no metric is called 'sharpnes'"),
        ({"metrics": ["flickr", "motion"]}, r"did you mean 'flicker'"),
        ({"reference.motion": {"low": 3, "high": 3}}, r"reference\.motion: low must be below high"),
        ({"reference": {}}, r"needs a place in metrics and in reference"),
        ({"view.fsp": 8}, r"view\.fsp: Extra inputs"),
        ({"bootstrap.level": 95}, r"bootstrap\.level"),
        ({"dimensions": {"motion": {"weight": 0, "metrics": ["motion"]}}}, r"weight above 0"),
    ],
)
def test_a_mistake_is_named(write: Callable[..., Path], changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_profile(write(changes))


def test_an_unknown_profile_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"'embeded'; there are: .*embedded"):
        load_profile("embeded")


@pytest.mark.parametrize("text", ["a: [", "- 1", ""])
def test_what_is_no_profile_is_refused_by_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        load_profile(path)


def test_the_hash_is_of_the_content(write: Callable[..., Path]) -> None:
    assert load_profile(write({})).hash == load_profile("embedded").hash
    assert load_profile(write({"view.fps": 9})).hash != load_profile("embedded").hash


def test_another_model_than_the_pinned_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from evaluation import Sample, grade

    base = METRICS["clarity"]
    found = ModelRef("tagger", "0123456789ab", "Apache-2.0")
    modelled = Metric("clarity", base.unit, base.better, base.title, base.measure, lambda: found)
    monkeypatch.setitem(METRICS, "clarity", modelled)
    sample = Sample("x", None, scenes.still(4), 8.0)
    pinned = scenes.small_profile().model_copy(update={"models": {"clarity": "ffffffffffff"}})
    with pytest.raises(ConfigError, match=r"pinned to ffffffffffff, but this machine has 0123456789ab"):
        grade([sample], pinned, metrics=["clarity"])
    right = pinned.model_copy(update={"models": {"clarity": found.hash}})
    assert grade([sample], right, metrics=["clarity"])[0]["models"] == {"clarity": "tagger@0123456789ab"}
