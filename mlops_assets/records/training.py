"""What a model learnt from, the model at rest, and what it takes to make it again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from mlops_assets.records.data import TableVersion
from mlops_assets.records.features import FeatureVectorSpec
from mlops_assets.records.spans import Window

Task = Literal["binary", "multiclass", "regression"]
Params = dict[str, str | int | float | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """Labelled rows with features as known at their decision times, frozen at a cut-off.

    `table` and `version` find the rows; `sha256` digests them. `sources` are the versions they were joined from.
    """

    model: str
    table: str
    version: int
    sha256: str
    rows: int
    cut_off: datetime
    train: Window
    holdout: Window
    spec: FeatureVectorSpec
    sources: tuple[TableVersion, ...]


def quantile_of(params: Params) -> float | None:
    """Give the quantile that a model of these parameters forecasts; None if it forecasts none.

    >>> quantile_of({"objective": "quantile", "alpha": 0.8})
    0.8
    """
    return float(params.get("alpha", 0.9)) if params.get("objective") == "quantile" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set of parameters that was tried: `loss` is the lowest on the validation rows, after `rounds` rounds.

    One that was `pruned` was behind the others and cut short; its loss is that of the last look at it.
    """

    number: int
    params: Params
    loss: float
    rounds: int
    pruned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A fitted model at rest. `sha256` is the digest of its whole bundle; `version` counts up per model."""

    model: str
    version: int
    sha256: str
    task: Task
    training_set_sha256: str
    params: Params
    cut_off: datetime
    reproducibility: dict[str, str]
    mlflow_run_id: str | None = None
    mlflow_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What people wrote of a model, as it was when a version was fitted, so that it can be fitted without their folder.

    `declaration` is `attributes` of defs.yaml with every default, and the parameters of model.py among them;
    `trainer_py` the text of a trainer of its own.
    """

    model: str
    declaration: dict[str, Any]
    features: str
    model_py: str
    trainer_py: str | None = None


ReproductionLevel = Literal[
    "not on record", "recorded", "equal here", "equal across threads", "equal across threads and machines"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came of fitting a version again from its record; `level` is the most that is shown of it.

    Args:
        sha256: Digest of the bundle on record.
        level: "recorded" where all that is needed is known, but what was made differs or could not be made.
        fits: Digest of the bundle that was made, by the number of threads.
        causes: What differs and why it does, in words; empty if all is equal.
        notes: What else is worth knowing, such as that rows were not joined anew.
        elsewhere: Circumstances that are others than on record, of an equal bundle too, in words.
        missing: Facts that are not on record.
        parts: Parts of the bundle that differ on any number of threads.
    """

    model: str
    version: int
    sha256: str
    at: datetime
    level: ReproductionLevel
    fits: dict[int, str]
    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every fit gave the bundle on record."""
        return self.level.startswith("equal")
