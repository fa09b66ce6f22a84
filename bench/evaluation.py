"""How long a million predictions take to be judged, with every interval, slice and group.

    python -m bench.evaluation                 ours, scikit-learn with a plain bootstrap, and the floor
    python -m bench.evaluation --rows 100000

CPU seconds of the process, for wall time says more about the neighbours than about the work. Ours is all that a report
holds: levels of all columns, the metrics of challenger, champion and baseline, the paired comparisons, the declared
slices, the search for the worst among all columns and pairs of them, the value curve, calibration and groups, all over
days. The peer reckons five of the metrics of the three models by scikit-learn and draws days with replacement; a few of
its thousand draws are timed and the rest reckoned up. The floor sorts each score once and adds up its losses.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn.metrics
from scipy.special import expit

from mlops_assets.evaluation import BusinessValue, Details, FairnessPolicy, GatePolicy, binned, judge, levels_of
from mlops_assets.records import EvaluationReport, ModelVersion, Window

Array = npt.NDArray[Any]

DAYS, NUMBERS = 30, 20
CATEGORIES = {"carrier": 16, "origin": 3, "hour": 24, "group": 4}
TIMED_DRAWS, DRAWS = 4, 1000
START, END = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 31, tzinfo=UTC)


class Rows:
    """Labels, three models' scores, the days and the columns of `rows` made-up decisions."""

    def __init__(self, rows: int) -> None:
        """Draw them; the same number of rows is always the same rows."""
        generator = np.random.default_rng(1)
        signal, blur = generator.normal(size=rows), generator.normal(size=rows)
        self.challenger = expit(1.5 * signal - 1.2)
        self.champion = expit(1.5 * (signal + 0.05 * blur) - 1.2)
        self.baseline = expit(0.9 * signal + 0.5 * blur - 1.2)
        self.y = (generator.random(rows) < self.challenger).astype(float)
        self.day = np.datetime64("2013-03-01") + np.arange(rows) * DAYS // rows
        self.numbers = {f"number {i}": generator.normal(size=rows) for i in range(NUMBERS)}
        self.categories = {
            name: np.array([f"{name} {i}" for i in range(size)], object)[generator.integers(0, size, rows)]
            for name, size in CATEGORIES.items()
        }


def ours(rows: Rows) -> EvaluationReport:
    """Judge, with everything a report holds."""
    searched = {name: binned(values) for name, values in rows.numbers.items()}
    searched |= {name: levels_of(values) for name, values in rows.categories.items()}
    return judge(
        GatePolicy(
            slice_columns=("carrier", "origin"),
            maximum_slice_drop=0.02,
            fairness=FairnessPolicy(columns=("group",)),
        ),
        challenger=ModelVersion(
            model="bench",
            version=1,
            sha256="c" * 64,
            task="binary",
            training_set_sha256="d" * 64,
            params={},
            cut_off=END,
            reproducibility={},
        ),
        champion_sha256="a" * 64,
        window=Window(start=START, end=END, rows=len(rows.y), label_mean=float(rows.y.mean())),
        y=rows.y,
        challenger_scores=rows.challenger,
        champion_scores=rows.champion,
        baseline_scores=rows.baseline,
        slices=rows.categories,
        details=Details(searched=searched, threshold=0.5, champion_threshold=0.5),
        value=BusinessValue(value_of_hit=40, cost_of_false_alarm=15),
        clusters=rows.day,
    )


def peer(rows: Rows, drawn: Array) -> list[float]:
    """Give five metrics of three models on some rows, by scikit-learn."""
    y, found = rows.y[drawn], []
    for scores in (rows.challenger, rows.champion, rows.baseline):
        score = scores[drawn]
        decided = score >= np.quantile(score, 0.9)
        found += [
            float(sklearn.metrics.roc_auc_score(y, score)),
            float(sklearn.metrics.average_precision_score(y, score)),
            float(sklearn.metrics.log_loss(y, score)),
            float(sklearn.metrics.brier_score_loss(y, score)),
            float(sklearn.metrics.precision_score(y, decided)),
        ]
    return found


def floor(rows: Rows) -> None:
    """Sort each score once, and add up its losses."""
    for score in (rows.challenger, rows.champion, rows.baseline):
        np.argsort(score)
        np.log(np.where(rows.y > 0, score, 1 - score)).sum()


def cpu_seconds(work: Callable[[], object]) -> float:
    """Give the CPU time of one run."""
    began = time.process_time()
    work()
    return time.process_time() - began


def peak_mib() -> float:
    """Give the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and print CPU seconds, memory and multiples of ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    arguments = parser.parse_args()
    ours(Rows(5000))  # imports, and what is made once
    rows = Rows(arguments.rows)
    before, began = peak_mib(), time.perf_counter()
    taken = cpu_seconds(lambda: ours(rows))
    wall, memory = time.perf_counter() - began, peak_mib() - before
    generator = np.random.default_rng(2)
    members = np.split(np.arange(arguments.rows), np.flatnonzero(np.diff(rows.day.astype(np.int64))) + 1)
    draws = [np.concatenate([members[i] for i in generator.integers(0, DAYS, DAYS)]) for _ in range(TIMED_DRAWS)]
    per_draw = cpu_seconds(lambda: [peer(rows, drawn) for drawn in draws]) / TIMED_DRAWS
    found = {
        "ours, the whole report": taken,
        "scikit-learn, five metrics without intervals": per_draw,
        f"scikit-learn, {DRAWS:,} draws (reckoned from {TIMED_DRAWS})": per_draw * DRAWS,
        "floor: sort and add up three scores": cpu_seconds(lambda: floor(rows)),
    }
    columns = NUMBERS + len(CATEGORIES)
    print(f"{arguments.rows:,} predictions of three models, {columns} columns, {DAYS} days: CPU seconds")
    for name, seconds in found.items():
        print(f"  {name:<46} {seconds:10.3f} {seconds / taken:9.2f} x")
    print(f"  ours took {wall:.1f} s of wall time, and {memory:,.0f} MiB beyond the {before:,.0f} MiB of its input")
    if arguments.json:
        numbers = {"rows": arguments.rows, "cpu_seconds": found, "wall_seconds": wall, "mib": memory}
        arguments.json.write_text(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    main()
