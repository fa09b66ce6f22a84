"""What it costs to hold 20 columns against a contract, and to keep rows as a version with their digest.

    python -m bench.validation                         a million rows
    python -m bench.validation --rows 1000000 10000000 one after the other, with how memory grows
    python -m bench.validation --no-peer               without Great Expectations, which takes minutes

Each figure is a process of its own: CPU seconds of the process without its imports, and the most memory it ever held.
The work: a Parquet file of 20 columns is read; missing values, ranges, choices, patterns and a key of text are checked;
one row in ten thousand breaks one of them. Ours gives the good rows on and holds the bad ones with their reasons; the
floor, one aggregate of DuckDB over the same file and rules, only counts; the peer, Great Expectations on pandas, only
counts, too, and has its frame read beforehand at no charge.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

REALS, WHOLES, CHOICES = 8, 6, ("EWR", "JFK", "LGA")
GROUP_ROWS = 131_072
OURS, PEER, FLOOR = (
    "ours: contract with quarantine",
    "peer: Great Expectations on pandas",
    "floor: DuckDB, one aggregate",
)
CHAIN = "ours: source -> raw -> validated"
WRITE, PLAIN = "ours: versioned write with digest", "floor: plain Parquet write"
RATIOS = (
    ("judging: ours / floor", OURS, FLOOR, "<= 1.5"),
    ("judging: peer / ours", PEER, OURS, ">= 6"),
    ("writing: ours / floor", WRITE, PLAIN, "<= 1.2"),
)


def contract() -> dict[str, Any]:
    """Give the contract as YAML would have it."""
    return {
        "columns": {
            "id": {"type": "string", "unique": True, "regex": "N[0-9]{8}"},
            **{f"real_{n}": {"type": "float64", "min": -10, "max": 10, "nullable": n % 2 == 0} for n in range(REALS)},
            **{f"whole_{n}": {"type": "int64", "min": 0, "max": 999} for n in range(WHOLES)},
            **{f"choice_{n}": {"type": "string", "isin": list(CHOICES)} for n in range(3)},
            "code": {"type": "string", "regex": "[A-Z]{2}[0-9]"},
            "moment": {"type": "timestamp"},
        }
    }


def drawn(rows: int, *, start: int, seed: int) -> pa.Table:
    """Draw rows, one in ten thousand of which is bad in a way of its own."""
    rng = np.random.default_rng([seed, start])
    numbers = np.arange(start, start + rows)
    bad = np.flatnonzero(numbers % 10_000 == 17)
    columns: dict[str, Any] = {"id": np.char.add("N", np.char.zfill(numbers.astype(str), 8))}
    for n in range(REALS):
        values = rng.normal(size=rows)
        values[bad[n % 3 :: 7]] = 11.0
        columns[f"real_{n}"] = pa.array(values, mask=(rng.random(rows) < 0.02) & (n % 2 == 0))
    for n in range(WHOLES):
        columns[f"whole_{n}"] = rng.integers(0, 1000, rows)
        columns[f"whole_{n}"][bad[n % 5 :: 11]] = 1000
    for n in range(3):
        picked = np.array([*CHOICES, "LHR"])[rng.integers(0, 3, rows)]
        picked[bad[n::13]] = "LHR"
        columns[f"choice_{n}"] = picked
    columns["code"] = np.array(["AB1", "CD2", "EF3"])[rng.integers(0, 3, rows)]
    columns["moment"] = pa.array(numbers.astype("datetime64[us]"), pa.timestamp("us", "UTC"))
    columns["id"][bad[5::17]] = np.char.add("X", numbers[bad[5::17]].astype(str))
    return pa.table(columns)


def write_rows(path: Path, rows: int) -> None:
    """Write the file that all of them read."""
    with pq.ParquetWriter(path, drawn(1, start=0, seed=1).schema, compression="zstd") as writer:
        for start in range(0, rows, GROUP_ROWS):
            writer.write_table(drawn(min(GROUP_ROWS, rows - start), start=start, seed=1))


# --- the works, each run in a process of its own --------------------------------------------------


def ours(path: Path) -> Callable[[], int]:
    """Judge the file in pieces, as a stored batch is."""
    import pyarrow.dataset as ds

    from mlops_assets.validation import Contract, rules, validate_pieces

    assert rules  # pandera is loaded at no charge, as the peer is
    declared = Contract.model_validate(contract())
    return lambda: sum(
        piece.quarantined.num_rows for piece in validate_pieces(ds.dataset(path), declared, table="bench")
    )


def floor(path: Path) -> Callable[[], int]:
    """Count what breaks each rule in one query over the file."""
    import duckdb

    broken = ["count(*) - count(DISTINCT id)", "count(*) FILTER (NOT regexp_full_match(id, 'N[0-9]{8}'))"]
    for name, rule in contract()["columns"].items():
        if not rule.get("nullable"):
            broken.append(f"count(*) FILTER ({name} IS NULL)")
        if rule["type"] == "float64":
            broken.append(f"count(*) FILTER (NOT isfinite({name}))")
        broken += [
            f"count(*) FILTER ({name} {sign} {rule[end]})" for end, sign in (("min", "<"), ("max", ">")) if end in rule
        ]
        if "isin" in rule:
            broken.append(f"count(*) FILTER ({name} NOT IN {tuple(rule['isin'])})")
    broken.append("count(*) FILTER (NOT regexp_full_match(code, '[A-Z]{2}[0-9]'))")

    def work() -> int:
        with duckdb.connect() as connection:
            (counts,) = connection.sql(f"SELECT {', '.join(broken)} FROM read_parquet('{path}')").fetchall()
        return sum(counts)

    return work


def peer(path: Path) -> Callable[[], int]:
    """Hold the same rules as a suite against a frame that is there already."""
    import great_expectations as gx
    from great_expectations import expectations

    frame, gxe = pq.read_table(path).to_pandas(), cast("Any", expectations)
    told: list[Any] = [gxe.ExpectColumnValuesToBeUnique(column="id")]
    for name, rule in contract()["columns"].items():
        if not rule.get("nullable"):
            told.append(gxe.ExpectColumnValuesToNotBeNull(column=name))
        if "min" in rule:
            told.append(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=rule["min"], max_value=rule["max"]))
        if "isin" in rule:
            told.append(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=rule["isin"]))
        if "regex" in rule:
            told.append(gxe.ExpectColumnValuesToMatchRegex(column=name, regex=rf"^(?:{rule['regex']})$"))
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("batch")
    batch = asset.add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite(name="bench", expectations=told)

    def work() -> int:
        outcome = batch.get_batch({"dataframe": frame}).validate(suite)
        return sum(each.result.get("unexpected_count", 0) for each in outcome.results)

    return work


def chain(path: Path) -> Callable[[], int]:
    """Bring the file in as a pipeline does: read from its source, kept as raw, judged, and parted."""
    from datetime import UTC, datetime

    from mlops_assets.orchestration.steps.intake.ingesting import ingest, judge
    from mlops_assets.orchestration.table_declaration import TableDeclaration
    from mlops_assets.stores.home import Home
    from mlops_assets.validation import rules

    assert rules
    source = {"kind": "files", "paths": [f"{{here}}/{path.name}"]}
    declared = TableDeclaration.model_validate({"table": "bench", "source": source, "contract": contract()})
    stores, at = Home(path.parent / "home", settings={}), datetime(2024, 1, 1, tzinfo=UTC)

    def work() -> int:
        ingest(declared, stores, [None], folder=path.parent, at=at)
        return judge(declared, stores, [None], None, at=at).refused_rows

    return work


def versioned_write(path: Path) -> Callable[[], int]:
    """Write the rows as a first version, hashed."""
    from mlops_assets.stores.tables import TableStore

    rows, store = pq.read_table(path), TableStore(path.parent / "tables")
    return lambda: store.write("raw/bench", rows).rows


def plain_write(path: Path) -> Callable[[], int]:
    """Write the rows as one file, with the compression that Delta uses."""
    rows = pq.read_table(path)

    def work() -> int:
        pq.write_table(rows, path.parent / "plain.parquet", compression="snappy")
        return int(rows.num_rows)

    return work


WORKS: Mapping[str, Callable[[Path], Callable[[], int]]] = {
    OURS: ours,
    FLOOR: floor,
    PEER: peer,
    CHAIN: chain,
    WRITE: versioned_write,
    PLAIN: plain_write,
}


def work_alone(name: str, path: Path) -> None:
    """Do one work in this process, and print what it took."""
    work = WORKS[name](path)
    began = time.process_time()
    found = work()
    took = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_s": took, "peak_mb": peak, "found": found}))


# --- all of them ----------------------------------------------------------------------------------


def measured(name: str, path: Path, *, runs: int) -> dict[str, float]:
    """Give the least of several runs, each in a process of its own."""
    best: dict[str, float] = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            alone = Path(folder) / path.name
            alone.symlink_to(path)
            command = [sys.executable, "-m", "bench.validation", "--work", name, "--path", str(alone)]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(answer.stdout.splitlines()[-1])
        best = found if not best else {key: min(best[key], found[key]) for key in best}
    return best


def told(rows: int, found: Mapping[str, Mapping[str, float]]) -> None:
    """Print what each took, and how ours compares."""
    print(f"\n{rows:,} rows x {len(contract()['columns'])} columns")
    for name, figures in found.items():
        print(f"  {name:<40} {figures['cpu_s']:9.2f} CPU s {figures['peak_mb']:9.0f} MB")
    for label, above, below, goal in RATIOS:
        if above in found and below in found:
            print(f"  {label:<40} {found[above]['cpu_s'] / found[below]['cpu_s']:9.2f}   (goal {goal})")


def main() -> None:
    """Measure, and print CPU seconds, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--no-peer", action="store_true", help="leave Great Expectations out")
    parser.add_argument("--runs", type=int, default=3, help="of ours and the floors; the peer runs once")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    parser.add_argument("--work", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work_alone(arguments.work, arguments.path)
        return
    by_size: dict[int, dict[str, dict[str, float]]] = {}
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            write_rows(path, rows)
            works = [name for name in WORKS if name != PEER or not arguments.no_peer]
            by_size[rows] = {name: measured(name, path, runs=1 if name == PEER else arguments.runs) for name in works}
        told(rows, by_size[rows])
    if len(by_size) > 1:
        least, most = min(by_size), max(by_size)
        for name in (OURS, CHAIN):
            grown = by_size[most][name]["peak_mb"] - by_size[least][name]["peak_mb"]
            print(f"{name:<42} {grown / (most - least) * 1e6:9.1f} MB more for each million rows")
    if arguments.json:
        arguments.json.write_text(json.dumps(by_size, indent=2))


if __name__ == "__main__":
    main()
