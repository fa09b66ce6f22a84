"""Pieces of a page: tables, figures, panels, and bars and intervals that are as wide as their cell."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Lay out cells, which are HTML already; those in the columns `numbers` stand to the right."""
    kinds = [" class=number" if place in numbers else "" for place in range(len(head))]
    lines = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for kind, cell in zip(kinds, row, strict=True))}</tr>" for row in rows
    )
    first = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, head, strict=True))
    return f"<div class=scroll><table>{f'<tr>{first}</tr>' if any(head) else ''}{lines}</table></div>"


def figures(named: Mapping[str, tuple[str, str]]) -> str:
    """Show few numbers large, each with what it is and what is to be said of it."""
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(said)}</small></dd></div>"
        for name, (value, said) in named.items()
    )
    return f"<dl>{cells}</dl>"


def panel(title: str, drawn: str, said: str) -> str:
    """Show a picture with its title and what it says."""
    return f"<figure><h3>{escape(title)}</h3>{drawn}<figcaption>{escape(said)}</figcaption></figure>"


def shade(value: str, said: str, share: float) -> str:
    """Show a value on a ground that is the darker the larger its share is, with what is to be said of it."""
    return (
        f'<span class=shade style="--share:{100 * min(1.0, max(0.0, share)):.0f}%">{value}<small>{said}</small></span>'
    )


def bar(share: float) -> str:
    """Draw a share of the cell's width."""
    return f'<i class=bar style="width:{100 * min(1.0, max(0.0, share)):.1f}%"></i>'


def spread(value: float, low: float, high: float, *, ends: tuple[float, float], tone: str, zero: float | None) -> str:
    """Draw a value with its interval between `ends`, and an upright line at `zero`."""

    def at(number: float) -> float:
        share = (number - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.5
        return 100 * min(1.0, max(0.0, share))

    line = "" if zero is None else f'<i class=zero style="left:{at(zero):.1f}%"></i>'
    return (
        f'<span class=spread style="--tone:var(--{tone})">{line}'
        f'<i class=reach style="left:{at(low):.1f}%;width:{at(high) - at(low):.1f}%"></i>'
        f'<i class=at style="left:{at(value):.1f}%"></i></span>'
    )
