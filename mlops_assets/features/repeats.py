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


def repeated_days(content: pa.Table, days: Days) -> dict[np.datetime64, str]:
    """Give the days most of whose rows stood in an earlier day, though rows of a usual day do not; a sentence each.

    Asked is also with each column of numbers left out in turn, for somebody may have changed one. Where rows are alike
    on usual days, as of a timetable, nothing is found: then they cannot tell days apart.

    Args:
        content: What rows say, without keys and times, in order of time.
        days: The day of each row, shape (n,).
    """
    of_day, day, rows = np.unique(days, return_inverse=True, return_counts=True)
    if len(of_day) < ENOUGH_DAYS:
        return {}
    found: dict[np.datetime64, str] = {}
    for hashes, but in _hashed(content):
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


def _hashed(content: pa.Table) -> Iterator[tuple[Hashes, str]]:
    """Give a number for what each row says: in all, and without one column of numbers after another."""
    by_column = {
        name: pl.Series(content[name]).hash(seed=place).to_numpy() for place, name in enumerate(content.column_names)
    }
    everything: Hashes = np.sum(list(by_column.values()), axis=0, dtype=np.uint64)  # goes round at the end, as it may
    yield everything, ""
    for name, hashes in by_column.items():
        if pa.types.is_floating(content.schema.field(name).type):
            yield everything - hashes, f" but for {name}"
