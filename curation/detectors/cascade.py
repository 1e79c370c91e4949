"""`cascade`, the default: cheap evidence on every frame, and TransNetV2 only where that is unsure.

Hard cuts come from `Abrupt`, dissolves and wipes from `Gradual`, fades from `Fades`. Evidence that is clear either
way is taken; for the rest, the network looks at a short window around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from curation.detectors.abrupt import LOOKAHEAD, Abrupt, Evidence
from curation.detectors.base import Cut
from curation.detectors.fades import Fades
from curation.detectors.gradual import Gradual, Transition
from curation.detectors.thumbs import Thumbs
from curation.detectors.transnet import load_network, require_network
from curation.planes import View

__all__ = ["Cascade"]

_HARD_SURE: Final = (0.2, 0.6)
_HARD_BEYOND_DOUBT: Final = 0.85
_GRADUAL_SURE: Final = (0.3, 0.85)
_HARD_CONTEXT: Final = 12
_GRADUAL_CONTEXT: Final = 10
_NETWORK_SAYS: Final = 0.35
_HELD: Final = 128
_HORIZON: Final = 48
"""Frames after which nothing can overrule a decision: a transition of 32 frames, seen to its end."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A possible boundary, waiting until everything that might overlap it has been seen."""

    cut: Cut
    rank: int
    """The higher overrules the lower: fades, hard cuts beyond doubt, dissolves and wipes, other hard cuts."""


class Cascade:
    """The cheap detectors together, with TransNetV2 as the referee."""

    name: ClassVar[str] = "cascade"

    def __init__(self, min_shot_frames: int = 5) -> None:
        # Asked for at once, not at the first doubt: whether a model is missing must not depend on the video.
        require_network()
        self._min_shot = min_shot_frames
        self._abrupt = Abrupt()
        self._gradual = Gradual()
        self._fades = Fades()
        self._thumbs = Thumbs(_HELD)
        self._claims: list[_Claim] = []
        self._last_cut = -min_shot_frames
        self._next = 0
        self._over = False
        self.windows = 0
        """How often the network was asked."""

    @property
    def settled(self) -> int:
        """Frames before everything that is still open."""
        if self._over:
            return self._next
        waiting = [claim.cut.frame for claim in self._claims]
        return max(0, min([self._next - _HORIZON, self._gradual.settled, self._fades.settled, *waiting]))

    def feed(self, view: View) -> list[Cut]:
        """Gather the evidence on the frames that the newest one completes."""
        self._thumbs.push(view)
        self._next = view.index + 1
        evidence = self._abrupt.feed(view)
        if evidence is not None:
            self._claim_hard(evidence)
        for transition in self._gradual.consider(view):
            self._claim_gradual(transition)
        self._claims += [_Claim(self._named(cut), 3) for cut in self._fades.feed(view)]
        return self._release(min(self._next - _HORIZON, self._gradual.settled, self._fades.settled))

    def finish(self) -> list[Cut]:
        """Decide what is left."""
        for evidence in self._abrupt.finish():
            self._claim_hard(evidence)
        for transition in self._gradual.conclude():
            self._claim_gradual(transition)
        self._claims += [_Claim(self._named(cut), 3) for cut in self._fades.finish()]
        self._over = True
        return self._release(self._next + 1)

    def _claim_hard(self, evidence: Evidence) -> None:
        probability = evidence.probability
        if probability < _HARD_SURE[0]:
            return
        if probability < _HARD_SURE[1]:
            # The network marks the last frame before the cut.
            seen = self._ask(evidence.frame - 2, evidence.frame + 1, _HARD_CONTEXT)
            if seen < _NETWORK_SAYS:
                return
            probability = seen
        cut = Cut(evidence.frame, evidence.frame, evidence.time_s, "hard", probability, self.name)
        # No single step of a dissolve or a wipe is as great; but motion around a hard cut may look like either.
        self._claims.append(_Claim(cut, 2 if evidence.probability >= _HARD_BEYOND_DOUBT else 0))

    def _claim_gradual(self, transition: Transition) -> None:
        probability = transition.probability
        if probability < _GRADUAL_SURE[0]:
            return
        if probability < _GRADUAL_SURE[1]:
            seen = self._ask(transition.first, transition.end, _GRADUAL_CONTEXT)
            if seen < _NETWORK_SAYS:
                return
            probability = seen
        end = min(transition.end, self._next)
        cut = Cut(transition.first, end, transition.time_s, transition.kind, probability, self.name)
        self._claims.append(_Claim(cut, 1))

    def _ask(self, first: int, end: int, context: int) -> float:
        """Return the network's greatest probability of a boundary in frames `first` to `end`."""
        start, frames = self._thumbs.frames(first - context, end + context)
        self.windows += 1
        likely = load_network().window(frames)
        inside = likely[max(0, first - start) : max(1, end - start)]
        return float(inside.max()) if len(inside) else 0.0

    def _named(self, cut: Cut) -> Cut:
        return Cut(cut.frame, cut.end_frame, cut.time_s, cut.kind, cut.score, self.name)

    def _release(self, before: int) -> list[Cut]:
        """Give out the claims that end before frame `before`, without those that a stronger kind overlaps."""
        self._claims.sort(key=lambda claim: (claim.cut.frame, -claim.rank))
        blocked = min((c.cut.frame for c in self._claims if c.cut.end_frame >= before), default=before)
        ready = [c for c in self._claims if c.cut.end_frame < before and c.cut.frame < blocked]
        if not ready:
            return []
        cuts = []
        for claim in ready:
            if any(_overrules(other, claim) for other in self._claims):
                continue
            if claim.cut.frame - self._last_cut < self._min_shot and claim.cut.kind == "hard":
                continue
            self._last_cut = claim.cut.end_frame
            cuts.append(claim.cut)
        self._claims = [c for c in self._claims if c not in ready and not any(_overrules(r, c) for r in ready)]
        return cuts


def _overrules(a: _Claim, b: _Claim) -> bool:
    if a is b or a.rank < b.rank or (a.rank == b.rank and a.cut.score <= b.cut.score):
        return False
    return a.cut.frame <= b.cut.end_frame + LOOKAHEAD // 2 and b.cut.frame <= a.cut.end_frame + LOOKAHEAD // 2
