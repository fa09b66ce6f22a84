"""Estimators of scikit-learn, saved without pickle and the same to the last bit on any number of threads.

Linear models see numbers with gaps filled and flagged, standardised, and a column per category level. Trees see numbers
and codes as they are, gaps included, so the order of a category's levels matters to them; LightGBM splits by sets.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any, Literal

import msgspec
import numpy as np

from mlops_assets.digests import canonical_json
from mlops_assets.errors import DeclarationError, TrainingError, UnexplainedError, UnknownNameError
from mlops_assets.records import Params, Task
from mlops_assets.scoring import ESTIMATOR_PART, estimator_scorer
from mlops_assets.scoring.linear import LevelTerm, LinearScorer
from mlops_assets.scoring.skops_file import TYPES, canonical, read
from mlops_assets.training.checkpoint import Checkpoint, saved_progress
from mlops_assets.training.trainer import Array, Fitted, Mask, Trainer, TrainingData, require_rounds
from mlops_assets.training.trainers._stretches import ROUNDS, Progress, grow

LEVELS_PART = "levels.json"  # how common each category level was in training: what a linear score is explained against

_CLASSIFIERS = {
    "HistGradientBoostingClassifier": "sklearn.ensemble",
    "DecisionTreeClassifier": "sklearn.tree",
    "ExtraTreesClassifier": "sklearn.ensemble",
    "LogisticRegression": "sklearn.linear_model",
    "RandomForestClassifier": "sklearn.ensemble",
}

# The first of each task is fitted unless `estimator` names another.
ESTIMATORS: dict[Task, dict[str, str]] = {
    "binary": _CLASSIFIERS,
    "multiclass": _CLASSIFIERS,
    "regression": {
        "HistGradientBoostingRegressor": "sklearn.ensemble",
        "DecisionTreeRegressor": "sklearn.tree",
        "ElasticNet": "sklearn.linear_model",
        "ExtraTreesRegressor": "sklearn.ensemble",
        "Lasso": "sklearn.linear_model",
        "LinearRegression": "sklearn.linear_model",
        "RandomForestRegressor": "sklearn.ensemble",
        "Ridge": "sklearn.linear_model",
    },
}

# Where scikit-learn's own default is not sound for a model that is fitted unattended.
DEFAULTS: dict[str, Params] = {
    "LogisticRegression": {"max_iter": 1000},
    "Lasso": {"alpha": 0.01},
    "ElasticNet": {"alpha": 0.01},
    **{
        f"{trees}{kind}": {"min_samples_leaf": 20}
        for trees in ("DecisionTree", "ExtraTrees", "RandomForest")
        for kind in ("Classifier", "Regressor")
    },
}

BOOSTED_LOSSES = ("squared_error", "absolute_error")

_STOPPING = "stopping is declared by `validation_days` and `patience`, beside `trainer`"
REFUSED = {
    "n_jobs": "one thread adds up in one order, so the trainer fits on one",
    "random_state": "it follows from the `seed` beside `trainer`, and is recorded",
    "seed": "it stands beside `trainer`, as `seed`",
    "warm_start": "every fit starts anew, so that it can be repeated; one that was killed goes on by itself",
    "verbose": "progress is not part of a model",
    "copy_X": "the trainer gives each fit rows of its own",
    "oob_score": "the held-out days judge the model",
    "categorical_features": "the features say which of them are categories",
    "monotonic_cst": "it is no single value, and a bundle records parameters as single values",
    "interaction_cst": "it is no single value, and a bundle records parameters as single values",
    "penalty": "scikit-learn is giving it up; write `l1_ratio` and `C`",
    **dict.fromkeys(("early_stopping", "validation_fraction", "n_iter_no_change", "scoring"), _STOPPING),
}

_CHECKED_ROWS = 500  # scores reckoned here are held against the estimator's own on so many rows


@dataclass(frozen=True, slots=True)
class SklearnTrainer:
    """Fits the estimators of the list, on one thread."""

    name: str = "sklearn"

    def on_threads(self, threads: int) -> Trainer:
        """Give itself: sums over threads would differ."""
        return self

    def in_rounds(self, params: Mapping[str, str | int | float | bool]) -> bool:
        """Say whether the estimator is boosted."""
        return _grows_by(str(params["estimator"])) == ROUNDS

    def resolve(self, task: Task, params: Mapping[str, str | int | float | bool], *, seed: int) -> Params:
        """Give `params` with the estimator, its defaults and the seed filled in.

        Raises:
            DeclarationError: The estimator is not on the list, or does not take a parameter or its value.
        """
        own = {name: value for name, value in params.items() if name != "estimator"}
        known = ESTIMATORS[task]
        chosen = str(params.get("estimator", next(iter(known))))
        if chosen not in known:
            raise UnknownNameError(f"for a {task} model, estimator", chosen, known=known)
        kind = getattr(import_module(known[chosen]), chosen)
        takes = [name for name in signature(kind).parameters if name not in REFUSED]
        for name in own:
            if name in REFUSED:
                raise DeclarationError(
                    f"Parameter {name!r} of {chosen} cannot be set: {REFUSED[name]}. Leave it out.", parameter=name
                )
            if name not in takes:
                raise UnknownNameError(f"{chosen} parameter", name, known=takes)
        complete = {**DEFAULTS.get(chosen, {}), **own, **_fixed(kind, seed)}
        made = kind(**complete)
        try:
            made._validate_params()  # scikit-learn's own constraints, which it otherwise checks in `fit`
        except ValueError as error:
            raise DeclarationError(f"{chosen} cannot be fitted so: {error}", estimator=chosen) from None
        if "Boosting" in chosen and task == "regression" and made.loss not in BOOSTED_LOSSES:
            raise UnknownNameError(f"{chosen} loss", made.loss, known=BOOSTED_LOSSES)
        told = {name: value for name, value in made.get_params(deep=False).items() if value is not None}
        return {**told, "estimator": chosen, "seed": seed}

    def fit(
        self,
        data: TrainingData,
        *,
        params: Mapping[str, str | int | float | bool],
        seed: int,
        validation: Mask | None = None,
        patience: int = 30,
        checkpoint: Checkpoint | None = None,
    ) -> Fitted:
        """Fit on all rows; see `Trainer.fit`. Only boosted trees are made in rounds; they and forests can go on.

        Raises:
            DeclarationError: A parameter cannot be obeyed, or rounds are sought for an estimator that has none.
            TrainingError: scikit-learn refused the data, or its model is not read as it scores.
        """
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        resolved = self.resolve(data.task, params, seed=seed)
        curves: dict[str, list[float]] = {}
        boosted = self.in_rounds(resolved)
        if validation is not None:
            require_rounds(self, resolved)
        progress = saved_progress(checkpoint, Progress)

        def saved(part: Literal["search", "fit"]) -> Callable[[Any], None] | None:
            return None if checkpoint is None else partial(_save, checkpoint, progress, part)

        with threadpool_limits(1):  # a second thread adds in another order
            if validation is not None:
                if not progress.validation_loss:
                    tried = self._fitted(data.take(~validation), resolved, progress.search, saved("search"))
                    losses = _losses(tried, data.X[validation], data.y[validation], data.task)
                    progress.search, progress.validation_loss = b"", _until(patience, losses)
                curves["validation_loss"] = progress.validation_loss
                resolved = {**resolved, ROUNDS: int(np.argmin(progress.validation_loss)) + 1}
            model = self._fitted(data, resolved, progress.fit, saved("fit"))
            if boosted:
                curves["train_loss"] = list(_losses(model, data.X, data.y, data.task))
            parts = _parts(model, data.X)
            self._check(model, parts, data.X[:_CHECKED_ROWS], data.task)
        return Fitted(
            trainer=self.name,
            names=data.names,
            parts=parts,
            params=resolved,
            rounds=len(curves["train_loss"]) if boosted else 1,
            curves=curves,
        )

    def score(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give the estimator's scores, added up row by row as the endpoint does."""
        return estimator_scorer(parts).score(X)

    def contributions(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give the exact Shapley values of a linear model over its features: what each moves from the mean row.

        Raises:
            UnexplainedError: The model is made of trees.
        """
        scorer = estimator_scorer(parts)
        if not isinstance(scorer, LinearScorer):
            raise UnexplainedError(
                "scikit-learn knows no exact contributions of features to the scores of its trees, and approximations "
                "do not add up. Where decisions must be explained, use the trainer `lightgbm` or a linear estimator."
            )
        return _linear_contributions(scorer, parts, X)

    def _fitted(self, data: TrainingData, params: Params, begun: bytes, save: Callable[[Any], None] | None) -> Any:
        """Give what scikit-learn fits, from what was `begun` if anything was, or its complaint as ours."""
        X, chosen = data.X, str(params["estimator"])
        kind = getattr(import_module(ESTIMATORS[data.task][chosen]), chosen)
        model = kind(**{name: value for name, value in params.items() if name not in ("estimator", "seed")})
        rounds = _grows_by(chosen)
        if rounds == ROUNDS:
            model.set_params(categorical_features=None)
            X = np.where(np.isnan(X).all(axis=0), 0.0, X)  # it cannot bin a column without any value, nor split by one
        weighing = {} if data.weights is None else {"sample_weight": data.weights}
        if "linear_model" in ESTIMATORS[data.task][chosen]:
            model = _with_columns(model, X.shape[1], data.categorical)
            weighing = {f"model__{name}": value for name, value in weighing.items()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", category=RuntimeWarning)  # columns without any value
                if rounds is None:
                    return model.fit(X, data.y, **weighing)
                # It warns of rows that change from call to call, and these are the same.
                warnings.filterwarnings("ignore", message="class_weight presets")
                if begun:
                    model = sklearn_estimator({ESTIMATOR_PART: begun})
                return grow(model, X, data.y, weighing, rounds=rounds, most=int(params[rounds]), save=save)
        except ValueError as error:
            raise TrainingError(
                f"scikit-learn could not fit {chosen}: {error}. Its parameters are the usual cause.",
                params=dict(params),
            ) from error

    def _check(self, model: Any, parts: Mapping[str, bytes], X: Array, task: Task) -> None:
        """Make sure that the saved model scores as the fitted one, which a new scikit-learn could lay out otherwise."""
        own = model.predict(X) if task == "regression" else model.predict_proba(X)
        own = own[:, 1] if task == "binary" else own
        ours = self.score(parts, X)
        if not np.allclose(ours, own, rtol=1e-6, atol=1e-9):
            raise TrainingError(
                f"The saved {type(model).__name__} scores up to {np.abs(ours - own).max():.2g} otherwise than the "
                "fitted one, so the endpoint would answer what was never judged. This version of scikit-learn lays "
                "its models out in a way that is not known here; take the one in requirements.lock.",
            )


def sklearn_estimator(parts: Mapping[str, bytes]) -> Any:
    """Give the fitted estimator back as scikit-learn's own object, to look into or to use elsewhere.

    Raises:
        BundleError: The file holds a type that our trainer never writes.
    """
    import skops.io

    read(parts[ESTIMATOR_PART])  # refuses every type that is not on our list; that of skops is longer
    return skops.io.loads(parts[ESTIMATOR_PART], trusted=sorted(TYPES))


def _grows_by(estimator: str) -> str | None:
    """Name the parameter that says how many trees there are; None where they are not grown one after the other."""
    if "Boosting" in estimator:
        return ROUNDS
    return "n_estimators" if estimator.startswith(("ExtraTrees", "RandomForest")) else None


def _save(checkpoint: Checkpoint, progress: Progress, part: Literal["search", "fit"], model: Any) -> None:
    """Save a model that is under way, if it is time to."""
    import skops.io

    if checkpoint.due():
        setattr(progress, part, skops.io.dumps(_without_weights(model)))
        checkpoint.save(msgspec.msgpack.encode(progress))


def _without_weights(model: Any) -> Any:
    """Give a forest without the weights of its rows, which no score needs."""
    if hasattr(model, "_sample_weight"):
        model._sample_weight = None
    return model


def _fixed(kind: type, seed: int) -> Params:
    """Give what the trainer sets itself, as far as this estimator has it."""
    drawn = int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)
    wanted: Params = {"random_state": drawn, "early_stopping": False}
    return {name: value for name, value in wanted.items() if name in signature(kind).parameters}


def _with_columns(model: Any, width: int, categorical: Sequence[int]) -> Any:
    """Give a linear model behind the columns it needs: gaps filled and flagged, numbers standardised, levels apart."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    named = sorted(categorical)
    numbers = [column for column in range(width) if column not in set(named)]
    filled = [
        ("fill", SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True)),
        ("scale", StandardScaler()),
    ]
    both = [("numbers", Pipeline(filled), numbers), ("levels", OneHotEncoder(handle_unknown="ignore"), named)]
    columns = ColumnTransformer([each for each in both if each[2]], sparse_threshold=1.0)
    return Pipeline([("columns", columns), ("model", model)])


def _parts(model: Any, X: Array) -> dict[str, bytes]:
    """Give the model as canonical bytes, and what a linear one is explained against."""
    import skops.io

    parts = {ESTIMATOR_PART: canonical(skops.io.dumps(_without_weights(model)))}
    scorer = estimator_scorer(parts)
    if isinstance(scorer, LinearScorer):
        shares = {}
        for term in scorer.terms:
            if isinstance(term, LevelTerm):
                counted = np.bincount(term.places(X[:, term.column]), minlength=len(term.codes) + 1)
                shares[str(term.column)] = (counted[:-1] / len(X)).tolist()
        parts[LEVELS_PART] = canonical_json(shares)
    return parts


def _linear_contributions(scorer: LinearScorer, parts: Mapping[str, bytes], X: Array) -> Array:
    """Give each feature's part in each raw score, less its mean over the training rows, which the last place takes."""
    import json

    shares = {int(column): np.array(seen) for column, seen in json.loads(parts[LEVELS_PART]).items()}
    outputs = len(scorer.intercept)
    added = np.zeros((len(X), outputs, X.shape[1] + 1))
    added[:, :, -1] = scorer.intercept
    for column, values in scorer.added(X):
        added[:, :, column] += values.T
    for term in scorer.terms:
        if isinstance(term, LevelTerm):  # standardised numbers and flags have a mean of 0
            mean = term.weights @ shares[term.column]
            added[:, :, term.column] -= mean
            added[:, :, -1] += mean
    return added[:, 0] if outputs == 1 else added


def _losses(model: Any, X: Array, y: Array, task: Task) -> Iterator[float]:
    """Give the mean loss after each round of boosting."""
    if task == "regression":
        power = 2 if model.loss == "squared_error" else 1
        for forecast in model.staged_predict(X):
            yield float(np.mean(np.abs(forecast - y) ** power))
        return
    rows, codes = np.arange(len(y)), y.astype(np.intp)
    for probabilities in model.staged_predict_proba(X):
        yield float(-np.mean(np.log(np.maximum(probabilities[rows, codes], 1e-15))))


def _until(patience: int, losses: Iterator[float]) -> list[float]:
    """Give the losses until so many rounds brought no gain."""
    seen: list[float] = []
    for loss in losses:
        seen.append(loss)
        if len(seen) - int(np.argmin(seen)) > patience:
            break
    return seen
