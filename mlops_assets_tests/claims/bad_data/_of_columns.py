"""Columns that are renamed, moved, of another type, or another thing under the old name."""

import pyarrow as pa

from mlops_assets_tests.claims.bad_data._changing import column, every, some, swapped
from mlops_assets_tests.claims.bad_data._world import Kind

HHMM = ("sched_dep_time", "sched_arr_time", "dep_time", "arr_time")
SHIFTED = ("dep_time", "arr_time", "dep_delay", "arr_delay", "air_time")


def renamed(rows: pa.Table, old: str, new: str) -> pa.Table:
    return rows.rename_columns([new if name == old else name for name in rows.column_names])


def shifted(rows: pa.Table) -> pa.Table:
    """Give `rows` with the values of like columns one column further."""
    values = {name: rows[name] for name in SHIFTED}
    for at, name in enumerate(SHIFTED):
        rows = rows.set_column(rows.column_names.index(name), name, values[SHIFTED[at - 1]])
    return rows


def minutes_of_day(rows: pa.Table) -> pa.Table:
    for name in HHMM:
        rows = every(rows, name, lambda hhmm: hhmm // 100 * 60 + hhmm % 100)
    return rows


OF_COLUMNS = [
    Kind("renamed column", "`origin` came as `orig`", "blocked", rows=lambda day, _: renamed(day, "origin", "orig")),
    Kind("missing column", "`air_time` did not come", "blocked", rows=lambda day, _: day.drop_columns(["air_time"])),
    Kind(
        "extra column",
        "a column that nobody was told of",
        "blocked",
        rows=lambda day, _: day.append_column("gate", pa.repeat("B7", day.num_rows)),
    ),
    Kind(
        "reordered columns",
        "the columns from last to first",
        "accepted",
        rows=lambda day, _: day.select(day.column_names[::-1]),
        accepted="columns go by their names; they are stored in the contract's order",
    ),
    Kind(
        "swapped columns",
        "the two delays under each other's name",
        "blocked",
        rows=lambda day, _: swapped(day, "dep_delay", "arr_delay"),
    ),
    Kind(
        "swapped keys",
        "origin and destination under each other's name",
        "blocked",
        rows=lambda day, _: swapped(day, "origin", "dest"),
    ),
    Kind("shifted columns", "every time and delay one column further", "blocked", rows=lambda day, _: shifted(day)),
    Kind(
        "changed unit of length",
        "kilometres for miles",
        "blocked",
        rows=lambda day, _: every(day, "distance", lambda miles: round(miles * 1.609)),
    ),
    Kind(
        "changed unit of time",
        "delays in seconds for minutes",
        "blocked",
        rows=lambda day, _: every(day, "dep_delay", lambda minutes: minutes * 60),
    ),
    Kind("changed notation", "minutes since midnight for hhmm", "blocked", rows=lambda day, _: minutes_of_day(day)),
    Kind(
        "silent type change",
        "whole numbers that came as decimals, 1400.0",
        "accepted",
        rows=lambda day, _: every(day, "distance", float, pa.float64()),
        accepted="the numbers are the same; they are cast back, and only because nothing is lost",
    ),
    Kind(
        "fractions in whole numbers",
        "a column of decimals of which some have a fraction",
        "blocked",
        rows=lambda day, _: some(every(day, "distance", float, pa.float64()), "distance", 733.5),
    ),
    Kind(
        "numbers for yes and no",
        "0 and 1 for a flag",
        "blocked",
        rows=lambda day, _: every(day, "cancelled", int, pa.int64()),
    ),
    Kind(
        "wider than agreed",
        "whole numbers beyond 64 bits with a sign",
        "blocked",
        rows=lambda day, _: column(day, "flight", [2**63 + n for n in range(day.num_rows)], pa.uint64()),
    ),
    Kind(
        "constant column",
        "the same delay for every flight",
        "blocked",
        rows=lambda day, _: every(day, "dep_delay", lambda _: 0),
    ),
    Kind(
        "constant key",
        "the same airline for every flight",
        "blocked",
        rows=lambda day, _: every(day, "carrier", lambda _: "UA"),
    ),
]
