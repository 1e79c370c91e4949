"""Backends: who fuses statements into a text. One file each, behind `Fuser`; the checker trusts none of them."""

from __future__ import annotations

from captioning.backends.base import BACKENDS, BackendConfig, Fuser, Reply, Request, make_backend

__all__ = ["BACKENDS", "BackendConfig", "Fuser", "Reply", "Request", "make_backend"]
