"""What every source can do, and how the places written in its declaration are filled in.

A source gives its rows in pieces, so that a batch of any size takes the memory of one. `read` is for batches that are
known to be small; what may be large goes through a `Stage`.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import pyarrow as pa
from pydantic import BaseModel

from mlops_assets.errors import UnknownNameError
from mlops_assets.records import Span
from mlops_assets.sources.arrow import whole

_PLACE = re.compile(r"\{(\w+)\}")
SPAN_PLACES = frozenset({"partition", "partition_start", "partition_end"})


@runtime_checkable
class Source(Protocol):
    """Somewhere raw rows come from."""

    @property
    def kind(self) -> str:
        """The name by which YAML chooses it."""
        ...

    @property
    def where(self) -> str:
        """Say in words where rows come from, as declared."""
        ...

    def pieces(self, spans: Sequence[Span | None], *, variables: Mapping[str, str]) -> Iterator[tuple[int, pa.Table]]:
        """Give the rows that belong to each of `spans`, or all rows for None, piece by piece and in their order.

        With each piece comes the place of its span in `spans`. There is at least one piece of each span, without rows
        if it has none. Pieces of one span fit together (`whole`), and what is no guess from the first piece: a type is
        found out from all of them. What holds rows of many spans is read once.

        Args:
            spans: The partitions asked for.
            variables: What `{here}`, `{landing}` and the like stand for in the declaration.

        Raises:
            SourceError: The rows could not be had, also after some pieces. Rows that are absent are never an empty
                table.
            DeclarationError: The declaration cannot be obeyed for a span.
        """
        ...

    def read(self, span: Span | None, *, variables: Mapping[str, str]) -> pa.Table:
        """Give all pieces of one span as a table in the house's types (see `settle`)."""
        ...

    def stamp(self, span: Span | None, *, variables: Mapping[str, str]) -> str | None:
        """Give a mark that changes whenever what `read` gives for `span` may have changed, without reading it.

        As long as the mark is the same, `read` gives the same rows. A new mark promises nothing: spans kept in one
        file share its mark, and the mark of all of them changes with any of them.

        None where the source cannot say: it is not there, or nothing cheap tells.

        Raises:
            SourceError: The source could not be asked.
        """
        ...


class SourceModel(BaseModel, frozen=True, extra="forbid"):
    """What a kind of source starts from: it reads span by span and cannot say what has changed."""

    @abstractmethod
    def stream(self, span: Span | None, *, variables: Mapping[str, str]) -> Iterator[pa.Table]:
        """Give the pieces of one span, see `Source.pieces`."""

    def pieces(self, spans: Sequence[Span | None], *, variables: Mapping[str, str]) -> Iterator[tuple[int, pa.Table]]:
        """See `Source.pieces`."""
        for place, span in enumerate(spans):
            for piece in self.stream(span, variables=variables):
                yield place, piece

    def read(self, span: Span | None, *, variables: Mapping[str, str]) -> pa.Table:
        """See `Source.read`."""
        return whole([piece for _, piece in self.pieces([span], variables=variables)])

    def stamp(self, span: Span | None, *, variables: Mapping[str, str]) -> str | None:
        """See `Source.stamp`."""
        return None


def places_in(template: str) -> set[str]:
    """Name the places in `template`.

    >>> sorted(places_in("{landing}/{partition}.csv"))
    ['landing', 'partition']
    """
    return set(_PLACE.findall(template))


def fill(template: str, span: Span | None, variables: Mapping[str, str], *, as_text: Callable[[str], str] = str) -> str:
    """Give `template` with its places filled: those of the partition from `span`, the others from `variables`.

    `as_text` is what every value goes through on its way in, for templates in which some letters have a meaning.

    >>> fill("{landing}/{partition}.csv", Span.day("2013-02-08"), {"landing": "in"})
    'in/2013-02-08.csv'
    >>> fill("from={partition_start}", Span.day("2013-02-08"), {})
    'from=2013-02-08T00:00:00Z'
    """
    known = dict(variables)
    if span is not None:
        known.setdefault("partition", span.partition)
        known.setdefault("partition_start", _iso(span.start))
        known.setdefault("partition_end", _iso(span.end))

    def value(place: re.Match[str]) -> str:
        if place[1] not in known:
            raise UnknownNameError(f"Place in {template!r}", place[1], known=known)
        return as_text(known[place[1]])

    return _PLACE.sub(value, template)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
