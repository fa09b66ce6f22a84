"""What training and judging a version costs beside a bare `lightgbm.train` on the same arrays.

    python -m bench.training                           the flights of 2013, some 300,000 rows to learn from
    python -m bench.training --until 2013-02-15        fewer
    python -m bench.training --home HOME               rows of a home that has them, such as one of bench.loop's

The rows of the training set are stored already; where no home is named, a year of flights is brought in once, which
takes minutes, and kept in `.tools/bench_training`. Ours is all that a retraining does from there to the verdict: read,
vectorize, fit, assemble and keep the bundle, digest, register, track in MLflow with its model, judge with intervals,
slices, baselines and a champion three weeks older, draw the report. Bare is `lightgbm.Dataset` and `lightgbm.train`
with the same parameters on one thread. Each is a process of its own, with the settings that `mlops up` gives its
processes; imports, the making of MLflow's tables and the start of Delta's runtime are left out, for a process does them
once. Wall time is what the goal is about, and means something on an idle machine alone; CPU seconds are told beside it.
The two take turns, and the ratio is that of the round in the middle. Memory is what the process grew by at most, in
multiples of the training matrix.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import mlops_assets
from mlops_assets.cli.stack import SETTINGS

ROOT = Path(mlops_assets.__file__).parent.parent
KEPT = ROOT / ".tools/bench_training"
MODEL = "flight_delay"
MOST_OVERHEAD, MOST_MEMORY = 1.25, 2.5
BEFORE = 21  # days ago, the champion was trained

# Where time goes: each function is timed in the module that calls it, less what is timed inside it on its thread.
STEPS = (
    ("steps.gate.judging", "details_of", "levels to search"),
    ("steps.fitting.learning", "vectorized", "read, vectorize and digest rows"),
    ("steps.fitting.learning", "fit", "fit"),
    ("steps.fitting.learning", "_repeats", "two trial fits"),
    ("steps.fitting.learning", "bundle_of", "scores, bundle"),
    ("steps.gate.judging", "training_rows_of", "read rows to judge"),
    ("steps.fitting.yardstick", "sent_again", "days sent again, beside the fit"),
    ("steps.fitting.yardstick", "handed_out_anew", "names handed out anew, beside the fit"),
    ("steps.fitting.yardstick", "fit_baseline", "fit the baseline, beside the fit"),
    ("steps.fitting.learning", "yardstick_of", "rest of what it is judged beside, beside the fit"),
    ("steps.fitting.learning", "profile_of", "profile, beside the fit"),
    ("steps.fitting.learning", "get_ready", "what MLflow looks through, beside the fit"),
    ("steps.fitting.learning", "mlflow_model", "MLflow's model"),
    ("steps.gate.judging", "behaviour_of", "behaviour"),
    ("steps.gate.judging", "judge", "judge"),
    ("steps.gate.judging", "portray", "curves and importance"),
    ("steps.gate.judging", "show_report", "report"),
    ("steps.fitting.learning", "fit_model", "keep, register, track"),
    ("steps.gate.judging", "evaluate", "the rest"),
)


def grown() -> Callable[[], float]:
    """Give a function that tells by how many MB this process has grown at most since now."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far

    def memory(name: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))

    before = memory("VmRSS")
    return lambda: memory("VmHWM") - before


class Clock:
    """CPU seconds by step, each without the steps inside it, on whatever thread it is taken."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._here = threading.local()

    @contextmanager
    def step(self, name: str) -> Any:
        """Count a block as `name`."""
        inside = self._here.__dict__.setdefault("inside", [0.0])
        began = time.thread_time()
        inside.append(0.0)
        try:
            yield
        finally:
            took = time.thread_time() - began
            self.spent[name] = self.spent.get(name, 0.0) + took - inside.pop()
            inside[-1] += took

    def watch(self, module: Any, function: str, name: str) -> None:
        """Count every call of a function that `module` makes as `name`."""
        real = getattr(module, function)

        @wraps(real)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.step(name):
                return real(*arguments, **named)

        setattr(module, function, timed)


# --- the two works, each in a process of its own ---------------------------------------------------


def ours(home: Path, arrays: Path) -> dict[str, Any]:
    """Train and judge in a home that has the rows; keep the arrays for the bare fit."""
    from importlib import import_module

    import lightgbm  # noqa: F401
    import mlflow.lightgbm
    import polars  # noqa: F401
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401
    import scipy.optimize  # noqa: F401
    import sklearn.linear_model  # noqa: F401

    from mlops_assets.cli.project import Project
    from mlops_assets.orchestration.steps.datasets.training_sets import training_rows_of
    from mlops_assets.orchestration.steps.datasets.vectorizing import Look
    from mlops_assets.orchestration.steps.fitting import learning
    from mlops_assets.orchestration.steps.gate import judging
    from mlops_assets.records import TrainingSet

    project = Project.find(str(home))
    folder, stores = project.models[MODEL], project.home
    training_set = stores.records.get((MODEL, "training_set"), None, TrainingSet)
    stores.tracking.alias_of(MODEL, "champion")  # makes MLflow's tables
    stores.tables.version(training_set.table)  # starts Delta's runtime
    clock = Clock()
    for module, function, name in STEPS:
        clock.watch(import_module(f"mlops_assets.orchestration.{module}"), function, name)
    at, peak, wall, began = training_set.cut_off, grown(), time.perf_counter(), time.process_time()
    version = learning.fit_model(folder, stores, training_set, tags={}, requester="bench")
    judging.evaluate(folder, stores, training_set, version, at=at)
    found = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - began, "grown_mb": peak()}
    steps = dict(clock.spent)
    rows = training_rows_of(stores, training_set, part="train")
    bundle = judging.LoadedBundle.of(stores, MODEL, version.sha256)
    np.savez(arrays, X=Look(bundle.vectorizer, stores).vectors(rows), y=rows["__label"].to_numpy())
    told = {"params": version.params, "categorical": list(bundle.vectorizer.categorical), "steps": steps}
    return {**found, **told, "mlflow": mlflow.__version__}


def bare(arrays: Path, params: dict[str, Any], categorical: list[int]) -> dict[str, Any]:
    """Fit the same arrays with the same parameters, and nothing else."""
    import lightgbm

    with np.load(arrays) as kept:
        X, y = kept["X"], kept["y"]
    rounds = int(params.pop("num_iterations"))
    peak, wall, began = grown(), time.perf_counter(), time.process_time()
    data = lightgbm.Dataset(X, y, categorical_feature=categorical, params={**params, "num_threads": 1})
    lightgbm.train({**params, "num_threads": 1}, data, num_boost_round=rounds)
    took, rows = time.process_time() - began, list(X.shape)
    return {"wall_s": time.perf_counter() - wall, "cpu_s": took, "grown_mb": peak(), "shape": rows}


@dataclass(frozen=True)
class Round:
    """What was measured one after the other, so that both saw the same machine."""

    ours: dict[str, Any]
    bare: dict[str, Any]


# --- rows -------------------------------------------------------------------------------------------


def bring_in(until: date) -> Path:
    """Bring the flights of the year in up to a day, once; give the home."""
    from mlops_assets.cli.project import Project
    from mlops_assets.orchestration.resources import set_replay_time

    project = Project.find(str(KEPT))
    now = datetime(until.year, until.month, until.day, 1, tzinfo=UTC)
    set_replay_time(project.home, now)
    tables = project.home.tables
    have = set(tables.partitions("features/carrier_delays")) if tables.exists("features/carrier_delays") else set()
    wanted = [(date(2013, 1, 1) + timedelta(days=n)).isoformat() for n in range((until - date(2013, 1, 1)).days)]
    faults = project.refresh_whole_tables(now=now)
    if days := [day for day in wanted if day not in have]:
        faults += project.refresh(days, now=now)
    if faults:
        sys.exit("; ".join(faults))
    return KEPT


def prepare(source: Path, until: date, home: Path) -> int:
    """Build the training set as known on a day into a home of its own, over the tables of another; give its rows.

    What is live there was trained as known a while before.
    """
    from mlops_assets.cli.project import Project
    from mlops_assets.orchestration.steps import build_training_set, fit_model
    from mlops_assets.stores.home import Home
    from mlops_assets.stores.releases import Release

    for stage in ("raw", "validated", "features"):
        (home / "tables").mkdir(parents=True, exist_ok=True)
        (home / "tables" / stage).symlink_to(source.absolute() / "tables" / stage)
    (home / "records").mkdir()
    for views in (source / "records").glob("views*"):
        (home / "records" / views.name).symlink_to(views.absolute())
    stores = Home(home)
    folder = Project.find(str(home)).models[MODEL]
    cut_off = datetime(until.year, until.month, until.day, 2, tzinfo=UTC)
    before = cut_off - timedelta(days=BEFORE)
    champion = fit_model(
        folder, stores, build_training_set(folder, stores, cut_off=before)[0], tags={}, requester="bench"
    )
    stores.releases.put(
        Release(
            model=MODEL,
            version=champion.version,
            bundle_sha256=champion.sha256,
            previous_version=None,
            previous_bundle_sha256=None,
            generation=1,
            at=before,
        )
    )
    made, _ = build_training_set(folder, stores, cut_off=cut_off)
    stores.records.put((MODEL, "training_set"), None, made)
    return made.train.rows


def alone(work: str, **given: Any) -> dict[str, Any]:
    """Do one work in a process of its own."""
    command = [sys.executable, "-m", "bench.training", "--work", work, "--given", json.dumps(given)]
    environment = {**os.environ, **SETTINGS}
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def told(rounds: Sequence[Round]) -> None:
    """Print what each took, how they compare in the round that is in the middle, and where our time goes."""
    rows, columns = rounds[0].bare["shape"]
    matrix_mb = rows * columns * 8 / 2**20
    print(f"\n{rows:,} rows x {columns} features, a matrix of {matrix_mb:.0f} MB")
    for number, each in enumerate(rounds, start=1):
        for name, found in ((f"{number}: train and judge", each.ours), ("   bare lightgbm.train", each.bare)):
            print(f"  {name:<34}{found['cpu_s']:8.2f} CPU s{found['wall_s']:9.2f} s{found['grown_mb']:9.0f} MB")
    cpu, wall = (median(each.ours[unit] / each.bare[unit] for each in rounds) for unit in ("cpu_s", "wall_s"))
    memory = max(each.ours["grown_mb"] for each in rounds) / matrix_mb
    print(f"  {'ours / bare, the median':<34}{cpu:8.2f} CPU  {wall:8.2f} wall   (goal <= {MOST_OVERHEAD} wall)")
    print(f"  {'memory / matrix, the most':<34}{memory:8.2f}   (goal <= {MOST_MEMORY})\n")
    fastest = min(rounds, key=lambda each: float(each.ours["wall_s"]))
    for name, spent in sorted(fastest.ours["steps"].items(), key=lambda each: -each[1]):
        print(f"  {name:<50}{spent:8.2f} CPU s")


def main() -> None:
    """Measure, and print CPU seconds, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="a home that holds the flights up to the day")
    parser.add_argument("--until", type=date.fromisoformat, default=date(2013, 12, 10), help="what is known by then")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is done, one after the other")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    parser.add_argument("--work", choices=("ours", "bare"), help=argparse.SUPPRESS)
    parser.add_argument("--given", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        given = {name: Path(value) if isinstance(value, str) else value for name, value in arguments.given.items()}
        print(json.dumps(partial(ours if arguments.work == "ours" else bare, **given)()))
        return
    if arguments.home and not (arguments.home / "tables/features").is_dir():
        parser.error(f"{arguments.home} holds no features to learn from. Name another home, or none to bring them in.")
    source = arguments.home or bring_in(arguments.until)
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        home, arrays = Path(folder, "home"), Path(folder, "arrays.npz")
        home.mkdir()
        print(f"{prepare(source, arguments.until, home):,} rows to learn from are stored", file=sys.stderr)
        rounds = []
        for number in range(arguments.rounds):
            copy = shutil.copytree(home, Path(folder, f"home_{number}"), symlinks=True)  # that nothing is there already
            mine = alone("ours", home=str(copy), arrays=str(arrays))
            floor = alone("bare", arrays=str(arrays), params=mine["params"], categorical=mine["categorical"])
            rounds.append(Round(mine, floor))
    told(rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in rounds], indent=2))


if __name__ == "__main__":
    main()
