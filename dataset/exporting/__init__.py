"""Exports: a shard set written out in the layout that another project's loader reads.

One small file per format, one registry (`FORMATS`), one function that runs any of them (`export`).
"""

from __future__ import annotations

from dataset.exporting.export import CAPTIONS, ExportReport, export
from dataset.exporting.formats import FORMATS, Format, format_of
from dataset.exporting.keys import clip_id_of, key_of
from dataset.exporting.samples import Sample

__all__ = ["CAPTIONS", "FORMATS", "ExportReport", "Format", "Sample", "clip_id_of", "export", "format_of", "key_of"]
