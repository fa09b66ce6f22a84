"""The simple model that every challenger must beat: linear in standardised numbers and one-hot categories."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from mlops_assets.errors import TrainingError
from mlops_assets.records import Task

Array = npt.NDArray[np.float64]

RARE_ROWS = 20  # a category level seen in fewer rows has no coefficient of its own
PIECE_ROWS = 1 << 12
NARROW = 1e-12  # a number with less spread is constant


@dataclass(frozen=True, slots=True, kw_only=True)
class _Design:
    """How a feature vector becomes the columns of a linear model, as learnt from the training rows."""

    numbers: npt.NDArray[np.intp]
    low: Array
    high: Array
    mean: Array
    scale: Array
    gaps: npt.NDArray[np.intp]
    levels: dict[int, Array]

    @classmethod
    def of(cls, X: Array, categorical: Sequence[int]) -> "_Design":
        """Learn means, spreads, ranges and levels from the training rows."""
        seen = ~np.isnan(X)
        named = set(categorical)
        numbers = np.array([j for j in range(X.shape[1]) if j not in named and seen[:, j].any()], dtype=np.intp)
        part = X[:, numbers]
        low, high = np.nanmin(part, axis=0, initial=np.inf), np.nanmax(part, axis=0, initial=-np.inf)
        mean, scale = np.nanmean(part, axis=0), np.nanstd(part, axis=0)
        levels = {}
        for j in sorted(named):
            codes, rows = np.unique(X[seen[:, j], j], return_counts=True)
            levels[j] = codes[rows >= RARE_ROWS]
        gaps = np.flatnonzero(~seen.all(axis=0) & seen.any(axis=0))
        return cls(
            numbers=numbers,
            low=low,
            high=high,
            mean=mean,
            scale=np.where(scale > NARROW, scale, 1.0),
            gaps=gaps,
            levels=levels,
        )

    def matrix(self, X: Array) -> Any:
        """Give the sparse design matrix: numbers, then flags of missing values, then levels."""
        from scipy import sparse

        pieces = [X[start : start + PIECE_ROWS] for start in range(0, max(len(X), 1), PIECE_ROWS)]
        return sparse.vstack([self._piece(rows) for rows in pieces], format="csr")

    def _piece(self, X: Array) -> Any:
        """Give the same of few rows: on the way, a sparse matrix takes several times the memory of its rows."""
        from scipy import sparse

        numbers = (np.clip(X[:, self.numbers], self.low, self.high) - self.mean) / self.scale
        blocks = [
            sparse.csr_matrix(np.nan_to_num(numbers, nan=0.0)),
            sparse.csr_matrix(np.isnan(X[:, self.gaps]) * 1.0),
        ]
        for j, codes in self.levels.items():
            if codes.size:
                place = np.minimum(np.searchsorted(codes, X[:, j]), codes.size - 1)
                rows = np.flatnonzero(codes[place] == X[:, j])
                ones = np.ones(rows.size)
                blocks.append(sparse.csr_matrix((ones, (rows, place[rows])), shape=(len(X), codes.size)))
        return sparse.hstack(blocks, format="csr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A fitted linear (regression) or logistic (binary, multiclass) model; of k classes, one column of weights each.

    A class that no row learnt from was of has the chance 0.
    """

    task: Task
    design: _Design
    weights: Array
    intercept: Array

    def score(self, X: Array) -> Array:
        """Give one score per row: the probability of the positive class (of each of k classes), or the forecast number.

        Numbers beyond the range of training count as its edge, so that a line is not drawn into the unknown.
        """
        linear = np.asarray(self.design.matrix(X) @ self.weights, dtype=np.float64) + self.intercept
        if self.task == "multiclass":
            return np.asarray(softmax(linear, axis=1), dtype=np.float64)
        return np.asarray(expit(linear), dtype=np.float64) if self.task == "binary" else linear


def fit_baseline(
    X: Array,
    y: npt.ArrayLike,
    *,
    task: Task,
    categorical: Sequence[int] = (),
    classes: int = 0,
    quantile: float | None = None,
) -> Baseline:
    """Fit the simple model on training rows; the same rows always give the same one.

    Args:
        X: Feature vectors, shape (n, d); NaN is missing and gets a flag of its own.
        y: Labels, shape (n,).
        task: `binary` and `multiclass` fit a logistic regression, `regression` a ridge.
        categorical: Positions of the columns that hold level codes.
        classes: How many classes there are, where rows may hold fewer; by default as many as the labels name.
        quantile: What a regression forecasts instead of the mean: the ridge, moved so that this share of the labels
            learnt from lies at or below it.

    Raises:
        TrainingError: There are no rows, or only one class.
    """
    labels = np.asarray(y, dtype=np.float64)
    if not len(X) or (task != "regression" and np.unique(labels).size < 2):
        raise TrainingError(
            f"{len(X)} rows with {np.unique(labels).size} different labels make no baseline, and without one nobody "
            "knows whether the model is worth its trouble. Widen the window.",
            rows=len(X),
        )
    from sklearn.linear_model import LogisticRegression, Ridge
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    design = _Design.of(X, categorical)
    with threadpool_limits(1):  # a second thread adds in another order
        model: Any
        if task != "regression":
            model = LogisticRegression(C=1.0, solver="lbfgs", max_iter=500).fit(design.matrix(X), labels)
        else:
            model = Ridge(alpha=1.0, solver="sparse_cg", tol=1e-8).fit(design.matrix(X), labels)
    weights, intercept = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)
    if task == "multiclass":
        weights, intercept = _of_all_classes(weights, intercept, model.classes_.astype(np.intp), classes)
    else:
        weights = weights.ravel()
    found = Baseline(task=task, design=design, weights=weights, intercept=intercept)
    if quantile is None:
        return found
    return replace(found, intercept=intercept + np.quantile(labels - found.score(X), quantile))


def _of_all_classes(weights: Array, intercept: Array, seen: npt.NDArray[np.intp], classes: int) -> tuple[Array, Array]:
    """Give a column of weights to each class, also to those that were not `seen`."""
    k = max(classes, int(seen.max()) + 1)
    found, begin = np.zeros((weights.shape[1], k)), np.full(k, -np.inf)
    of = seen[-len(weights) :]  # of two classes scikit-learn has weights for the second alone
    begin[seen] = 0.0
    found[:, of], begin[of] = weights.T, intercept
    return found, begin
