"""Judgements at rest: none replaces another, and each has its page."""

from datetime import UTC, datetime

import pytest

from mlops_assets.errors import StoreError
from mlops_assets.records import BatchQuality, ExpectationResult
from mlops_assets.stores.quality import QualityStore

AT = datetime(2013, 2, 9, 1, tzinfo=UTC)
FOUND = ExpectationResult(
    name="expect_table_row_count_to_equal", column=None, success=False, observed=3.0, expected="value=4"
)


def judged(day: str | None, rows: int = 3) -> BatchQuality:
    return BatchQuality(
        table="flights", partition=day, at=AT, rows=rows, quarantined=1, rules={"a.min": 1}, expectations=(FOUND,)
    )


def page(quality, history):
    return " ".join([f"{quality.partition}:", *(f"{place}={batch.rows}" for place, batch in history)])


@pytest.fixture
def store(tmp_path):
    return QualityStore(tmp_path / "quality")


def test_the_newest_judgement_of_a_batch_is_given_back_as_it_was(store):
    """A batch that is judged again is found as it stands now."""
    store.add(judged("2013-02-08", rows=3), page)
    store.add(judged("2013-02-08", rows=5), page)

    assert store.newest("flights", "2013-02-08") == judged("2013-02-08", rows=5)
    assert store.newest("flights", "2013-02-09") is None
    assert store.newest("planes", None) is None


def test_a_page_is_made_of_the_batches_up_to_its_own(store):
    """By day, then in the order in which they were judged; later days are no history of an earlier one."""
    for day, rows in (("2013-02-08", 8), ("2013-02-10", 10), ("2013-02-09", 9), ("2013-02-08", 88)):
        made = store.add(judged(day, rows), page)

    assert made.read_text() == "2013-02-08: 2013-02-08/0001.html=8 2013-02-08/0002.html=88"
    assert [batch.rows for _, batch in store.history("flights", until="2013-02-10")] == [8, 88, 9, 10]
    assert [batch.rows for _, batch in store.history("flights", until="2013-02-10", at_most=2)] == [9, 10]


def test_a_table_without_days_has_its_history_too(store):
    """One judgement after the other."""
    store.add(judged(None, 1), page)
    made = store.add(judged(None, 2), page)

    assert made.read_text() == "None: whole/0001.html=1 whole/0002.html=2"
    assert store.partitions("flights") == (None,)


def test_a_page_that_was_written_without_its_record_is_written_again(store):
    """Killed in between, the batch is judged once more, and nothing names the half judgement."""
    path = store.add(judged("2013-02-08"), page)
    path.with_suffix(".json").unlink()

    assert store.newest("flights", "2013-02-08") is None
    assert store.add(judged("2013-02-08", 7), page) == path
    assert path.read_text().endswith("=7")


def test_a_record_that_cannot_be_read_is_named(store):
    """Nobody could tell what is held back."""
    path = store.add(judged("2013-02-08"), page).with_suffix(".json")
    path.write_text("{")

    with pytest.raises(StoreError, match="does not hold what was found in a batch") as caught:
        store.newest("flights", "2013-02-08")

    assert caught.value.path == str(path)
