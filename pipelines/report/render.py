"""The page: facts, cards and charts laid into the templates, with style and script inlined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from dataset import Root, connect, open_root
from dataset.catalogue import DEFAULT_SELECTION
from pipelines.licences import licence_of
from pipelines.report import cards, facts, model
from pipelines.report.embed import Budget, data_uri
from pipelines.report.svg import nice_number

__all__ = ["write_report"]

_KEPT: Final = 24
_REJECTED: Final = 12
_PSEUDO: Final = 48
_GENERATED_BYTES: Final = 3_000_000
_PSEUDO_BYTES: Final = 2_200_000
_TEMPLATES: Final = resources.files("pipelines.report").joinpath("templates")


def write_report(
    root: Root | str | Path,
    out: Path,
    *,
    train_log: Path | None = None,
    generated: Iterable[model.Generated] = (),
    grades: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    plan: Iterable[Any] = (),
    selection: str | None = None,
    title: str | None = None,
) -> Path:
    """Write the report of the dataset at `root` to the HTML file `out`, and return its path.

    `train_log` is a training run's folder or its log.jsonl; `generated` are clips to play; `grades` maps a set's
    name to its rows, by default every set in the dataset; `plan` holds the rows of a bucket plan, by default
    those the training run kept; `selection` names the verdicts to show, by default the dataset's default. What
    is missing is said on the page, with the command that makes it. Raises DatasetError if `root` is no dataset.
    """
    root = root if isinstance(root, Root) else open_root(str(root))
    connection = connect(root)
    try:
        context = _context(root, connection, _selection(root, selection))
    finally:
        connection.close()
    sets = dict(grades) if grades is not None else _stored_grades(root)
    clips = list(generated)
    every = [row for rows in sets.values() for row in rows]
    context |= {
        "title": title or facts.file_name(root.uri),
        "root": root.uri,
        "training": model.read_training(train_log, plan),
        "generated": model.play(clips, every, Budget(_GENERATED_BYTES)),
        "grades": model.grade_table(sets),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_environment().get_template("page.html").render(context), encoding="utf-8")
    return out


def _selection(root: Root, asked: str | None) -> str | None:
    names = root.names("selections")
    if asked is not None or not names:
        return asked
    return DEFAULT_SELECTION if DEFAULT_SELECTION in names else names[0]


def _context(root: Root, connection: Any, selection: str | None) -> dict[str, Any]:
    found = facts.gather(connection, selection)
    kept, kept_total = cards.choose(connection, selection, "c.kind = 'clip' AND coalesce(s.kept, true)", _KEPT)
    lost, lost_total = cards.choose(connection, selection, "c.kind = 'clip' AND NOT s.kept", _REJECTED)
    pseudo, pseudo_total = cards.choose_moves(connection, _PSEUDO)
    videos = _videos(root, pseudo)
    made = {
        name: cards.make_cards(root, connection, selection, ids, videos)
        for name, ids in (("kept", kept), ("lost", lost), ("pseudo", pseudo))
    }
    return {
        "facts": found,
        "kept": made["kept"],
        "kept_total": kept_total,
        "lost": made["lost"],
        "lost_total": lost_total,
        "pseudo": cards.by_source(made["pseudo"]),
        "pseudo_total": pseudo_total,
        "pseudo_shown": len(made["pseudo"]),
        "videos": videos,
        "thumbs": cards.thumbnails(root, [s.video_id for s in found.sources if s.media == "image"]),
        "compass": cards.camera_compass(connection),
    }


def _videos(root: Root, ids: Sequence[str]) -> dict[str, str]:
    """Return the encoded clips of `ids` from the first shard set that has them, within the budget."""
    budget, found = Budget(_PSEUDO_BYTES), {}
    for name in root.names("shards")[:1]:
        table = root.read(f"shards/{name}", ["clip_id", "media", "media_type"], cards.among("clip_id", ids))
        rows = {row["clip_id"]: row for row in table.to_pylist()}
        for clip_id in ids:
            shown = rows[clip_id]["media"] if clip_id in rows else None  # a reference has none
            if shown and budget.take(len(shown)):
                found[clip_id] = data_uri(shown, rows[clip_id]["media_type"])
    return found


def _stored_grades(root: Root) -> dict[str, list[dict[str, Any]]]:
    return {name: root.read(f"grades/{name}").to_pylist() for name in root.names("grades")}


def _licence(model: str | None) -> str:
    return licence_of(model) or ""


def _environment() -> jinja2.Environment:
    def inline(name: str) -> Markup:
        return Markup(_TEMPLATES.joinpath(name).read_text(encoding="utf-8"))

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _TEMPLATES.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["inline"] = inline
    environment.filters |= {"clock": facts.clock, "nice": nice_number, "file_name": facts.file_name, "bytes": _bytes,
                            "span": _span, "plural": _plural, "svg": Markup, "licence": _licence}  # fmt: skip
    return environment


def _bytes(size: float) -> str:
    if size < 1000:
        return f"{size:.0f} B"
    return f"{nice_number(size / 1e6)} MB" if size >= 1e5 else f"{size / 1e3:.3g} kB"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
