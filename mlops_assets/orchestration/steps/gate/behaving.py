"""A fitted model put through its behavioural tests: what is declared, what it costs, and what its owners wrote."""

from time import thread_time

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.evaluation import BusinessValue, Subject, behave, within_budget
from mlops_assets.features.columns import as_arrays
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.fitting.yardstick import Yardstick
from mlops_assets.orchestration.steps.gate.own_tests import ModelUnderTest, run_own_tests
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
    beside: Yardstick,
) -> tuple[BehaviourResult, ...]:
    """Test a bundle on the held-out rows; `vectors` and `scores` are its own."""
    declared, vectorizer = folder.declaration, bundle.vectorizer
    policy = declared.gate.behaviour
    subject = Subject(
        task=declared.task,
        score=bundle.score,
        names=vectorizer.names,
        categorical=vectorizer.categorical,
        optional=_optional(bundle),
        labels=beside.labels,
    )
    share = (declared.value or BusinessValue()).capacity_share
    size = sum(len(part) for part in bundle.parts.values())
    return (
        *behave(policy, subject, vectors, scores=scores, parent_scores=beside.champion, capacity_share=share),
        _learnt_from(bundle, beside.rows),
        *within_budget(policy, latency_ms=_latency_ms(bundle, held), bundle_bytes=size),
        *run_own_tests(folder, ModelUnderTest.on(bundle, held)),
    )


def _learnt_from(bundle: LoadedBundle, rows: int) -> BehaviourResult:
    """Hold the rows counted at the fit against those of the training window: held-out rows may not be among them."""
    seen = bundle.profile.rows
    return BehaviourResult(
        name="rows learnt from",
        n=rows,
        observed=abs(seen - rows),
        allowed=0,
        passed=seen == rows,
        words=f"it has learnt from {seen:,} rows, and the training window has {rows:,}.",
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
        began = thread_time()
        bundle.score(bundle.vectorizer.vector(inputs))
        taken.append(thread_time() - began)
    return float(1000 * min(taken) / max(rows.num_rows, 1))
