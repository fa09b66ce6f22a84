"""What a training set and an online feature cost, beside raw DuckDB and SQLite and beside Feast.

    python -m bench.features                           ours and the floors, a million rows
    python -m bench.features --peer                    also Feast with DuckDB and SQLite, in an environment of its own
    python -m bench.features --only join_wide          one of: join, join_wide, join_late, flights, online, imports
    python -m bench.features --rows 100000 --json out.json

Every piece of work is a process of its own. CPU seconds (user and system) count from reading the Parquet or Delta files
to the table in memory, imports left out; wall time says more about the neighbours than about the work. Memory is the
most the process ever held, imports included. Ours and the floor are the best of `--runs`, Feast runs once, and a
process that takes more than `--memory` is killed and reported as such. Reads are medians of wall time.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import mlops_assets
from mlops_assets.stores.tables import TableStore

ROOT = Path(mlops_assets.__file__).parent.parent
DATA = ROOT / "mlops_assets/defs/flights/data"
PEER = ROOT / ".tools/feast"
PEER_PACKAGES = ("feast[duckdb]==0.67.0", "duckdb>=2,<3", "pandas<3")
MOMENT = pa.timestamp("us", "UTC")
YEAR = (datetime(2013, 1, 1, tzinfo=UTC), 365 * 86_400 * 10**6)
HOUR = 3600 * 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one process used; `killed` says why there is no figure."""

    values: dict[str, float] = field(default_factory=dict)
    peak_mb: float = 0.0
    killed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A measure of ours, by itself (`of` empty) or as a multiple of another process's, and what it may be at most."""

    measure: str
    most: float
    of: str = ""

    def __str__(self) -> str:
        if not self.of:
            return f"{self.measure} <= {self.most:g}"
        return f"{self.measure} <= {self.most:.3g} x {self.of}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A kind of work: what is measured on which rows, ours first, and the goals."""

    title: str
    works: tuple[str, ...]
    goals: tuple[Goal, ...]
    prepare: Callable[[Path, int], None]


# --- rows ------------------------------------------------------------------------------------------


def write(folder: Path, rows: pa.Table, labels: pa.Table | None = None) -> None:
    """Put rows and labels where every process finds them, and the rows into a table of ours."""
    pq.write_table(rows, folder / "rows.parquet")
    if labels is not None:
        pq.write_table(labels, folder / "labels.parquet")
        TableStore(folder / "tables").write("rows", rows)


def moments(micros: np.ndarray) -> pa.Array:
    """Give microseconds since 1970 as a column of times."""
    return pa.array(micros.astype("datetime64[us]")).cast(MOMENT)


def drawn(rows: int, *, keys: int, seed: int, late_hours: int = 0) -> pa.Table:
    """Draw rows of 8 features for random keys and times of a year, known up to `late_hours` after they were true."""
    chance = np.random.default_rng(seed)
    event = int(YEAR[0].timestamp() * 1e6) + chance.integers(0, YEAR[1], rows)
    known = event + chance.integers(0, late_hours * HOUR, rows) if late_hours else event
    features = {f"f{number}": chance.normal(size=rows) for number in range(8)}
    return pa.table(
        {"key": chance.integers(0, keys, rows), "event_time": moments(event), "known_at": moments(known), **features}
    )


def labelled(labels: int, *, keys: int) -> pa.Table:
    """Draw decisions for random keys and times of a year."""
    chance = np.random.default_rng(3)
    decided = int(YEAR[0].timestamp() * 1e6) + chance.integers(0, YEAR[1], labels)
    return pa.table({"key": chance.integers(0, keys, labels), "decision_time": moments(decided)})


def synthetic(*, times: int = 1, late_hours: int = 0) -> Callable[[Path, int], None]:
    """Give what prepares `times` as many rows as labels, a tenth as many keys as labels."""

    def prepare(folder: Path, rows: int) -> None:
        keys = max(1, rows // 10)
        features = drawn(rows * times, keys=keys, seed=1, late_hours=late_hours)
        write(folder, features, labelled(rows, keys=keys))

    return prepare


def flights(folder: Path, rows: int) -> None:
    """Take the example's flights as decisions, as often as it takes and never twice the same time, and its weather."""
    departs = pq.read_table(DATA / "flights.parquet", columns=["origin", "scheduled_departure"])
    picked = pa.array(np.arange(rows) % departs.num_rows)
    jitter = np.random.default_rng(3).integers(-HOUR, HOUR, rows)
    decided = departs["scheduled_departure"].cast(pa.int64()).take(picked).to_numpy() - 2 * HOUR + jitter
    labels = pa.table({"key": departs["origin"].take(picked), "decision_time": moments(decided)})
    weather = pq.read_table(DATA / "weather.parquet")
    names = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
    times = dict.fromkeys(("event_time", "known_at"), weather["valid_hour"])
    write(folder, pa.table({"key": weather["origin"], **times, **{name: weather[name] for name in names}}), labels)


def newest(folder: Path, rows: int) -> None:
    """Draw one row for each of so many keys, in no order."""
    one = drawn(rows, keys=rows, seed=1)
    write(folder, one.set_column(0, "key", pa.array(np.random.default_rng(2).permutation(rows))))


def nothing(folder: Path, rows: int) -> None:
    """Prepare nothing."""


CASES = {
    "join": Case(
        title="training set, as many rows as labels",
        works=("join", "raw_join", "feast_join"),
        goals=(Goal(measure="cpu_s", most=1.3, of="raw_join"), Goal(measure="cpu_s", most=1 / 5, of="feast_join")),
        prepare=synthetic(),
    ),
    "join_wide": Case(
        title="training set, ten times as many rows as labels",
        works=("join", "raw_join", "feast_join"),
        goals=(
            Goal(measure="cpu_s", most=1.5, of="raw_join"),
            Goal(measure="peak_mb", most=2500),
            Goal(measure="cpu_s", most=1 / 9, of="feast_join"),
        ),
        prepare=synthetic(times=10),
    ),
    "join_late": Case(
        title="training set from rows known up to 72 hours late, held against the plain join",
        works=("join", "plain_join"),
        goals=(Goal(measure="cpu_s", most=2.0, of="plain_join"),),
        prepare=synthetic(late_hours=72),
    ),
    "flights": Case(
        title="training set, flights with weather",
        works=("join", "raw_join", "feast_join"),
        goals=(Goal(measure="cpu_s", most=1.5, of="raw_join"), Goal(measure="peak_mb", most=700)),
        prepare=flights,
    ),
    "online": Case(
        title="online: a row for each key, 8 features; reads with 5 functions on top",
        works=("materialize", "raw_materialize", "feast_materialize", "read", "feast_read_python", "feast_read_pandas"),
        goals=(
            Goal(measure="cpu_s", most=2.0, of="raw_materialize"),
            Goal(measure="cpu_s", most=1 / 12, of="feast_materialize"),
            Goal(measure="p50_ms_1", most=0.05),
            Goal(measure="p50_ms_100", most=0.6),
            Goal(measure="p50_ms_1", most=1 / 10, of="feast_read_python"),
            Goal(measure="p50_ms_100", most=1 / 20, of="feast_read_python"),
        ),
        prepare=newest,
    ),
    "imports": Case(
        title="import of the features room; heavy: MLflow, Great Expectations, Dagster",
        works=("imports",),
        goals=(Goal(measure="heavy", most=0),),
        prepare=nothing,
    ),
}


# --- measuring -------------------------------------------------------------------------------------


def measured(work: str, folder: Path, *, peer: Path | None, memory_mb: int, runs: int) -> Figure | None:
    """Do one piece of work in a process of its own, several times if it is not Feast's; None if there is no peer."""
    if work.startswith("feast_"):
        if peer is None:
            return None
        command = [str(peer), str(ROOT / "bench/_feast_work.py"), work.removeprefix("feast_")]
        return watched([*command, str(folder)], memory_mb=memory_mb)
    if work == "plain_join":
        work, folder = "join", folder / "plain"
    command = [sys.executable, "-m", "bench._feature_work", work, str(folder)]
    figures = [watched(command, memory_mb=memory_mb) for _ in range(runs)]
    return min(figures, key=lambda figure: tuple(figure.values.values())[:1])


def watched(command: list[str], *, memory_mb: int) -> Figure:
    """Run a process to its end, or until it holds more memory than it may."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, cwd=ROOT, env=environment)
        peak, killed = 0.0, ""
        while process.poll() is None:
            peak = max(peak, resident_mb(process.pid))
            if peak > memory_mb:
                killed = f"killed at {memory_mb / 1000:g} GB after {cpu_s(process.pid):.0f} CPU s"
                process.kill()
            time.sleep(0.01)
        if killed:
            return Figure(peak_mb=peak, killed=killed)
        for stream in (output, errors):
            stream.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read()[-3000:]}")
        values = json.loads(output.read().strip().splitlines()[-1])
    return Figure(values=values, peak_mb=peak)


def resident_mb(pid: int) -> float:
    """Give the most memory a process has held so far."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def cpu_s(pid: int) -> float:
    """Give the CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def installed_peer() -> Path:
    """Give the Python of an environment with Feast, made on first use with uv."""
    python = PEER / "bin/python"
    if python.exists():
        return python
    uv = shutil.which("uv") or shutil.which(ROOT / ".tools/bin/uv")
    if uv is None:
        raise SystemExit(
            "Feast is installed with uv, which is not here. Run `python dev.py setup`, or leave out --peer."
        )
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(PEER)], check=True)
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), *PEER_PACKAGES]
    if subprocess.run(install, check=False).returncode:
        shutil.rmtree(PEER)
        raise SystemExit("Feast could not be installed; see above.")
    return python


# --- saying it -------------------------------------------------------------------------------------


def lines(case: Case, found: dict[str, Figure]) -> Iterator[str]:
    """Say what was measured, as multiples of ours, and whether the goals are met."""
    ours = found[case.works[0]]
    yield case.title
    for work, figure in found.items():
        if figure.killed:
            yield f"  {work:<20} {figure.killed}"
            continue
        values = {name: value for name, value in figure.values.items() if name not in ("rows", "sum")}
        said = "  ".join(f"{name} {value:8.3f}" for name, value in values.items())
        multiple = figure.values.get("cpu_s", 0) / (ours.values.get("cpu_s") or 1)
        times = f"  {multiple:6.2f} x ours" if multiple and figure is not ours else ""
        yield f"  {work:<20} {said}  peak {figure.peak_mb:6.0f} MB{times}"
    sums = {figure.values["sum"] for figure in found.values() if "sum" in figure.values}
    if "plain_join" not in found and sums and max(sums) - min(sums) > 1e-6 * max(map(abs, sums)):
        yield f"  THE ANSWERS DIFFER: {sorted(sums)}"
    for goal in case.goals:
        if (said := judged(goal, found)) is not None:
            yield f"  goal: {goal!s:<36} {said}"


def judged(goal: Goal, found: dict[str, Figure]) -> str | None:
    """Say whether a goal is met and by which figure; None if what it is held against was not measured."""
    ours = next(figure for figure in found.values() if goal.measure in measures(figure))
    value = measures(ours)[goal.measure]
    if goal.of:
        if goal.of not in found:
            return None
        if found[goal.of].killed:
            return f"met: {goal.of} was killed"
        value /= measures(found[goal.of])[goal.measure]
    figure = f"{value:.3g}" if value >= goal.most / 10 else f"{value:.2g}"
    return f"met: {figure}" if value <= goal.most else f"NOT MET: {figure}"


def measures(figure: Figure) -> dict[str, float]:
    """Give everything a goal may be about."""
    return figure.values | {"peak_mb": figure.peak_mb}


def main() -> None:
    """Measure, and print CPU seconds, memory, multiples and goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="labels of a training set, keys online")
    parser.add_argument("--only", action="append", choices=CASES, help="measure these alone")
    parser.add_argument("--peer", action="store_true", help="also measure Feast")
    parser.add_argument("--runs", type=int, default=3, help="of ours and of the floors, of which the best counts")
    parser.add_argument("--memory", type=float, default=9.0, metavar="GB", help="at which a process is killed")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    arguments = parser.parse_args()
    peer = installed_peer() if arguments.peer else None
    everything: dict[str, dict[str, Figure]] = {}
    for name in arguments.only or CASES:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            case.prepare(folder, arguments.rows)
            if "plain_join" in case.works:
                (folder / "plain").mkdir()
                synthetic()(folder / "plain", arguments.rows)
            done = {
                work: measured(work, folder, peer=peer, memory_mb=round(arguments.memory * 1000), runs=arguments.runs)
                for work in case.works
            }
        found = everything[name] = {work: figure for work, figure in done.items() if figure is not None}
        print(*lines(case, found), sep="\n", flush=True)
    if arguments.json:
        plain = {name: {work: asdict(figure) for work, figure in found.items()} for name, found in everything.items()}
        arguments.json.write_text(json.dumps({"rows": arguments.rows, "found": plain}, indent=2))


if __name__ == "__main__":
    main()
