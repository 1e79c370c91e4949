"""The dataset card: a README.md that says what is in a dataset, where it comes from, and how it was chosen.

Its front matter is that of the Hugging Face hub, so a folder that is uploaded there shows its shards as splits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import yaml

from dataset.columns import column_docs
from dataset.croissant import FILE, About, croissant, dumps
from dataset.facts import NOT_STATED, Facts, Licences, facts_of
from dataset.root import Root
from dataset.spdx import spdx

__all__ = ["CARD", "About", "card", "write_card"]

CARD: Final = "README.md"
"""Where the card lies in the dataset."""

_LIMITED: Final = re.compile(r"-NC\b|-ND\b|non.?commercial|no.?derivative|research", re.IGNORECASE)


def write_card(root: Root, about: About | None = None, licences: Licences | None = None) -> str:
    """Write the card as `README.md` in the root, and beside it `croissant.json`; return the card's text.

    Raises what `dataset.facts.facts_of` and `dataset.croissant.croissant` raise, before anything is written.
    """
    about = about or About()
    facts = facts_of(root, licences)
    described, text = croissant(root, facts, about), card(root, facts, about)
    root.write_bytes(FILE, dumps(described).encode())
    root.write_bytes(CARD, text.encode())
    return text


def card(root: Root, facts: Facts, about: About) -> str:
    """Return the dataset card of `root`: counts, rights, the funnel, models, columns, as Markdown."""
    sections = [
        _front_matter(root, facts, about),
        f"# {about.title}\n\n{about.description or facts.in_one_sentence()}\n\n"
        "Made with Rushes. Everything is Parquet: "
        f"`duckdb -c \"select * from 'clips/*.parquet' limit 5\"` reads it; `{FILE}` describes it for machines.",
        "## Clips\n\n" + _table(facts.counts),
        "## Sources\n\n" + _table(facts.sources),
        "## Licences\n\n" + "\n\n".join([_table(facts.by_license), *_warnings(facts)]),
        "## Shards\n\n" + _table(facts.shards),
        "## Selection\n\nA clip is kept when every rule is true.\n\n" + _table(facts.funnel),
        "## Quarantined\n\n" + _table(facts.quarantined),
        "## Duplicates\n\n" + _table(facts.duplicates),
        "## Captions\n\n" + _table(facts.outcomes),
        "## Models that looked at it\n\n" + _table([asdict(model) for model in facts.models]),
        "## Columns\n\n" + _columns(root),
    ]
    return "\n\n".join(sections) + "\n"


def _warnings(facts: Facts) -> list[str]:
    """Say what limits the use of the whole: what nobody stated, and what is not for every purpose."""
    said = []
    if NOT_STATED in facts.licenses:
        said.append("**The licence of some sources is not stated: they cannot be passed on as they are.**")
    limited = [license for license in facts.licenses if _LIMITED.search(license)]
    if limited:
        said.append(f"**Not for every use: {', '.join(limited)}.**")
    if texts := [license for license in facts.licenses if license != NOT_STATED and spdx(license) is None]:
        said.append(f"No SPDX identifier, so to be read before anything is passed on: {', '.join(texts)}.")
    models = sorted({f"{m.model} ({m.license})" for m in facts.models if m.model and _LIMITED.search(m.license)})
    if models:
        said.append(f"**Models whose licence limits what is made with them: {', '.join(models)}.**")
    unknown = sorted({m.model for m in facts.models if m.model and m.license == NOT_STATED})
    if unknown:
        said.append(f"The licence of these models is not stated: {', '.join(unknown)}.")
    return said


def _front_matter(root: Root, facts: Facts, about: About) -> str:
    licenses = [license for license in facts.licenses if license != NOT_STATED]
    content: dict[str, Any] = {"pretty_name": about.title, "task_categories": ["text-to-video"]}
    one = spdx(licenses[0]) if len(facts.licenses) == 1 and licenses else None
    content["license"] = one.lower() if one else "other"
    if not one and licenses:
        content["license_name"] = " AND ".join(licenses)
    content["configs"] = [
        {"config_name": name, "data_files": f"shards/{name}/*.parquet"} for name in root.names("shards")
    ]
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---"


def _columns(root: Root) -> str:
    rows = [
        {"table": doc.table, "column": doc.column, "type": doc.type, "meaning": doc.doc}
        for doc in column_docs(root)
        if doc.table != "wide"
    ]
    return _table(rows)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "None."
    names = list(rows[0])

    def line(values: Iterable[object]) -> str:
        return "| " + " | ".join(str("" if value is None else value).replace("|", "\\|") for value in values) + " |"

    return "\n".join([line(names), line("---" for _ in names), *(line(row.values()) for row in rows)])
