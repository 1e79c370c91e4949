"""Captions: what the experts say of a clip, fused into text, and held against what they said.

    statements_of -> settle -> a backend (`make_backend`) fuses -> Checker, repair -> a row of the captions table

A caption is an outcome with its evidence, never just a string. The public names are here; heavy runtimes are loaded
by the backend that needs them, when it is made.
"""

from __future__ import annotations

from captioning.backends import BACKENDS, BackendConfig, Fuser, Reply, Request, make_backend
from captioning.caption import OUTCOMES, caption, caption_many, keyframes_hash, requests_of
from captioning.checker import COSINE_THRESHOLD, Checked, Checker, Evidence, make_checker
from captioning.graph import graph
from captioning.lint import FLAGS
from captioning.pseudo import for_pseudo
from captioning.statements import Conflict, Settled, settle, statements_of
from captioning.template import Written, write

__all__ = [
    "BACKENDS",
    "COSINE_THRESHOLD",
    "FLAGS",
    "OUTCOMES",
    "BackendConfig",
    "Checked",
    "Checker",
    "Conflict",
    "Evidence",
    "Fuser",
    "Reply",
    "Request",
    "Settled",
    "Written",
    "caption",
    "caption_many",
    "for_pseudo",
    "graph",
    "keyframes_hash",
    "make_backend",
    "make_checker",
    "requests_of",
    "settle",
    "statements_of",
    "write",
]
