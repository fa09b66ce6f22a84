"""What every source can do, and how the places written in its declaration are filled in."""

import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import pyarrow as pa

from mlops_assets.errors import UnknownNameError
from mlops_assets.records import Span

_PLACE = re.compile(r"\{(\w+)\}")


@runtime_checkable
class Source(Protocol):
    """Somewhere raw rows come from."""

    kind: str

    def read(self, span: Span | None, *, variables: Mapping[str, str]) -> pa.Table:
        """Give the rows that belong to `span`, or all rows where it is None.

        Strings, times and decimals come in the house's types (see `settle`); everything else as it was found.

        Args:
            span: The partition asked for.
            variables: What `{here}`, `{landing}` and the like stand for in the declaration.

        Raises:
            SourceError: The rows could not be had. Rows that are absent are never an empty table.
            DeclarationError: The declaration cannot be obeyed for this span.
        """
        ...


def fill(template: str, span: Span | None, variables: Mapping[str, str]) -> str:
    """Give `template` with its places filled: `{partition}` from `span`, the others from `variables`.

    >>> fill("{landing}/{partition}.csv", Span.day("2013-02-08"), {"landing": "in"})
    'in/2013-02-08.csv'
    """
    known = dict(variables)
    if span is not None:
        known.setdefault("partition", span.partition)

    def value(place: re.Match[str]) -> str:
        if place[1] not in known:
            raise UnknownNameError(f"Place in {template!r}", place[1], known=known)
        return known[place[1]]

    return _PLACE.sub(value, template)
