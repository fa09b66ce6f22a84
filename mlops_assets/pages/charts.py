"""Lines over two axes, as SVG: crisp at any size, and without a library that takes a second to load."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

WIDTH: Final = 460.0
HEIGHT: Final = 300.0
LEFT: Final = 58.0  # room for the numbers of the upright axis
RIGHT: Final = 24.0
TOP: Final = 30.0
BOTTOM: Final = 46.0

Tone = Literal["first", "second", "faint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What is counted along an edge, from `low` to `high`; both are widened to round numbers where they are None."""

    title: str
    low: float | None = None
    high: float | None = None
    form: Callable[[float], str] = "{:,.4g}".format


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points from left to right; `band` holds the lower and the upper end at each, `dots` marks the points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    tone: Tone = "first"
    band: tuple[Sequence[float], Sequence[float]] | None = None
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """An upright line at `x`, with a word to it."""

    x: float
    said: str


def chart(lines: Sequence[Line], *, x: Axis, y: Axis, mark: Mark | None = None, said: str) -> str:
    """Draw lines over two axes; those named first are drawn on top. `said` is what a reader who cannot see it hears."""
    low_x, high_x, ticks_x = _ends(x, [value for line in lines for value in line.x])
    reach = [value for line in lines for part in (line.y, *(line.band or ())) for value in part]
    low_y, high_y, ticks_y = _ends(y, reach)

    def across(value: float) -> float:
        return LEFT + (value - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(tick):.1f}" y2="{up(tick):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{up(tick) + 4:.1f}" text-anchor="end">{escape(y.form(tick))}</text>'
        for tick in ticks_y
    ]
    parts += [
        f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(x.form(tick))}</text>'
        for tick in ticks_x
    ]
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.title)}</text>'
    )
    parts.append(f'<text x="0" y="14">{escape(y.title)}</text>')
    if mark and low_x <= mark.x <= high_x:
        at = across(mark.x)
        end = at > (LEFT + WIDTH) / 2
        parts.append(
            f'<line class="held" stroke-dasharray="4 3" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text x="{at + (-6 if end else 6):.1f}" y="{HEIGHT - BOTTOM - 8}" '
            f'text-anchor="{"end" if end else "start"}">{escape(mark.said)}</text>'
        )
    for line in reversed(lines):
        points = [(across(a), up(b)) for a, b in zip(line.x, line.y, strict=True)]
        if line.band:
            lower, upper = ([(across(a), up(b)) for a, b in zip(line.x, ends, strict=True)] for ends in line.band)
            parts.append(f'<polygon class="{line.tone}" points="{_path([*lower, *reversed(upper)])}"/>')
        parts.append(f'<polyline class="{line.tone}" points="{_path(points)}"/>')
        if line.dots:
            parts += [f'<circle class="{line.tone}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>' for a, b in points]
    parts += _names(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" '
        f'aria-label="{escape(said)}">{"".join(parts)}</svg>'
    )


def _names(lines: Sequence[Line]) -> list[str]:
    """Name the lines from the right of the top edge, each in its tone."""
    named, at = [], WIDTH - RIGHT
    for line in reversed([line for line in lines if line.name]):
        named.append(
            f'<text class="named {line.tone}" x="{at:.0f}" y="14" text-anchor="end">{escape(line.name)}</text>'
        )
        at -= 8.4 * len(line.name) + 12  # as wide as text may be
    return named


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _ends(axis: Axis, values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Give the ends of an axis and the round numbers to write along it."""
    low = min(values, default=0.0) if axis.low is None else axis.low
    high = max(values, default=1.0) if axis.high is None else axis.high
    if not high > low:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    step = _round_step((high - low) / 4)
    low = low if axis.low is not None else math.floor(low / step + 1e-9) * step
    high = high if axis.high is not None else math.ceil(high / step - 1e-9) * step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return low, high, [round(n * step, 12) for n in range(first, last + 1)]


def _round_step(width: float) -> float:
    """Give 1, 2, 2.5 or 5 times a power of ten, at least `width`."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= width * (1 - 1e-9))
