"""Everything an endpoint needs to answer as in training, as named bytes that depend on nothing else.

No clock, no version number, no run id goes in: the same training gives the same bytes, so the digest of the bundle is
the identity of the model. What is particular to one run belongs into the records that point at it: its cut-off, too,
for that says when somebody looked, and what was seen then is in the digest of the training set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_assets.digests import canonical_json, sha256_bytes
from mlops_assets.errors import BundleError, examples
from mlops_assets.records import FeatureVectorSpec
from mlops_assets.training.trainer import Fitted

PASSING = (
    *("run_id", "mlflow_run_id", "mlflow_url", "version", "cut_off"),
    *("created", "created_at", "timestamp", "host", "user"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Rows with the scores they must get, anywhere: a loaded model that answers otherwise is refused.

    `request` holds one instance per row as a client would send it, `stored` the stored features as found for it, column
    by column, `scores` the trainer's answer.
    """

    request: Sequence[Mapping[str, Any]]
    stored: Mapping[str, Sequence[Any] | npt.NDArray[Any]]
    scores: Sequence[float] | npt.NDArray[np.float64]


def assemble_bundle(
    fitted: Fitted,
    *,
    spec: FeatureVectorSpec,
    features_source: str,
    profile: bytes,
    golden: Golden,
    meta: Mapping[str, Any],
) -> dict[str, bytes]:
    """Give the parts of a model bundle by name.

    Args:
        fitted: The model; its parts keep their names.
        spec: The feature vector it was fitted on.
        features_source: Text of `features.py`, which computes that vector.
        profile: The reference profile of the training data, canonical JSON.
        golden: Rows to check a loaded model with.
        meta: What the model is: model, task, training set digest … Trainer, parameters and rounds are added.

    Raises:
        BundleError: Feature names or code differ between model and spec, golden rows do not line up, or `meta` names
            something that would differ between two identical trainings.
    """
    expected = tuple(feature.name for feature in spec.features)
    if fitted.names != expected:
        differing = [f"{a} / {b}" for a, b in zip(fitted.names, expected, strict=False) if a != b]
        raise BundleError(
            f"The model was fitted on {len(fitted.names)} features and the spec names {len(expected)}; they differ in "
            f"{examples(differing) or 'number'}. Values would be read as other features: fit on the spec's own vector.",
            fitted=fitted.names,
            spec=expected,
        )
    if sha256_bytes(features_source.encode()) != spec.code_sha256:
        raise BundleError(
            "The text of features.py is not the one the spec was built from, so an endpoint would compute other "
            "features than training did. Pass the source of the module that made the training set.",
            spec_sha256=spec.code_sha256,
        )
    lengths = {"request": len(golden.request), "scores": len(golden.scores)}
    lengths |= {name: len(column) for name, column in golden.stored.items()}
    if len(set(lengths.values())) != 1 or not len(golden.request):
        raise BundleError(
            f"Golden rows must be there and line up, but have these lengths: {lengths}. Without them nobody can tell "
            "whether a loaded model answers as it did in training.",
            lengths=lengths,
        )
    passing = sorted(set(meta) & set(PASSING))
    if passing:
        raise BundleError(
            f"{examples(passing)} would differ between two identical trainings and so change the model's digest. "
            "Keep them in the record of the model version.",
            keys=passing,
        )
    facts = {"trainer": fitted.trainer, "params": fitted.params, "rounds": fitted.rounds}
    own = {
        "features.py": features_source.encode(),
        "spec.json": canonical_json(spec),
        "profile.json": profile,
        "golden.json": canonical_json(
            _plain({"request": golden.request, "stored": golden.stored, "scores": golden.scores})
        ),
        "meta.json": canonical_json(_plain({**meta, **facts})),
    }
    taken = sorted(set(own) & set(fitted.parts))
    if taken:
        raise BundleError(
            f"The trainer {fitted.trainer!r} names its parts {examples(taken)}, which the bundle needs itself. "
            "Rename the trainer's parts.",
            parts=taken,
        )
    return {**fitted.parts, **own}


def _plain(value: Any) -> Any:
    """Give `value` as plain JSON data: missing numbers and times as null, times in ISO 8601 with Z."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind == "M":
        return [None if np.isnat(item) else _plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else _plain(value.astype("datetime64[us]").item().replace(tzinfo=UTC))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and value != value:
        return None
    return value
