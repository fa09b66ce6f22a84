"""What a challenger is judged beside: all of the judgement that asks for the rows and not for the challenger.

It is made while the challenger is fitted, which leaves a core free, and kept until it is asked for. What was made of
other rows, features, promises or another champion has another key, and is made anew.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.digests import sha256_json
from mlops_assets.features import FeatureModule, Vectorizer
from mlops_assets.features.join import DECISION_TIME
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.steps.datasets.picking import Picking
from mlops_assets.orchestration.steps.datasets.piecewise import memory_given_back, sparing
from mlops_assets.orchestration.steps.datasets.training_sets import (
    HOLDOUT,
    LABEL,
    PART,
    TRAIN,
    days_of,
    parts_of,
    spread_over,
)
from mlops_assets.orchestration.steps.datasets.vectorizing import Look
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.fitting.suspecting import handed_out_anew, sent_again
from mlops_assets.records import TrainingSet, quantile_of
from mlops_assets.stores.home import Home
from mlops_assets.training import fit_baseline, library_versions

Array = npt.NDArray[np.float64]

SOME_ROWS = 12_000  # from more, a straight line of a hundred weights learns next to nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What a challenger is judged beside.

    Args:
        baseline: How the simple model scores the held-out rows, shape (n,) or (n, k).
        champion: How the champion does; None where there is none.
        constant: What a constant would answer: mean or quantile of the labels learnt from, or the share of each class.
        rows: How many rows there are to learn from.
        labels: The lowest and the highest of their labels.
        suspicions: What the rows show that no score does, a sentence each.
    """

    baseline: Array
    champion: Array | None
    constant: float | Array
    rows: int
    labels: tuple[float, float]
    suspicions: tuple[str, ...]


def yardstick_of(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, *, features_source: str, champion: LoadedBundle | None
) -> Yardstick:
    """Give what a model that looks at the rows by `features_source` is judged beside; what is kept is not made anew."""
    about = {
        "training_set": training_set.sha256,
        "spec": training_set.spec,
        "features": features_source,
        "declaration": folder.declaration.model_dump(mode="json"),
        "quantile": quantile_of(folder.policy.params),
        "champion": champion and champion.sha256,
        "looked_up": _looked_up(stores, training_set, champion),
        "libraries": library_versions(folder.trainer_needs),
    }
    place = stores.yardsticks.of(folder.name, sha256_json(about))
    if (kept := place.load()) is not None:
        return _read(kept)
    made = _made(folder, stores, training_set, features_source, champion)
    place.save(_written(made))
    return made


def _made(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, features_source: str, champion: LoadedBundle | None
) -> Yardstick:
    declared, quantile = folder.declaration, quantile_of(folder.policy.params)
    vectorizer = Vectorizer(training_set.spec, FeatureModule.load(features_source, name=folder.name))
    looks = [Look(vectorizer, stores)]
    if champion is not None and champion.spec != training_set.spec:
        looks.append(Look(champion.vectorizer, stores))
    with memory_given_back():
        suspicions = sent_again(folder, stores, training_set, champion)
    with memory_given_back():
        some, held, truth = _seen(stores, training_set, looks)
    with memory_given_back():
        baseline = fit_baseline(
            some.vectors[0],
            some.labels,
            task=declared.task,
            categorical=vectorizer.categorical,
            classes=len(declared.classes),
            quantile=quantile,
        ).score(held.vectors[0])
    champion_scores = None
    if champion is not None:
        champion_scores = champion.score(held.vectors[-1])
        suspicions += handed_out_anew(
            folder, champion, before=some.vectors[-1], now=held.vectors[-1], y=held.labels, days=held.days
        )
    return Yardstick(
        baseline=baseline,
        champion=champion_scores,
        constant=_constant(declared, truth, quantile),
        rows=len(truth),
        labels=(float(truth.min()), float(truth.max())),
        suspicions=tuple(suspicions),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Rows as their vectors by each of the looks, of shape (n, d), with their labels and days."""

    vectors: tuple[Array, ...]
    labels: Array
    days: npt.NDArray[np.datetime64]

    @classmethod
    def of(cls, rows: pa.Table, looks: Sequence[Look]) -> "_Seen":
        """Look at rows; nothing of what is given holds on to them."""
        return cls(
            vectors=tuple(look.vectors(rows) for look in looks),
            labels=rows[LABEL].to_numpy().copy(),
            days=days_of(rows),
        )

    @classmethod
    def joined(cls, pieces: Sequence["_Seen"]) -> "_Seen":
        """Give what was seen piece by piece as one."""
        return cls(
            vectors=tuple(np.concatenate(each) for each in zip(*(piece.vectors for piece in pieces), strict=True)),
            labels=np.concatenate([piece.labels for piece in pieces]),
            days=np.concatenate([piece.days for piece in pieces]),
        )


def _seen(stores: Home, training_set: TrainingSet, looks: Sequence[Look]) -> tuple[_Seen, _Seen, Array]:
    """Give some of the rows learnt from, the rows held out, and the labels of all that are learnt from."""
    some, held, truth = list[_Seen](), list[_Seen](), list[Array]()
    picking = Picking(spread_over(training_set.train.rows, SOME_ROWS))
    table, version = training_set.table, training_set.version
    wanted = {LABEL, PART, DECISION_TIME}.union(*(look.columns for look in looks))
    columns = [each.name for each in stores.tables.version(table, version).columns if each.name in wanted]
    for piece in sparing(stores.tables.pieces(table, version=version, columns=columns)):
        parts = parts_of(piece)
        held.append(_Seen.of(parts[HOLDOUT], looks))
        some.append(_Seen.of(picking.of(parts[TRAIN]), looks))
        truth.append(parts[TRAIN][LABEL].to_numpy().copy())
    return _Seen.joined(some), _Seen.joined(held), np.concatenate(truth)


def _looked_up(stores: Home, training_set: TrainingSet, champion: LoadedBundle | None) -> dict[str, str]:
    """Give the digests of the champion's views, where it looks at what the rows were not joined with."""
    views = champion.spec.views if champion else ()
    joined = {feature.name for view in training_set.spec.views for feature in view.features}
    if joined >= {feature.name for view in views for feature in view.features}:
        return {}
    return {view.name: stores.tables.version(f"features/{view.name}").sha256 for view in views}


def _constant(declared: ModelDeclaration, truth: Array, quantile: float | None) -> float | Array:
    """Give the mean of the labels, or the quantile that is forecast, or how common each class is, shape (k,)."""
    if declared.task != "multiclass":
        return float(truth.mean() if quantile is None else np.quantile(truth, quantile))
    shares: Array = np.bincount(truth.astype(np.intp)) / len(truth)
    return shares


# --- as bytes ---------------------------------------------------------------------------------------


def _written(made: Yardstick) -> bytes:
    arrays = {
        "baseline": made.baseline,
        "constant": np.asarray(made.constant),
        "rows": np.asarray(made.rows),
        "labels": np.asarray(made.labels),
        "suspicions": np.asarray(made.suspicions, dtype=np.str_),
    }
    if made.champion is not None:
        arrays["champion"] = made.champion
    with io.BytesIO() as file:
        np.savez(file, allow_pickle=False, **arrays)
        return file.getvalue()


def _read(kept: bytes) -> Yardstick:
    with np.load(io.BytesIO(kept), allow_pickle=False) as arrays:
        constant = arrays["constant"]
        return Yardstick(
            baseline=arrays["baseline"],
            champion=arrays.get("champion"),
            constant=constant if constant.ndim else float(constant),
            rows=int(arrays["rows"]),
            labels=(float(arrays["labels"][0]), float(arrays["labels"][1])),
            suspicions=tuple(str(each) for each in arrays["suspicions"]),
        )
