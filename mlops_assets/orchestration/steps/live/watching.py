"""What became of the predictions: sealed from the log, held against the training profile and what came true."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.evaluation import BusinessValue
from mlops_assets.features.columns import UTC_MICROSECONDS
from mlops_assets.monitoring import DriftAlert, Values, alerts, compare, inspect, matrix_columns, measure
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.partitions import days_of
from mlops_assets.orchestration.steps.datasets.training_sets import label_columns_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.records import (
    DriftReport,
    EvaluationReport,
    Metric,
    PerformanceReport,
    Span,
    TableVersion,
    TrainingSet,
    quantile_of,
)
from mlops_assets.stores.home import Home
from mlops_assets.stores.predictions import LoggedPrediction, decode_prediction, read_predictions

SEALED = pa.schema(
    [
        ("request_id", pa.string()),
        ("at", UTC_MICROSECONDS),
        ("received_at", UTC_MICROSECONDS),
        ("version", pa.int64()),
        ("bundle_sha256", pa.string()),
        ("generation", pa.int64()),
        ("score", pa.float64()),
        ("decision", pa.bool_()),
        ("latency_us", pa.int64()),
        ("vector", pa.list_(pa.float64())),
        ("request", pa.string()),  # JSON, as sent
        ("stored", pa.string()),  # JSON: per view the status, the row's event time and the values used
    ]
)
SEALED_OF_CLASSES = SEALED.append(pa.field("probabilities", pa.list_(pa.float64())))  # of a multiclass model


@dataclass(frozen=True)
class Sealed:
    """The sealed predictions of one bundle in one window."""

    bundle_sha256: str
    rows: pa.Table

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """The scores answered, shape (n,); of k classes their probabilities, shape (n, k)."""
        if "probabilities" in self.rows.column_names:
            return _lists(self.rows["probabilities"])
        scores: npt.NDArray[np.float64] = self.rows["score"].to_numpy()
        return scores

    @property
    def vectors(self) -> npt.NDArray[np.float64]:
        """What the model saw, shape (n, d); NaN where there was no value."""
        return _lists(self.rows["vector"])


def _lists(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Give lists of one length as an array, shape (n, length)."""
    return np.asarray(pc.list_flatten(column).to_numpy(), dtype=np.float64).reshape(len(column), -1)


def seal_predictions(folder: ModelFolder, stores: Home, span: Span) -> tuple[TableVersion, list[str], list[str]]:
    """Seal the log of a window into its table partition; give it with findings on volume and on payload.

    Sealing again is idempotent and takes in what was logged late. Of answers to a repeated request the first counts.
    """
    schema = SEALED_OF_CLASSES if folder.declaration.classes else SEALED
    rows = pa.Table.from_pylist(list(_unique(folder.name, stores, span, schema)), schema=schema)
    version = stores.tables.write(f"{folder.name}/predictions", rows, partition=_key(span))
    majority = _majority(rows)
    if majority is None:
        return version, ["no prediction was asked for in this window"], []
    bundle = LoadedBundle.of(stores, folder.name, majority.bundle_sha256)
    current = bundle.profile.count(_columns(bundle, majority))
    usual = _usual_rows(stores, folder.name, majority.bundle_sha256, span) * majority.rows.num_rows / rows.num_rows
    report = inspect(folder.declaration.monitor.payload, bundle.profile, current, expected_rows=max(usual, 1.0))
    return version, list(report.volume_faults), list(report.column_faults)


def _columns(bundle: LoadedBundle, sealed: Sealed) -> dict[str, Values]:
    """Name what was seen and answered, as the profile of the bundle has it."""
    classes = bundle.meta.get("classes", ())
    return matrix_columns(bundle.vectorizer.names, sealed.vectors, sealed.scores, classes=classes)


def sealed_predictions(
    stores: Home, model: str, *, version: int | None = None, partitions: Sequence[str] | None = None
) -> pa.Table:
    """Read sealed predictions, all windows unless told."""
    return stores.tables.read(f"{model}/predictions", version=version, partitions=partitions)


def measure_drift(folder: ModelFolder, stores: Home, sealed: TableVersion, span: Span) -> DriftReport:
    """Hold the window's vectors and scores against the training profile of the bundle that answered most of it."""
    most = _majority(sealed_predictions(stores, folder.name, version=sealed.version, partitions=[_key(span)]))
    release = stores.releases.current(folder.name)
    sha256 = most.bundle_sha256 if most else release.bundle_sha256 if release else ""
    bundle = LoadedBundle.of(stores, folder.name, sha256)
    current = bundle.profile.count(_columns(bundle, most)) if most else bundle.profile.empty()
    return compare(
        folder.declaration.monitor,
        bundle.profile,
        current,
        model=folder.name,
        bundle_sha256=sha256,
        start=span.start,
        end=span.end,
    )


def standing_alerts(folder: ModelFolder, stores: Home, report: DriftReport) -> tuple[DriftAlert, ...]:
    """Give the drift alerts that stand after this window: what keeps moving, not what moved once."""
    kept = (folder.name, "drift")
    earlier = [key for key in stores.records.partitions(kept) if key < _key(Span(start=report.start, end=report.end))]
    return alerts(
        folder.declaration.monitor, [*(stores.records.get(kept, key, DriftReport) for key in earlier), report]
    )


def measure_performance(folder: ModelFolder, stores: Home, sealed: TableVersion, span: Span) -> PerformanceReport:
    """Hold the window's scores against the labels known now, and against what their bundle's evaluation promised."""
    rows = sealed_predictions(stores, folder.name, version=sealed.version, partitions=[_key(span)])
    most = _majority(rows)
    scores = most.scores if most else np.empty(0)
    labels = labels_of(folder, stores, most.rows["request_id"].to_pylist()) if most else np.empty(0)
    days = most.rows["at"].to_numpy().astype("datetime64[D]") if most else None
    evaluations = ("evaluations", folder.name)
    report = stores.records.find(evaluations, most.bundle_sha256, EvaluationReport) if most else None
    return measure(
        folder.declaration.monitor.performance,
        task=folder.declaration.task,
        scores=scores,
        labels=labels,
        expected=_promised(folder, report) if report else None,
        model=folder.name,
        bundle_sha256=most.bundle_sha256 if most else "",
        start=span.start,
        end=span.end,
        clusters=days,
        capacity_share=(folder.declaration.value or BusinessValue()).capacity_share,
        quantile=quantile_of(report.challenger.params if report else folder.policy.params),
    )


def _promised(folder: ModelFolder, report: EvaluationReport) -> Metric | None:
    """Give the metric a window is held against, as measured on the hold-out of its bundle."""
    declared, quantile = folder.declaration, quantile_of(report.challenger.params)
    wanted = declared.monitor.performance.watched(declared.task, quantile=quantile)
    return next((metric for metric in report.challenger_metrics if metric.name == wanted), None)


def labels_of(folder: ModelFolder, stores: Home, keys: Sequence[str]) -> npt.NDArray[np.float64]:
    """Give the label of each decision as far as it has arrived, shape (n,); NaN where it has not."""
    about = folder.declaration.decisions
    wanted = list(dict.fromkeys([about.key, *folder.label_columns]))
    rows = stores.tables.read(f"validated/{about.table}", columns=wanted)
    known = dict(
        zip(map(str, rows[about.key].to_pylist()), folder.label(label_columns_of(rows, folder)).tolist(), strict=True)
    )
    return np.array([known.get(key, np.nan) for key in keys], dtype=np.float64)


def _unique(model: str, stores: Home, span: Span, schema: pa.Schema) -> Iterator[dict[str, object]]:
    seen: set[str] = set()
    for day in days_of(span):
        for frame in read_predictions(stores.predictions, model, day):
            made = decode_prediction(frame)
            if made.request_id not in seen:
                seen.add(made.request_id)
                yield sealed_row(made, schema)


def sealed_row(made: LoggedPrediction, schema: pa.Schema = SEALED) -> dict[str, object]:
    """Give a logged prediction as a row of the sealed table."""
    row: dict[str, object] = {name: getattr(made, name) for name in schema.names if name not in {"request", "stored"}}
    return row | {
        "request": msgspec.json.encode(made.request, order="sorted").decode(),
        "stored": msgspec.json.encode(made.stored, order="sorted").decode(),
    }


def _majority(rows: pa.Table) -> Sealed | None:
    counts: Mapping[str, int] = Counter(rows["bundle_sha256"].to_pylist())
    if not counts:
        return None
    most = max(sorted(counts), key=counts.__getitem__)
    return Sealed(most, rows.filter(pc.equal(rows["bundle_sha256"], most)))


def _usual_rows(stores: Home, model: str, bundle_sha256: str, span: Span) -> float:
    """Give how many decisions fell into as long a span in training."""
    found = next(v for v in stores.state.versions(model) if v.bundle_sha256 == bundle_sha256)
    train = msgspec.json.decode(found.record_json, type=TrainingSet).train
    return train.rows * ((span.end - span.start) / (train.end - train.start))


def _key(span: Span) -> str:
    return span.start.date().isoformat()
