"""Pages of documentation that a run writes: a title, what is to be said first, and a table under each heading."""

from collections.abc import Iterable, Mapping, Sequence


def page(title: str, said: Iterable[str], columns: Sequence[str], tables: Mapping[str, Iterable[Sequence[str]]]) -> str:
    """Give a page in Markdown, with one table a heading, all of the same columns.

    >>> print(page("Days", ["Two of them."], ["day", "rows"], {"In May": [["1", "7"], ["2", "a | b"]]}), end="")
    # Days
    <BLANKLINE>
    Two of them.
    <BLANKLINE>
    ## In May
    <BLANKLINE>
    | day | rows |
    |---|---|
    | 1 | 7 |
    | 2 | a \\| b |
    """
    parts = [f"# {title}", *said]
    for heading, rows in tables.items():
        lines = [_row(columns), "|" + "---|" * len(columns), *map(_row, rows)]
        parts += [f"## {heading}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
