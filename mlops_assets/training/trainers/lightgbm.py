"""Gradient-boosted trees through LightGBM, the same to the last bit on any number of threads.

`deterministic` alone is not enough: with row-wise histograms each thread adds up its own block of rows, and the order
of additions, hence the last bits of every gain, hence now and then a split, depends on how many threads there are.
Column-wise histograms add each column in row order. The parameters that bring blocks back are refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from mlops_assets.errors import DeclarationError, TrainingError, UnknownNameError
from mlops_assets.records import Params, Task
from mlops_assets.training.checkpoint import Checkpoint, saved_progress
from mlops_assets.training.cluster import Cluster, fit_on_cluster
from mlops_assets.training.trainer import Array, Fitted, Mask, TrainingData, require_rounds
from mlops_assets.training.trainers._ranges import Range, require_range
from mlops_assets.training.trainers._segments import SEEDS, Growth, Rows, best_round, seeds_of

PART = "model.txt"
WATCHED_ROWS = 10_000  # show how a fit comes on as well as all rows do, on which the loss took a tenth of its time

THREADS_BESIDE = 2  # of what is reckoned for each column or row by itself, bins and contributions

FIXED: Params = {
    "deterministic": True,
    "force_col_wise": True,
    "device_type": "cpu",
    "verbosity": -1,
}

DEFAULTS: Params = {
    "boosting": "gbdt",
    "num_iterations": 150,
    "learning_rate": 0.08,
    "num_leaves": 31,
    "max_depth": -1,
    "min_data_in_leaf": 100,
    "min_sum_hessian_in_leaf": 1e-3,
    "feature_fraction": 0.8,
    "feature_fraction_bynode": 1.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l1": 0.0,
    "lambda_l2": 1.0,
    "min_gain_to_split": 0.0,
    "max_bin": 255,
    "min_data_in_bin": 3,
    "min_data_per_group": 100,
    "max_cat_threshold": 32,
    "max_cat_to_onehot": 4,
    "cat_l2": 10.0,
    "cat_smooth": 10.0,
    "path_smooth": 0.0,
    "extra_trees": False,
    "scale_pos_weight": 1.0,
    "checkpoint_rounds": 200,  # ours: rounds after which progress is saved and seeds are new; 0: never
}

TUNABLE = {
    *DEFAULTS,
    *("objective", "alpha", "fair_c", "tweedie_variance_power", "boost_from_average", "max_delta_step"),
    *("drop_rate", "max_drop", "skip_drop", "pos_bagging_fraction", "neg_bagging_fraction", "is_unbalance"),
}

SWITCHES = {"extra_trees", "boost_from_average", "is_unbalance"}
_SHARE = Range(0, 1, above=True)
RANGES = {
    **dict.fromkeys(("feature_fraction", "feature_fraction_bynode", "bagging_fraction"), _SHARE),
    **dict.fromkeys(("pos_bagging_fraction", "neg_bagging_fraction"), _SHARE),
    **dict.fromkeys(("drop_rate", "skip_drop"), Range(0, 1)),
    **dict.fromkeys(("learning_rate", "scale_pos_weight", "alpha", "fair_c"), Range(0, above=True)),
    **dict.fromkeys(("lambda_l1", "lambda_l2", "min_gain_to_split", "min_sum_hessian_in_leaf"), Range(0)),
    **dict.fromkeys(("cat_l2", "cat_smooth", "path_smooth"), Range(0)),
    **dict.fromkeys(("num_iterations", "min_data_in_bin", "min_data_per_group"), Range(1, whole=True)),
    **dict.fromkeys(("max_cat_threshold", "max_cat_to_onehot"), Range(1, whole=True)),
    **dict.fromkeys(("min_data_in_leaf", "bagging_freq", "checkpoint_rounds"), Range(0, whole=True)),
    **dict.fromkeys(("max_depth", "max_drop"), Range(whole=True)),
    "max_bin": Range(2, whole=True),
    "num_leaves": Range(2, 131_072, whole=True),
    "max_delta_step": Range(),
    "tweedie_variance_power": Range(1, 1.999),
}

OBJECTIVES: dict[Task, tuple[str, ...]] = {
    "binary": ("binary",),
    "multiclass": ("multiclass",),
    "regression": (
        *("regression", "regression_l1", "huber", "fair", "quantile"),
        *("poisson", "gamma", "tweedie", "mape"),
    ),
}

REFUSED = {
    "force_row_wise": "it adds histograms in one block per thread, so the model would depend on the number of threads",
    "use_quantized_grad": "it rounds gradients per thread, so the model would depend on the number of threads",
    "linear_tree": "contributions of features do not exist for linear trees, and every decision must be explainable",
    "num_class": "it follows from the declared classes",
    "num_threads": "the trainer sets it, and a model may not depend on it",
    "seed": "it stands beside `trainer`, as `seed`, and all others are derived from it",
    "early_stopping_round": "stopping is declared by `validation_days` and `patience`, beside `trainer`",
    "data_sample_strategy": "`bagging` is what is used: `goss` samples per thread, so the model would depend on them",
    **dict.fromkeys(SEEDS, "it is derived from the `seed` beside `trainer`, and recorded"),
    **dict.fromkeys(FIXED, "the trainer fixes it, so that the same training gives the same model"),
}

ALIASES = {
    **dict.fromkeys(("n_estimators", "num_boost_round", "num_round", "num_rounds", "num_trees"), "num_iterations"),
    **dict.fromkeys(("eta", "shrinkage_rate"), "learning_rate"),
    **dict.fromkeys(("min_child_samples", "min_data"), "min_data_in_leaf"),
    **dict.fromkeys(("min_child_weight",), "min_sum_hessian_in_leaf"),
    **dict.fromkeys(("colsample_bytree", "sub_feature"), "feature_fraction"),
    **dict.fromkeys(("subsample", "sub_row", "bagging"), "bagging_fraction"),
    **dict.fromkeys(("subsample_freq",), "bagging_freq"),
    **dict.fromkeys(("reg_alpha", "lambda", "reg_lambda"), "lambda_l1 or lambda_l2"),
    **dict.fromkeys(("max_leaves", "max_leaf", "num_leaf"), "num_leaves"),
    **dict.fromkeys(("random_state", "random_seed"), "seed, beside `trainer`"),
    **dict.fromkeys(("num_classes",), "nothing: it follows from the declared classes"),
    **dict.fromkeys(("n_jobs", "nthread", "num_thread"), "nothing: the trainer sets the threads"),
}

# Lines of the model text that tell about the machine and its files, not about the model.
_MACHINE = re.compile(
    rb"^\[(?:num_threads|data|valid|input_model|output_model|output_result|config|save_binary|snapshot_freq"
    rb"|forcedsplits_filename|forcedbins_filename|parser_config_file|machine_list_filename|machines|num_machines"
    rb"|local_listen_port|time_out|gpu_\w+|num_gpu|verbosity|histogram_pool_size): [^\n]*\]\n",
    re.MULTILINE,
)


def normalised(text: bytes) -> bytes:
    r"""Give a model text without the lines that name threads, files or devices; LightGBM reads it as before.

    >>> normalised(b"tree\n[num_threads: 4]\n[num_leaves: 31]\n")
    b'tree\n[num_leaves: 31]\n'
    """
    return _MACHINE.sub(b"", text)


@dataclass(frozen=True, slots=True)
class LightGBMTrainer:
    """Fits LightGBM boosters. `threads` changes the speed only, and beyond 1 seldom for the better on a shared host."""

    threads: int = 1
    name: str = "lightgbm"
    cluster: Cluster | None = None

    def on_threads(self, threads: int) -> "LightGBMTrainer":
        """Give this trainer on so many threads."""
        return replace(self, threads=threads)

    def on_cluster(self, cluster: Cluster) -> "LightGBMTrainer":
        """Give this trainer as it fits on the workers of a cluster: as well, and not the same to the bit."""
        return replace(self, cluster=cluster)

    def in_rounds(self, params: Mapping[str, str | int | float | bool]) -> bool:
        """Say no to `dart`, which re-weighs earlier trees, so that the first of them are not a model."""
        return params["boosting"] != "dart"

    def resolve(self, task: Task, params: Mapping[str, str | int | float | bool], *, seed: int) -> Params:
        """Give `params` with defaults, objective and all seeds filled in.

        Raises:
            DeclarationError: A parameter is unknown, belongs to the trainer or would make the model depend on threads.
        """
        for name, value in params.items():
            _check(name, value)
        objective = params.get("objective", OBJECTIVES[task][0])
        if objective not in OBJECTIVES[task]:
            raise UnknownNameError(f"for a {task} model, objective", str(objective), known=OBJECTIVES[task])
        return {**DEFAULTS, **params, "objective": objective, **FIXED, "seed": seed, **seeds_of(seed)}

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
        """Fit on all rows; see `Trainer.fit`.

        Raises:
            DeclarationError: A parameter cannot be obeyed.
            TrainingError: LightGBM refused the data.
        """
        if self.cluster is not None:
            return self._fit_on(self.cluster, data, params, seed)
        resolved = self._resolved(data, params, seed)
        progress = saved_progress(checkpoint, _Progress)

        def save() -> None:
            if checkpoint is not None and not progress.fit.finished:
                checkpoint.save(msgspec.msgpack.encode(progress))

        curves: dict[str, list[float]] = {}
        if validation is not None:
            search = progress.search
            for _ in self._search(search, data, resolved, validation, patience=patience, ended=save):
                pass
            curves["validation_loss"] = search.losses
            resolved = {**resolved, "num_iterations": best_round(search.losses)}
        rows = self._dataset(data, resolved)
        spread = np.unique(np.linspace(0, len(data) - 1, min(len(data), WATCHED_ROWS)).astype(np.int64))
        some = self._watched(data, spread, rows, resolved)
        with _complaints(resolved):
            for _ in progress.fit.grow(
                self._native(resolved), data.X, rows, _rounds(resolved), learnt=slice(None), watched=some, ended=save
            ):
                pass
        curves["train_loss"] = progress.fit.losses
        return Fitted(
            trainer=self.name,
            names=data.names,
            parts={PART: normalised(progress.fit.model.encode())},
            params=resolved,
            rounds=progress.fit.trees,
            curves=curves,
        )

    @property
    def rounds_parameter(self) -> str:
        """Name what says how many rounds there are."""
        return "num_iterations"

    def losses(
        self, data: TrainingData, *, params: Params, seed: int, validation: Mask, patience: int
    ) -> Iterator[float]:
        """Fit on the rows outside `validation`, and give the loss on those inside after each round."""
        resolved = self._resolved(data, params, seed)
        yield from self._search(Growth(), data, resolved, validation, patience=patience)

    def score(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give the booster's prediction per row (and class), by one thread: the same arithmetic as the endpoint's."""
        booster = _booster(parts, X)
        scores = np.asarray(booster.predict(X, num_threads=1), dtype=np.float64)
        classes = booster.num_model_per_iteration()
        return scores if classes == 1 else scores.reshape(len(X), classes)

    def contributions(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give the exact Shapley values of the trees, which LightGBM computes itself."""
        booster = _booster(parts, X)
        added = np.asarray(booster.predict(X, num_threads=THREADS_BESIDE, pred_contrib=True), dtype=np.float64)
        width = X.shape[1] + 1
        return added if added.shape[1] == width else added.reshape(len(X), -1, width)

    def _resolved(self, data: TrainingData, params: Mapping[str, str | int | float | bool], seed: int) -> Params:
        """Give the parameters with all that follows from seed and classes."""
        resolved = self.resolve(data.task, params, seed=seed)
        return {**resolved, "num_class": len(data.classes)} if data.task == "multiclass" else resolved

    def _fit_on(
        self, cluster: Cluster, data: TrainingData, params: Mapping[str, str | int | float | bool], seed: int
    ) -> Fitted:
        """Fit on a cluster, in one go: nothing is saved on the way, and no loss per round is known."""
        resolved = self._resolved(data, params, seed)
        with _complaints(resolved):
            text = fit_on_cluster(
                cluster,
                data,
                params={name: value for name, value in self._native(resolved).items() if name != "num_class"},
                rounds=int(resolved["num_iterations"]),
            )
        parts = {PART: normalised(text.encode())}
        return Fitted(
            trainer=self.name,
            names=data.names,
            parts=parts,
            params={**resolved, "distributed": cluster.kind},
            rounds=int(_booster(parts, data.X[:1]).current_iteration()),
            curves={},
        )

    def _search(
        self,
        growth: Growth,
        data: TrainingData,
        params: Params,
        validation: Mask,
        *,
        patience: int,
        ended: Callable[[], None] = lambda: None,
    ) -> Iterator[float]:
        """Fit on the rows outside `validation`, and give the loss on those inside after each round."""
        require_rounds(self, params)
        if growth.finished:
            return
        rest = self._dataset(data.take(~validation), params)
        with _complaints(params):
            yield from growth.grow(
                self._native(params),
                data.X,
                rest,
                _rounds(params),
                learnt=~validation,
                watched=self._watched(data, validation, rest, params),
                patience=patience,
                ended=ended,
            )

    def _dataset(self, data: TrainingData, params: Params) -> Any:
        """Give the rows in LightGBM's own form: each column is binned by itself, so a second thread may help."""
        import lightgbm

        rows = lightgbm.Dataset(
            data.X,
            data.y,
            weight=data.weights,
            feature_name=list(data.names),
            categorical_feature=sorted(data.categorical),
            params={**self._native(params), "num_threads": max(self.threads, THREADS_BESIDE)},
        )
        with _complaints(params):
            return rows.construct()

    def _watched(self, data: TrainingData, rows: Rows, learnt: Any, params: Params) -> tuple[Rows, Any]:
        """Give some of the rows, and these in LightGBM's own form, binned as those that are learnt from."""
        return rows, learnt.create_valid(data.X[rows], data.y[rows], params=self._native(params))

    def _native(self, params: Params) -> dict[str, Any]:
        """Give the parameters as LightGBM takes them; the rounds go beside them."""
        return {
            **{name: value for name, value in params.items() if name not in ("num_iterations", "checkpoint_rounds")},
            "num_threads": self.threads,
        }


class _Progress(msgspec.Struct, forbid_unknown_fields=True):
    """How far a fit has come: the search for the number of rounds, then the fit on all rows."""

    search: Growth = msgspec.field(default_factory=Growth)
    fit: Growth = msgspec.field(default_factory=Growth)


def _rounds(params: Params) -> tuple[int, int]:
    """Give how many rounds there are, and how many make a segment.

    `dart` re-weighs the trees of earlier rounds and `rf` averages them, so neither can go on from the sum of them.
    """
    rounds, segment = int(params["num_iterations"]), int(params["checkpoint_rounds"])
    return rounds, segment if segment and params["boosting"] == "gbdt" else rounds


@contextmanager
def _complaints(params: Params) -> Iterator[None]:
    """Give LightGBM's complaints as ours."""
    import lightgbm

    try:
        yield
    except lightgbm.basic.LightGBMError as error:
        raise TrainingError(
            f"LightGBM could not fit: {error}. Its parameters and the feature names are the usual cause.",
            params=dict(params),
        ) from error


def _booster(parts: Mapping[str, bytes], X: Array) -> Any:
    """Load the booster, and refuse rows that are not as wide as it is."""
    import lightgbm

    booster = lightgbm.Booster(model_str=parts[PART].decode())
    if X.ndim != 2 or X.shape[1] != booster.num_feature():
        raise TrainingError(
            f"The model takes {booster.num_feature()} features per row, but was given an array of shape {X.shape}; "
            "columns would be read as others. Build the rows with the model's own feature vector.",
            shape=X.shape,
            features=booster.num_feature(),
        )
    return booster


def _check(name: str, value: str | int | float | bool) -> None:
    """Refuse a parameter that is misspelt, not the user's to set, or would make fits differ."""
    if name in REFUSED:
        raise DeclarationError(
            f"LightGBM parameter {name!r} cannot be set: {REFUSED[name]}. Leave it out.", parameter=name
        )
    if name in ALIASES:
        raise DeclarationError(
            f"LightGBM parameter {name!r} is an alias; one name for one thing keeps records comparable. "
            f"Write {ALIASES[name]}.",
            parameter=name,
        )
    if name not in TUNABLE:
        raise UnknownNameError("LightGBM parameter", name, known=TUNABLE)
    if name == "boosting" and value not in ("gbdt", "dart", "rf"):
        why = " `goss` samples per thread, so the model would depend on their number." if value == "goss" else ""
        raise DeclarationError(f"Boosting {value!r} cannot be used.{why} Use gbdt, dart or rf.", parameter=name)
    if name in SWITCHES and not isinstance(value, bool):
        raise DeclarationError(f"Parameter `{name}` is {value!r}, but should be true or false.", parameter=name)
    require_range(name, value, ranges=RANGES)
