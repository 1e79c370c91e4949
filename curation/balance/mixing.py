"""Sampling weights that hold a stated mixture of kinds: so much footage, so many stills that move, so many stills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from media.errors import ConfigError

__all__ = ["mixing_weights"]

F64 = npt.NDArray[np.float64]


def mixing_weights(kinds: Sequence[str], ratio: Mapping[str, float], weights: Sequence[float] | None = None) -> F64:
    """Return a weight for each of N clips so that drawing by them gives the kinds in the stated ratio; mean 1.

    `kinds` are the clips' (clip, still, pseudo, synthetic ...), `ratio` a number for each kind, of any sum; a kind that
    it does not name is not drawn: its weight is 0. Within a kind the weights go as `weights` do (those of a balance,
    say), or are equal. Raises ConfigError for a ratio that cannot be held: negative, all 0, or of a kind that no clip
    is.
    """
    if any(not np.isfinite(share) or share < 0 for share in ratio.values()) or not sum(ratio.values()):
        raise ConfigError(f"mixing ratio: {dict(ratio)}: every share is 0 or more, and one is above")
    names = np.asarray(kinds, dtype=np.str_)
    given: F64 = np.ones(len(names)) if weights is None else np.asarray(weights, np.float64)
    if given.shape != names.shape:
        raise ConfigError(f"mixing ratio: {len(given)} weights for {len(names)} clips")
    held = {kind: float(given[names == kind].sum()) for kind in ratio}
    if lacking := [kind for kind, share in ratio.items() if share and not held[kind]]:
        there = ", ".join(sorted(set(names.tolist()))) or "none"
        raise ConfigError(f"mixing ratio: no clip to draw is of kind {lacking[0]!r}; there are: {there}")
    total = sum(ratio.values())
    mixed = np.zeros(len(names))
    for kind, share in ratio.items():
        if share:
            of_kind = names == kind
            mixed[of_kind] = given[of_kind] * (share / total / held[kind] * len(names))
    return mixed
