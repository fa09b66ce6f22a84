"""Stretches of time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlops_assets.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, closed at the start and open at the end; both ends are aware.

    >>> Span.day("2013-02-08").end.isoformat()
    '2013-02-09T00:00:00+00:00'
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment.tzinfo is None:
                raise DeclarationError(
                    f"The {name} of a span, {moment.isoformat()}, has no time zone, so it names no moment. "
                    f"Give it one, such as datetime.UTC.",
                    **{name: moment},
                )
        if self.end <= self.start:
            raise DeclarationError(
                f"A span must end after it starts, but {self.end.isoformat()} is not after {self.start.isoformat()}. "
                f"Swap the two, or leave out the span to read everything.",
                start=self.start,
                end=self.end,
            )

    @classmethod
    def day(cls, partition: str) -> "Span":
        """Give the UTC day named by a partition key, `YYYY-MM-DD`."""
        start = datetime.strptime(partition, "%Y-%m-%d").replace(tzinfo=UTC)
        return cls(start, start + timedelta(days=1))

    @property
    def partition(self) -> str:
        """Give the key of the day on which the span starts."""
        return self.start.astimezone(UTC).date().isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of decision times, closed at the start and open at the end, and the labelled rows found in it."""

    start: datetime
    end: datetime
    rows: int
    label_mean: float
