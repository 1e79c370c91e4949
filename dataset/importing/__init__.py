"""Imports: data sets in the form of Panda-70M, OpenVid-1M or WebDataset, read record by record."""

from __future__ import annotations

from dataset.importing.imports import FORMATS, IMPORTED, format_named, imported_schema, read_import
from dataset.importing.records import Imported

__all__ = ["FORMATS", "IMPORTED", "Imported", "format_named", "imported_schema", "read_import"]
