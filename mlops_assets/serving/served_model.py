"""One version of one model, ready to answer: request decoder, features and predictor, all from its bundle."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from mlops_assets.errors import BundleError
from mlops_assets.features import FeatureModule, Vectorizer
from mlops_assets.features.defaults import DEFAULT, filled
from mlops_assets.records import FeatureVectorSpec, FeatureView, Task
from mlops_assets.serving.lanes import open_predictor
from mlops_assets.serving.predictor import Vectors
from mlops_assets.serving.requests import Column, RequestDecoder, RequestError, micros
from mlops_assets.stores.online import OnlineStore, StoredColumn
from mlops_assets.stores.predictions import StoredRow
from mlops_assets.stores.releases import Release

PARTS = ("features.py", "spec.json", "meta.json", "golden.json")

_Part = TypeVar("_Part")


class BundleMeta(msgspec.Struct, frozen=True):
    """What a bundle says about the model as such; `threshold` turns a score into a decision, None leaves it a score.

    `classes` names those of a multiclass model, in the order of its probabilities.
    """

    task: Task
    classes: tuple[str, ...] = ()
    threshold: float | None = None
    label: str = ""
    decision_rule: str = ""


class GoldenRows(msgspec.Struct, frozen=True):
    """Requests, the stored features found for them, and the scores that training gave: what parity is proved on."""

    request: list[dict[str, Any]]
    stored: dict[str, list[float | str | None]]
    scores: list[float | list[float]]


@dataclass(frozen=True, slots=True)
class Scored:
    """n predictions: the vectors the model saw, its scores, its decisions, and what the online store answered.

    A multiclass model gives the `probabilities` of its classes too, and a score is that of the most probable one.
    """

    vectors: Vectors
    scores: list[float]
    probabilities: list[list[float]] | None
    decisions: list[bool] | None
    stored: dict[str, dict[str, StoredColumn]]

    def stored_rows(self) -> Iterator[dict[str, StoredRow]]:
        """Give, for each prediction, what was found per view."""
        views = {name: _rows(columns) for name, columns in self.stored.items()}
        for index in range(len(self.scores)):
            yield {name: rows[index] for name, rows in views.items()}


class ServedModel:
    """A model version as the endpoint holds it. Nothing in it changes; it goes when its last request is done."""

    def __init__(
        self, release: Release, parts: Mapping[str, bytes], online: OnlineStore, *, max_instances: int
    ) -> None:
        """Read the parts of a bundle whose digests were already checked.

        Raises:
            BundleError: A part is missing or unreadable, the parts do not belong together, a view was never written to
                the online store, or the golden rows do not come out as they did in training.
            FeatureError: The features cannot be loaded.
        """
        if absent := [name for name in PARTS if name not in parts]:
            raise BundleError(f"The bundle of {release.model!r} lacks {', '.join(absent)}. Train and deploy it again.")
        self.release = release
        self.spec = _part(parts, "spec.json", FeatureVectorSpec)
        self.meta = _part(parts, "meta.json", BundleMeta)
        self.golden = _part(parts, "golden.json", GoldenRows)
        self.decoder = RequestDecoder(release.model, self.spec.request, max_instances=max_instances)
        module = FeatureModule.load(parts["features.py"].decode(), name=release.model)
        self._vectorizer = Vectorizer(self.spec, module)
        self._predictor = open_predictor(parts)
        self._online = online
        if self._predictor.features != len(self.spec.features):
            raise BundleError(
                f"The model takes {self._predictor.features} features and spec.json lists {len(self.spec.features)}:"
                " they are not of one bundle. Train and deploy the model again."
            )
        self._check_views()
        self.check_parity()

    def score(self, columns: Mapping[str, Column], at: datetime, rows: int) -> Scored:
        """Give the predictions of request columns for a decision taken at `at`, with stored features as known then.

        Raises:
            StoreError: The online store cannot be read.
            FeatureError: A feature failed on these rows.
        """
        inputs = self._vectorizer.keys(columns)
        moments = np.full(rows, micros(at), dtype=np.int64).view("datetime64[us]")
        stored = {view.name: _with_defaults(view, self._online.read(view, inputs, moments)) for view in self.spec.views}
        for found in stored.values():
            for name, column in found.items():
                inputs[name] = column.values
        vectors = self._vectorizer.vector(inputs)
        answered = self._predictor.score(vectors)
        probabilities: list[list[float]] | None = answered.tolist() if answered.ndim == 2 else None
        scores: list[float] = answered.tolist() if probabilities is None else answered.max(axis=1).tolist()
        threshold = self.meta.threshold
        decisions = None if threshold is None else [score >= threshold for score in scores]
        return Scored(vectors, scores, probabilities, decisions, stored)

    def golden_scores(self) -> list[float | list[float]]:
        """Score the golden rows now, one by one as requests come, with the stored features they were given."""
        return self._one_by_one(self._golden_vectors())

    def check_parity(self) -> None:
        """Make sure that the golden rows come out bit for bit as in training, alone and in a batch.

        Raises:
            BundleError: They do not: this process would not serve the model that was approved.
        """
        expected = self.golden.scores
        if not expected:
            raise BundleError("golden.json holds no rows, so nothing proves that this is the model that was approved.")
        try:
            vectors = self._golden_vectors()
        except RequestError as error:
            raise BundleError(
                f"golden.json does not fit the request fields of spec.json: {error}. Train and deploy the model again."
            ) from error
        if any(len(self.meta.classes) != (len(each) if isinstance(each, list) else 0) for each in expected):
            raise BundleError(
                f"meta.json names {len(self.meta.classes)} classes, and the golden rows have scores for another number:"
                " they are not of one bundle. Train and deploy the model again."
            )
        for how, scores in (
            ("one by one", self._one_by_one(vectors)),
            ("in a batch", self._predictor.score(vectors).tolist()),
        ):
            if scores != expected:
                differ = [i for i, (got, was) in enumerate(zip(scores, expected, strict=False)) if got != was]
                raise BundleError(
                    f"{len(differ) or 'Some'} of {len(expected)} golden rows scored {how} differ from training, first"
                    f" row {differ[0] if differ else min(len(scores), len(expected))}. This process would serve another"
                    " model than the approved one. Compare its library versions with the training record.",
                    rows=differ,
                )

    def example(self) -> dict[str, Any]:
        """Give a request body that works."""
        return {"instances": self.golden.request[:1]}

    def _golden_vectors(self) -> Vectors:
        inputs = self._vectorizer.keys(self.decoder.columns(self.golden.request))
        kinds = {field.name: field.dtype for view in self.spec.views for field in view.features}
        for name, values in self.golden.stored.items():
            inputs[name] = _golden_column(kinds.get(name, "float64"), values)
        return self._vectorizer.vector(inputs)

    def _one_by_one(self, vectors: Vectors) -> list[float | list[float]]:
        return [self._predictor.score(vectors[i : i + 1])[0].tolist() for i in range(len(vectors))]

    def _check_views(self) -> None:
        for view in self.spec.views:
            if not self._online.holds(view):
                raise BundleError(
                    f"The model looks up view {view.name!r}, of which the online store has no rows in that shape."
                    f" Materialize features/{view.name}; the endpoint tries again by itself.",
                    view=view.name,
                )


def _part(parts: Mapping[str, bytes], name: str, kind: type[_Part]) -> _Part:
    try:
        return msgspec.json.decode(parts[name], type=kind)
    except msgspec.MsgspecError as error:
        raise BundleError(f"{name} of the bundle cannot be read: {error}. Train and deploy the model again.") from error


def _golden_column(dtype: str, values: Sequence[float | str | None]) -> npt.NDArray[Any]:
    if dtype == "timestamp":
        return np.array(
            ["NaT" if value is None else str(value).removesuffix("Z") for value in values], "datetime64[us]"
        )
    return np.array(values, dtype=object if dtype == "string" else np.float64)


def _with_defaults(view: FeatureView, found: dict[str, StoredColumn]) -> dict[str, StoredColumn]:
    """Put in what the view declares for decisions no row of it answered."""
    for name, default in view.defaults.items():
        column = found[name]
        found[name] = StoredColumn(*filled(column.values, column.status, default), column.event_time)
    return found


def _rows(columns: Mapping[str, StoredColumn]) -> list[StoredRow]:
    """Turn the columns of one view into one record per prediction."""
    first = next(iter(columns.values()))
    for column in columns.values():  # they share one array, unless defaults stand in for some of the features
        if column.status is not first.status and DEFAULT in column.status:
            first = column
    values = zip(*(map(_plain, column.values.tolist()) for column in columns.values()), strict=True)
    return [
        StoredRow(status, _plain(event_time), dict(zip(columns, row, strict=True)))
        for status, event_time, row in zip(first.status.tolist(), first.event_time.tolist(), values, strict=True)
    ]


def _plain(value: Any) -> Any:
    """Give a value of a NumPy array as it is logged; NumPy's times are UTC and do not say so."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
