"""What is usual for the batches of a table, and what the bounds of its quality suite may be reckoned from."""

from collections.abc import Mapping
from statistics import median

from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.steps.intake.standing import Key
from mlops_assets.stores.home import Home

USUAL_BATCHES, USUAL_AT_LEAST = 28, 7  # batches before one that say how many rows are usual


def parameters_of(key: Key, usual: float | None) -> dict[str, object]:
    """Give what the bounds of a suite may be reckoned from."""
    span = span_of(key) if key else None
    known = {
        "partition_start": span.start if span else None,
        "partition_end": span.end if span else None,
        "usual_rows": usual,
    }
    return {name: value for name, value in known.items() if value is not None}


def usual_rows(stores: Home, table: str, coming: Mapping[Key, int]) -> dict[Key, float | None]:
    """Give for each batch the median rows of those before it that were let through, None if they are too few."""
    usual: dict[Key, float | None] = {}
    for key in coming:
        history = stores.quality.history(table, until=key, at_most=2 * USUAL_BATCHES)
        before = {place if key is None else batch.partition: batch for place, batch in history}
        rows = {day: batch.rows for day, batch in before.items() if not batch.blocked and (key is None or day != key)}
        rows |= {day: count for day, count in coming.items() if day and key and day < key}
        last = [rows[day] for day in sorted(rows, key=str)][-USUAL_BATCHES:]
        usual[key] = median(last) if len(last) >= USUAL_AT_LEAST else None
    return usual
