"""Decisions by group: equal to Fairlearn's, and gating only where a limit is declared."""

import fairlearn.metrics as theirs
import numpy as np
import pytest
from pydantic import ValidationError

from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.evaluation import Details, FairnessPolicy, GatePolicy, Terms, judge
from mlops_assets.evaluation.fairness import DECISIONS, FORECASTS, look_into_groups, outcomes_of

from .conftest import version


def look(policy, y, decided, groups):
    """Look at decisions of yes or no."""
    return compare_groups(policy, "binary", y, decided.astype(float), groups, threshold=0.5)


def compare_groups(policy, task, y, score, groups, **known):
    outcomes = outcomes_of(task, y, score, terms=Terms(), **known)
    return look_into_groups(policy, outcomes, columns={"group": groups}, minimum_rows=100, terms=Terms())


@pytest.fixture(scope="module", params=[1, 2, 3])
def people(request):
    """Labels, decisions and three groups with different rates."""
    generator = np.random.default_rng(request.param)
    groups = np.array(["f", "m", "x"], object)[generator.integers(0, 3, 2000)]
    y = (generator.random(2000) < np.where(groups == "f", 0.3, 0.5)).astype(float)
    decided = generator.random(2000) < 0.2 + 0.4 * y - 0.1 * (groups == "x")
    return y, decided, groups


@pytest.mark.parametrize("measure", DECISIONS)
def test_every_gap_equals_fairlearns(people, measure):
    """Differences and ratio over the same rows."""
    y, decided, groups = people

    (gap,) = look(FairnessPolicy(columns=("group",), measures=(measure,)), y, decided, groups).gaps

    expected = getattr(theirs, measure)(y, decided, sensitive_features=groups)
    assert gap.value == pytest.approx(expected, rel=1e-12)


def test_every_rate_of_every_group_equals_fairlearns(people):
    """Selection, true and false positive rate, and precision."""
    from sklearn.metrics import precision_score

    y, decided, groups = people
    frame = theirs.MetricFrame(
        metrics={
            "selection_rate": theirs.selection_rate,
            "true_positive_rate": theirs.true_positive_rate,
            "false_positive_rate": theirs.false_positive_rate,
            "precision": precision_score,
        },
        y_true=y,
        y_pred=decided,
        sensitive_features=groups,
    ).by_group

    found = look(FairnessPolicy(columns=("group",)), y, decided, groups)

    assert {(each.group, rate.name): rate.value for each in found.groups for rate in each.rates} == pytest.approx(
        {(group, name): frame.loc[group, name] for group in "fmx" for name in frame.columns}
    )
    assert all(rate.low <= rate.value <= rate.high for each in found.groups for rate in each.rates)


def test_a_group_of_few_is_told_but_not_compared(people):
    """Three people, all of them selected, are no gap."""
    y, decided, groups = people
    groups = groups.copy()
    groups[np.flatnonzero(decided)[:3]] = "rare"

    found = look(FairnessPolicy(columns=("group",)), y, decided, groups)

    assert {each.group: each.small for each in found.groups} == {"f": False, "m": False, "x": False, "rare": True}
    assert max(gap.value for gap in found.gaps if gap.measure == "demographic_parity_difference") < 0.5


def test_one_group_alone_is_named_as_not_comparable(people):
    """Nothing is made up."""
    y, decided, _ = people

    found = look(FairnessPolicy(columns=("group",)), y, decided, np.full(len(y), "f", object))

    assert found.gaps == ()
    assert len(found.unmeasured) == len(DECISIONS)


def test_without_declared_columns_nothing_is_looked_at(people):
    """It is a switch."""
    y, decided, groups = people

    assert look(FairnessPolicy(), y, decided, groups) is None


def test_a_column_that_is_not_there_gets_the_nearest_name(people):
    """As everywhere."""
    y, decided, groups = people

    with pytest.raises(UnknownNameError, match="Did you mean 'group'"):
        look(FairnessPolicy(columns=("gruop",)), y, decided, groups)


def test_a_limit_without_anything_to_hold_it_against_is_refused():
    """It would never refuse anybody."""
    with pytest.raises(ValidationError, match="nothing would ever be refused"):
        FairnessPolicy(maximum_difference=0.1)


def test_what_does_not_exist_for_a_kind_of_model_is_refused_with_what_does():
    """Minutes are neither given nor denied, and no share is larger than one."""
    decisions = {"columns": ("group",), "measures": ("equal_opportunity_difference",)}

    with pytest.raises(DeclarationError, match="Use some of mean_error_difference, mean_absolute_error_difference"):
        GatePolicy(primary_metric="r2", fairness=decisions).require_task("regression")
    with pytest.raises(DeclarationError, match=r"Write 0\.1 for ten per cent"):
        GatePolicy(fairness={"columns": ("group",), "maximum_difference": 10}).require_task("binary")


@pytest.mark.parametrize("measure", DECISIONS)
def test_every_gap_of_every_class_equals_fairlearns(kinds, measure):
    """Whose answer names a class, against everybody else."""
    policy = FairnessPolicy(columns=("group",), measures=(measure,))

    gaps = compare_groups(policy, "multiclass", kinds.y, kinds.weak, kinds.carrier, classes=("a", "b", "c")).gaps

    answered = kinds.weak.argmax(axis=1)
    expected = [
        getattr(theirs, measure)(kinds.y == place, answered == place, sensitive_features=kinds.carrier)
        for place in range(3)
    ]
    assert [gap.of for gap in gaps] == ["a", "b", "c"]
    assert [gap.value for gap in gaps] == pytest.approx(expected, rel=1e-12)


def test_errors_of_a_forecast_number_by_group_equal_fairlearns(minutes, late):
    """How far off it is, and to which side."""
    score = minutes.weak - 5.0 * (late.carrier == "DL")
    frame = theirs.MetricFrame(
        metrics={
            "bias": lambda y_true, y_pred: float(np.mean(y_pred - y_true)),
            "mae": lambda y_true, y_pred: float(np.mean(np.abs(y_pred - y_true))),
        },
        y_true=minutes.y,
        y_pred=score,
        sensitive_features=late.carrier,
    )

    found = compare_groups(FairnessPolicy(columns=("group",)), "regression", minutes.y, score, late.carrier)

    gaps = {gap.measure: gap.value for gap in found.gaps}
    assert gaps == pytest.approx(
        dict(zip(FORECASTS, (frame.difference()["bias"], frame.difference()["mae"]), strict=True))
    )
    assert {(each.group, rate.name): rate.value for each in found.groups for rate in each.rates} == pytest.approx(
        {(group, name): frame.by_group.loc[group, name] for group in ("AA", "DL", "UA") for name in ("bias", "mae")}
    )
    assert gaps["mean_error_difference"] == pytest.approx(5, abs=3)


def test_the_gate_refuses_forecasts_that_favour_a_group(minutes, late, window):
    """By ten minutes, where five are allowed."""
    score = minutes.good - 10.0 * (late.carrier == "DL")
    fairness = {"columns": ("carrier",), "measures": ("mean_error_difference",), "maximum_difference": 5}

    report = judge(
        GatePolicy(primary_metric="mae", non_inferiority_margin=1, resamples=100, fairness=fairness),
        challenger=version(task="regression"),
        champion_sha256=None,
        window=window,
        y=minutes.y,
        challenger_scores=score,
        champion_scores=None,
        baseline_scores=minutes.weak,
        slices={"carrier": late.carrier},
    )

    assert report.verdict == "fail"
    assert "mean_error_difference of carrier" in report.reasons[0]


def judged_by_carrier(late, window, scores, **policy):
    """Judge scores of the late flights with carriers as groups."""
    return judge(
        GatePolicy(resamples=100, minimum_advantage=-1, **policy),
        challenger=version(),
        champion_sha256=None,
        window=window,
        y=late.y,
        challenger_scores=scores,
        champion_scores=None,
        baseline_scores=late.weak,
        slices={"carrier": late.carrier},
        details=Details(threshold=0.4),
    )


@pytest.mark.parametrize(
    ("declared", "passes"),
    [
        ({"columns": ("carrier",)}, True),
        ({"columns": ("carrier",), "maximum_difference": 0.9}, True),
        ({"columns": ("carrier",), "maximum_difference": 0.05, "measures": ("demographic_parity_difference",)}, False),
        ({"columns": ("carrier",), "maximum_difference": 0.05, "measures": ("demographic_parity_ratio",)}, False),
    ],
)
def test_the_gate_refuses_only_beyond_a_declared_limit(late, window, declared, passes):
    """Scores of one carrier are raised: told in any case, refused only where a limit says so."""
    raised = np.where(late.carrier == "DL", np.minimum(late.good + 0.2, 0.99), late.good)

    report = judged_by_carrier(late, window, raised, fairness=declared)

    assert report.passed is passes
    assert {each.group for each in report.fairness.groups} == {"AA", "DL", "UA"}
    assert any("groups lie too far apart: demographic_parity" in reason for reason in report.reasons) is not passes


@pytest.mark.parametrize(("limit", "verdict"), [(0.1, "review"), (None, "pass")])
def test_a_limit_that_groups_are_too_small_for_is_left_to_a_person(late, window, limit, verdict):
    """What was declared and not held against anything may not read as kept."""
    declared = {"columns": ("carrier",), "maximum_difference": limit, "measures": ("demographic_parity_ratio",)}
    report = judged_by_carrier(late, window, late.good, slice_minimum_rows=len(late.y), fairness=declared)

    assert report.verdict == verdict
    assert ("declared is not known of demographic_parity_ratio of carrier" in report.reasons[0]) is bool(limit)
    assert ("or set `slice_minimum_rows` lower" in report.reasons[0]) is bool(limit)
