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


class Repeats:
    """Looks for days most of whose rows stood in an earlier day, though rows of a usual day do not.

    Asked is also with each column of numbers left out in turn, for somebody may have changed one. Where rows are alike
    on usual days, as of a timetable, nothing is found: then they cannot tell days apart.
    """

    def __init__(self) -> None:
        self._hashes: dict[str, list[Hashes]] = {}
        self._numbers: set[str] = set()
        self._days: list[Days] = []

    def see(self, content: pa.Table, days: Days) -> None:
        """Take the next rows in.

        Args:
            content: What rows say, without keys and times, in order of time.
            days: The day of each row, shape (n,).
        """
        for place, (name, column) in enumerate(zip(content.column_names, content.columns, strict=True)):
            self._hashes.setdefault(name, []).append(pl.Series(column).hash(seed=place).to_numpy())
            if pa.types.is_floating(column.type):
                self._numbers.add(name)
        self._days.append(days)

    def found(self) -> dict[np.datetime64, str]:
        """Give the days that came twice, a sentence each."""
        if not self._days:
            return {}
        of_day, day, rows = np.unique(np.concatenate(self._days), return_inverse=True, return_counts=True)
        if len(of_day) < ENOUGH_DAYS:
            return {}
        found: dict[np.datetime64, str] = {}
        for hashes, but in self._looks():
            _, first, row = np.unique(hashes, return_index=True, return_inverse=True)
            before = day[first][row]  # rows are in order of time, so the first place is on the first day
            again = before < day
            share = np.bincount(day, weights=again, minlength=len(of_day)) / rows
            usual = float(np.median(share[1:]))
            if usual > FEW:
                continue
            for place in np.flatnonzero((share >= MOST) & (rows >= ENOUGH_ROWS)):
                source = of_day[np.bincount(before[again & (day == place)]).argmax()]
                found.setdefault(
                    of_day[place],
                    f"{share[place]:.0%} of the {rows[place]:,} decisions of {of_day[place]} are there before, most on "
                    f"{source}{but}; of a usual day {usual:.1%} are. Was an old day sent again?",
                )
        return found

    def _looks(self) -> Iterator[tuple[Hashes, str]]:
        """Give a number for what each row says: in all, and without one column of numbers after another."""
        by_column = {name: np.concatenate(pieces) for name, pieces in self._hashes.items()}
        everything: Hashes = np.sum(list(by_column.values()), axis=0, dtype=np.uint64)  # goes round at the end
        yield everything, ""
        for name, hashes in by_column.items():
            if name in self._numbers:
                yield everything - hashes, f" but for {name}"
