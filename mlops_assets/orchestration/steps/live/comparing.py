"""What the loop was worth: the answers given, beside those the first version would have given to the same requests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.evaluation import BusinessValue
from mlops_assets.features import Vectorizer
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.live.watching import labels_of, sealed_predictions
from mlops_assets.records import Field
from mlops_assets.statistics import auc, rmse
from mlops_assets.stores.home import Home

Array = npt.NDArray[Any]
Scorer = Callable[[pa.Table], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How well scores did: AUC or RMSE; for a binary model with a value also the use made of the capacity."""

    metric: float
    value: float | None = None
    precision: float | None = None
    recall: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month of labelled decisions: with the loop, and with the first version left alone."""

    month: str
    decisions: int
    label_mean: float
    loop: Outcome
    static: Outcome


def first_version(folder: ModelFolder, stores: Home) -> Scorer:
    """Give what the first registered version would have answered to logged requests, had it stayed live."""
    first = LoadedBundle.of(stores, folder.name, stores.state.versions(folder.name)[0].bundle_sha256)
    return lambda rows: first.score(first.vectorizer.vector(logged_inputs(rows, first.vectorizer)))


def by_month(folder: ModelFolder, stores: Home, *, alone: Scorer | None = None) -> list[Month]:
    """Compare the answers given with those of a model left alone, month by month of decision time.

    Args:
        folder: The model.
        stores: Where its sealed predictions are.
        alone: Gives one score per sealed prediction, computed now from the logged requests and stored values; the
            first version by default.
    """
    rows = sealed_predictions(stores, folder.name)
    labels = labels_of(folder, stores, rows["request_id"].to_pylist())
    known = ~np.isnan(labels)
    rows, labels = rows.filter(pa.array(known)), labels[known]
    static = (alone or first_version(folder, stores))(rows)
    loop = rows["score"].to_numpy()
    months = rows["at"].to_numpy().astype("datetime64[M]").astype(str)
    return [
        Month(
            month=month,
            decisions=int(inside.sum()),
            label_mean=float(labels[inside].mean()),
            loop=_outcome(folder, labels[inside], loop[inside]),
            static=_outcome(folder, labels[inside], static[inside]),
        )
        for month in sorted(set(months.tolist()))
        for inside in [months == month]
        if inside.sum() >= 2
    ]


def logged_inputs(rows: pa.Table, vectorizer: Vectorizer) -> dict[str, Array]:
    """Give the request fields and the stored values of sealed predictions as feature functions want them."""
    requests = [msgspec.json.decode(text) for text in rows["request"].to_pylist()]
    stored = [
        {name: value for row in msgspec.json.decode(text).values() for name, value in row["values"].items()}
        for text in rows["stored"].to_pylist()
    ]
    asked = {field.name for field in vectorizer.spec.request}
    return {field.name: _column(field, requests if field.name in asked else stored) for field in vectorizer.plan.inputs}


def _column(field: Field, rows: Sequence[Mapping[str, Any]]) -> Array:
    values = [row.get(field.name) for row in rows]
    if field.dtype == "string":
        return np.array(values, dtype=object)
    if field.dtype == "timestamp":
        times = [datetime.fromisoformat(str(value)).replace(tzinfo=None) for value in values]
        return np.array(times, dtype="datetime64[us]")
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _outcome(folder: ModelFolder, labels: Array, scores: Array) -> Outcome:
    declared = folder.declaration
    if declared.task == "regression":
        return Outcome(metric=rmse(labels, scores))
    trade = declared.value or BusinessValue()
    top = trade.acted_on(labels, scores)
    return Outcome(
        metric=auc(labels, scores),
        value=trade.per_1000(labels, scores) * len(labels) / 1000 if declared.value else None,
        precision=top.hits / top.rows if top.rows else None,
        recall=top.hits / top.positives if top.positives else None,
    )
