"""Replacing the future moves no honest vector, and every one that looks at it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlops_assets.features import FeatureModule, FeaturePlan, Vectorizer, build_spec, perturbation
from mlops_assets.features.columns import as_arrays
from mlops_assets.features.join import training_rows
from mlops_assets.features.perturbation import moved_by_the_future
from mlops_assets.records import FeatureVectorSpec, FeatureView, Field, VectorFeature

MOMENT = pa.timestamp("us", tz="UTC")
START = datetime(2013, 1, 1, tzinfo=UTC)
DAYS, PER_DAY = 20, 30
VIEW = FeatureView(
    name="delays",
    keys=(Field(name="carrier", dtype="string"),),
    features=(
        Field(name="rate", dtype="float64", nullable=True),
        Field(name="cause", dtype="string", nullable=True),
    ),
    ttl_s=3 * 86_400.0,
)
MODULE = FeatureModule.load('REQUEST = {"carrier": str}\nFEATURES = ("carrier", "rate", "cause")', name="m")
MOMENTS = [START + timedelta(days=12), START + timedelta(days=DAYS)]


def world():
    """Give decisions in order of time, and a row per carrier and day, true at midnight and known an hour later."""
    chance = np.random.default_rng(3)
    when = np.sort(chance.integers(86_400, DAYS * 86_400, DAYS * PER_DAY))
    labels = pa.table({
        "carrier": chance.choice(["UA", "B6", "ZZ"], len(when)).tolist(),
        "decision_time": pa.array([START + timedelta(seconds=int(second)) for second in when], MOMENT),
    })  # fmt: skip
    days = [START + timedelta(days=day) for day in range(DAYS + 2)]
    rows = pa.table({
        "carrier": ["UA", "B6"] * len(days),
        "rate": chance.random(2 * len(days)),
        "cause": chance.choice(["wind", "crew"], 2 * len(days)).tolist(),
        "event_time": pa.array([day for day in days for _ in "ab"], MOMENT),
        "known_at": pa.array([day + timedelta(hours=1) for day in days for _ in "ab"], MOMENT),
    })  # fmt: skip
    return labels, rows


def a_day_before(rows):
    return pc.subtract(rows["event_time"], pa.scalar(timedelta(days=1), pa.duration("us")))


def found(labels, rows, join=training_rows, moments=MOMENTS):
    joined = join(FeaturePlan(MODULE, [VIEW]), labels, {"delays": rows})
    inputs = as_arrays(joined, FeaturePlan(MODULE, [VIEW]).inputs)
    vectorizer = Vectorizer(build_spec(MODULE, [VIEW], inputs), MODULE)
    vectors = vectorizer.vector(inputs)
    return list(moved_by_the_future(vectorizer, labels, {"delays": rows}, vectors=vectors, moments=moments))


def test_what_was_known_in_time_does_not_move():
    """Neither at a moment in the middle, nor at the newest decision."""
    assert found(*world()) == []


@pytest.mark.parametrize(
    "leaky",
    [
        lambda rows: rows.set_column(4, "known_at", rows["event_time"]),
        lambda rows: rows.set_column(3, "event_time", a_day_before(rows)).set_column(4, "known_at", a_day_before(rows)),
    ],
    ids=["looks at event times", "looks a day ahead"],
)
def test_a_join_that_looks_ahead_is_found(monkeypatch, leaky):
    """The features are named, the request's own are not among them."""

    def join(plan, labels, rows):
        return training_rows(plan, labels, {name: leaky(each) for name, each in rows.items()})

    monkeypatch.setattr(perturbation, "training_rows", join)

    leaks = found(*world(), join=join)

    assert len(leaks) == 2
    assert all(leak.startswith("rate, cause would have been otherwise for decisions until 2013-01-") for leak in leaks)


def test_a_feature_that_looks_at_other_rows_is_found():
    """The decisions before are computed without those after."""
    source = 'REQUEST = {"carrier": str}\ndef lead(rate):\n    return rate - rate[-1]\nFEATURES = ("rate", lead)'
    module, (labels, rows) = FeatureModule.load(source, name="m"), world()
    plan = FeaturePlan(module, [VIEW])
    inputs = as_arrays(training_rows(plan, labels, {"delays": rows}), plan.inputs)
    slots = (VectorFeature(name="rate", origin="stored"), VectorFeature(name="lead", origin="on_demand"))
    spec = FeatureVectorSpec(request=module.request, views=plan.views, features=slots, code_sha256=module.code_sha256)
    vectorizer = Vectorizer(spec, module)  # `build_spec` would have refused it
    vectors = vectorizer.vector(inputs)

    leaks = list(moved_by_the_future(vectorizer, labels, {"delays": rows}, vectors=vectors, moments=MOMENTS[:1]))

    assert [leak.partition(" ")[0] for leak in leaks] == ["lead"]


def test_a_moment_before_all_decisions_says_nothing():
    """There is nothing to try."""
    labels, rows = world()

    assert found(labels, rows, moments=[START]) == []
