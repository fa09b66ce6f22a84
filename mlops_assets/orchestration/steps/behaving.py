"""A fitted model put through its behavioural tests: what is declared, what it costs, and what its owners wrote."""

from time import process_time

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.evaluation import BusinessValue, Subject, behave, within_budget
from mlops_assets.features.columns import as_arrays
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.bundles import LoadedBundle
from mlops_assets.records import BehaviourResult

Array = npt.NDArray[np.float64]

TIMED_ROWS = 256  # enough that loading the model weighs no more than it would in a batch
TIMED = 2  # the better time counts


def behaviour_of(
    folder: ModelFolder,
    bundle: LoadedBundle,
    held: pa.Table,
    vectors: Array,
    *,
    scores: Array,
    champion_scores: Array | None,
    labels: tuple[float, float],
) -> tuple[BehaviourResult, ...]:
    """Test a bundle on the held-out rows; `vectors` and `scores` are its own, `labels` the range it learnt from."""
    declared, vectorizer = folder.declaration, bundle.vectorizer
    policy = declared.gate.behaviour
    subject = Subject(
        task=declared.task,
        score=bundle.score,
        names=vectorizer.names,
        categorical=vectorizer.categorical,
        optional=_optional(bundle),
        labels=labels,
    )
    share = (declared.value or BusinessValue()).capacity_share
    size = sum(len(part) for part in bundle.parts.values())
    return (
        *behave(policy, subject, vectors, scores=scores, parent_scores=champion_scores, capacity_share=share),
        *within_budget(policy, latency_ms=_latency_ms(bundle, held), bundle_bytes=size),
    )


def _optional(bundle: LoadedBundle) -> tuple[int, ...]:
    """Give the features that may be missing in life: no row stored, a level not seen before, a field left null."""
    nullable = {field.name for field in bundle.spec.request if field.nullable}
    return tuple(
        place
        for place, feature in enumerate(bundle.spec.features)
        if feature.levels is not None or feature.name in nullable or bundle.vectorizer.plan.looked_up(feature.name)
    )


def _latency_ms(bundle: LoadedBundle, held: pa.Table) -> float:
    """Give the processor time of one row, features included."""
    rows = held.slice(0, TIMED_ROWS)
    inputs = as_arrays(rows, bundle.vectorizer.plan.inputs)
    taken: list[float] = []
    for _ in range(TIMED):
        began = process_time()
        bundle.score(bundle.vectorizer.vector(inputs))
        taken.append(process_time() - began)
    return float(1000 * min(taken) / max(rows.num_rows, 1))
