"""Rows of a training set as what a trainer takes, piece by piece: stored rows are far bigger than their vectors."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.digests import TableDigest
from mlops_assets.features import FeatureModule, Vectorizer
from mlops_assets.features.columns import as_arrays
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.picking import Picked
from mlops_assets.orchestration.steps.datasets.piecewise import ahead, memory_given_back
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL, TRAIN, parts_of, spread_over, times_of
from mlops_assets.records import TrainingSet
from mlops_assets.training import TrainingData

SHOWN_ROWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectorized:
    """The training part of a training set.

    Args:
        data: Its rows as a trainer takes them.
        places: Where in them a few lie, evenly spread.
        shown: These few, as they are stored.
        sha256: The digest of the stored rows, of either part.
    """

    data: TrainingData
    places: npt.NDArray[np.int64]
    shown: pa.Table
    sha256: dict[str, str]


def vectorized(folder: ModelFolder, training_set: TrainingSet, pieces: Iterable[pa.Table]) -> Vectorized:
    """Give the rows to learn from among `pieces` of a training set, by the features as the folder has them.

    A row's vector never depends on other rows, so the pieces may be of any size.

    Raises:
        TrainingError: No model may learn from these rows.
    """
    with memory_given_back():
        return _vectorized(folder, training_set, pieces)


def _vectorized(folder: ModelFolder, training_set: TrainingSet, pieces: Iterable[pa.Table]) -> Vectorized:
    vectorizer = Vectorizer(training_set.spec, FeatureModule.load(folder.features_source, name=folder.name))
    vectors = np.empty((training_set.rows, len(vectorizer.names)))  # what stays unused of it takes no memory
    labels, times = np.empty(training_set.rows), np.empty(training_set.rows, "datetime64[us]")
    places, rows = spread_over(training_set.train.rows, SHOWN_ROWS), 0
    shown = Picked(places)
    digests: dict[str, TableDigest] = {}
    for piece in ahead(iter(pieces)):
        parts = parts_of(piece)
        for name, part in parts.items():
            digests.setdefault(name, TableDigest(part.schema)).update(part)
        learnt = parts[TRAIN]
        here = slice(rows, rows + len(learnt))
        vectors[here] = vectorizer.vector(as_arrays(learnt, vectorizer.plan.inputs))
        labels[here], times[here] = learnt[LABEL].to_numpy(), times_of(learnt)
        shown.see(learnt)
        rows += len(learnt)
    data = TrainingData(
        X=vectors[:rows],
        y=labels[:rows],
        task=folder.declaration.task,
        times=times[:rows],
        names=vectorizer.names,
        categorical=vectorizer.categorical,
        classes=folder.declaration.classes,
    )
    sha256 = {name: digest.hexdigest() for name, digest in digests.items()}
    return Vectorized(data=data, places=places[places < rows], shown=shown.table(), sha256=sha256)
