"""Whether the video shows what the prompt says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from evaluation.metrics.base import Metric, Missing
from evaluation.view import View

if TYPE_CHECKING:
    from experts.base import ModelRef

__all__ = ["METRIC", "alignment"]


def alignment(view: View) -> float | Missing:
    """ConSE score of the stills against the prompt: a centred cosine, -1 to 1; it is not a CLIP score.

    The probability-weighted mean of the label-name embeddings of the tagger's best labels, compared with the
    prompt's embedding in the same sentence space (Norouzi et al. 2014, ConSE). See `experts.alignment`.
    """
    from experts import alignment as conse_expert
    from experts.base import ClipView

    if not (view.prompt and view.prompt.strip()):
        return Missing("no prompt to be held against")
    numbers = range(len(view.stills))
    clip = ClipView("sample", list(view.stills), list(numbers), [float(i) for i in numbers], 0, len(view.stills))
    return float(conse_expert.conse([clip], [view.prompt])[0])


def _model() -> ModelRef | None:
    from experts import alignment as conse_expert

    return conse_expert.model_ref()


METRIC: Final = Metric(
    "alignment", unit="centred cosine", better="higher", title="Alignment (ConSE)", measure=alignment, model=_model
)
