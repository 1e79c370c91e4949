"""Croissant 1.1: a dataset described for machines, as `croissant.json`.

Source: MLCommons, "Croissant Format Specification", version 1.1, and its vocabulary for responsible AI, RAI 1.0.

Each table is a FileSet of Parquet parts and a RecordSet of their columns, whose words are those of the schema. A column
of structs has a sub-field for each of their fields. Maps have no form in Croissant, and its reader cannot take pictures
in a list: the description names what is left out. It also says which ids refer to which table, for a reader would take
`references` for a join, and read all of the other table too. What may be said of responsible use is said where it is
known: rules, models that annotated, what is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from dataset.facts import NOT_STATED, Facts
from dataset.root import Root
from dataset.spdx import spdx
from media.errors import UserError

__all__ = ["FILE", "About", "croissant", "spdx_url"]

FILE: Final = "croissant.json"
"""Where it lies in the dataset."""

_CONFORMS: Final = "http://mlcommons.org/croissant/1.1"
_PARQUET: Final = "application/x-parquet"
_HUB: Final = re.compile(r"https://huggingface\.co/datasets/[^/]+/[^/]+")
_UNCHECKED: Final = "https://github.com/mlcommons/croissant/issues/80"  # what stands for the checksum of a repository
_SPDX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject",
            "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
            "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
            "separator", "source", "subField", "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}  # fmt: skip
_TYPES: Final[Mapping[str, str]] = {
    "string": "sc:Text", "large_string": "sc:Text", "bool": "sc:Boolean", "halffloat": "cr:Float16",
    "float": "cr:Float32", "double": "cr:Float64",
    **{f"{sign}int{bits}": f"cr:{'U' if sign else ''}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip
_KEYS: Final = {"videos": "video_id", "grades": "sample_id"}
_REFERS: Final = {"clip_id": "clips", "video_id": "videos", "representative_id": "clips"}
_PICTURES: Final = {"media": "sc:VideoObject"}


@dataclass(frozen=True, slots=True)
class About:
    """What only its maker knows of a dataset."""

    title: str = "A video dataset"
    description: str | None = None
    url: str | None = None
    version: str = "1.0.0"
    creator: str | None = None
    cite_as: str | None = None


def croissant(root: Root, facts: Facts, about: About) -> dict[str, Any]:
    """Return the Croissant description of `root` as JSON-LD.

    Raises UserError for a version that is not MAJOR.MINOR.PATCH, or a url that is no address.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", about.version):
        raise UserError(f"version {about.version!r}: give MAJOR.MINOR.PATCH, as 1.0.0")
    if about.url is not None and not re.match(r"https?://", about.url):
        raise UserError(f"url {about.url!r}: give the address of a page, https://...")
    described: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS,
        "name": about.title,
        "description": about.description or facts.in_one_sentence(),
        "version": about.version,
        "license": [spdx_url(license) for license in facts.licenses] or NOT_STATED,
        "keywords": ["text-to-video", "video", *facts.kinds],
        "isLiveDataset": False,
    }
    described |= {"url": about.url} if about.url else {}
    described |= {"datePublished": facts.made_at} if facts.made_at else {}
    described |= {"creator": {"@type": "sc:Organization", "name": about.creator}} if about.creator else {}
    described |= {"citeAs": about.cite_as} if about.cite_as else {}
    tables = [table for table in root.tables() if not table.startswith("removals")]
    hub = _HUB.match(about.url or "")
    described["distribution"] = [*([_repository(hub.group())] if hub else []), *(_files(t, bool(hub)) for t in tables)]
    described["recordSet"] = [_records(table, root.schema(table)) for table in tables]
    return described | _responsible(facts)


def spdx_url(license: str) -> str:
    """Return the address of a licence that has one SPDX identifier; other text stays as it is."""
    known = spdx(license)
    plain = known is not None and _SPDX.fullmatch(known) and not known.startswith("LicenseRef-")
    return f"https://spdx.org/licenses/{known}.html" if plain else license


def dumps(described: Mapping[str, Any]) -> str:
    """Return it as text."""
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _repository(url: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": "repository",
        "name": "repository",
        "description": "the repository on the hub",
        "contentUrl": url,
        "encodingFormat": "git+https",
        "sha256": _UNCHECKED,
    }


def _name(table: str) -> str:
    return table.replace("/", "-")


def _files(table: str, in_repository: bool) -> dict[str, Any]:
    files: dict[str, Any] = {
        "@type": "cr:FileSet",
        "@id": f"{_name(table)}-files",
        "name": f"{_name(table)}-files",
        "description": f"the parts of the table {table}",
        "encodingFormat": _PARQUET,
        "includes": f"{table}/part-*.parquet",
    }
    return files | ({"containedIn": {"@id": "repository"}} if in_repository else {})


def _records(table: str, schema: pa.Schema) -> dict[str, Any]:
    name, key = _name(table), _KEYS.get(table.partition("/")[0], "clip_id")
    made = {field.name: _typed(f"{name}/{field.name}", name, field, [field.name]) for field in schema}
    without = [path for field in schema for path in _left_out(field, made[field.name])]
    refers = [f"{column} is one of {_REFERS[column]}" for column in made if _REFERS.get(column, table) != table]
    said = [f"a row of {table} for each {key.removesuffix('_id')}", *refers]
    said += [f"beside these it has {', '.join(without)}"] if without else []
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": "; ".join(said),
        "key": {"@id": f"{name}/{key}"},
        "field": [field for field in made.values() if field is not None],
    }


def _left_out(field: pa.Field, made: dict[str, Any] | None) -> Iterator[str]:
    """Yield the columns, or fields of a column of structs, that have no form."""
    if made is None:
        yield field.name
    elif "subField" in made:
        there = {sub["name"] for sub in made["subField"]}
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        yield from (f"{field.name}.{child.name}" for child in kind if child.name not in there)


def _typed(id_: str, name: str, field: pa.Field, path: Sequence[str]) -> dict[str, Any] | None:
    """Return a field, or a sub-field of the column `path[0]`; None for a type that has no form."""
    kind, shape = field.type, []
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        shape.append(str(kind.list_size) if pa.types.is_fixed_size_list(kind) else "-1")
        kind = kind.value_type
    source: dict[str, Any] = {"fileSet": {"@id": f"{name}-files"}, "extract": {"column": path[0]}}
    if len(path) > 1:
        source["transform"] = {"jsonPath": ".".join(path[1:])}
    doc = (field.metadata or {}).get(b"doc", b"").decode()
    made: dict[str, Any] = {"@type": "cr:Field", "@id": id_, "name": field.name, "description": doc or field.name}
    made |= {"isArray": True, "arrayShape": ",".join(shape)} if shape else {}
    if pa.types.is_struct(kind):
        inner = list(_inner(id_, name, kind, path)) if len(shape) <= 1 else []
        return {**made, "source": source, "subField": inner} if inner else None
    data_type = _data_type(field.name, kind)
    return None if data_type is None else {**made, "dataType": data_type, "source": source}


def _inner(id_: str, name: str, kind: pa.StructType, path: Sequence[str]) -> Iterator[dict[str, Any]]:
    for child in kind:
        if not pa.types.is_nested(child.type):
            made = _typed(f"{id_}/{child.name}", name, child, [*path, child.name])
            yield from () if made is None else (made,)


def _data_type(column: str, kind: pa.DataType) -> str | None:
    if pa.types.is_timestamp(kind):
        return "sc:DateTime"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _PICTURES.get(column)
    return _TYPES.get(str(kind))


def _responsible(facts: Facts) -> dict[str, Any]:
    """Return the properties of RAI 1.0 that are known."""
    said: dict[str, Any] = {
        "rai:dataCollection": facts.collected(),
        "rai:dataPreprocessingProtocol": [f"{rule['rule']}: {rule['predicate']}" for rule in facts.funnel],
        "rai:machineAnnotationTools": [model.in_words() for model in facts.models],
        "rai:dataLimitations": facts.limits(),
    }
    return {name: value for name, value in said.items() if value}
