"""When a challenger passes, when it is refused, and what the report says about it."""

from contextlib import nullcontext
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import mean_pinball_loss

from mlops_assets.digests import sha256_json
from mlops_assets.errors import DeclarationError, EvaluationError, UnknownNameError
from mlops_assets.evaluation import BusinessValue, GatePolicy, judge, measure, policy_sha256
from mlops_assets.records import BehaviourResult, EvaluationReport
from mlops_assets.statistics import StatisticsInputError, auc
from mlops_assets_tests.governance._evidence import EVALUATION

from .conftest import version

QUICK = {"resamples": 100, "guards": {}}
CHAMPION = "a" * 64


@pytest.fixture
def verdict(late, window, trade):
    """Judge binary scores under a policy; the champion scores well unless told otherwise."""

    def judged(challenger, champion=late.good, *, baseline=late.weak, y=late.y, clusters=None, facts=None, **declared):
        return judge(
            GatePolicy(**{**QUICK, **declared}),
            challenger=version(),
            champion_sha256=None if champion is None else CHAMPION,
            window=window,
            y=y,
            challenger_scores=challenger,
            champion_scores=champion,
            baseline_scores=baseline,
            slices={"carrier": late.carrier[: len(y)]},
            value=trade,
            clusters=clusters,
            **(facts or {}),
        )

    return judged


def refusals(report):
    return [reason for reason in report.reasons if reason.startswith("Refused: ")]


def test_what_is_odd_about_the_rows_is_for_a_person(verdict, late):
    """Whatever the scores say."""
    report = verdict(late.twin, facts={"suspicions": ["an old day was sent again."]})

    assert report.verdict == "review"
    assert report.reasons[0] == "Needs review: an old day was sent again."


def test_a_challenger_as_good_as_the_champion_passes(verdict, late):
    """The loss that would matter is ruled out, and every rule is told."""
    report = verdict(late.twin)

    assert report.passed
    assert refusals(report) == []
    assert any("that it loses no more than the margin of 0.01 is shown" in reason for reason in report.reasons)
    assert [each.other for each in report.comparisons] == ["champion", "baseline"]


def test_a_worse_challenger_is_refused_with_the_reason_first(verdict, late):
    """The reader meets the refusal before what went well."""
    report = verdict(late.fair)

    assert not report.passed
    assert len(refusals(report)) == 1
    assert report.reasons[0].startswith("Refused: auc is worse than the champion's by 0.09")
    assert "shown to be worse" in report.reasons[0]


def test_a_loss_within_the_margin_is_refused_once_it_is_shown(verdict, late):
    """Small losses would add up from one retraining to the next; a policy may allow them."""
    declared = {"non_inferiority_margin": 0.3}

    assert not verdict(late.fair, **declared).passed
    assert verdict(late.fair, **declared, allow_shown_loss=True).passed


def test_too_few_rows_to_rule_out_a_loss_are_for_a_person_to_weigh(verdict, late):
    """Not knowing is not passing: the note names the difference these rows could have shown."""
    few = slice(0, 250)
    declared = {"minimum_rows": 200, "minimum_per_class": 20, "minimum_advantage": -1}

    report = verdict(late.fair[few], late.rival[few], baseline=late.weak[few], y=late.y[few], **declared)

    assert (report.verdict, report.passed, refusals(report)) == ("review", False, [])
    assert report.reasons[0].startswith("Needs review: ")
    assert "that it loses no more than the margin of 0.01 is not shown, nor refuted" in report.reasons[0]
    assert any("which is finer" in reason and "hold out more days" in reason for reason in report.reasons)


def test_a_required_gain_must_be_shown(verdict, late):
    """With `minimum_gain` an equal challenger is refused and a clearly better one passes."""
    assert not verdict(late.twin, minimum_gain=0).passed
    assert verdict(late.good, late.fair, minimum_gain=0.05).passed


def test_a_challenger_shown_to_be_worse_than_the_simple_model_is_refused(verdict, late):
    """Beating the champion is not enough."""
    report = verdict(late.fair, late.weak, baseline=late.good)

    assert len(refusals(report)) == 1
    assert "baseline" in refusals(report)[0]
    assert "that it is ahead by more than 0 is refuted" in refusals(report)[0]


@pytest.mark.parametrize(("evidence", "passes"), [("shown", False), ("likely", False), ("not_refuted", True)])
def test_the_evidence_asked_for_decides_a_close_case(verdict, late, evidence, passes):
    """A rival of the same quality that happens to be a hair behind: the interval holds zero, the estimate is below."""
    behind, ahead = sorted((late.fair, late.rival), key=lambda score: auc(late.y, score))
    against_champion = verdict(behind, ahead, minimum_gain=0, champion_evidence=evidence)
    against_baseline = verdict(behind, late.weak, baseline=ahead, baseline_evidence=evidence)

    assert against_champion.comparisons[0].low < 0 < against_champion.comparisons[0].high
    assert against_champion.passed is passes
    assert against_baseline.passed is passes


def test_likely_lets_a_probable_gain_pass_that_is_not_shown(verdict, late):
    """The estimate decides where the hold-out is too short for proof."""
    behind, ahead = sorted((late.fair, late.rival), key=lambda score: auc(late.y, score))

    assert verdict(ahead, behind, minimum_gain=0, champion_evidence="likely").passed
    assert not verdict(ahead, behind, minimum_gain=0).passed


def test_without_a_champion_the_baseline_and_the_absolute_rules_decide(verdict, late):
    """The first model has nobody to beat but the simple one, and the report says so."""
    report = verdict(late.good, None, worst_allowed=0.7)

    assert report.passed
    assert report.champion_sha256 is None
    assert report.champion_metrics == ()
    assert [each.other for each in report.comparisons] == ["baseline"]
    assert any("no champion is live" in reason for reason in report.reasons)
    assert not verdict(late.good, None, worst_allowed=0.99).passed


def test_few_rows_of_one_class_are_refused(verdict, late):
    """The minimum is in the sentence."""
    report = verdict(late.good, minimum_rows=5000, minimum_per_class=2000)

    assert "3,000 held-out rows, where at least 5,000" in refusals(report)[0]
    assert "where at least 2,000" in refusals(report)[1]


def test_a_challenger_blind_on_one_slice_is_refused_although_it_is_better_on_all_rows(verdict, late):
    """The overall gain does not buy a carrier's loss."""
    blind = np.where(late.carrier == "DL", late.fair, late.good)
    champion = np.where(late.carrier == "DL", late.good, late.fair)
    declared = {"slice_columns": ("carrier",), "maximum_slice_drop": 0.02}

    report = verdict(blind, champion, **declared)

    assert report.comparisons[0].low > 0
    assert len(refusals(report)) == 1
    assert "carrier=DL" in refusals(report)[0]
    assert verdict(late.twin, **declared).passed


@pytest.mark.parametrize(("rows", "expected"), [(300, "pass"), (1001, "review")])
def test_a_limit_on_slices_of_which_none_could_be_compared_is_left_to_a_person(verdict, late, rows, expected):
    """It would pass in silence whatever became of them; with nobody to fall behind there is nothing to ask."""
    declared = {"slice_columns": ("carrier",), "maximum_slice_drop": 0.02, "slice_minimum_rows": rows}

    report = verdict(late.twin, **declared)

    unknown = "is not known of carrier: none of its slices has the 1,001 rows that are asked for"
    assert report.verdict == expected
    assert any(unknown in reason for reason in doubts(report)) is (expected == "review")
    assert verdict(late.good, None, **declared).passed


def test_days_as_clusters_reach_every_interval(verdict, late):
    """Comparisons are made between days when days are given."""
    rows, days = verdict(late.twin), verdict(late.twin, clusters=late.day)

    assert rows.comparisons[0].difference == days.comparisons[0].difference
    assert rows.comparisons[0].low != days.comparisons[0].low
    assert any("3,000 rows in 30 clusters" in reason for reason in days.reasons)


def test_a_regression_is_judged_with_lower_errors_in_favour(minutes, window):
    """A worse RMSE is a negative gain, and the worst allowed value is an upper limit."""
    policy = GatePolicy(
        primary_metric="rmse", non_inferiority_margin=0.5, allow_shown_loss=True, worst_allowed=20, **QUICK
    )

    def judged(challenger):
        return judge(
            policy,
            challenger=version("regression"),
            champion_sha256=CHAMPION,
            window=window,
            y=minutes.y,
            challenger_scores=challenger,
            champion_scores=minutes.good,
            baseline_scores=minutes.weak + 5,
        )

    twin, worse = judged(minutes.twin), judged(minutes.weak)

    assert twin.passed
    assert worse.comparisons[0].difference < -10
    assert len(refusals(worse)) == 2
    assert "at most 20 is asked for" in refusals(worse)[0]


def test_the_champion_itself_passes_and_is_recognised(verdict, late, window, trade):
    """Retraining on the same rows gives the same digest: nothing is lost, and nothing is claimed."""
    report = judge(
        GatePolicy(**QUICK),
        challenger=version(sha256=CHAMPION),
        champion_sha256=CHAMPION,
        window=window,
        y=late.y,
        challenger_scores=late.good,
        champion_scores=late.good,
        baseline_scores=late.weak,
        value=trade,
    )

    assert report.passed
    assert any("byte for byte" in reason for reason in report.reasons)
    assert any("auc is equal to the champion's (95% interval" in reason for reason in report.reasons)


def test_the_same_evidence_gives_the_same_digest_and_other_evidence_another(verdict, late):
    """A report is named by what was found; a tracking run's id is no finding."""
    first, again, other = verdict(late.twin), verdict(late.twin), verdict(late.twin, minimum_advantage=0.01)

    assert first == again
    assert first.sha256 != other.sha256
    assert len(first.sha256) == 64
    assert sha256_json(first)  # no NaN, nothing that JSON cannot say


def test_a_tracking_run_does_not_change_the_digest(late, window, trade):
    """Two identical trainings logged as two runs are judged alike."""

    def digest(challenger):
        return judge(
            GatePolicy(**QUICK),
            challenger=challenger,
            champion_sha256=None,
            window=window,
            y=late.y,
            challenger_scores=late.good,
            champion_scores=None,
            baseline_scores=late.weak,
            value=trade,
        ).sha256

    assert digest(version()) == digest(replace(version(), mlflow_run_id="b2"))
    assert digest(version()) != digest(version(sha256="e" * 64))


def test_the_terms_of_a_gate_hold_what_each_answer_is_worth(kinds):
    """So that whoever measures for the gate can measure by value, of whatever rows."""
    policy = GatePolicy(primary_metric="answers_per_1000", non_inferiority_margin=5)
    worth = BusinessValue(answers={"late": {"late": 9.0}})

    terms = policy.terms(worth, classes=("early", "fine", "late"))

    hits = np.mean((kinds.y == 2) & (kinds.good.argmax(axis=1) == 2))
    assert measure("answers_per_1000", kinds.y, kinds.good, terms).value == pytest.approx(9000 * hits)


def test_the_policy_digest_covers_gate_and_value(trade):
    """Moving a threshold or a price after the fact is seen."""
    digests = {
        policy_sha256(GatePolicy(), trade),
        policy_sha256(GatePolicy(minimum_rows=999), trade),
        policy_sha256(GatePolicy(), BusinessValue()),
    }

    assert len(digests) == 3


def test_a_champion_without_scores_is_refused(late, window):
    """Nobody is let through unseen because somebody forgot to score the champion."""
    with pytest.raises(EvaluationError, match="both its digest and its scores"):
        judge(
            GatePolicy(),
            challenger=version(),
            champion_sha256=CHAMPION,
            window=window,
            y=late.y,
            challenger_scores=late.good,
            champion_scores=None,
            baseline_scores=late.weak,
        )


def test_rows_of_one_class_refuse_with_what_is_missing(verdict, late):
    """No measure exists, so none is reported; the sentence says what to do."""
    report = verdict(late.good, y=np.zeros(len(late.y)), facts={"looks": 30})

    assert report.verdict == "fail"
    assert "0 of the rarer class among them" in refusals(report)[0]
    assert "Of 3,000 held-out rows 0 are positive" in refusals(report)[1]
    assert "Hold out more days, or check the label" in refusals(report)[1]
    assert doubts(report), "what needs no measure is told all the same"
    assert (report.challenger_metrics, report.comparisons, report.calibration) == ((), (), None)
    assert sha256_json(report)


def test_rows_of_one_day_refuse(verdict, late):
    """Days are what intervals are taken over, and one tells nothing of the next."""
    report = verdict(late.good, clusters=np.zeros(len(late.y)))

    assert report.verdict == "fail"
    assert "3,000 held-out rows are of one day" in refusals(report)[0]


def test_a_metric_that_may_not_exist_on_rows_drawn_again_refuses(verdict, late):
    """Two hits on one day of thirty: most draws of days hold none, and what finds none has no recall."""
    y = np.zeros(len(late.y))
    y[:2] = 1

    declared = {"minimum_per_class": 2, "clusters": late.day}
    by_recall = verdict(late.good, y=y, primary_metric="recall_at_capacity", **declared)
    guarded = verdict(late.good, y=y, guards={"recall_at_capacity": 0.1}, **declared)

    assert "a draw of rows may hold none" in refusals(by_recall)[0]
    assert any(
        "whether recall_at_capacity is worse than the champion's is not known" in said for said in doubts(guarded)
    )
    assert "recall_at_capacity" not in {metric.name for metric in guarded.challenger_metrics}
    assert "auc" in {metric.name for metric in guarded.challenger_metrics}


@pytest.mark.parametrize(("metric", "expected"), [("mae", "review"), ("r2", "fail")])
def test_numbers_that_are_all_the_same_never_pass(minutes, window, metric, expected):
    """Errors exist, and a person is asked what became of the outcomes; a share of the variance does not."""
    report = judge(
        GatePolicy(primary_metric=metric, non_inferiority_margin=5, **QUICK),
        challenger=version("regression"),
        champion_sha256=CHAMPION,
        window=window,
        y=np.full(len(minutes.y), 150.0),
        challenger_scores=minutes.good,
        champion_scores=minutes.twin,
        baseline_scores=minutes.weak,
    )

    assert report.verdict == expected
    assert {"review": "all 3,000 held-out labels are 150", "fail": "no R²"}[expected] in report.reasons[0]
    assert "r2" not in {metric.name for metric in report.challenger_metrics}


def test_a_missing_score_is_named_with_its_model_and_row(verdict, late):
    """NaN is not dropped: other rows would be judged than were held out."""
    broken = np.where(np.arange(len(late.y)) == 17, np.nan, late.good)

    with pytest.raises(StatisticsInputError, match=r"champion_scores holds NaN .* in 1 of 3000 rows \(rows 17\)"):
        verdict(late.good, broken)


def test_a_slice_column_that_is_not_there_gets_the_nearest_name(verdict, late):
    """A misspelt column is no empty slice."""
    with pytest.raises(UnknownNameError, match="Did you mean 'carrier'"):
        verdict(late.good, slice_columns=("carier",))


@pytest.fixture
def by_quantile(minutes, window):
    """Judge forecasts of the 0.9 quantile by their pinball loss, beside a constant that forecasts it as well."""

    def judged(challenger, champion=None):
        return judge(
            GatePolicy(primary_metric="pinball", non_inferiority_margin=0.2, **QUICK),
            challenger=replace(version("regression"), params={"objective": "quantile", "alpha": 0.9}),
            champion_sha256=None if champion is None else CHAMPION,
            window=window,
            y=minutes.y,
            challenger_scores=challenger,
            champion_scores=champion,
            baseline_scores=np.full(len(minutes.y), np.quantile(minutes.y, 0.9)),
        )

    return judged


def test_a_model_of_a_quantile_is_judged_by_its_pinball_loss(by_quantile, minutes):
    """The one that lies above nine in ten wins over the one that is nearer to the truth."""
    above = minutes.good + np.quantile(minutes.y - minutes.good, 0.9)

    passed, refused = by_quantile(above, champion=minutes.good), by_quantile(minutes.good, champion=above)

    of_above, of_near = (mean_pinball_loss(minutes.y, scores, alpha=0.9) for scores in (above, minutes.good))
    assert passed.comparisons[0].difference == pytest.approx(of_near - of_above)
    assert passed.comparisons[0].low > 0
    assert not refusals(passed)
    assert {m.name for m in passed.challenger_metrics} >= {"pinball", "coverage", "rmse"}
    assert any("pinball" in reason for reason in refusals(refused))


@pytest.mark.parametrize(
    ("declared", "quantile", "why"),
    [
        ({"primary_metric": "pinball"}, None, "forecasts none"),
        ({"primary_metric": "mae", "guards": {"pinball": 0.1}}, None, "forecasts none"),
        ({"primary_metric": "rmse"}, 0.9, "Judge it by `pinball`"),
        ({"primary_metric": "mae"}, 0.9, "Judge it by `pinball`"),
        ({"primary_metric": "mae"}, 0.5, None),
        ({"primary_metric": "pinball", "guards": {"mae": 0.1}}, 0.9, None),
        ({"primary_metric": "mae"}, None, None),
    ],
)
def test_a_quantile_and_what_judges_it_belong_together(declared, quantile, why):
    """Only of the median is the distance a measure: by any other, the better forecast loses."""
    policy = GatePolicy(non_inferiority_margin=0.2, **declared)

    with pytest.raises(DeclarationError, match=why) if why else nullcontext():
        policy.require_quantile(quantile)


def test_a_policy_for_another_task_is_refused(minutes):
    """An AUC of minutes does not exist; the metrics that do are named."""
    with pytest.raises(DeclarationError, match="Use one of mae, pinball, r2, rmse"):
        GatePolicy().require_task("regression")


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"primary_metric": "auk"}, "Did you mean 'auc'"),
        ({"maximum_slice_drop": 0.05}, "Name `slice_columns`"),
        ({"primary_metric": "ece"}, "no model is judged by it.*auc, average_precision"),
        ({"primary_metric": "bias"}, "Use one of mae, pinball, r2, rmse"),
        ({"primary_metric": "rmse"}, "`non_inferiority_margin` is missing"),
        ({"primary_metric": "value_per_1000"}, "`non_inferiority_margin` is missing"),
        ({"minimum_gian": 0.1}, "Extra inputs"),
        ({"non_inferiority_margin": -0.1}, "greater than or equal to 0"),
    ],
)
def test_a_policy_that_cannot_be_obeyed_is_refused_at_load(declared, why):
    """Wrong keys and values never reach a judgement."""
    with pytest.raises(ValidationError, match=why):
        GatePolicy(**declared)


# --- what is left to a person ---------------------------------------------------------------------


def doubts(report):
    return [reason for reason in report.reasons if reason.startswith("Needs review: ")]


def test_a_gain_too_good_to_be_true_is_left_to_a_person(verdict, late):
    """A score that knows the label beats any champion; the sentence says where to look."""
    leaked = np.where(late.y == 1, 0.9, 0.1) * 0.9 + 0.05 * late.good

    report = verdict(leaked)

    assert (report.verdict, report.passed) == ("review", False)
    assert [doubt.split(" makes good")[0] for doubt in doubts(report)] == ["Needs review: auc"] * 2
    assert "knows the outcome" in doubts(report)[0]
    assert verdict(leaked, suspicious_gain=None, suspicious_advantage=None).passed


def test_a_hold_out_looked_at_too_often_is_left_to_a_person(verdict, late):
    """The best of many challengers is partly luck."""
    report = verdict(late.twin, facts={"looks": 21})

    assert report.verdict == "review"
    assert "looked at 21 times, where 20 are allowed" in doubts(report)[-1]


def test_looks_widen_the_intervals_they_are_corrected_for(verdict, late):
    """Bonferroni: five looks at 95 % are made at 99 % each."""
    once, often = verdict(late.twin), verdict(late.twin, facts={"looks": 5})

    assert often.comparisons[0].low < once.comparisons[0].low
    assert any("looked at 5 times" in reason and "0.99 confidence" in reason for reason in often.reasons)


def test_a_policy_changed_after_training_began_is_left_to_a_person(verdict, late):
    """The field is named."""
    report = verdict(late.twin, facts={"changed": ("gate.minimum_rows",)})

    assert report.verdict == "review"
    assert "gate.minimum_rows" in doubts(report)[0]


@pytest.mark.parametrize(("scores", "expected"), [("good", "pass"), ("noise", "review"), ("reversed", "fail")])
def test_a_challenger_must_be_worth_more_than_one_answer_for_all(verdict, late, scores, expected):
    """Shown: passes; neither shown nor refuted: a person; worse: refused."""
    noise = np.random.default_rng(1).random(len(late.y))
    given = {"good": late.good, "noise": noise, "reversed": 1 - late.good}[scores]

    report = verdict(given, None, baseline=noise, facts={"constant": 0.3}, minimum_advantage=-1)

    assert report.verdict == expected
    assert {each.other for each in report.comparisons} == {"baseline", "constant"}


def test_a_refusal_outweighs_a_doubt(verdict, late):
    """Nobody is asked about what is refused anyway."""
    report = verdict(late.fair, facts={"looks": 30})

    assert report.verdict == "fail"
    assert report.reasons[0].startswith("Refused: ")
    assert doubts(report)


def test_broken_behaviour_refuses_and_only_an_unlike_champion_is_left_to_a_person(verdict, late):
    """A test that is not passed is a reason in its own words."""

    def result(name, *, passed):
        return BehaviourResult(name=name, n=10, observed=2, allowed=1, passed=passed, words=f"{name} went wrong.")

    broken, unlike, fine = result("noise", passed=False), result("stability", passed=False), result("x", passed=True)

    assert verdict(late.twin, facts={"behaviour": lambda: (fine,)}).passed
    assert verdict(late.twin, facts={"behaviour": lambda: (fine, unlike)}).verdict == "review"
    report = verdict(late.twin, facts={"behaviour": lambda: (fine, broken)})
    assert (report.verdict, report.reasons[0]) == ("fail", "Refused: noise went wrong.")
    assert report.behaviour == (fine, broken)


def test_a_report_of_before_there_were_three_verdicts_reads_as_what_it_said():
    """Stored records have no verdict; `passed` says it."""
    stored = msgspec.to_builtins(EVALUATION)
    del stored["verdict"]

    passed, refused = (msgspec.convert({**stored, "passed": said}, EvaluationReport) for said in (True, False))

    assert (passed.verdict, refused.verdict) == ("pass", "fail")


def test_a_better_order_does_not_hide_scores_that_are_far_off(late, window, trade):
    """By default a binary model's log loss is guarded: against the champion, or a constant where there is none."""

    def judged(challenger, champion, **declared):
        return judge(
            GatePolicy(resamples=100, **declared),
            challenger=version(),
            champion_sha256=None if champion is None else CHAMPION,
            window=window,
            y=late.y,
            challenger_scores=challenger,
            champion_scores=champion,
            baseline_scores=late.weak,
            constant=late.y.mean(),
            value=trade,
        )

    pushed = 0.9 + 0.1 * late.good  # the same order, and no chance below nine in ten

    for champion, other in ((late.good, "champion"), (None, "constant")):
        report = judged(pushed, champion)
        assert report.verdict == "fail"
        assert refusals(report)[0].startswith(f"Refused: log_loss is shown to be worse than the {other}'s")
        assert judged(pushed, champion, guards={}).passed


def test_a_guard_must_judge_the_same_kind_of_model():
    """Misspelt or of another task, it would guard nothing."""
    with pytest.raises(ValidationError, match="rmse"):
        GatePolicy(guards={"rmse": 1.0})


def test_a_large_slice_that_has_lost_one_class_is_left_to_a_person(late, window, trade):
    """A thousand rows of one carrier and none of them late: that is no chance, and no metric tells it."""
    y = np.where(late.carrier == "DL", 0.0, late.y)

    report = judge(
        GatePolicy(**QUICK, slice_columns=("carrier",)),
        challenger=version(),
        champion_sha256=None,
        window=window,
        y=y,
        challenger_scores=late.good,
        champion_scores=None,
        baseline_scores=late.weak,
        slices={"carrier": late.carrier},
        value=trade,
    )

    assert report.verdict == "review"
    assert "carrier=DL (1000 rows)" in doubts(report)[0]


@pytest.fixture
def of_classes(kinds, window):
    """Judge probabilities of three classes."""

    def judged(challenger, champion=kinds.good, *, baseline=kinds.weak, y=kinds.y, **declared):
        policy = GatePolicy(**{**QUICK, "primary_metric": "macro_auc", **declared})
        return judge(
            policy,
            challenger=version(task="multiclass"),
            champion_sha256=None if champion is None else CHAMPION,
            window=window,
            y=y,
            challenger_scores=challenger,
            champion_scores=champion,
            baseline_scores=baseline,
            constant=np.full(3, 1 / 3),
            slices={"carrier": kinds.carrier},
            clusters=kinds.day,
        )

    return judged


@pytest.mark.parametrize("metric", ["macro_auc", "multiclass_log_loss", "multiclass_accuracy"])
def test_models_of_several_classes_are_judged_by_their_own_measures(of_classes, kinds, metric):
    """An equal one passes, a weak one is refused; slices and every measure are told, with intervals."""
    passed = of_classes(kinds.twin, primary_metric=metric, slice_columns=("carrier",))
    refused = of_classes(kinds.weak, primary_metric=metric, baseline=kinds.good)

    assert passed.passed
    assert not refused.passed
    assert {metric.name for metric in passed.challenger_metrics} == {
        "macro_auc",
        "multiclass_log_loss",
        "multiclass_accuracy",
        "top_label_ece",
        "classwise_ece",
    }
    assert all(metric.low < metric.value < metric.high for metric in passed.challenger_metrics)
    assert len(passed.slices) == 3
    assert [each.other for each in passed.comparisons] == ["champion", "baseline", "constant"]


def test_the_rarest_of_several_classes_needs_its_rows(of_classes, kinds):
    """Counted over all of them."""
    report = of_classes(kinds.twin, minimum_per_class=5000)

    assert any("of the rarest class among them, where at least 5,000" in reason for reason in refusals(report))


def test_a_class_that_never_happened_refuses(of_classes, kinds):
    """It counts as the rarest, and how many there were of each is told."""
    report = of_classes(kinds.twin, y=np.minimum(kinds.y, 1))

    assert report.verdict == "fail"
    assert "0 of the rarest class among them" in refusals(report)[0]
    assert ", 0 are of each class" in refusals(report)[1]


@pytest.mark.parametrize(
    ("changed", "error", "why"),
    [
        (lambda k: {"champion": k.good[:, 0]}, EvaluationError, "keeps its classes"),
        (lambda k: {"champion": np.column_stack([k.good / 2, k.good[:, :1] * 0 + 0.5])}, EvaluationError, "keeps its"),
        (lambda k: {"y": k.y + 1}, StatisticsInputError, "codes 0 to 2"),
        (lambda k: {"challenger": k.good * 2}, StatisticsInputError, "no probabilities"),
        (lambda k: {"challenger": k.good[:, 0]}, StatisticsInputError, "shape"),
    ],
)
def test_probabilities_that_mean_nothing_together_are_refused(of_classes, kinds, changed, error, why):
    """A champion of other classes, a class that is none, and what is no probability."""
    with pytest.raises(error, match=why):
        of_classes(**{"challenger": kinds.twin, **changed(kinds)})


def test_a_metric_of_another_kind_of_model_is_refused_with_the_fitting_ones(of_classes, kinds):
    """AUC is of two classes."""
    with pytest.raises(DeclarationError, match="macro_auc, multiclass_accuracy, multiclass_log_loss"):
        of_classes(kinds.twin, primary_metric="auc")
