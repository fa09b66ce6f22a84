"""What the reproducibility record holds."""

from datetime import UTC, datetime

import pytest

from mlops_assets.digests import sha256_bytes
from mlops_assets.records import (
    FeatureVectorSpec,
    Field,
    Recipe,
    TableVersion,
    TrainingSet,
    VectorFeature,
    Window,
)
from mlops_assets.training import (
    FACTS,
    TRAINERS,
    library_versions,
    missing_facts,
    platform_facts,
    reproducibility_record,
)

MOMENT = datetime(2013, 4, 1, tzinfo=UTC)
RECIPE = Recipe(model="late", declaration={"task": "binary"}, features="FEATURES = ()", model_py="PARAMS = {}")
CIRCUMSTANCES = {"lock_sha256": "c" * 64, "git_sha": "d" * 40, "git_dirty": "false", "cpu": "one of the tests"}


def training_set(*levels):
    """Give a training set of one category."""
    window = Window(start=MOMENT, end=MOMENT, rows=3, label_mean=0.5)
    return TrainingSet(
        model="late",
        table="late/training_set",
        version=4,
        sha256="a" * 64,
        rows=6,
        cut_off=MOMENT,
        train=window,
        holdout=window,
        spec=FeatureVectorSpec(
            request=(Field(name="carrier", dtype="string"),),
            views=(),
            features=(VectorFeature(name="carrier", origin="request", levels=levels),),
            code_sha256="b" * 64,
        ),
        sources=(TableVersion(table="validated/flights", version=12, sha256="e" * 64, rows=9),),
    )


@pytest.fixture
def recorded(binary):
    """What makes a record of a set whose category has the given levels."""
    fitted = TRAINERS["lightgbm"].fit(binary, params={"num_iterations": 2}, seed=7)

    def record(*levels):
        return reproducibility_record(
            fitted,
            training_set=training_set(*levels),
            rows={"train": "1" * 64, "holdout": "2" * 64},
            recipe=RECIPE,
            parts=fitted.parts,
            circumstances=library_versions() | platform_facts() | CIRCUMSTANCES,
        )

    return record


@pytest.fixture
def record(recorded):
    return recorded("AA", "UA")


def test_a_record_of_this_machine_is_complete(record):
    """Every fact is known, and every value is text."""
    assert missing_facts(record) == ()
    assert all(isinstance(value, str) and value for value in record.values())


def test_what_went_in_and_what_came_out_is_named_by_its_digest(record):
    """Each table with its version, each text, each part of the bundle."""
    assert record["input.validated/flights"] == f"12 {'e' * 64}"
    assert record["features_sha256"] == sha256_bytes(b"FEATURES = ()")
    assert record["model_sha256"] == sha256_bytes(b"PARAMS = {}")
    assert len(record["part.model.txt"]) == 64
    assert record["holdout_rows_sha256"] == "2" * 64


def test_the_order_of_categories_is_part_of_the_record(recorded):
    """The codes a model learns are places in that order."""
    assert recorded("AA", "UA")["levels_sha256"] != recorded("UA", "AA")["levels_sha256"]


def test_every_seed_is_in_the_record(record):
    """The one declared and those derived from it."""
    assert record["seed"] == "7"
    assert {"bagging_seed", "feature_fraction_seed", "data_random_seed"} <= set(record)


@pytest.mark.parametrize("fact", ["lock_sha256", "library.lightgbm", "cpu"])
def test_a_fact_that_is_not_known_is_named(record, fact):
    """An empty value is as good as none."""
    assert missing_facts(record | {fact: ""}) == (fact,)


@pytest.mark.parametrize("kind", ["input.", "part."])
def test_without_any_input_or_part_the_record_is_not_complete(record, kind):
    """They have names of their own in every record."""
    bare = {name: value for name, value in record.items() if not name.startswith(kind)}

    assert kind in FACTS
    assert missing_facts(bare) == (kind,)
