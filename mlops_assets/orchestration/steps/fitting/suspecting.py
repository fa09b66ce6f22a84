"""What the rows of a retraining show that no score does: days that came twice, names that mean something else."""

import numpy as np
import numpy.typing as npt

from mlops_assets.evaluation import renamed
from mlops_assets.features.join import DECISION_TIME
from mlops_assets.features.repeats import Repeats
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.piecewise import sparing
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL, days_of, spread_over
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.records import ModelVersion, TrainingSet, quantile_of
from mlops_assets.stores.home import Home

Array = npt.NDArray[np.float64]

ROWS = 10_000  # tell whether names were exchanged as well as all rows do


def sent_again(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, champion: LoadedBundle | None
) -> list[str]:
    """Give a sentence for each day that stood in the training set before, of those that came since the champion.

    Days are told apart by what rows say besides key and times. What the champion was judged by was looked at then.
    """
    key = folder.declaration.decisions.key
    asked = [field.name for field in training_set.spec.request if field.dtype != "timestamp" and field.name != key]
    repeats, told = Repeats(), [*asked, LABEL]
    columns = [*told, DECISION_TIME]
    for piece in sparing(stores.tables.pieces(training_set.table, version=training_set.version, columns=columns)):
        repeats.see(piece.select(told), days_of(piece))
    version = champion and stores.records.find(("versions", folder.name), champion.sha256, ModelVersion)
    since = np.datetime64(version.cut_off.date() if version else "0001-01-01", "D")
    return [sentence for day, sentence in sorted(repeats.found().items()) if day >= since]


def handed_out_anew(
    folder: ModelFolder,
    champion: LoadedBundle,
    *,
    before: Array,
    now: Array,
    y: Array,
    days: npt.NDArray[np.datetime64],
) -> list[str]:
    """Give a sentence for each category whose names the champion would rather read as others on the held-out rows.

    One that answers another question than is asked now is not asked.

    Args:
        folder: The model.
        champion: What is live.
        before: Its vectors of rows learnt from, shape (m, d).
        now: Its vectors of held-out rows, shape (n, d).
        y: The labels of these, shape (n,).
        days: Their days, shape (n,).
    """
    declared = folder.declaration
    if (champion.meta["task"], tuple(champion.meta.get("classes", ()))) != (declared.task, tuple(declared.classes)):
        return []
    some = spread_over(len(now), ROWS)
    return renamed(
        before[spread_over(len(before), ROWS)],
        now[some],
        y[some],
        score=champion.score,
        levels={
            feature.name: (place, feature.levels)
            for place, feature in enumerate(champion.spec.features)
            if feature.levels is not None
        },
        found_on=days[some].astype(np.int64) % 2 == 0,
        task=declared.task,
        metric=declared.gate.primary_metric,
        terms=declared.gate.terms(declared.value, classes=declared.classes, quantile=quantile_of(folder.policy.params)),
    )
