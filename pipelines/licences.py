"""The licences of models, by the names that rows carry, from the profiles that name them."""

from __future__ import annotations

import re
from functools import cache

__all__ = ["licence_of"]


def licence_of(model: str | None, profile: str | None = None) -> str | None:
    """Return the licences of the models that `model` names, which may be several in one name; None if none is known.

    Looked for in the profiles of Rushes, and in `profile`, a name or a YAML, before them.
    """
    known = _licences(profile)
    found = dict.fromkeys(
        known[name] for name in known if model and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", model)
    )
    return ", ".join(found) or None


@cache
def _licences(profile: str | None) -> dict[str, str]:
    from experts import weights

    profiles = [weights.load_profile(name) for name in ("standard", "embedded", *([profile] if profile else ()))]
    return {role.model: role.license for loaded in profiles for role in loaded.roles.values()}
