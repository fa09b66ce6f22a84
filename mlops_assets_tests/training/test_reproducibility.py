"""What the reproducibility record holds."""

import pytest

from mlops_assets.training import (
    TRAINERS,
    library_versions,
    missing_facts,
    platform_facts,
    reproducibility_record,
)


@pytest.fixture
def record(binary):
    fitted = TRAINERS["lightgbm"].fit(
        binary.X, binary.y, task="binary", names=binary.names, params={"num_iterations": 2}, seed=7
    )
    return reproducibility_record(
        fitted,
        training_set_sha256="a" * 64,
        features_sha256="b" * 64,
        lock_sha256="c" * 64,
        git_sha="d" * 40,
        git_dirty=False,
        facts=library_versions() | platform_facts(),
    )


def test_a_record_of_this_machine_is_complete(record):
    """Every fact is known, and every value is text."""
    assert missing_facts(record) == ()
    assert all(isinstance(value, str) and value for value in record.values())


def test_every_seed_is_in_the_record(record):
    """The one declared and those derived from it."""
    assert record["seed"] == "7"
    assert {"bagging_seed", "feature_fraction_seed", "data_random_seed"} <= set(record)


@pytest.mark.parametrize("fact", ["lock_sha256", "library.lightgbm", "git_sha"])
def test_a_fact_that_is_not_known_is_named(record, fact):
    """An empty value is as good as none."""
    assert missing_facts(record | {fact: ""}) == (fact,)
