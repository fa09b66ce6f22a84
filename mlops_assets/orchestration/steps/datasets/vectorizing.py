"""Rows of a training set as what a trainer takes, piece by piece: stored rows are far bigger than their vectors."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.digests import TableDigest
from mlops_assets.features import FeatureModule, Vectorizer
from mlops_assets.features.columns import as_arrays
from mlops_assets.features.join import DECISION_TIME, training_rows
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.picking import Picking
from mlops_assets.orchestration.steps.datasets.piecewise import ahead, blocks_given_back, memory_given_back, sparing
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL, TRAIN, parts_of, spread_over, times_of
from mlops_assets.records import TrainingSet
from mlops_assets.stores.home import Home
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
    with blocks_given_back(), memory_given_back():
        return _vectorized(folder, training_set, pieces)


def _vectorized(folder: ModelFolder, training_set: TrainingSet, pieces: Iterable[pa.Table]) -> Vectorized:
    vectorizer = Vectorizer(training_set.spec, FeatureModule.load(folder.features_source, name=folder.name))
    vectors = np.empty((training_set.rows, len(vectorizer.names)))  # what stays unused of it takes no memory
    labels, times = np.empty(training_set.rows), np.empty(training_set.rows, "datetime64[us]")
    places, rows = spread_over(training_set.train.rows, SHOWN_ROWS), 0
    picking, shown = Picking(places), []
    digests: dict[str, TableDigest] = {}
    with ThreadPoolExecutor(1) as digester:
        for piece in ahead(sparing(iter(pieces))):
            parts = parts_of(piece)
            digested = digester.submit(_digest, parts, digests)
            learnt = parts[TRAIN]
            here = slice(rows, rows + len(learnt))
            vectors[here] = vectorizer.vector(as_arrays(learnt, vectorizer.plan.inputs))
            labels[here], times[here] = learnt[LABEL].to_numpy(), times_of(learnt)
            shown.append(picking.of(learnt))
            rows += len(learnt)
            digested.result()
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
    return Vectorized(data=data, places=places[places < rows], shown=pa.concat_tables(shown), sha256=sha256)


def _digest(parts: Mapping[str, pa.Table], digests: dict[str, TableDigest]) -> None:
    """Take the next rows of each part into its digest."""
    for name, part in parts.items():
        digests.setdefault(name, TableDigest(part.schema)).update(part)


class Look:
    """How rows of a training set look to a model; views that they were not joined with are looked up."""

    def __init__(self, vectorizer: Vectorizer, stores: Home) -> None:
        self._vectorizer, self._stores = vectorizer, stores

    @cached_property
    def _views(self) -> dict[str, pa.Table]:
        return {view.name: self._stores.tables.read(f"features/{view.name}") for view in self._vectorizer.plan.views}

    @property
    def columns(self) -> set[str]:
        """Name the columns of the rows that are looked at, where they are there."""
        plan = self._vectorizer.plan
        return {field.name for field in (*plan.inputs, *plan.module.request)}

    def vectors(self, rows: pa.Table) -> npt.NDArray[np.float64]:
        """Give the vectors of rows, shape (n, d)."""
        plan = self._vectorizer.plan
        if any(field.name not in rows.column_names for field in plan.inputs):
            bare = rows.select([*(field.name for field in plan.module.request), DECISION_TIME])
            rows = training_rows(plan, bare, self._views)
        return self._vectorizer.vector(as_arrays(rows, plan.inputs))
