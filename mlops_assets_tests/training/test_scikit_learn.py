"""Each estimator that the trainer takes, and what it does not take."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import skops.io
from sklearn.naive_bayes import GaussianNB

from mlops_assets.errors import BundleError, DeclarationError, TrainingError, UnexplainedError
from mlops_assets.scoring import ESTIMATOR_PART, linear
from mlops_assets.scoring.skops_file import canonical
from mlops_assets.training import TRAINERS
from mlops_assets.training.trainers import _stretches
from mlops_assets.training.trainers.scikit_learn import ESTIMATORS, REFUSED, sklearn_estimator
from mlops_assets_tests.training._cut_off import cut_off_at_every_save
from mlops_assets_tests.training.conftest import draw

TRAINER = TRAINERS["sklearn"]
ALL = [(task, name) for task, known in ESTIMATORS.items() for name in known]
SMALL = {"RandomForest": {"n_estimators": 10}, "ExtraTrees": {"n_estimators": 10}, "Boosting": {"max_iter": 10}}


def fit(estimator, rows, **given):
    params = next((small for part, small in SMALL.items() if part in estimator), {})
    return TRAINER.fit(rows, params={"estimator": estimator, **params}, seed=7, **given)


@pytest.fixture(params=ALL, ids="-".join, scope="module")
def case(request):
    """Each estimator for each kind of model, with its rows and what was made of them."""
    task, name = request.param
    rows = draw(task, n=600)
    return task, name, rows, fit(name, rows)


def test_our_sums_are_scikit_learns_own(case):
    """The estimator, loaded again by skops, scores as we do, gaps and unknown levels included."""
    task, _, rows, fitted = case
    X = np.vstack([rows.X, [[np.nan] * 4, [0.1, 0.2, 0.3, 77.0]]])

    loaded = sklearn_estimator(fitted.parts)

    own = loaded.predict(X) if task == "regression" else loaded.predict_proba(X)
    assert TRAINER.score(fitted.parts, X) == pytest.approx(own[:, 1] if task == "binary" else own, rel=1e-9)


def test_a_row_scores_alone_as_among_many(case):
    """In every bit, whatever the estimator."""
    _, _, rows, fitted = case

    together = TRAINER.score(fitted.parts, rows.X[:50])

    assert np.array_equal(together, np.concatenate([TRAINER.score(fitted.parts, rows.X[i : i + 1]) for i in range(50)]))


@pytest.mark.parametrize(
    ("task", "estimator", "params"),
    [
        ("binary", "RandomForestClassifier", {"max_features": 0.5, "max_samples": 0.5}),
        ("binary", "RandomForestClassifier", {"class_weight": "balanced"}),
        ("multiclass", "ExtraTreesClassifier", {}),
        ("regression", "RandomForestRegressor", {}),
        ("regression", "ExtraTreesRegressor", {"bootstrap": True}),
        ("binary", "HistGradientBoostingClassifier", {"max_features": 0.5}),
        ("multiclass", "HistGradientBoostingClassifier", {}),
        ("regression", "HistGradientBoostingRegressor", {"loss": "absolute_error"}),
    ],
)
def test_trees_grow_on_after_each_stretch_to_the_same_bytes(task, estimator, params, monkeypatch):
    """Saved without pickle, read again, and grown on, with weights and whatever is drawn for each tree or split."""
    monkeypatch.setattr(_stretches, "FOREST_TREES", 3)
    monkeypatch.setattr(_stretches, "BOOSTED_ROUNDS", 3)
    drawn = draw(task, n=600)
    rows = replace(drawn, weights=np.exp(np.random.default_rng(3).normal(size=len(drawn))))
    size = "max_iter" if "Boosting" in estimator else "n_estimators"
    told = {"estimator": estimator, size: 10, **params}

    resumed, cuts = cut_off_at_every_save(lambda **given: TRAINER.fit(rows, params=told, seed=7, **given))

    assert cuts == (2 if size == "max_iter" else 3)  # after 3 and 6 rounds, or after 3, 6 and 9 trees
    assert resumed == TRAINER.fit(rows, params=told, seed=7)


def test_the_search_for_the_rounds_goes_on_too(monkeypatch):
    """What it found is kept, and so are the trees it had grown."""
    monkeypatch.setattr(_stretches, "BOOSTED_ROUNDS", 5)
    rows = draw("binary", n=600)
    newest = np.arange(len(rows)) >= 400

    def whole(**given):
        params = {"max_iter": 40, "learning_rate": 0.03}
        return TRAINER.fit(rows, params=params, seed=7, validation=newest, patience=40, **given)

    resumed, cuts = cut_off_at_every_save(whole)

    assert cuts > 3
    assert resumed == whole()


def test_a_fit_without_stretches_is_left_alone():
    """Linear models and single trees have nothing to save on the way."""
    _, cuts = cut_off_at_every_save(lambda **given: fit("LogisticRegression", draw("binary", n=600), **given))

    assert cuts == 0


def test_the_same_fit_has_the_same_bytes(case):
    """Though skops names what it saves by where it lies in memory, and by the clock."""
    _, name, rows, fitted = case

    again = fit(name, rows)

    assert again == fitted
    assert json.dumps(again.params)  # all of them plain


def test_linear_models_are_explained_and_trees_say_why_not(case):
    """Contributions add up from the mean score of the training rows; of trees nobody knows them exactly."""
    task, name, rows, fitted = case
    if "Tree" in name or "Forest" in name or "Boosting" in name:
        with pytest.raises(UnexplainedError, match="use the trainer `lightgbm`"):
            TRAINER.contributions(fitted.parts, rows.X)
        return

    added = TRAINER.contributions(fitted.parts, rows.X)

    raw = added.sum(axis=-1)
    assert raw.mean(axis=0) == pytest.approx(added[0, ..., -1])
    assert added[..., :-1].mean(axis=0) == pytest.approx(0, abs=1e-9)
    if task == "regression":
        assert raw == pytest.approx(TRAINER.score(fitted.parts, rows.X))


@pytest.mark.parametrize(
    ("task", "params", "why"),
    [
        ("binary", {"estimator": "LogisticRegresion"}, "Did you mean 'LogisticRegression'"),
        ("binary", {"estimator": "Ridge"}, "for a binary model, estimator 'Ridge' is not known"),
        ("binary", {"estimator": "os.system"}, "not known"),
        ("binary", {"estimator": "LogisticRegression", "c": 1.0}, "LogisticRegression parameter 'c' is not known"),
        ("binary", {"max_itr": 5}, "Did you mean 'max_iter'"),
        ("regression", {"estimator": "Ridge", "alpha": -1.0}, "'alpha' parameter of Ridge must be a float"),
        ("regression", {"loss": "poisson"}, "loss 'poisson' is not known"),
        *(("binary", {"estimator": "RandomForestClassifier", name: 1}, "cannot be set") for name in sorted(REFUSED)),
    ],
)
def test_what_cannot_be_obeyed_is_refused_before_the_fit(task, params, why):
    """With the nearest right spelling, or with scikit-learn's own words."""
    with pytest.raises(DeclarationError, match=why):
        TRAINER.resolve(task, params, seed=7)


def test_rounds_are_not_sought_where_there_are_none(binary):
    """A forest has no best round."""
    with pytest.raises(DeclarationError, match="validation_days"):
        fit("RandomForestClassifier", binary, validation=np.arange(len(binary.y)) > 1000)


def test_what_scikit_learn_cannot_do_comes_back_as_a_training_error(multiclass):
    """Some solvers know two classes only."""
    with pytest.raises(TrainingError, match="liblinear"):
        TRAINER.fit(multiclass, params={"estimator": "LogisticRegression", "solver": "liblinear"}, seed=7)


def test_a_forest_does_not_keep_the_weights_of_its_rows(binary):
    """They say how old each row was, and no score needs them."""
    fitted = fit("RandomForestClassifier", replace(binary, weights=np.linspace(0.1, 1, len(binary))))

    assert sklearn_estimator(fitted.parts)._sample_weight is None


def test_a_type_that_is_not_on_the_list_is_refused_by_name(binary):
    """Also one that skops itself would trust."""
    foreign = skops.io.dumps(GaussianNB().fit(np.nan_to_num(binary.X), binary.y))

    for read in (TRAINER.score, lambda parts, X: sklearn_estimator(parts)):
        with pytest.raises(BundleError, match=r"sklearn\.naive_bayes\.GaussianNB"):
            read({ESTIMATOR_PART: canonical(foreign)}, binary.X)


def test_a_file_that_names_a_function_is_refused(binary):
    """Whatever it says it is a part of."""
    parts = fit("DecisionTreeClassifier", binary).parts
    with zipfile.ZipFile(io.BytesIO(parts[ESTIMATOR_PART])) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(held["schema.json"])
    schema["content"]["content"]["criterion"] = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in {**held, "schema.json": json.dumps(schema).encode()}.items():
            archive.writestr(name, data)

    with pytest.raises(BundleError, match=r"os\.system"):
        TRAINER.score({ESTIMATOR_PART: buffer.getvalue()}, binary.X)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no zip", b"not at all"])
def test_a_torn_file_is_refused(binary, data):
    """No estimator is guessed from half a file."""
    with pytest.raises(BundleError, match="no whole skops file"):
        TRAINER.score({ESTIMATOR_PART: data}, binary.X)


def test_a_model_that_is_read_otherwise_than_it_scores_is_not_kept(binary, monkeypatch):
    """Should scikit-learn ever lay its models out in another way, the fit fails and nothing is served."""
    monkeypatch.setattr(linear.NumberTerm, "values", lambda self, column: np.nan_to_num(column))

    with pytest.raises(TrainingError, match="otherwise than the fitted one"):
        fit("LogisticRegression", binary)


def test_columns_without_any_value_or_any_number_are_fitted(binary):
    """A feature that was always missing adds nothing, and a model of categories alone needs no numbers."""
    empty = replace(binary, X=np.column_stack([binary.X[:, :2], np.full(len(binary.y), np.nan), binary.X[:, 3]]))
    levels = replace(binary, X=np.repeat(binary.X[:, 3:], 4, axis=1), categorical=(0, 1, 2, 3))

    for rows in (empty, levels):
        for name in ("LogisticRegression", "HistGradientBoostingClassifier", "ExtraTreesClassifier"):
            assert np.isfinite(TRAINER.score(fit(name, rows).parts, rows.X)).all()
