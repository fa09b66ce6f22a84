"""How long a window of a million rows takes to be held against training, beside what the machine cannot do without.

    python -m bench.drift              ours, and the floors: decoding the file, reading the numbers once
    python -m bench.drift --peer       also Evidently, installed into an environment of its own (needs uv)

CPU seconds of the process, best of several runs: wall time says more about the neighbours than about the work. The rows
are the example's flights and weather, drawn with replacement, first half of the year against the second; continuous
numbers are jittered, so that few are equal.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import mlops_assets
from mlops_assets.monitoring import MonitorPolicy, Profile, compare
from mlops_assets.records import DriftReport

DATA = Path(mlops_assets.__file__).parent / "defs/flights/data"
JITTERED = ("distance", "dep_delay", "air_time", "temp", "dewp", "humid", "wind_speed", "pressure")
CATEGORICAL = ("carrier", "origin", "dest", "tail_letter", "weekday")
JOINED = f"""
    SELECT f.scheduled_departure, f.distance, f.sched_dep_time, f.sched_arr_time, f.flight, f.dep_delay, f.air_time,
           w.temp, w.dewp, w.humid, w.wind_dir, w.wind_speed, w.precip, w.pressure, w.visib,
           f.carrier, f.origin, f.dest, right(f.tailnum, 1) AS tail_letter, dayname(f.scheduled_departure) AS weekday
    FROM '{DATA}/flights.parquet' f
    LEFT JOIN '{DATA}/weather.parquet' w
        ON f.origin = w.origin AND date_trunc('hour', f.scheduled_departure) = w.valid_hour
"""
YEAR = datetime(2013, 1, 1, tzinfo=UTC)
PEER_PACKAGES = ("evidently==0.7.23", "pandas<3", "pyarrow")
PEER = """
import json, sys, time
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
from evidently.presets import DataDriftPreset
training, window = (pd.read_parquet(path) for path in sys.argv[1:3])
categorical = json.loads(sys.argv[3])
about = DataDefinition(numerical_columns=[c for c in training if c not in categorical], categorical_columns=categorical)
sides = [Dataset.from_pandas(rows, data_definition=about) for rows in (window, training)]
reports = {
    "evidently, its data drift preset": [DataDriftPreset()],
    "evidently, PSI alone, one column at a time": [ValueDrift(column=c, method="psi") for c in training],
}
found = {}
for name, metrics in reports.items():
    began = time.process_time()
    Report(metrics).run(*sides)
    found[name] = time.process_time() - began
print(json.dumps(found))
"""


def drawn(rows: int, *, first_half: bool, seed: int) -> pa.Table:
    """Draw `rows` flights of one half of the year with their weather."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    half = f"month(scheduled_departure) {'<=' if first_half else '>'} 6"
    real = connection.sql(
        f"SELECT * EXCLUDE scheduled_departure FROM ({JOINED}) WHERE {half} ORDER BY ALL"
    ).to_arrow_table()
    rng = np.random.default_rng(seed)
    picked = real.take(pa.array(rng.integers(real.num_rows, size=rows)))
    columns: dict[str, Any] = {}
    for name in picked.column_names:
        columns[name] = picked[name] if name in CATEGORICAL else picked[name].cast(pa.float64())
        if name in JITTERED:
            noise = rng.normal(scale=0.01 * pc.stddev(columns[name]).as_py(), size=rows)
            columns[name] = pc.add(columns[name], pa.array(noise))
    columns["noise"] = rng.normal(size=rows)
    return pa.table(columns)


def columns_of(rows: pa.Table) -> dict[str, Any]:
    """Give the columns as the profile takes them."""
    return {name: rows[name] if name in CATEGORICAL else rows[name].to_numpy() for name in rows.column_names}


def cpu_seconds(work: Callable[[], object], *, runs: int = 5) -> float:
    """Give the least CPU time of several runs."""
    best = float("inf")
    for _ in range(runs):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def judged(training: Profile, path: Path) -> DriftReport:
    """Hold a Parquet file against the training profile, a row group at a time."""
    file = pq.ParquetFile(path, read_dictionary=list(CATEGORICAL))
    groups = (file.read_row_group(number, use_threads=False) for number in range(file.num_row_groups))
    window = sum((training.count(columns_of(group)) for group in groups), start=training.empty())
    return _compared(training, window)


def _compared(training: Profile, window: Profile) -> DriftReport:
    return compare(MonitorPolicy(), training, window, model="bench", bundle_sha256="", start=YEAR, end=YEAR)


def decoded(path: Path) -> None:
    """Decode the file and drop it."""
    file = pq.ParquetFile(path, read_dictionary=list(CATEGORICAL))
    for number in range(file.num_row_groups):
        file.read_row_group(number, use_threads=False)


def measured(rows: int, folder: Path) -> tuple[dict[str, float], tuple[Path, Path]]:
    """Measure ours and the floors on `rows` rows."""
    tables = [drawn(rows, first_half=first, seed=seed) for first, seed in ((True, 1), (False, 2))]
    paths = (folder / "training.parquet", folder / "window.parquet")
    for table, path in zip(tables, paths, strict=True):
        pq.write_table(table, path, row_group_size=131_072, compression="lz4")
    levels = {name: sorted(level for level in pc.unique(tables[0][name]).to_pylist() if level) for name in CATEGORICAL}
    first, second = (columns_of(table) for table in tables)
    training = Profile.of(first, levels=levels)
    window = training.count(second)
    numbers = [values for name, values in second.items() if name not in CATEGORICAL]
    return {
        "ours, from Parquet to the report": cpu_seconds(lambda: judged(training, paths[1])),
        "ours, from memory to the profile": cpu_seconds(lambda: training.count(second)),
        "ours, from two profiles to the report": cpu_seconds(lambda: _compared(training, window)),
        "ours, the training profile, once": cpu_seconds(lambda: Profile.of(first, levels=levels), runs=2),
        "floor: decode the Parquet file": cpu_seconds(lambda: decoded(paths[1])),
        "floor: numpy.sum of the numbers": cpu_seconds(lambda: [np.sum(values) for values in numbers]),
    }, paths


def measured_peer(paths: tuple[Path, Path], folder: Path) -> dict[str, float]:
    """Measure Evidently on the same files, read beforehand at no charge, in an environment of its own."""
    uv = shutil.which("uv")
    if uv is None:
        raise SystemExit("The peer is installed with uv, which is not on the PATH. Install uv, or leave out --peer.")
    environment = folder / "peer"
    subprocess.run([uv, "venv", "-q", str(environment)], check=True)
    python = environment / "bin/python"
    subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *PEER_PACKAGES], check=True)
    command = [str(python), "-c", PEER, *map(str, paths), json.dumps(CATEGORICAL)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return {name: float(seconds) for name, seconds in json.loads(answer.stdout.splitlines()[-1]).items()}


def main() -> None:
    """Measure, and print CPU seconds and multiples of ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer", action="store_true", help="also measure Evidently")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found, paths = measured(arguments.rows, Path(folder))
        if arguments.peer:
            found |= measured_peer(paths, Path(folder))
    ours = next(iter(found.values()))
    print(f"{arguments.rows:,} rows x {15 + len(CATEGORICAL)} columns, CPU seconds")
    for name, seconds in found.items():
        print(f"  {name:<44} {seconds:9.4f} {seconds / ours:8.2f} x")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": arguments.rows, "cpu_seconds": found}, indent=2))


if __name__ == "__main__":
    main()
