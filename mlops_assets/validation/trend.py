"""Small pictures of how a number went over the last batches, as SVG inside a page."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, ROW_HEIGHT, CHART_HEIGHT = 160, 26, 120


class Point(NamedTuple):
    """A number of one batch; `bad` draws it as a fault, `said` is shown when one points at it."""

    value: float
    bad: bool
    said: str


class Bar(NamedTuple):
    """A batch: rows that went on, rows that were held, and the page that tells of it."""

    good: int
    held: int
    blocked: bool
    said: str
    page: str


def line(points: Sequence[Point | None]) -> str:
    """Draw numbers from left to right, the newest last; None leaves a gap."""
    values = [point.value for point in points if point]
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    step = (WIDTH - 10) / max(1, len(points) - 1)

    def place(at: int, value: float) -> tuple[float, float]:
        share = (value - low) / (high - low) if high > low else 0.5
        return 5 + at * step, ROW_HEIGHT - 5 - share * (ROW_HEIGHT - 10)

    drawn = [(*place(at, point.value), point) for at, point in enumerate(points) if point]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in drawn)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3 if point.bad or point is points[-1] else 1.5}"'
        f' class="{"bad" if point.bad else "dot"}"><title>{escape(point.said)}</title></circle>'
        for x, y, point in drawn
    )
    return (
        f'<svg width="{WIDTH}" height="{ROW_HEIGHT}" role="img" aria-label="{len(values)} batches,'
        f' {low:.4g} to {high:.4g}"><polyline points="{path}"/>{dots}</svg>'
    )


def bars(batches: Sequence[Bar]) -> str:
    """Draw the rows of each batch as a bar that leads to its page, those held on top; a blocked one is hatched."""
    highest = max((bar.good + bar.held for bar in batches), default=0) or 1
    width = min(28.0, 840 / max(1, len(batches)))
    drawn = []
    for at, bar in enumerate(batches):
        x, w = at * width + 1, width - 2
        good, held = (CHART_HEIGHT * rows / highest for rows in (bar.good, bar.held))
        held = max(held, 3.0) if bar.held else 0.0
        drawn.append(
            f'<a href="{escape(bar.page)}"><title>{escape(bar.said)}</title>'
            f'<rect x="{x:.1f}" y="0" width="{w:.1f}" height="{CHART_HEIGHT}" class="ground"/>'
            f'<rect x="{x:.1f}" y="{CHART_HEIGHT - good:.1f}" width="{w:.1f}" height="{good:.1f}"'
            f' class="{"stopped" if bar.blocked else "good"}"/>'
            f'<rect x="{x:.1f}" y="{max(0.0, CHART_HEIGHT - good - held):.1f}" width="{w:.1f}" height="{held:.1f}"'
            f' class="held"/></a>'
        )
    return (
        f'<svg width="{max(1, len(batches)) * width:.0f}" height="{CHART_HEIGHT}" role="img"'
        f' aria-label="rows of the last {len(batches)} batches">{"".join(drawn)}</svg>'
    )
