"""Days that came twice: the decisions of an earlier day under other keys and another date."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

ENOUGH_DAYS, ENOUGH_ROWS = 14, 30  # fewer say nothing of what is usual
MOST, FEW = 0.5, 0.1

Days = npt.NDArray[np.datetime64]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int32]


class Repeats:
    """Looks for days most of whose rows stood in an earlier day, though rows of a usual day do not.

    Asked is also with each column of numbers left out in turn, for somebody may have changed one. Where rows are alike
    on usual days, as of a timetable, nothing is found: then they cannot tell days apart.
    """

    def __init__(self) -> None:
        self._everything: list[Hashes] = []
        self._numbers: dict[str, list[Hashes]] = {}
        self._days: list[Days] = []
        self._rows: list[npt.NDArray[np.intp]] = []

    def see(self, content: pa.Table, days: Days) -> None:
        """Take the next rows in.

        Args:
            content: What rows say, without keys and times, in order of time.
            days: The day of each row, shape (n,).
        """
        everything: Hashes = np.zeros(content.num_rows, np.uint64)
        for place, (name, column) in enumerate(zip(content.column_names, content.columns, strict=True)):
            hashes = pl.Series(column).hash(seed=place).to_numpy()
            everything += hashes  # goes round at the end
            if pa.types.is_floating(column.type):
                self._numbers.setdefault(name, []).append(hashes)
        self._everything.append(everything)
        of_day, rows = np.unique(days, return_counts=True)
        self._days.append(of_day)
        self._rows.append(rows)

    def found(self) -> dict[np.datetime64, str]:
        """Give the days that came twice, a sentence each."""
        if not self._days:
            return {}
        of_day, place = np.unique(np.concatenate(self._days), return_inverse=True)
        if len(of_day) < ENOUGH_DAYS:
            return {}
        day = np.repeat(place.astype(np.int32), np.concatenate(self._rows))
        rows = np.bincount(day)
        found: dict[np.datetime64, str] = {}
        for hashes, but in self._looks():
            before, again = _seen_before(hashes, day)
            share = np.bincount(day[again], minlength=len(of_day)) / rows
            usual = float(np.median(share[1:]))
            if usual > FEW:
                continue
            for twice in np.flatnonzero((share >= MOST) & (rows >= ENOUGH_ROWS)):
                source = of_day[np.bincount(before[again & (day == twice)]).argmax()]
                found.setdefault(
                    of_day[twice],
                    f"{share[twice]:.0%} of the {rows[twice]:,} decisions of {of_day[twice]} are there before, most on "
                    f"{source}{but}; of a usual day {usual:.1%} are. Was an old day sent again?",
                )
        return found

    def _looks(self) -> Iterator[tuple[Hashes, str]]:
        """Give a number for what each row says: in all, and without one column of numbers after another."""
        everything = np.concatenate(self._everything)
        yield everything, ""
        for name, hashes in self._numbers.items():
            yield everything - np.concatenate(hashes), f" but for {name}"


def _seen_before(hashes: Hashes, day: Places) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Give the first day with a row that says the same, for each row, and whether that is an earlier one."""
    order = np.argsort(hashes)
    alike = hashes[order]
    starts = np.flatnonzero(np.append(True, alike[1:] != alike[:-1]))
    before = np.empty_like(day)
    before[order] = np.repeat(np.minimum.reduceat(day[order], starts), np.diff(np.append(starts, len(order))))
    return before, before < day
