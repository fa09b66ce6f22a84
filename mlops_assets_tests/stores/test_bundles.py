"""Bundles: the digest names every byte, and a bundle is there whole or not at all."""

import errno
import json
import random
import signal
import subprocess
import sys
import time

import pytest

from mlops_assets.digests import sha256_bytes, sha256_parts
from mlops_assets.errors import BundleError, StoreError
from mlops_assets.stores import _atomic
from mlops_assets.stores.bundles import BundleNotFoundError, BundleStore

PARTS = {"model.txt": b"tree\n", "features.py": b"FEATURES = ()\n", "empty.bin": b""}


@pytest.fixture
def store(tmp_path):
    return BundleStore(tmp_path / "bundles")


def test_parts_are_loaded_as_saved(store):
    """What comes out is byte for byte what went in, under the digest of the named digests."""
    digest = store.save("delay", PARTS)

    assert store.load("delay", digest) == PARTS
    assert digest == sha256_parts({name: sha256_bytes(data) for name, data in PARTS.items()})
    assert store.list("delay") == (digest,)


def test_the_manifest_lets_anyone_check_the_bundle(store):
    """Parts and digests are readable without this library."""
    digest = store.save("delay", PARTS)

    manifest = json.loads((store.path("delay", digest) / "manifest.json").read_bytes())

    assert manifest == {"parts": {name: sha256_bytes(data) for name, data in PARTS.items()}, "sha256": digest}


def test_saving_twice_keeps_one_bundle(store):
    """The same parts in another order are the same bundle, and its files are left alone."""
    first = store.save("delay", PARTS)
    stamp = (store.path("delay", first) / "model.txt").stat().st_mtime_ns

    second = store.save("delay", dict(reversed(PARTS.items())))

    assert second == first
    assert store.list("delay") == (first,)
    assert (store.path("delay", first) / "model.txt").stat().st_mtime_ns == stamp


def test_one_changed_byte_makes_another_bundle(store):
    """Different content never shares a digest, and both bundles stay."""
    digests = {store.save("delay", PARTS), store.save("delay", {**PARTS, "model.txt": b"tree \n"})}

    assert set(store.list("delay")) == digests
    assert len(digests) == 2


def _change(folder):
    (folder / "model.txt").write_bytes(b"Tree\n")


def _remove(folder):
    (folder / "features.py").unlink()


def _add(folder):
    (folder / "extra.py").write_bytes(b"")


def _break_manifest(folder):
    (folder / "manifest.json").write_bytes(b"{")


def _swap_manifest(folder):
    content = json.loads((folder / "manifest.json").read_bytes())
    content["parts"]["model.txt"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_change, "changed after saving: model.txt"),
        (_remove, "missing or not in the manifest: features.py"),
        (_add, "missing or not in the manifest: extra.py"),
        (_break_manifest, "manifest.json cannot be read"),
        (_swap_manifest, "manifest.json belongs to another bundle"),
    ],
)
def test_a_damaged_bundle_is_refused_and_can_be_saved_again(store, damage, named):
    """Loading names the part that is wrong; saving the right parts again puts the bundle back."""
    digest = store.save("delay", PARTS)
    damage(store.path("delay", digest))

    with pytest.raises(BundleError, match=named):
        store.load("delay", digest)

    assert store.save("delay", PARTS) == digest
    assert store.load("delay", digest) == PARTS


def test_an_unknown_bundle_is_named_with_the_known_ones(store):
    """The error says which bundles there are."""
    digest = store.save("delay", PARTS)

    with pytest.raises(BundleNotFoundError, match=f"Known: {digest}"):
        store.load("delay", "0" * 64)
    with pytest.raises(LookupError, match="Known: none"):
        store.load("other", digest)


@pytest.mark.parametrize("parts", [{}, {"manifest.json": b""}])
def test_a_bundle_needs_parts_of_its_own(store, parts):
    """An empty bundle, and one that brings the manifest, are refused."""
    with pytest.raises(BundleError, match="at least one part and none called"):
        store.save("delay", parts)


@pytest.mark.parametrize("name", ["../model.txt", "a/b", "", ".hidden"])
def test_a_part_cannot_leave_its_folder(store, name):
    """Part names become file names and nothing else."""
    with pytest.raises(StoreError, match="cannot name a file"):
        store.save("delay", {name: b""})


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "the disk is full. Free some space"), (errno.EACCES, "may not write there. Give its user")],
)
def test_a_disk_that_refuses_leaves_nothing_behind(store, monkeypatch, number, advice):
    """The error says what to do, no half bundle is listed and no scraps are left."""
    written = []

    def refuse_second(path, data):
        if written:
            raise OSError(number, "refused")
        written.append(path)
        path.write_bytes(data)

    monkeypatch.setattr(_atomic, "_write_flushed", refuse_second)

    with pytest.raises(StoreError, match=f"Bundle .* was not written .*{advice}.* unchanged"):
        store.save("delay", PARTS)

    assert store.list("delay") == ()
    assert list((store.root / "delay").iterdir()) == []


SAVE_FOREVER = """
import itertools, sys
from mlops_assets.stores.bundles import BundleStore
store = BundleStore(sys.argv[1])
print("ready", flush=True)
for turn in itertools.count():
    store.save("delay", {f"part{i}": bytes(50_000) + f"{sys.argv[2]} {turn} {i}".encode() for i in range(6)})
"""


def test_a_killed_save_leaves_the_bundle_absent_or_whole(store):
    """Ten times killed at a random moment: every bundle listed loads with all its parts."""
    rng = random.Random(3)
    for round_ in range(10):
        saver = subprocess.Popen(
            [sys.executable, "-c", SAVE_FOREVER, str(store.root), str(round_)], stdout=subprocess.PIPE
        )
        assert saver.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.005, 0.08))
        saver.send_signal(signal.SIGKILL)
        saver.wait()
        saver.stdout.close()

    bundles = store.list("delay")

    assert len(bundles) >= 1  # a busy machine saves few between two kills
    for digest in bundles:
        assert len(store.load("delay", digest)) == 6
