"""What the rows of a retraining show that no score does: days that came twice, names that mean something else."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.evaluation import renamed
from mlops_assets.features.repeats import Repeats
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL, days_of, some_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.records import ModelVersion, TrainingSet
from mlops_assets.stores.home import Home

Array = npt.NDArray[np.float64]

ROWS = 10_000  # tell whether names were exchanged as well as all rows do


def told_apart(folder: ModelFolder, training_set: TrainingSet, rows: pa.Table) -> pa.Table:
    """Give what rows of a training set say besides key and times, by which days can be told apart."""
    key = folder.declaration.decisions.key
    asked = [field.name for field in training_set.spec.request if field.dtype != "timestamp" and field.name != key]
    return rows.select([*asked, LABEL])


def sent_again(folder: ModelFolder, stores: Home, repeats: Repeats, champion: LoadedBundle | None) -> list[str]:
    """Give a sentence for each day that stood in the training set before, of those that came since the champion.

    What the champion was judged by was looked at then.
    """
    version = champion and stores.records.find(("versions", folder.name), champion.sha256, ModelVersion)
    since = np.datetime64(version.cut_off.date() if version else "0001-01-01", "D")
    return [sentence for day, sentence in sorted(repeats.found().items()) if day >= since]


def handed_out_anew(
    folder: ModelFolder,
    bundle: LoadedBundle,
    champion: LoadedBundle,
    vectors: Callable[[pa.Table], Array],
    *,
    learnt: pa.Table,
    held: pa.Table,
) -> list[str]:
    """Give a sentence for each category whose names the champion would rather read as others on the held-out rows.

    `vectors` gives the champion's. One that answers another question than `bundle` is not asked.
    """
    if any(bundle.meta.get(about) != champion.meta.get(about) for about in ("task", "classes")):
        return []
    declared = folder.declaration
    before, now = (some_of(rows, ROWS) for rows in (learnt, held))
    return renamed(
        vectors(before),
        vectors(now),
        now[LABEL].to_numpy(),
        score=champion.score,
        levels={
            feature.name: (place, feature.levels)
            for place, feature in enumerate(champion.spec.features)
            if feature.levels is not None
        },
        found_on=days_of(now).astype(np.int64) % 2 == 0,
        task=declared.task,
        metric=declared.gate.primary_metric,
        terms=declared.gate.terms(declared.value, classes=declared.classes),
    )
