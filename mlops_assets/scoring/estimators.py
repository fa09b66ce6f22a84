"""Scores of scikit-learn estimators, from the file that `skops` wrote of them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import BundleError
from mlops_assets.scoring.linear import GapTerm, LevelTerm, LinearScorer, NumberTerm, Term
from mlops_assets.scoring.links import sigmoid, softmax
from mlops_assets.scoring.scorer import Array
from mlops_assets.scoring.skops_file import read
from mlops_assets.scoring.trees import Trees, TreeScorer

ESTIMATOR_PART = "model.skops"

EstimatorScorer = LinearScorer | TreeScorer


def estimator_scorer(parts: Mapping[str, bytes]) -> EstimatorScorer:
    """Give the scorer of a bundle's `model.skops`.

    Raises:
        BundleError: The file holds what our trainer never writes, or lays it out as no known scikit-learn does.
    """
    return _scorer_of(parts[ESTIMATOR_PART])


@lru_cache(maxsize=2)  # a forest takes tenths of a second to read, and ranking features scores it once for each
def _scorer_of(data: bytes) -> EstimatorScorer:
    saved = read(data)
    try:
        if saved["class"] == "Pipeline":
            (_, columns), (_, model) = saved["steps"]
            return _linear(columns, model)
        if "_predictors" in saved:
            return _boosted(saved)
        return _forest(saved)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise BundleError(
            f"The {saved.get('class')} in {ESTIMATOR_PART} is not laid out as expected ({error!r}), so nobody can say "
            f"how it scores. It was saved by scikit-learn {saved.get('_sklearn_version')}; fit it with a version this "
            "release was tested with.",
        ) from error


def _linear(columns: dict[str, Any], model: dict[str, Any]) -> LinearScorer:
    classifies = model["class"] == "LogisticRegression"
    weights = np.atleast_2d(model["coef_"])
    terms, place = [], 0
    for name, fitted, taken in columns["transformers_"]:
        if name == "numbers":
            made = _number_terms(fitted, taken, weights)
        elif name == "levels":
            made = _level_terms(fitted, taken, weights[:, place:])
        else:
            continue  # the rest, of which there is none
        terms += made
        place += sum(term.weights.shape[1] if isinstance(term, LevelTerm) else 1 for term in made)
    if place != weights.shape[1]:
        raise ValueError(f"{weights.shape[1]} weights for {place} columns")
    one_of_two = classifies and len(weights) == 1

    def finish(raw: Array) -> Array:
        if not classifies:
            return np.ascontiguousarray(raw[0])
        return sigmoid(raw[0]) if one_of_two else softmax(raw)

    intercept = np.broadcast_to(np.atleast_1d(model["intercept_"]), len(weights)).astype(np.float64)
    return LinearScorer(features=int(columns["n_features_in_"]), terms=tuple(terms), intercept=intercept, finish=finish)


def _number_terms(pipeline: dict[str, Any], taken: Sequence[int], weights: Array) -> list[Term]:
    """Give the terms of the numbers, then of the flags of those that had gaps in training, as the pipeline has them."""
    (_, filler), (_, scaler) = pipeline["steps"]
    gaps = filler["indicator_"]["features_"]
    fillings, mean, scale = filler["statistics_"], scaler["mean_"], scaler["scale_"]
    numbers: list[Term] = [
        NumberTerm(
            column=int(column),
            filling=float(np.nan_to_num(fillings[i])),
            mean=float(mean[i]),
            scale=float(scale[i]),
            weights=weights[:, i],
        )
        for i, column in enumerate(taken)
    ]
    flags: list[Term] = [
        GapTerm(column=int(taken[gap]), mean=float(mean[i]), scale=float(scale[i]), weights=weights[:, i])
        for i, gap in enumerate(gaps, len(taken))
    ]
    return numbers + flags


def _level_terms(encoder: dict[str, Any], taken: Sequence[int], weights: Array) -> list[Term]:
    ends = np.cumsum([len(codes) for codes in encoder["categories_"]])
    return [
        LevelTerm(column=int(column), codes=codes, weights=weights[:, end - len(codes) : end])
        for column, codes, end in zip(taken, encoder["categories_"], ends, strict=True)
    ]


def _forest(saved: dict[str, Any]) -> TreeScorer:
    """Give the scorer of one tree or of the mean of many."""
    grown = saved.get("estimators_") or [saved]
    classifies = saved["class"].endswith("Classifier")
    outputs = grown[0]["tree_"]["values"].shape[2]

    def finish(sums: Array) -> Array:
        means = sums / len(grown)
        if not classifies:
            return np.ascontiguousarray(means[:, 0])
        return np.ascontiguousarray(means[:, 1]) if outputs == 2 else means

    trees = [_forest_tree(tree["tree_"]["nodes"], tree["tree_"]["values"][:, 0, :]) for tree in grown]
    return TreeScorer(
        features=int(saved["n_features_in_"]),
        trees=Trees.of(trees, narrow=True),
        start=np.zeros(outputs),
        finish=finish,
    )


def _forest_tree(nodes: npt.NDArray[Any], values: Array) -> dict[str, npt.NDArray[Any]]:
    return {
        "left": nodes["left_child"],
        "right": nodes["right_child"],
        "feature": nodes["feature"],
        "threshold": nodes["threshold"],
        "missing_left": nodes["missing_go_to_left"],
        "values": values,
    }


def _boosted(saved: dict[str, Any]) -> TreeScorer:
    """Give the scorer of gradient-boosted trees over histograms."""
    classifies = saved["class"].endswith("Classifier")
    start = np.ravel(saved["_baseline_prediction"]).astype(np.float64)

    def finish(sums: Array) -> Array:
        if not classifies:
            return np.ascontiguousarray(sums[:, 0])
        return sigmoid(sums[:, 0]) if len(start) == 1 else softmax(sums.T)

    trees = [_boosted_tree(tree["nodes"]) for round_ in saved["_predictors"] for tree in round_]
    return TreeScorer(
        features=int(saved["n_features_in_"]), trees=Trees.of(trees, narrow=False), start=start, finish=finish
    )


def _boosted_tree(nodes: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    if nodes["is_categorical"].any():
        raise ValueError("a split by sets of categories, which the trainer never asks for")
    leaf = nodes["is_leaf"].astype(bool)
    return {
        "left": np.where(leaf, -1, nodes["left"].astype(np.int64)),
        "right": np.where(leaf, -1, nodes["right"].astype(np.int64)),
        "feature": nodes["feature_idx"],
        "threshold": nodes["num_threshold"],
        "missing_left": nodes["missing_go_to_left"],
        "values": nodes["value"][:, None],
    }
