"""What yesterday's flights tell of the winds aloft, which last for days: how much longer than usual they took."""

from datetime import datetime, timedelta

import polars as pl


def headwinds(flights: pl.DataFrame, partition_end: datetime) -> pl.DataFrame:
    """Give a row per destination flown to within the last day; a cancelled or diverted flight has no air time."""
    minutes = pl.col("air_time")
    usual = minutes.median().over("origin", "dest")
    return (
        flights.filter(minutes.is_not_null())
        .with_columns(longer=minutes - usual)
        .filter(pl.col("reported_at") >= partition_end - timedelta(days=1))
        .group_by("dest")
        .agg(pl.col("longer").median().alias("longer_than_usual_1d"))
    )
