"""Charts as inline SVG: plain functions from numbers to markup. Colours come from the page's CSS classes.

Every chart has a `<title>`, so that a reader who does not see it knows what it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = [
    "Bound",
    "Histogram",
    "Segment",
    "curve",
    "histogram",
    "interval",
    "nice_number",
    "ticks",
    "timeline",
    "vectors",
]


@dataclass(frozen=True, slots=True)
class Bound:
    """A threshold of a rule: values on its `passing` side, "above" or "below", are kept."""

    value: float
    passing: str
    rule: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of kept and rejected clips in equal steps from `low` to `high` (of the logarithm, when `log`)."""

    low: float
    high: float
    log: bool
    kept: tuple[int, ...]
    rejected: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a timeline, in seconds; `kind` is its CSS class."""

    start: float
    end: float
    kind: str
    label: str


def nice_number(value: float) -> str:
    """Write a number in at most four figures: 0.031, 4.2, 118, 12.4k."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "-"
    size = abs(value)
    for limit, divisor, suffix in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if size >= limit:
            return f"{value / divisor:.3g}{suffix}"
    if size >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if size >= 0.001 else f"{value:.0e}"


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round numbers between `low` and `high`, roughly `about` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _svg(width: float, height: float, title: str, body: Sequence[str], css: str) -> str:
    return (
        f'<svg class="{css}" viewBox="0 0 {width:g} {height:g}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def _rect(x: float, y: float, width: float, height: float, css: str, title: str = "", more: str = "") -> str:
    inner = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect class="{css}" x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"{more}>{inner}</rect>'


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line class="{css}" x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}"/>'


def _text(x: float, y: float, text: str, css: str = "t", anchor: str = "middle") -> str:
    return f'<text class="{css}" x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}">{escape(text)}</text>'


def histogram(data: Histogram, bounds: Sequence[Bound], title: str) -> str:
    """Draw kept over rejected counts, with the rules' thresholds as lines and what they reject shaded."""
    width, height, left, top, base = 300.0, 132.0, 6.0, 18.0, 108.0
    span = width - 2 * left
    most = max((k + r for k, r in zip(data.kept, data.rejected, strict=True)), default=0) or 1

    def place(value: float) -> float:
        low, high, at = data.low, data.high, value
        if data.log:
            low, high, at = math.log(low), math.log(high), math.log(max(value, 1e-12))
        return left + span * min(1.0, max(0.0, (at - low) / ((high - low) or 1.0)))

    body, step = [], span / max(1, len(data.kept))
    for bound in bounds:
        x = place(bound.value)
        start, end = (left, x) if bound.passing == "above" else (x, left + span)
        if end > start:
            body.append(_rect(start, top, end - start, base - top, "out"))
    for i, (kept, rejected) in enumerate(zip(data.kept, data.rejected, strict=True)):
        tall, x = (base - top) / most, left + i * step + 0.75
        if rejected:
            body.append(_rect(x, base - (kept + rejected) * tall, step - 1.5, rejected * tall, "bar-out"))
        if kept:
            body.append(_rect(x, base - kept * tall, step - 1.5, kept * tall, "bar-in"))
    body.append(_line(left, base, left + span, base, "axis"))
    body += _bound_marks(bounds, place, top, base, data)
    labels = [data.low, math.sqrt(data.low * data.high) if data.log else (data.low + data.high) / 2, data.high]
    for value, anchor, x in zip(labels, ("start", "middle", "end"), (left, width / 2, width - left), strict=True):
        body.append(_text(x, base + 14, nice_number(value), anchor=anchor))
    return _svg(width, height, title, body, "chart histogram")


def _bound_marks(
    bounds: Sequence[Bound], place: Callable[[float], float], top: float, base: float, data: Histogram
) -> list[str]:
    marks = []
    for bound in bounds:
        x = place(bound.value)
        sign = "≥" if bound.passing == "above" else "≤"
        outside = not data.low <= bound.value <= data.high
        anchor, shift = ("start", 4) if x < 150 else ("end", -4)
        css = "bound far" if outside else "bound"
        marks.append(_line(x, top - 4, x, base, css))
        marks.append(_text(x + shift, top - 6, f"{sign} {nice_number(bound.value)}", "t bound-label", anchor))
    return marks


def curve(
    points: Sequence[tuple[float, float]],
    smooth: Sequence[tuple[float, float]],
    marks: Sequence[tuple[float, float, str]],
    title: str,
    *,
    unit: str = "step",
) -> str:
    """Draw a noisy series, its smoothed line, and labelled `marks` (x, y, label) such as held-out losses."""
    width, height, left, right, top, base = 900.0, 300.0, 56.0, 24.0, 16.0, 262.0
    xs = [x for x, _ in points] + [x for x, _, _ in marks]
    ys = sorted(y for _, y in points) + [y for _, y, _ in marks]
    x_low, x_high = (min(xs), max(xs)) if xs else (0.0, 1.0)
    shown = [*ys[: max(1, int(len(points) * 0.99))], *(y for _, y, _ in marks)]  # a few spikes do not set the scale
    y_low, y_high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    pad = 0.06 * ((y_high - y_low) or 1.0)
    y_low, y_high = max(0.0, y_low - pad) if y_low >= 0 else y_low - pad, y_high + pad

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / ((x_high - x_low) or 1.0)
        up = min(1.0, max(0.0, (y - y_low) / (y_high - y_low)))
        return left + across * (width - left - right), base - up * (base - top)

    body = []
    for value in ticks(y_low, y_high):
        y = at(x_low, value)[1]
        body += [_line(left, y, width - right, y, "grid"), _text(left - 8, y + 4, nice_number(value), anchor="end")]
    for value in (t for t in ticks(x_low, x_high, 6) if t == int(t)):  # steps are whole
        body.append(_text(at(value, y_low)[0], base + 18, nice_number(value)))
    body.append(_text(width - right, base + 34, unit, "t dim", "end"))
    for series, css in ((points, "raw"), (smooth, "smooth")):
        if series:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*p) for p in series))
            body.append(f'<polyline class="{css}" points="{path}"/>')
    for x_value, y_value, label in marks:
        x, y = at(x_value, y_value)
        anchor, shift = ("start", 11) if x < width / 2 else ("end", -11)
        body.append(f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>')
        above = y - 10 if y - 10 > top + 8 else y + 20
        body.append(_text(x + shift, above, label, "t mark-label", anchor))
    return _svg(width, height, title, body, "chart curve")


def timeline(segments: Sequence[Segment], cuts: Sequence[float], duration: float, title: str) -> str:
    """Draw a source from left to right: its segments as blocks, its cuts as ticks."""
    width, height = 1000.0, 30.0
    scale = width / (duration or 1.0)
    body = [_rect(0, 6, width, 18, "track")]
    for s in segments:
        body.append(
            _rect(s.start * scale + 1, 6, max(2.0, (s.end - s.start) * scale - 2), 18, f"seg {s.kind}", s.label)
        )
    body += [_line(t * scale, 1, t * scale, 29, "cut") for t in cuts]
    head = f'<svg class="chart timeline" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="none" role="img" '
    return f'{head}xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>{"".join(body)}</svg>'


def interval(low: float | None, mean: float, high: float | None, scale: tuple[float, float], title: str) -> str:
    """Draw a mean as a dot and its interval as a bar, on a scale shared by all rows it is compared with."""
    width, height, left = 220.0, 22.0, 7.0
    start, end = scale

    def place(value: float) -> float:
        return left + (width - 2 * left) * min(1.0, max(0.0, (value - start) / ((end - start) or 1.0)))

    body = [_line(left, 11, width - left, 11, "axis")]
    if low is not None and high is not None:
        body.append(_rect(place(low), 7.5, max(1.0, place(high) - place(low)), 7, "whisker", more=' rx="3.5"'))
    filled = low is not None
    body.append(f'<circle class="{"dot" if filled else "dot open"}" cx="{place(mean):.1f}" cy="11" r="4.5"/>')
    return _svg(width, height, title, body, "chart interval")


def vectors(points: Sequence[tuple[float, float, str]], title: str) -> str:
    """Draw displacements from the centre, x to the right and y downwards, each with its CSS class."""
    side, middle = 260.0, 130.0
    radius = middle - 36
    far = max((math.hypot(x, y) for x, y, _ in points), default=0.0) or 1.0
    rings = [r for r in ticks(0, far, 2) if r > 0] or [far]
    reach = max(far, rings[-1])
    body = []
    for ring in rings:
        r = radius * ring / reach
        body.append(f'<circle class="grid ring" cx="{middle}" cy="{middle}" r="{r:.1f}"/>')
        body.append(_text(middle + 0.71 * r + 3, middle - 0.71 * r - 3, nice_number(ring), "t dim", "start"))
    body += [_line(middle - radius, middle, middle + radius, middle, "grid"),
             _line(middle, middle - radius, middle, middle + radius, "grid")]  # fmt: skip
    for x, y, css in points:
        px, py = middle + radius * x / reach, middle + radius * y / reach
        body.append(_line(middle, middle, px, py, f"ray {css}"))
        body.append(f'<circle class="tip {css}" cx="{px:.1f}" cy="{py:.1f}" r="3.2"/>')
    edge = radius + 4
    ends = (
        (middle - edge, middle + 4, "left", "end"),
        (middle + edge, middle + 4, "right", "start"),
        (middle, middle - edge - 2, "up", "middle"),
        (middle, middle + edge + 10, "down", "middle"),
    )
    body += [_text(x, y, word, "t", anchor) for x, y, word, anchor in ends]
    return _svg(side, side, title, body, "chart vectors")
