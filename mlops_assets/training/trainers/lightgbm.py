"""Gradient-boosted trees through LightGBM, the same to the last bit on any number of threads.

`deterministic` alone is not enough: with row-wise histograms each thread adds up its own block of rows, and the order
of additions, hence the last bits of every gain, hence now and then a split, depends on how many threads there are.
Column-wise histograms add each column in row order. The parameters that bring blocks back are refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlops_assets.errors import DeclarationError, TrainingError, UnknownNameError
from mlops_assets.records import Params, Task
from mlops_assets.training.checkpoint import Checkpoint
from mlops_assets.training.trainer import Array, Fitted, Mask

PART = "model.txt"

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
}

TUNABLE = {
    *DEFAULTS,
    *("objective", "alpha", "fair_c", "tweedie_variance_power", "boost_from_average", "max_delta_step"),
    *("drop_rate", "max_drop", "skip_drop", "pos_bagging_fraction", "neg_bagging_fraction", "is_unbalance"),
}

OBJECTIVES: dict[Task, tuple[str, ...]] = {
    "binary": ("binary",),
    "multiclass": ("multiclass",),
    "regression": (
        *("regression", "regression_l1", "huber", "fair", "quantile"),
        *("poisson", "gamma", "tweedie", "mape"),
    ),
}

SEEDS = ("data_random_seed", "bagging_seed", "feature_fraction_seed", "extra_seed", "drop_seed", "objective_seed")

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

    def on_threads(self, threads: int) -> "LightGBMTrainer":
        """Give this trainer on so many threads."""
        return replace(self, threads=threads)

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
        drawn = np.random.SeedSequence(seed).generate_state(len(SEEDS))
        seeds: Params = {name: int(state >> 1) for name, state in zip(SEEDS, drawn, strict=True)}
        return {**DEFAULTS, **params, "objective": objective, **FIXED, "seed": seed, **seeds}

    def fit(
        self,
        X: Array,
        y: Array,
        *,
        task: Task,
        names: Sequence[str],
        categorical: Sequence[int] = (),
        params: Mapping[str, str | int | float | bool],
        seed: int,
        weights: Array | None = None,
        validation: Mask | None = None,
        patience: int = 30,
        checkpoint: Checkpoint | None = None,
    ) -> Fitted:
        """Fit on all rows; see `Trainer.fit`.

        Raises:
            DeclarationError: A parameter cannot be obeyed.
            TrainingError: LightGBM refused the data.
        """
        resolved = self.resolve(task, params, seed=seed)
        if task == "multiclass":
            resolved["num_class"] = int(y.max()) + 1
        curves: dict[str, list[float]] = {}
        if validation is not None:
            resolved, curves["validation_loss"] = self._with_rounds(
                X, y, resolved, names, categorical, weights, validation, patience
            )
        import lightgbm

        data = self._dataset(X, y, resolved, names, categorical, weights)
        history: dict[str, Any] = {}
        booster = self._train(
            resolved, data, valid_sets=[data], valid_names=["train"], callbacks=[lightgbm.record_evaluation(history)]
        )
        curves["train_loss"] = [float(loss) for loss in next(iter(history["train"].values()))]
        return Fitted(
            trainer=self.name,
            names=tuple(names),
            parts={PART: normalised(booster.model_to_string(num_iteration=-1).encode())},
            params=resolved,
            rounds=int(booster.current_iteration()),
            curves=curves,
        )

    def score(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give the booster's prediction per row (and class), by one thread: the same arithmetic as the endpoint's."""
        booster = _booster(parts, X)
        scores = np.asarray(booster.predict(X, num_threads=1), dtype=np.float64)
        classes = booster.num_model_per_iteration()
        return scores if classes == 1 else scores.reshape(len(X), classes)

    def contributions(self, parts: Mapping[str, bytes], X: Array) -> Array:
        """Give the exact Shapley values of the trees, which LightGBM computes itself."""
        added = np.asarray(_booster(parts, X).predict(X, num_threads=1, pred_contrib=True), dtype=np.float64)
        width = X.shape[1] + 1
        return added if added.shape[1] == width else added.reshape(len(X), -1, width)

    def _with_rounds(
        self,
        X: Array,
        y: Array,
        params: Params,
        names: Sequence[str],
        categorical: Sequence[int],
        weights: Array | None,
        validation: Mask,
        patience: int,
    ) -> tuple[Params, list[float]]:
        """Give `params` with the number of rounds that the rows in `validation` ask for, and their loss per round."""
        if params["boosting"] == "dart":
            raise DeclarationError(
                "Boosting by `dart` re-weighs earlier trees, so a best round cannot be cut out of it. "
                "Set `validation_days` to 0, or use gbdt.",
                boosting="dart",
            )
        import lightgbm

        rest = ~validation
        data = self._dataset(X[rest], y[rest], params, names, categorical, None if weights is None else weights[rest])
        held = data.create_valid(X[validation], y[validation])
        history: dict[str, Any] = {}
        booster = self._train(
            params,
            data,
            valid_sets=[held],
            valid_names=["validation"],
            callbacks=[
                lightgbm.early_stopping(patience, verbose=False),
                lightgbm.record_evaluation(history),
            ],
        )
        loss = [float(value) for value in next(iter(history["validation"].values()))]
        return {**params, "num_iterations": int(booster.best_iteration)}, loss

    def _dataset(
        self,
        X: Array,
        y: Array,
        params: Params,
        names: Sequence[str],
        categorical: Sequence[int],
        weights: Array | None,
    ) -> Any:
        """Give the rows in LightGBM's own form."""
        import lightgbm

        return lightgbm.Dataset(
            X,
            y,
            weight=weights,
            feature_name=list(names),
            categorical_feature=sorted(categorical),
            params=self._native(params),
        )

    def _train(self, params: Params, data: Any, **options: Any) -> Any:
        """Give the booster that LightGBM fits, or its complaint as ours."""
        import lightgbm

        try:
            return lightgbm.train(self._native(params), data, num_boost_round=int(params["num_iterations"]), **options)
        except lightgbm.basic.LightGBMError as error:
            raise TrainingError(
                f"LightGBM could not fit: {error}. Its parameters and the feature names are the usual cause.",
                params=dict(params),
            ) from error

    def _native(self, params: Params) -> dict[str, Any]:
        """Give the parameters as LightGBM takes them; the rounds go beside them."""
        return {
            **{name: value for name, value in params.items() if name != "num_iterations"},
            "num_threads": self.threads,
        }


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
