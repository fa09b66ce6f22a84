"""The year of the example, replayed: what the loop is worth against a model that is left alone.

    python -m bench.loop [--home DIR] [--until 2013-12-31]

Starts the stack, plays every day from 1 April to the end of December 2013 to it (about half an hour), and prints AUC
and value by month. The static model is fitted once, on every flight of January to March, with the same features and
parameters; what the first released version (which was judged on the last week of March, so did not learn from it) would
have done if left alone is printed beside it. A run that was cut short goes on when it is started again with the same
home.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import mkdtemp

import msgspec
from rich.console import Console

from mlops_assets.cli.closing import show
from mlops_assets.cli.demo import FLAGSHIP, LIVE_FROM, play
from mlops_assets.cli.project import Project
from mlops_assets.features.columns import as_arrays
from mlops_assets.governance import Event
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL, times_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.live.comparing import Month, Scorer, by_month, logged_inputs
from mlops_assets.records import TrainingSet
from mlops_assets.stores.home import Home
from mlops_assets.training import TrainingData, fit, trainer_named

GOAL = 0.03  # AUC above the static model, averaged over May to December
MOST_PER_MONTH = 2


def static_model(folder: ModelFolder, stores: Home) -> Scorer:
    """Fit the model once on all rows of the first training set, its hold-out included, and give its scores."""
    first = stores.state.versions(folder.name)[0]
    training_set = msgspec.json.decode(first.record_json, type=TrainingSet)
    vectorizer = LoadedBundle.of(stores, folder.name, first.bundle_sha256).vectorizer
    rows = stores.tables.read(training_set.table, version=training_set.version)
    data = TrainingData(
        X=vectorizer.vector(as_arrays(rows, vectorizer.plan.inputs)),
        y=rows[LABEL].to_numpy(),
        task=folder.declaration.task,
        times=times_of(rows),
        names=vectorizer.names,
        categorical=vectorizer.categorical,
        classes=folder.declaration.classes,
    )
    fitted = fit(folder.policy, data)
    trainer = trainer_named(fitted.trainer)
    return lambda sealed: trainer.score(fitted.parts, vectorizer.vector(logged_inputs(sealed, vectorizer)))


def mean_gain(months: Sequence[Month]) -> float:
    """Give by how much AUC the loop leads, each month counting the same."""
    return sum(month.loop.metric - month.static.metric for month in months) / len(months)


def main() -> None:
    """Play the year and print what it was worth; exit 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--home", type=Path, help="where everything rests; default: a new temporary folder")
    parser.add_argument("--until", type=date.fromisoformat, default=date(2013, 12, 31), help="first day not played")
    parser.add_argument("--json", type=Path, help="write the closing table as data")
    options = parser.parse_args()
    project = Project.find(str(options.home or mkdtemp(prefix="mlops-loop-")))
    console = Console()
    with play(project, LIVE_FROM, options.until, ports={}, faults={}, console=console, models=[FLAGSHIP]) as (
        closing,
        _,
    ):
        show(closing, console)
    if options.json:
        closing.write(options.json)
    folder = project.models[FLAGSHIP]
    first = [month for month in closing.months[FLAGSHIP] if month.month >= "2013-05"]
    months = [
        m for m in by_month(folder, project.home, alone=static_model(folder, project.home)) if m.month >= "2013-05"
    ]
    requests = Counter(
        f"{entry.at:%Y-%m}"
        for entry in project.home.state.audit_entries(model=FLAGSHIP)
        if entry.event == Event.RETRAIN_TRIGGERED
    )
    gain = mean_gain(months)
    result = {
        "auc_loop": {month.month: round(month.loop.metric, 4) for month in months},
        "auc_static": {month.month: round(month.static.metric, 4) for month in months},
        "auc_first_version": {month.month: round(month.static.metric, 4) for month in first},
        "gain_over_static": gain,
        "gain_over_first_version": mean_gain(first),
        "value_over_static": sum((month.loop.value or 0) - (month.static.value or 0) for month in months),
        "retrainings_asked_for": dict(sorted(requests.items())),
        "goal": GOAL,
    }
    print(json.dumps(result, indent=2))
    met = gain >= GOAL and max(requests.values(), default=0) <= MOST_PER_MONTH
    print("goals met" if met else "a goal is missed")
    sys.exit(not met)


if __name__ == "__main__":
    main()
