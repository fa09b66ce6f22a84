"""The report of a version: one sentence that is true, and a page that stands alone."""

from dataclasses import replace

import pytest

from mlops_assets.governance import Judged, Trade, changes, headline, picture_files, render_report
from mlops_assets.records import (
    BehaviourResult,
    Calibration,
    CalibrationBin,
    Classes,
    ClassResult,
    Comparison,
    Curve,
    DiscoveredSlice,
    Fairness,
    FairnessGap,
    GroupRates,
    Metric,
    Portrait,
    ValuePoint,
    VectorFeature,
)
from mlops_assets_tests._page import assert_whole
from mlops_assets_tests.governance._evidence import EVALUATION, TRAINING_SET, VERSION, day

BEFORE = replace(VERSION, version=2, sha256="a" * 64, params={"num_leaves": 15, "objective": "binary"})
TRADE = Trade(capacity_share=0.1, value_of_hit=40, cost_of_false_alarm=15, unit="EUR")


def metrics(precision: float) -> tuple[Metric, ...]:
    return (
        Metric(name="auc", value=0.71, n=4000, low=0.69, high=0.73),
        Metric(name="precision_at_capacity", value=precision, n=4000, low=precision - 0.05, high=precision + 0.05),
        Metric(name="value_per_1000", value=precision * 3000, n=4000, low=100, high=5000),
    )


def gain(difference: float, low: float, high: float) -> Comparison:
    return Comparison(
        other="champion", metric="value_per_1000", difference=difference, low=low, high=high, p_value=0.01, n=4000
    )


PORTRAIT = Portrait(
    model="flight_delay",
    bundle_sha256=VERSION.sha256,
    curves={
        "roc": {who: Curve(x=(0, 0.5, 1), y=(0, 0.7, 1)) for who in ("challenger", "champion", "baseline")},
        "residuals": {"challenger": Curve(x=(0.1, 0.6), y=(0.1, 0.5), low=(0.05, 0.4), high=(0.2, 0.6))},
    },
    gains=(gain(160, 20, 300),),
    importance=(("dep_hour", 0.75), ("carrier_delay", 0.25)),
)
EVALUATION = replace(
    EVALUATION, challenger_metrics=metrics(0.63), champion_metrics=metrics(0.60), baseline_metrics=metrics(0.5)
)
OLD_SET = replace(
    TRAINING_SET,
    train=replace(TRAINING_SET.train, end=day(4, 1), rows=70_000),
    spec=replace(TRAINING_SET.spec, features=(VectorFeature(name="dep_hour", origin="on_demand"),)),
)
JUDGED = Judged(
    report=EVALUATION,
    portrait=PORTRAIT,
    training_set=TRAINING_SET,
    things="flights",
    description="Will it be late?",
    label="1 for a flight that lands late.",
    primary_metric="auc",
    trade=TRADE,
    before=BEFORE,
    before_set=OLD_SET,
    learning={"train_loss": [0.6, 0.5, 0.45]},
)


def judged(*, gains: tuple[Comparison, ...] = PORTRAIT.gains, **report: object) -> Judged:
    return replace(JUDGED, report=replace(EVALUATION, **report), portrait=replace(PORTRAIT, gains=gains))


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            judged(),
            "Version 3 may go live: of 100 flights it flags, 63 are hits, 3 more than with version 2, "
            "worth EUR 160 more per 1,000 flights.",
        ),
        (
            judged(gains=(gain(-20, -90, 50),), passed=False, challenger_metrics=metrics(0.596)),
            "Version 3 is refused, and version 2 stays: of 100 flights it flags, 60 are hits, as many as with "
            "version 2, worth EUR 20 less per 1,000 flights, a difference that may be chance.",
        ),
        (
            replace(
                judged(champion_sha256=None, champion_metrics=(), gains=()), before=None, before_set=None, trade=None
            ),
            "Version 3 may go live: of 100 flights it flags, 63 are hits, 13 more than with a simple model.",
        ),
        (
            judged(passed=False, verdict="review"),
            "Version 3 needs review, and version 2 stays: of 100 flights it flags, 63 are hits, 3 more than with "
            "version 2, worth EUR 160 more per 1,000 flights.",
        ),
        (
            judged(challenger_metrics=metrics(0)[:1], champion_metrics=(Metric(name="auc", value=0.7, n=9),)),
            "Version 3 may go live: ranking is 0.710, where version 2 has 0.700.",
        ),
    ],
)
def test_the_headline_is_one_sentence_in_the_owners_words(case, said):
    """The verdict, hits among those flagged, the version before, money; and chance is called chance."""
    assert headline(case) == said


def test_a_number_is_told_by_how_far_off_it_is():
    """Of a regression there are no hits, only errors."""
    mine, other = (Metric(name="mae", value=value, n=4000) for value in (8.0, 10.0))
    saved = Comparison(other="champion", metric="mae", difference=2, low=1, high=3, p_value=0.01, n=4000)

    case = judged(challenger_metrics=(mine,), champion_metrics=(other,), gains=(saved,))

    assert headline(case).endswith("its forecasts are off by 8 on average, 20 % less than with version 2.")


def test_the_page_is_whole_and_asks_for_nothing_from_outside():
    """It is read in ten years, from a mail or a backup, without this program."""
    assert_whole(render_report(JUDGED))


def test_the_same_records_give_the_same_page():
    """So it can be written again at any time."""
    assert render_report(JUDGED) == render_report(replace(JUDGED))


@pytest.mark.parametrize("passed", [True, False])
def test_headline_and_verdict_stand_before_all_numbers(passed):
    """Whoever reads no further knows the most important; a refusal has its page as well."""
    text = render_report(judged(passed=passed, reasons=("Refused: too few hits.",)))

    top = text.partition("<dl>")[0]
    assert headline(judged(passed=passed)) in top
    assert f">{'may go live' if passed else 'refused'}<" in top
    assert "too few hits." in text


def test_what_changed_is_named_and_what_did_not_is_not():
    """Rows, days, features and parameters, as they were and as they are."""
    found = {name: (was, now) for name, was, now in changes(JUDGED)}

    assert found["Learnt from"] == ("70,000 flights", "80,000 flights")
    assert found["Features"] == ("–", "new: carrier_delay")
    assert found["Parameter num_leaves"] == ("15", "31")
    assert not {name for name in found if "objective" in name or "Code" in name}


def test_another_trainer_and_its_code_are_named():
    """Where a model's own trainer takes the place of one of ours, or its text is edited."""
    ours, own = {"trainer": "lightgbm"}, {"trainer": "own", "trainer_sha256": "b" * 64}
    before = replace(JUDGED.before, reproducibility=ours)
    report = replace(JUDGED.report, challenger=replace(JUDGED.version, reproducibility=own))

    found = {name: (was, now) for name, was, now in changes(replace(JUDGED, before=before, report=report))}

    assert found["Trainer"] == ("lightgbm", "own")
    assert found["Code of trainer.py"] == ("–", "b" * 16)


def test_the_weakest_slice_stands_first_and_few_rows_are_marked():
    """It is what one looks for."""
    text = render_report(JUDGED).partition("weaker and stronger")[2]

    assert text.index("carrier HA") < text.index("carrier UA")
    assert "carrier HA <span class=warns>few</span>" in text


def test_what_a_search_found_is_told_with_what_luck_would_show():
    """A part that luck explains is named as such, never as a finding."""
    found = DiscoveredSlice(
        columns=("origin", "hour"),
        levels=("EWR", "18 to 20"),
        measure="bias",
        value=0.12,
        elsewhere=0.01,
        difference=0.11,
        low=0.05,
        high=0.17,
        p_value=0.01,
        n=700,
        small=False,
    )

    shown = render_report(judged(discovered=(found,)))
    lucky = render_report(judged(discovered=(replace(found, p_value=0.6),)))

    assert "origin=EWR, hour=18 to 20<small>too high by, on average</small>" in shown
    assert "found no part where it does worse than chance explains" in lucky
    assert "too high by, on average" not in lucky


def test_behaviour_shows_failures_first():
    """One of ten is looked for."""
    kept, broken = (
        BehaviourResult(name=name, n=9, observed=0, allowed=0, passed=passed, words=f"{name} was tried.")
        for name, passed in (("range", True), ("noise", False))
    )

    text = render_report(judged(behaviour=(kept, broken))).partition("How it behaves")[2]

    assert text.index("Failed</span> noise") < text.index("Passed</span> range")


def test_groups_are_shown_with_the_gaps_that_were_declared():
    """Kept or broken, with the limit; a ratio may not be too small, a difference not too large."""
    rate = Metric(name="selection_rate", value=0.25, n=500, low=0.2, high=0.3)
    fairness = Fairness(
        groups=(GroupRates(column="sex", group="f", n=500, rates=(rate,), small=False),),
        gaps=(
            FairnessGap(column="sex", measure="demographic_parity_difference", value=0.2, limit=0.1),
            FairnessGap(column="sex", measure="demographic_parity_ratio", value=0.95, limit=0.9),
        ),
        unmeasured=("sex=x has 3 rows.",),
    )

    text = render_report(judged(fairness=fairness)).partition("Groups of people")[2]

    assert "Broken</span> By sex, shares flagged lie apart by 20.0 %, where at most 10.0 % is asked for." in text
    assert (
        "Kept</span> By sex, the lowest share flagged is of the highest 95.0 %, where at least 90.0 % is asked for."
        in text
    )
    assert "sex f" in text
    assert "sex=x has 3 rows." in text


def of_classes() -> Judged:
    """A model of three classes, one of which is told from the rest less well than before."""
    right = [Metric(name="multiclass_accuracy", value=value, n=4000, low=0.5, high=0.9) for value in (0.72, 0.7)]
    brought = Metric(name="answers_per_1000", value=900, n=4000, low=700, high=1100)
    results = tuple(
        ClassResult(
            name=name,
            n=n,
            metrics=(Metric(name="true_positive_rate", value=0.8, n=4000, low=0.7, high=0.9),),
            gain=replace(gain(lost, -0.1, 0.1), metric="auc", p_value=p),
        )
        for name, n, lost, p in (("kept <all>", 100, 0.0002, 0.9), ("by post", 50, -0.06, 0.001), ("by hand", 10, 0, 1))
    )
    found = Classes(results=results, confusion=((90, 10, 0), (20, 30, 0), (5, 5, 0)))
    shown = {f"{what} of by post": {"challenger": Curve(x=(0, 1), y=(0, 1))} for what in ("roc", "reliability")}
    case = judged(
        challenger_metrics=(right[0], brought),
        champion_metrics=(right[1], replace(brought, value=880)),
        gains=(
            replace(gain(20, 5, 35), metric="answers_per_1000"),
            replace(gain(0.02, 0.01, 0.03), metric="multiclass_accuracy"),
        ),
        classes=found,
    )
    trade = replace(TRADE, answers={"by post": {"by post": 5.0, "kept <all>": -2.0}})
    return replace(case, trade=trade, portrait=replace(case.portrait, curves=shown))


def test_a_model_of_classes_is_told_by_right_answers_and_what_they_bring():
    """Of a hundred, and in the declared unit; what each answer brings is in a table."""
    case = of_classes()

    text = render_report(case)

    assert headline(case) == (
        "Version 3 may go live: of 100 flights it gets 72 right, 2 more than version 2, "
        "worth EUR 20 more per 1,000 flights."
    )
    assert "<td>by post</td><td>kept &lt;all&gt;</td><td class=number>EUR -2</td>" in text
    assert "can be acted on" not in text
    assert_whole(text)


def test_classes_are_shown_one_by_one_with_what_they_are_taken_for():
    """A lost one is called beyond chance; shares are of the class that came; each has its pictures."""
    text = render_report(of_classes()).partition("Class by class")[2]

    assert "-0.060<small>beyond chance</small>" in text
    assert "<td class=number>0.000<small>may be chance</small></td>" in text
    assert '--share:40%">20<small>40 %</small>' in text
    assert {"roc_of_by_post.svg", "reliability_of_by_post.svg"} <= set(picture_files(of_classes()))


def test_rules_that_are_kept_are_folded_and_broken_ones_stand_open():
    """Whoever reads in a hurry sees what speaks against it."""
    case = judged(passed=False, reasons=("Refused: it is worse.", "Passed: enough rows.", "Note: few days."))

    before, _, folded = render_report(case).partition("<h2>Why</h2>")[2].partition("<details")

    assert "Of 2 rules that were set before it was trained, 1 is not kept:" in before
    assert "it is worse." in before
    assert "enough rows." not in before
    assert "enough rows." in folded.partition("</details>")[0]
    assert "It keeps all 1 rules" not in render_report(case)


def test_what_needs_a_person_is_marked_as_such():
    """Neither kept nor refused."""
    text = render_report(judged(passed=False, verdict="review", reasons=("Needs review: too good.",)))

    assert "<span class=warns>Needs review</span> too good." in text


def test_groups_of_classes_and_of_forecasts_have_their_own_numbers():
    """Each class under its name; errors in their unit and not as shares."""
    gaps = (
        FairnessGap(column="sex", measure="equal_opportunity_difference", value=0.2, of="by post"),
        FairnessGap(column="sex", measure="mean_error_difference", value=4.5, limit=3.0),
    )

    text = render_report(judged(fairness=Fairness(groups=(), gaps=gaps))).partition("Groups of people")[2]

    assert "<h3>Answered by post</h3><ul><li>By sex, shares of hits found lie apart by 20.0 %" in text
    assert "mean errors, too high or too low, lie apart by 4.5, where at most 3 is asked for." in text


def test_value_and_reliability_are_drawn_with_their_intervals():
    """As the evaluation found them."""
    point = ValuePoint(share=0.1, threshold=0.5, value_per_1000=900, low=700, high=1100, precision=0.6, recall=0.3)
    bins = (
        CalibrationBin(rows=100, mean_score=0.1, rate=0.12, low=0.05, high=0.2),
        CalibrationBin(rows=100, mean_score=0.4, rate=0.38, low=0.3, high=0.45),
    )
    case = judged(
        value_curve=(point, replace(point, share=1.0, value_per_1000=-400, low=-600, high=-100)),
        calibration=Calibration(bins=bins, ece=Metric(name="ece", value=0.02, n=200)),
    )

    files = picture_files(case)

    assert {"value.svg", "reliability.svg"} <= set(files)
    assert all(b"<polygon" in files[name] for name in ("value.svg", "reliability.svg"))


def test_text_from_outside_is_text():
    """A label, a level or a reason may hold anything."""
    evil = "<script>alert(1)</script>"

    text = render_report(replace(judged(reasons=(evil, f"Refused: {evil}")), label=evil, description=evil, things=evil))

    assert "<script" not in text
    assert_whole(text)


def test_pictures_are_those_that_can_be_drawn():
    """By curves on record, and the losses of the fit."""
    assert set(picture_files(JUDGED)) == {"roc.svg", "residuals.svg", "learning.svg"}


def test_without_curves_there_is_still_a_page():
    """A version judged by an older program has numbers and reasons."""
    bare = replace(JUDGED, portrait=Portrait(model="flight_delay", bundle_sha256=VERSION.sha256), learning={})

    assert_whole(render_report(bare))
    assert picture_files(bare) == {}


def test_the_headline_of_a_quantile_says_how_often_it_holds():
    """Not how far it is off, which is no measure of it; nor are such figures shown at the top."""
    told = {"pinball": (1.8, 2.0), "coverage": (0.81, 0.7), "mae": (4.0, 3.0)}
    mine, other = (
        tuple(Metric(name=name, value=values[side], n=4000) for name, values in told.items()) for side in (0, 1)
    )
    challenger = replace(EVALUATION.challenger, task="regression", params={"objective": "quantile", "alpha": 0.8})

    case = judged(gains=(), challenger=challenger, challenger_metrics=mine, champion_metrics=other)

    assert headline(case) == (
        "Version 3 may go live: of 100 flights, 81 stay at or below their forecast where 80 are meant to, "
        "and its misses cost 10 % less than those of version 2."
    )
    top = render_report(case).partition("Will it be late?")[0]
    assert "Pinball loss" in top
    assert "Mean error" not in top
