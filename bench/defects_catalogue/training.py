"""Fits that go wrong although data and code are right."""

import re

from bench._defect_world import Defect, Trial
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.records import ModelVersion


class _Params(Defect):
    params: dict[str, object]

    def files(self, files: dict[str, str]) -> dict[str, str]:
        model = files["model.py"]
        for name, value in self.params.items():
            model, found = re.subn(rf'"{name}": [^,}}]*', f'"{name}": {value!r}', model)
            if not found:
                model = model.replace("PARAMS = {", f'PARAMS = {{"{name}": {value!r}, ')
        return {**files, "model.py": model}


class WrongObjective(_Params):
    name = "wrong objective"
    what = "a regression's objective for a question of yes or no"
    params = {"objective": "regression"}


class LearningRateBlowUp(_Params):
    name = "learning rate blow-up"
    what = "8 where 0.08 was meant"
    params = {"learning_rate": 8.0}


class Underfit(_Params):
    name = "underfit"
    what = "two rounds of four leaves, left over from a test"
    params = {"num_iterations": 2, "num_leaves": 2}


class Overfit(_Params):
    name = "overfit"
    what = "leaves of single rows, three hundred rounds, nothing that holds back"
    params = {"num_iterations": 300, "num_leaves": 127, "min_data_in_leaf": 1, "learning_rate": 0.3, "lambda_l2": 0.0}


class Unregularised(_Params):
    name = "category learnt by heart"
    what = "noise among rare values is learnt, as smoothing is off and the rate is high"
    params = {"num_leaves": 255, "min_data_in_leaf": 2, "learning_rate": 0.5}


class TurnedByWeight(_Params):
    name = "miscalibration"
    what = "returns weigh thirty times, which moves every score and hardly their order"
    params = {"scale_pos_weight": 30.0}


class Tempered(_Params):
    name = "scores that say nothing"
    what = "a learning rate of 0.00001: the order is right, and all scores are nearly the same"
    params = {"learning_rate": 1e-5}


class TooManyTrees(_Params):
    name = "bundle too large"
    what = "two hundred trees of five hundred leaves"
    params = {"num_iterations": 200, "num_leaves": 500, "min_data_in_leaf": 5, "learning_rate": 0.005}


class BadParameter(_Params):
    name = "misspelt parameter"
    what = "`n_leaves` instead of `num_leaves`"
    params = {"n_leaves": 15}


class ThreadDependent(_Params):
    name = "parameter that breaks determinism"
    what = "quantized gradients, with which the model depends on the number of threads"
    params = {"use_quantized_grad": True}


class ShortWindow(Defect):
    name = "too few rows"
    what = "the window was set to three days for a test and committed"

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = files["defs.yaml"].replace("{holdout_days: 10,", "{kind: sliding, days: 3, holdout_days: 10,")
        return {**files, "defs.yaml": text}


class OldWindow(Defect):
    name = "window fixed in the past"
    what = "the window still names the first twelve days there ever were"

    def files(self, files: dict[str, str]) -> dict[str, str]:
        text = files["defs.yaml"].replace("{holdout_days: 10,", "{kind: fixed, days: 12, holdout_days: 10,")
        return {**files, "defs.yaml": text}


class ShortHoldout(Defect):
    name = "hold-out too short"
    what = "one day is held out, on which nothing can be shown"

    def files(self, files: dict[str, str]) -> dict[str, str]:
        return {**files, "defs.yaml": files["defs.yaml"].replace("holdout_days: 10", "holdout_days: 1")}


class BestOfMany(Defect):
    name = "best of many on one hold-out"
    what = "a dozen seeds are tried, and the one that does best on the hold-out is released"

    def fitted(self, trial: Trial, version: ModelVersion) -> ModelVersion:
        made = trial.training_set
        tried = []
        for seed in range(12):
            training = trial.folder.declaration.training.model_copy(
                update={"seed": seed, "params": {"num_iterations": 12}}
            )
            declared = trial.folder.declaration.model_copy(update={"training": training})
            folder = ModelFolder(trial.folder.path, declared)
            one = steps.fit_model(folder, trial.home, made, tags={}, requester="bench")
            report = steps.evaluate(folder, trial.home, made, one, at=made.cut_off)
            tried.append((next(m.value for m in report.challenger_metrics if m.name == "auc"), one))
        return max(tried, key=lambda pair: pair[0])[1]


class EasedThresholds(_Params):
    name = "thresholds eased after the result"
    what = "a model that would be refused is fitted; then the gate is opened wide and asked again"
    params = {"num_iterations": 3, "num_leaves": 3}

    def fitted(self, trial: Trial, version: ModelVersion) -> ModelVersion:
        gate = trial.folder.declaration.gate.model_copy(
            update={
                "worst_allowed": 0.5,
                "non_inferiority_margin": 0.5,
                "allow_shown_loss": True,
                "minimum_advantage": -0.5,
                "maximum_slice_drop": None,
                "guards": {},
            }
        )
        declared = trial.folder.declaration.model_copy(update={"gate": gate})
        vars(trial)["folder"] = ModelFolder(trial.folder.path, declared)
        return version
