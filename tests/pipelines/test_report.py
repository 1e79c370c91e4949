"""The report: one file that needs nothing, says everything, and tells what is missing."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest

from dataset import Root, open_root
from media.errors import ConfigError, DatasetError
from pipelines import reference
from pipelines.report import Generated, write_report
from tests.pipelines import report_data as data

SECTIONS = (
    "sources", "funnel", "measures", "camera", "clips", "pseudo", "plan", "training", "generated", "grades",
    "quarantine", "provenance",
)  # fmt: skip
VOID = {"meta", "img", "br", "link", "input"}
TEMPLATES = Path(str(resources.files("pipelines.report"))) / "templates"


class Page(HTMLParser):
    """A page that was read: its tags with their attributes, its visible text, and whether it is well formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr]
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return data.build(tmp_path_factory.mktemp("report") / "dataset")


@pytest.fixture(scope="module")
def path(root: Root, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a whole run."""
    folder = tmp_path_factory.mktemp("whole")
    clips = [Generated(f"g-{i}", f"a cat {data.HOSTILE}", data.mp4(i), f"seed {i}") for i in range(2)]
    grades = {
        "train": root.read("grades/train").to_pylist(),
        "generated": data.grade_rows(2, "r", name="g"),
    }
    run = data.training_run(folder / "model")
    out = folder / "out" / "report.html"
    return write_report(root, out, train_log=run, generated=clips, grades=grades, title="demo")


@pytest.fixture(scope="module")
def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report of a dataset with nothing in it."""
    folder = tmp_path_factory.mktemp("empty")
    root = open_root(str(folder / "dataset"), create=True)
    return Page(write_report(root, folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(params=["page", "empty"])
def either(request: pytest.FixtureRequest) -> Page:
    found: Page = request.getfixturevalue(request.param)
    return found


def test_the_page_is_well_formed(either: Page) -> None:
    assert either.wrong == []
    assert either.open == []
    assert either.html.lstrip().startswith("<!doctype html>")


def test_the_page_asks_for_nothing_from_anywhere(either: Page) -> None:
    asked = [v for _, a in either.tags for k in ("src", "href", "poster", "data", "action") if (v := a.get(k))]
    assert all(value.startswith(("data:", "#")) for value in asked)
    style = (TEMPLATES / "report.css").read_text()
    assert "url(" not in style
    assert "@import" not in style
    policy = next(m["content"] for m in either.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_every_section_is_there_and_linked(either: Page) -> None:
    assert tuple(s["id"] for s in either.all("section")) == SECTIONS
    links = {a["href"] for a in either.all("a")}
    assert {f"#{section}" for section in SECTIONS} <= links


def test_ids_are_unique_and_links_lead_somewhere(either: Page) -> None:
    ids = Counter(a["id"] for _, a in either.tags if a.get("id"))
    assert max(ids.values()) == 1
    assert all(str(a["href"])[1:] in ids for a in either.all("a"))


def test_pictures_charts_and_videos_have_words(either: Page) -> None:
    assert all("alt" in image for image in either.all("img"))
    assert all(video.get("aria-label") for video in either.all("video"))
    assert len(re.findall(r"<svg[^>]*role=\"img\"[^>]*><title>[^<]{5,}</title>", either.html)) == len(either.all("svg"))


def test_no_figure_is_broken(either: Page) -> None:
    for wrong in ("nan", "None", "Undefined", "inf", "Markup"):
        assert not re.search(rf"(?<![\w-]){wrong}(?![\w-])", either.text), wrong
    assert not re.search(r'="[^"]*\b(?:nan|inf)\b[^"]*"', re.sub(r"data:[^\"]+", "", either.html))


def test_text_of_others_cannot_become_markup(page: Page) -> None:
    assert 'alert("x")' not in re.sub(r"&[a-z#0-9]+;", "", page.html)
    assert len(page.all("script")) == 1
    assert data.HOSTILE in page.text


@pytest.mark.parametrize("section", SECTIONS)
def test_an_empty_section_says_what_command_fills_it(empty: Page, section: str) -> None:
    part = empty.html.split(f'<section id="{section}"')[1].split("</section>")[0]
    assert "missing" in part
    assert re.search(r"rushes [a-z]+|No run has been recorded", part)


def test_commands_on_the_page_exist() -> None:
    named = set()
    for template in TEMPLATES.glob("*.html"):
        named |= set(re.findall(r"rushes ([a-z]+) ", template.read_text()))
    assert named
    assert named <= {name.split()[0] for name in reference.commands()}


@pytest.mark.parametrize(
    "words",
    [
        "1 video and 1 photograph became 3 clips and 6 pseudo-videos",
        "9 clips went into training shards",
        "learned from them for 60 steps",
        "street.mp4",
        "2 of 3 clips",
        "2 cuts",
        "6 pseudo-videos, 6 kept",
        "flow_mean_px_per_s between 2 and 400",
        "static",
        "two cyclists",
        "in heavy rain",
        "cyclist count 2",
        "scene shows street",
        "What the model wrote",
        "repaired",
        "✓ measured",
        "measured static",
        "16x64x64@8",
        "2 too_short it has fewer frames than every bucket needs",
        "2 held_out kept apart",
        "0.9931",
        "0.3127",
        "-68.5%",
        "too few prompts (2)",
        "flicker: nothing stands still",
        "broken.mp4",
        "truncated",
        "the box promises more",
        "efficientnet-lite0",
        "579344248a93",
        "Apache-2.0",
        "our own camera",
        "CC-BY-4.0",
        "not stated",
        "curate",
    ],
)
def test_the_page_says(page: Page, words: str) -> None:
    assert words in page.text


def test_what_was_rejected_is_shown_with_its_rule(page: Page) -> None:
    floor = page.html.split("On the cutting-room floor")[1].split("</section>")[0]
    assert re.search(r'class="badge rejected">motion<', floor)


def test_words_of_a_caption_carry_what_supports_them(page: Page) -> None:
    assert re.search(r'<mark class="exact" title="count: cyclist count 2">two cyclists</mark>', page.html)
    assert re.search(r'<mark class="close" title="tags: [^"]*0\.71\)">busy street</mark>', page.html)


def test_videos_play_from_the_page(page: Page) -> None:
    sources = [video["src"] or "" for video in page.all("video")]
    assert len(sources) == 6 + 2
    assert all(source.startswith("data:video/mp4;base64,") for source in sources)


def test_the_same_run_gives_the_same_bytes(root: Root, path: Path, tmp_path: Path) -> None:
    first = write_report(root, tmp_path / "a.html").read_bytes()
    assert write_report(root, tmp_path / "b.html").read_bytes() == first
    assert len(path.read_bytes()) < 3_000_000


def test_without_a_selection_clips_are_shown_as_undecided(tmp_path: Path) -> None:
    root = open_root(str(tmp_path / "dataset"), create=True)
    root.write_part("clips", data.clips("r"), key="all")
    page = Page(write_report(root, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "No rules have been applied yet." in page.text
    assert len([a for a in page.all("article") if "card" in (a.get("class") or "")]) == 3


def test_a_video_too_large_for_the_page_is_named_instead(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.report import render

    monkeypatch.setattr(render, "_GENERATED_BYTES", 10)
    file = tmp_path / "clip.mp4"
    file.write_bytes(data.mp4())
    page = write_report(root, tmp_path / "r.html", generated=[Generated("g", "a cat", file)])
    html = page.read_text(encoding="utf-8")
    assert f"too large for this page: {file}" in html


def test_a_generated_file_that_is_no_video_ends_nothing(root: Root, tmp_path: Path) -> None:
    broken = Generated("g", "a cat", b"not a video")
    html = write_report(root, tmp_path / "r.html", generated=[broken]).read_text(encoding="utf-8")
    assert "cannot be decoded: " in html


@pytest.mark.parametrize("text", ["hello", '{"loss": 1}', "[1]"])
def test_a_log_that_is_none_is_refused_by_name(root: Root, tmp_path: Path, text: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(text + "\n")
    with pytest.raises(ConfigError, match=r"log\.jsonl: line 1 .*training log"):
        write_report(root, tmp_path / "r.html", train_log=log)


def test_no_dataset_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        write_report(tmp_path / "nothing", tmp_path / "r.html")


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "soft", "faint", "in", "bound", "warn", "bad"])
@pytest.mark.parametrize("ground", ["paper", "card"])
def test_text_has_contrast(scheme: int, name: str, ground: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", (TEMPLATES / "report.css").read_text(), flags=re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[scheme]))
    light, dark = sorted((_luminance(colours[name]), _luminance(colours[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, AA
