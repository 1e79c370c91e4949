"""Adding an expert is one file and one line in a profile: the page that says so is run, as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
import yaml

import experts
import media
from dataset.schema import Column
from experts import weights
from experts.base import ClipView, Controller, Expert, ModelRef, Needs, Resources, Statement
from media.errors import ConfigError
from tests import videos
from tests.experts.conftest import view_of

PAGE = Path(__file__).parents[2] / "docs" / "adding-an-expert.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([\w.-]+\.(?:py|yaml))`")


def blocks() -> list[tuple[str, str, str | None]]:
    """Return language, content and, where the text before the block names one, file of every block of the page."""
    text, found = PAGE.read_text(), []
    for block in FENCE.finditer(text):
        named = NAMED.findall(text[: block.start()].split("\n```")[-1])
        found.append((block[1], block[2], named[-1] if named else None))
    return found


# -- the page --------------------------------------------------------------------------------------------------------


def test_the_page_is_short_and_so_is_its_expert() -> None:
    by_language = {language: content for language, content, _ in blocks()}
    assert len(by_language["python"].splitlines()) <= 40
    assert len([line for line in by_language["yaml"].splitlines() if ".py" in line]) == 1
    assert len(PAGE.read_text().splitlines()) < 80


def test_the_page_runs(tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    videos.write_video(footage / "one.mp4", videos.scene_frames(40))
    picture = next(iter(videos.scene_frames(1)))
    (footage / "mirror.jpg").write_bytes(media.jpeg(np.concatenate([picture, picture[:, ::-1]], axis=1)))
    shown = ""
    for language, content, file in blocks():
        if language in ("python", "yaml"):
            assert file is not None, content
            (tmp_path / file).write_text(content)
        for line in content.splitlines() if language == "sh" else ():
            command = shlex.split(line, comments=True)
            assert command[0] == "rushes"
            ended = subprocess.run(
                [sys.executable, "-m", "pipelines", *command[1:]],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(PAGE.parents[1])},
                capture_output=True,
                text=True,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr
            shown += ended.stdout
    assert "picture is symmetric" in shown
    assert "mirror.jpg" in shown


# -- what a profile may bring ----------------------------------------------------------------------------------------


PLAIN = """
import pyarrow as pa
from dataset.schema import Column
from experts.base import Resources

class Area:
    name, version, needs, roles, resources, model = "area", "1", "keyframes", (), Resources(), None
    columns = (Column("area_px", pa.int64(), "pixels of a keyframe"),)
    def __init__(self, profile, override, threads): pass
    def measure(self, views): return [{"area_px": v.frames[0].shape[0] * v.frames[0].shape[1]} for v in views]
    def state(self, view, values): return []
"""


def profile_of(folder: Path, **given: Any) -> str:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({"name": "own", **given}))
    return str(path)


def test_an_expert_is_a_file_beside_its_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "area.py").write_text(PLAIN)
    own = profile_of(tmp_path, experts={"area": "area.py"})
    monkeypatch.chdir("/")
    assert experts.names(own) == (*experts.EMBEDDED, "area")
    expert = experts.load("area", own)
    assert isinstance(expert, Expert)
    (row,) = experts.run(expert, [view_of([np.zeros((4, 5, 3), np.uint8)])], run_id="r")
    assert (row["area_px"], row["error"]) == (20, None)
    assert experts.schema(expert).names[-1] == "area_px"
    with pytest.raises(ConfigError, match="no expert 'area'"):
        experts.load("area")


def test_a_file_that_was_edited_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "area.py").write_text(PLAIN)
    own = profile_of(tmp_path, experts={"area": "area.py"})
    assert experts.expert_class("area", own).version == "1"
    (tmp_path / "area.py").write_text(PLAIN.replace('"1"', '"22"'))
    assert experts.expert_class("area", own).version == "22"


def test_an_expert_is_a_class_of_a_module_and_may_stand_in_for_a_built_in_one(tmp_path: Path) -> None:
    own = profile_of(tmp_path, experts={"light": "experts.light:Light"})
    assert experts.expert_class("light", own) is experts.expert_class("light")
    assert experts.names(own) == experts.EMBEDDED


def test_a_profile_takes_the_experts_of_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "area.py").write_text(PLAIN)
    base = profile_of(tmp_path, extends="embedded", experts={"area": "area.py"})
    more = tmp_path / "more.yaml"
    more.write_text(yaml.safe_dump({"name": "more", "extends": base, "experts": {"light": "experts.light:Light"}}))
    assert set(weights.load_profile(str(more)).experts) >= {"area", "light"}
    assert "tags" in weights.load_profile(str(more)).roles


DRAWS = """
import numpy as np
from experts.base import Control, Resources

class Grey:
    name, version, roles, resources, model = "grey", "1", (), Resources(), None
    def __init__(self, profile, override, threads): pass
    def control(self, view): return Control("depth", np.stack([f[..., 0] for f in view.frames]), 0, 255)
"""


def test_an_expert_that_draws_may_be_brought_with_a_table_or_without(tmp_path: Path) -> None:
    (tmp_path / "grey.py").write_text(DRAWS)
    (tmp_path / "area.py").write_text(PLAIN + "    def control(self, view): raise NotImplementedError\n")
    own = profile_of(tmp_path, extends="embedded", experts={"grey": "grey.py", "area": "area.py"})
    view = view_of([np.full((4, 5, 3), 7, np.uint8)])
    grey = experts.load_control("grey", own)
    assert isinstance(grey, Controller)
    assert grey.control(view).maps.tolist() == np.full((1, 4, 5), 7).tolist()
    assert experts.names(own) == (*experts.EMBEDDED, "area")
    assert isinstance(experts.load_control("area", own), Expert)
    with pytest.raises(ConfigError, match="no expert 'grey'"):
        experts.load("grey", own)
    with pytest.raises(ConfigError, match=r"no control 'light' \(known: canny, skeleton, flow, mask, area, grey\)"):
        experts.load_control("light", own)
    with pytest.raises(ConfigError, match="no control 'grey'"):
        experts.load_control("grey")


def test_a_control_that_declares_too_little_is_refused(tmp_path: Path) -> None:
    (tmp_path / "grey.py").write_text(DRAWS.replace("resources, model", "costs, model"))
    with pytest.raises(ConfigError, match=r"experts\.grey: .*lacks resources"):
        experts.load_control("grey", profile_of(tmp_path, experts={"grey": "grey.py"}))


@pytest.mark.parametrize(
    ("where", "content", "message"),
    [
        ("gone.py", None, "gone.py: cannot be imported: FileNotFoundError"),
        ("area.py", "import nothing_of_that_name", "cannot be imported: ModuleNotFoundError"),
        ("area.py", "1 / 0", "cannot be imported: ZeroDivisionError"),
        ("area.py", "x = 1", 'has no class with `name = "area"`'),
        ("area.py", "class A:\n    name = 'area'\n    version = '1'", "lacks needs, roles, columns"),
        ("experts.light:Light", None, "its name is 'light'; the profile calls it 'area'"),
        ("experts.light:Lite", None, "has no class"),
        ("no_such_module:Area", None, "cannot be imported"),
    ],
)
def test_what_is_wrong_with_a_brought_expert_is_one_line(
    where: str, content: str | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / where).write_text(content)
    own = profile_of(tmp_path, experts={"area": where})
    with pytest.raises(ConfigError) as caught:
        experts.expert_class("area", own)
    assert message in str(caught.value)
    assert "experts.area" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_no_table_could_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"own\.yaml: experts\.My Expert"):
        experts.names(profile_of(tmp_path, experts={"My Expert": "a.py"}))


# -- the model of an expert, known before it is loaded ---------------------------------------------------------------


@pytest.mark.parametrize("name", experts.EMBEDDED)
def test_the_model_that_rows_will_name_is_known_without_loading_it(name: str, loaded: Callable[[str], Expert]) -> None:
    assert experts.model_of(name) == loaded(name).model


# -- batches ---------------------------------------------------------------------------------------------------------


class Recording:
    """An expert that notes how many clips it is given at a time, and cannot bear the clip called `bad`."""

    name: ClassVar[str] = "recording"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[Column, ...]] = (Column("mean", pa.float32(), "mean level"),)
    resources: ClassVar[Resources] = Resources()
    model: ModelRef | None = None

    def __init__(self, short: bool = False) -> None:
        self.asked: list[int] = []
        self._short = short

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        self.asked.append(len(views))
        if any(view.clip_id == "bad" for view in views):
            raise ZeroDivisionError("no light")
        values = [{"mean": float(np.mean(view.frames))} for view in views]
        return values[1:] if self._short and len(values) > 1 else values

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        return []


def seen(count: int, pictures: int = 3) -> list[ClipView]:
    return [view_of([np.full((4, 4, 3), n, np.uint8)] * pictures, clip_id=f"video-{n % 5}:{n}") for n in range(count)]


def test_clips_of_many_videos_are_measured_together_and_rows_are_those_of_one_by_one() -> None:
    expert, views = Recording(), seen(30)
    rows = experts.run(expert, views, run_id="r")
    assert expert.asked == [21, 9]  # 64 pictures at a time
    assert rows == [experts.run(Recording(), [view], run_id="r")[0] for view in views]


def test_a_bad_clip_costs_itself_alone() -> None:
    expert, views = Recording(), seen(5)
    views[2] = view_of(views[2].frames, clip_id="bad")
    views.insert(4, ClipView("no pictures", [], [], [], 0, 9))
    rows = experts.run(expert, views, run_id="r")
    assert [row["clip_id"] for row in rows] == [view.clip_id for view in views]
    assert [row["error"] for row in rows].count(None) == 4
    assert rows[2]["error"] == "ZeroDivisionError: no light"
    assert "no keyframes" in rows[4]["error"]
    assert expert.asked == [5, 1, 1, 1, 1, 1]


def test_a_batch_that_answers_for_too_few_is_asked_again_one_by_one() -> None:
    expert, views = Recording(short=True), seen(3)
    assert experts.run(expert, views, run_id="r") == experts.run(Recording(), views, run_id="r")
    assert expert.asked == [3, 1, 1, 1]


def test_a_clip_of_many_pictures_is_a_batch_of_its_own() -> None:
    expert = Recording()
    experts.run(expert, [*seen(2), *seen(1, pictures=200), *seen(2)], run_id="r")
    assert expert.asked == [2, 1, 2]
