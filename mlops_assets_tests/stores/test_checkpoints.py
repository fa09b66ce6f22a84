"""Checkpoints: found whole by the fit they belong to, and by no other."""

import pytest

from mlops_assets.errors import StoreError
from mlops_assets.stores.checkpoints import CheckpointStore


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints")


def test_what_was_saved_last_is_found_by_another_process(store):
    """Nothing is, before the first save."""
    assert store.of("delay", "a").load() is None

    for progress in (b"first", b"two\nlines"):
        store.of("delay", "a").save(progress)

    assert CheckpointStore(store.root).of("delay", "a").load() == b"two\nlines"


def test_a_fit_of_other_inputs_never_finds_it_and_takes_its_place(store):
    """A stale one goes with the first save of the next; one of another model stays."""
    store.of("delay", "old").save(b"old")
    store.of("air_time", "a").save(b"other")

    found = store.of("delay", "new").load()
    store.of("delay", "new").save(b"new")

    assert found is None
    assert store.of("delay", "old").load() is None
    assert store.of("air_time", "a").load() == b"other"


@pytest.mark.parametrize("left", [b"", b"half of it", b"0" * 64 + b"\nprogress"])
def test_one_that_was_damaged_is_none(store, left):
    """A fit begins anew instead of going on from what it never wrote."""
    checkpoint = store.of("delay", "a")
    checkpoint.save(b"progress")
    checkpoint.path.write_bytes(left)

    assert checkpoint.load() is None


def test_nothing_is_left_of_a_model_that_is_done(store):
    """Nor of saves that were killed halfway, or of fits that nobody ended."""
    checkpoint = store.of("delay", "a")
    checkpoint.save(b"progress")
    (checkpoint.path.parent / ".a.x7f3").write_bytes(b"half")

    checkpoint.forget()
    checkpoint.forget()

    assert not list(checkpoint.path.parent.iterdir())


def test_a_disk_that_refuses_is_told_in_words(store):
    """The fit ends with what is wrong and how to mend it."""
    store.root.parent.joinpath("checkpoints").write_text("a file where a folder should be")

    with pytest.raises(StoreError, match="checkpoint was not written"):
        store.of("delay", "a").save(b"progress")


def test_a_save_is_due_when_it_was_long_ago_measured_by_what_one_takes(tmp_path):
    """Half a minute, or twenty times what the last one took from the question to the disk."""
    now = [100.0]
    checkpoint = CheckpointStore(tmp_path, clock=lambda: now[0]).of("delay", "a")

    def due_after(seconds: float) -> bool:
        now[0] += seconds
        return checkpoint.due()

    assert not due_after(29)
    assert due_after(1)
    now[0] += 5  # of making bytes of a big forest
    checkpoint.save(b"progress")
    assert not due_after(99)
    assert due_after(1)
