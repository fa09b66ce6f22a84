"""Releases: the file is always one whole release, and of two deployers one wins."""

import errno
import itertools
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest

from mlops_assets.errors import DeploymentError, StoreError
from mlops_assets.stores import releases
from mlops_assets.stores.releases import Release, ReleaseStore


def release(generation: int, *, model: str = "delay") -> Release:
    return Release(
        model=model,
        version=generation,
        bundle_sha256=f"{generation:064x}",
        previous_bundle_sha256=f"{generation - 1:064x}" if generation > 1 else None,
        previous_version=generation - 1 if generation > 1 else None,
        generation=generation,
        at=datetime(2013, 4, 1, 12, tzinfo=UTC),
    )


@pytest.fixture
def store(tmp_path):
    return ReleaseStore(tmp_path / "releases")


def test_what_was_put_is_current(store):
    """A release is read back as it was written, also by another store on the same folder."""
    store.put(release(1))
    store.put(release(2))

    assert ReleaseStore(store.root).current("delay") == release(2)


def test_a_model_never_released_has_no_current_release(store):
    """Nothing live is an answer, not an error."""
    assert store.current("delay") is None
    assert store.models() == ()
    assert store.stamp("delay") == 0


@pytest.mark.parametrize("generation", [0, 1, 3])
def test_a_generation_out_of_turn_is_refused(store, generation):
    """Whoever did not see the newest release may not replace it."""
    store.put(release(1))

    with pytest.raises(DeploymentError, match=f"generation {generation} was to be written, 2 is next"):
        store.put(release(generation))

    assert store.current("delay") == release(1)


def test_of_deployers_at_the_same_time_one_wins(store):
    """Eight threads put generation 1: one is let through, seven are told."""
    outcomes = []

    def deploy():
        try:
            ReleaseStore(store.root).put(release(1))
            outcomes.append("put")
        except DeploymentError:
            outcomes.append("told")

    threads = [threading.Thread(target=deploy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["put"] + ["told"] * 7


def test_models_are_released_apart(store):
    """One file per model, each with its own generations."""
    store.put(release(1))
    store.put(release(1, model="air"))
    store.put(release(2, model="air"))

    assert store.models() == ("air", "delay")
    assert store.current("delay").generation == 1


def test_the_stamp_changes_with_every_release(store):
    """A poll by stamp misses no release, however fast they follow each other."""
    stamps = []
    for generation in range(1, 31):
        store.put(release(generation))
        stamps.append(store.stamp("delay"))

    assert all(before != after for before, after in itertools.pairwise(stamps))
    assert store.stamp("delay") == stamps[-1]


def test_a_file_that_is_no_release_is_named(store):
    """A damaged file is an error with a way out, never an empty endpoint."""
    store.put(release(1))
    (store.root / "delay.json").write_text('{"model": "delay"}')

    with pytest.raises(StoreError, match=r"delay\.json cannot be read .* deploy again"):
        store.current("delay")


def test_a_full_disk_keeps_the_old_release(store, monkeypatch):
    """The endpoint goes on with what was live."""
    store.put(release(1))

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(releases, "write_file", full)

    with pytest.raises(StoreError, match="the disk is full"):
        store.put(release(2))

    assert store.current("delay") == release(1)


def test_a_folder_closed_to_us_says_whom_to_give_it(store, monkeypatch):
    """A folder that may not be written is told apart from a full disk."""

    def closed(path, data):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(releases, "write_file", closed)

    with pytest.raises(StoreError, match=r"Give its user the folder \(chown\)"):
        store.put(release(1))


PUT_FOREVER = """
import dataclasses, sys
from mlops_assets.stores.releases import ReleaseStore
store = ReleaseStore(sys.argv[1])
now = store.current("delay")
print("ready", flush=True)
while True:
    following = now.generation + 1
    now = dataclasses.replace(now, generation=following, version=following, bundle_sha256=f"{following:064x}",
                              previous_version=now.version, previous_bundle_sha256=now.bundle_sha256)
    store.put(now)
"""


def test_a_killed_deployer_leaves_the_old_or_the_new_release(store):
    """Ten times killed at a random moment: the file is one whole release and the next deployer is not locked out."""
    store.put(release(1))
    rng = random.Random(5)
    for _ in range(10):
        deployer = subprocess.Popen([sys.executable, "-c", PUT_FOREVER, str(store.root)], stdout=subprocess.PIPE)
        assert deployer.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.005, 0.08))
        deployer.send_signal(signal.SIGKILL)
        deployer.wait()
        deployer.stdout.close()

        current = store.current("delay")

        assert current == release(current.generation)
        store.put(release(current.generation + 1))
    assert store.current("delay").generation > 11
    assert store.models() == ("delay",)
