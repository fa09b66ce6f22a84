"""Rows of a training set as what a trainer takes."""

import pyarrow as pa

from mlops_assets.features import FeatureModule, Vectorizer
from mlops_assets.features.columns import as_arrays
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.training_sets import LABEL, times_of
from mlops_assets.records import TrainingSet
from mlops_assets.training import TrainingData


def vectorized(folder: ModelFolder, training_set: TrainingSet, rows: pa.Table) -> TrainingData:
    """Give rows of a training set as vectors with their labels, by the features as the folder has them.

    Raises:
        TrainingError: No model may learn from these rows.
    """
    vectorizer = Vectorizer(training_set.spec, FeatureModule.load(folder.features_source, name=folder.name))
    return TrainingData(
        X=vectorizer.vector(as_arrays(rows, vectorizer.plan.inputs)),
        y=rows[LABEL].to_numpy(),
        task=folder.declaration.task,
        times=times_of(rows),
        names=vectorizer.names,
        categorical=vectorizer.categorical,
        classes=folder.declaration.classes,
    )
