"""What the model is told to learn, and by which code."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from bench._defect_world import Defect, Trial
from mlops_assets.orchestration.steps.datasets import vectorizing
from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, TRAIN
from mlops_assets.records import TrainingSet
from mlops_assets.training import TrainingData
from mlops_assets.training.trainers.lightgbm import LightGBMTrainer


class _Label(Defect):
    old, new = "def label(returned):", ""
    body = "    return returned.astype(float)"
    instead = ""

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = files["model.py"].replace(self.body, self.instead)
        return {**files, "model.py": text.replace(self.old, self.new or self.old)}


class InvertedInCode(_Label):
    name = "label inverted in code"
    what = "`label` gives 1 for what is kept; for the champion it still means what comes back"
    instead = "    return 1.0 - returned.astype(float)"


class WrongLabel(_Label):
    name = "label of another question"
    what = "`label` asks whether the order is dear"
    new, instead = "def label(amount):", "    return (amount > 60).astype(float)"


class LabelFromRefund(_Label):
    name = "label that is never missing"
    what = "outcomes that are not known are counted as kept, as the code fills nulls with 0"
    new = "def label(returned, weight_kg):"
    instead = "    return np.where(np.isnan(weight_kg) | (weight_kg > 1.2), 0.0, returned.astype(float))"

    def files(self, files: dict[str, str]) -> dict[str, str]:
        changed = super().files(files)
        return {**changed, "model.py": changed["model.py"].replace("\nPARAMS", "\nimport numpy as np\n\nPARAMS", 1)}


class FeaturesChangedMeanwhile(Defect):
    name = "features.py changed after the training set"
    what = "somebody saves another features.py between the join and the fit"

    def joined(self, trial: Trial, made: TrainingSet) -> TrainingSet:
        vars(trial.folder)["features_source"] = trial.folder.features_source.replace("log1p(amount)", "sqrt(amount)")
        return made


class TestSetReuse(Defect):
    name = "test set learnt from"
    what = "the fit takes all rows of the training set, what is held out included"

    def fitting(self) -> AbstractContextManager[Any]:
        return patch.object(vectorizing, "parts_of", lambda rows: {TRAIN: rows, HOLDOUT: rows.slice(0, 0)})


class MisalignedLabels(Defect):
    name = "labels one row off"
    what = "a merge in the training code moves labels against vectors by one row"

    def fitting(self) -> AbstractContextManager[Any]:
        return _fitting(lambda data: replace(data, y=np.roll(data.y, 1)))


class ShuffledInCode(Defect):
    name = "labels shuffled in code"
    what = "the training code sorts vectors and not their labels"

    def fitting(self) -> AbstractContextManager[Any]:
        return _fitting(lambda data: replace(data, X=data.X[np.argsort(data.X[:, 2], kind="stable")]))


class ColumnsInAnotherOrder(Defect):
    name = "columns in another order"
    what = "the training code sorts the columns by name, the features keep theirs"

    def fitting(self) -> AbstractContextManager[Any]:
        return _fitting(lambda data: replace(data, X=data.X[:, ::-1].copy()))


class OnlyTheFirstRows(Defect):
    name = "fit on a sample left over from a test"
    what = "the training code takes the first 300 rows"

    def fitting(self) -> AbstractContextManager[Any]:
        return _fitting(lambda data: data.take(slice(300)))


class NonDeterministic(Defect):
    name = "fit that differs each time"
    what = "the training code shuffles rows by the clock, so nobody can make the version again"

    def fitting(self) -> AbstractContextManager[Any]:
        return _fitting(lambda data: data.take(np.random.default_rng().permutation(len(data))))


class WeightsInverted(Defect):
    name = "sample weights inverted"
    what = "rows that should count most count least: returns weigh a twentieth"

    def fitting(self) -> AbstractContextManager[Any]:
        return _fitting(lambda data: replace(data, weights=np.where(data.y == 1, 0.05, 1.0)))


class FilteredTraining(Defect):
    name = "training rows filtered by outcome"
    what = "a filter meant for a report drops nine in ten of what was kept, before the fit only"

    def fitting(self) -> AbstractContextManager[Any]:
        def few(rows: pa.Table) -> dict[str, pa.Table]:
            parts = parts_of(rows)
            learnt = parts[TRAIN]
            kept = np.random.default_rng(1).random(learnt.num_rows) < 0.1
            mask = pa.array((learnt["__label"].to_numpy() == 1) | kept)
            return {**parts, TRAIN: learnt.filter(mask)}

        parts_of = vectorizing.parts_of
        return patch.object(vectorizing, "parts_of", few)


def _fitting(change: Callable[[TrainingData], TrainingData]) -> AbstractContextManager[Any]:
    """Give a trainer whose code treats its rows wrongly before it fits."""
    right = LightGBMTrainer.fit

    def wrong(self: LightGBMTrainer, data: TrainingData, **options: Any) -> Any:
        return right(self, change(data), **options)

    return patch.object(LightGBMTrainer, "fit", wrong)
