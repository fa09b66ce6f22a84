"""Values that are missing, impossible, or written otherwise."""

import pyarrow as pa

from mlops_assets_tests.claims.bad_data._changing import SOME, column, every, flown, some
from mlops_assets_tests.claims.bad_data._world import Kind


def of_airline(rows: pa.Table, carrier: str) -> pa.Table:
    """Give `rows` in which some flights are of another airline, in every column that says so."""
    rows = some(rows, "carrier", carrier)
    ids, flights, origins = (rows[name].to_pylist() for name in ("flight_id", "flight", "origin"))
    for place in SOME:
        ids[place] = f"{ids[place].split('Z-')[0]}Z-{carrier}-{flights[place]}-{origins[place]}"
    return column(rows, "flight_id", ids)


OF_VALUES = [
    Kind(
        "null flood",
        "nine of ten delays are missing",
        "blocked",
        rows=lambda day, _: column(
            day, "dep_delay", [v if n % 10 == 0 else None for n, v in enumerate(day["dep_delay"].to_pylist())]
        ),
    ),
    Kind(
        "null flood where nulls may be",
        "nine of ten registrations are missing",
        "blocked",
        rows=lambda day, _: column(
            day, "tailnum", [v if n % 10 == 0 else None for n, v in enumerate(day["tailnum"].to_pylist())]
        ),
    ),
    Kind(
        "missing where nothing may be",
        "a few flights without an airline",
        "quarantined",
        rows=lambda day, _: some(day, "carrier", None),
    ),
    Kind(
        "missing key",
        "a few flights without an identifier",
        "quarantined",
        rows=lambda day, _: some(day, "flight_id", None),
    ),
    Kind(
        "negative where positive",
        "a few distances below nothing",
        "quarantined",
        rows=lambda day, _: some(day, "distance", lambda miles: -miles),
    ),
    Kind(
        "integer overflow",
        "a few numbers that went over 16 bits and came out below nothing",
        "quarantined",
        rows=lambda day, _: some(day, "air_time", lambda minutes: (minutes or 0) - 2**16),
    ),
    Kind(
        "a number that stands for missing",
        "-999 for an unknown delay",
        "quarantined",
        rows=lambda day, _: some(day, "arr_delay", -999),
    ),
    Kind(
        "plausible and wrong",
        "a few arrival delays that are ten minutes off",
        "quarantined",
        rows=lambda day, _: some(day, "arr_delay", lambda late: late + 10, flown(day)),
    ),
    Kind(
        "new category",
        "an airline that was never seen, right in every other way",
        "warned",
        rows=lambda day, _: of_airline(day, "ZZ"),
        accepted="airlines come and go, and a warning is the news; models know unseen levels as unknown",
        right=lambda day, _: of_airline(day, "ZZ"),
    ),
    Kind(
        "category that cannot be",
        "flights from an airport that is not New York's",
        "quarantined",
        rows=lambda day, _: some(day, "origin", "BOS"),
    ),
    Kind(
        "whitespace in keys",
        "a space after the airline's code",
        "quarantined",
        rows=lambda day, _: some(day, "carrier", lambda code: f"{code} "),
    ),
    Kind("case changes", "airlines in small letters", "blocked", rows=lambda day, _: every(day, "carrier", str.lower)),
    Kind(
        "characters nobody sees",
        "a zero-width space in a registration",
        "quarantined",
        rows=lambda day, _: some(day, "tailnum", "N1\u200b34"),
    ),
    Kind(
        "letters that look alike",
        "a Cyrillic А in an airline's code",
        "quarantined",
        rows=lambda day, _: some(day, "carrier", "А" + "A"),
    ),
    Kind(
        "contradicting flags",
        "cancelled flights that arrived",
        "quarantined",
        rows=lambda day, _: some(day, "cancelled", True, flown(day)),
    ),
    Kind(
        "rows that contradict each other",
        "the same flight twice, with two delays",
        "quarantined",
        rows=lambda day, _: pa.concat_tables([day, some(day.slice(0, 5), "dest", "XXX", (0, 1))]),
    ),
]
