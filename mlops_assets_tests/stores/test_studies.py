"""Searches at rest: whole or not there, found again by the same key, and one per model."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import time

import optuna
import pytest

from mlops_assets.stores.studies import StudyStore

SEARCH = """
import sys
import optuna
from mlops_assets.stores.studies import StudyStore
with StudyStore(sys.argv[1]).opened("delay", "a") as storage:
    study = optuna.create_study(storage=storage, study_name="a", load_if_exists=True)
    while True:
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        study.tell(trial, trial.params["x"])
        print(trial.number, flush=True)
"""


@pytest.fixture
def store(tmp_path):
    return StudyStore(tmp_path / "studies")


def names(store):
    return sorted(file.name for file in (store.root / "delay").iterdir())


def test_a_search_that_was_killed_is_found_with_all_it_was_told(store):
    """What a killed process had been told was kept, is."""
    process = subprocess.Popen([sys.executable, "-c", SEARCH, str(store.root)], stdout=subprocess.PIPE, text=True)
    told = [int(process.stdout.readline()) for _ in range(3)]
    process.kill()
    assert process.wait() == -signal.SIGKILL

    with store.opened("delay", "a") as storage:
        kept = optuna.load_study(study_name="a", storage=storage).get_trials(states=(optuna.trial.TrialState.COMPLETE,))

    assert told == [0, 1, 2]
    assert [trial.number for trial in kept][:3] == told


def test_one_killed_while_it_was_made_is_made_anew(store):
    """Its tables are put in place whole; what is left beside them goes."""
    process = subprocess.Popen([sys.executable, "-c", SEARCH, str(store.root)], stdout=subprocess.PIPE)
    while not any(map(has_tables, store.root.glob("delay/.*/a.sqlite"))):
        assert process.poll() is None, "the tables were made before it could be killed"
        assert not (store.root / "delay" / "a.sqlite").exists(), "the tables were made before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.wait()

    with store.opened("delay", "a") as storage:
        optuna.create_study(storage=storage, study_name="a")

    assert names(store) == ["a.sqlite"]


def has_tables(file):
    with contextlib.closing(sqlite3.connect(file)) as connection, contextlib.suppress(sqlite3.OperationalError):
        return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None
    return False


def test_a_new_search_takes_the_place_of_the_old(store):
    """Of the same model; nothing is found under another key."""
    for key in ("old", "new"):
        with store.opened("delay", key) as storage:
            assert not optuna.get_all_study_summaries(storage)
            optuna.create_study(storage=storage, study_name=key)
    with store.opened("air_time", "other"):
        pass

    assert names(store) == ["new.sqlite"]
