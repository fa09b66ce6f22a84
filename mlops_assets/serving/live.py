"""Which versions answer now: releases are watched, loaded aside, proved on their golden rows, and swapped in whole.

A request takes the `ServedModel` it finds and keeps it to its end, so a swap drops nothing; the old version's memory
goes when its last request is done. A version that cannot be loaded changes nothing but what `failures` says.
"""

import gc
import logging
import threading
import time
from dataclasses import dataclass, replace

from mlops_assets.errors import MlopsError
from mlops_assets.serving.served_model import ServedModel
from mlops_assets.serving.settings import ServingSettings
from mlops_assets.stores.bundles import BundleStore
from mlops_assets.stores.online import OnlineStore
from mlops_assets.stores.releases import Release, ReleaseStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """A release that could not be brought up, and why."""

    generation: int
    version: int
    bundle_sha256: str
    reason: str


class LiveModels:
    """The models of one home that answer, kept up with their releases by a thread."""

    def __init__(
        self, releases: ReleaseStore, bundles: BundleStore, online: OnlineStore, *, settings: ServingSettings
    ) -> None:
        self.models: dict[str, ServedModel] = {}  # replaced, never changed: readers need no lock
        self.failures: dict[str, LoadFailure] = {}
        self._releases, self._bundles, self._online, self._settings = releases, bundles, online, settings
        self._seen: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="release watcher", daemon=True)

    def start(self) -> None:
        """Bring up what is released, then keep watching."""
        self.refresh()
        self._watcher.start()

    def stop(self) -> None:
        """Stop watching; what is live stays so."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()

    def refresh(self) -> None:
        """Bring up every release that changed since the last look, or failed a while ago."""
        for model in self._releases.models():
            stamp = self._releases.stamp(model)
            due = time.monotonic() >= self._retry_at.get(model, float("inf"))
            if stamp != self._seen.get(model) or due:
                self._bring_up(model)
                self._seen[model] = stamp

    def _watch(self) -> None:
        while not self._stopping.wait(self._settings.poll_s):
            try:
                self.refresh()
            except Exception:  # the watcher must outlive whatever it meets; what is live goes on answering
                _log.exception("looking for releases failed; trying again")

    def _bring_up(self, model: str) -> None:
        release = None
        try:
            release = self._releases.current(model)
            if release is None:
                return
            served = self._load(release)
        except Exception as error:  # anything a bundle can raise: its features are code
            self._fail(model, release, error)
            return
        self.models = {**self.models, model: served}
        self.failures = {name: failure for name, failure in self.failures.items() if name != model}
        self._retry_at.pop(model, None)
        _settle_memory()
        _log.info("%s: version %d is live, generation %d", model, release.version, release.generation)

    def _load(self, release: Release) -> ServedModel:
        parts = self._bundles.load(release.model, release.bundle_sha256)
        return ServedModel(release, parts, self._online, max_instances=self._settings.max_instances)

    def _fail(self, model: str, release: Release | None, error: Exception) -> None:
        """Say why the release is not live; after a restart, fall back to the version it was to replace."""
        known = isinstance(error, MlopsError)
        reason = str(error) if known else f"{type(error).__name__} while loading; the endpoint's log has the traceback."
        _log.error("%s: release could not be brought up: %s", model, reason, exc_info=None if known else error)
        generation, version, sha256 = (
            (release.generation, release.version, release.bundle_sha256) if release else (0, 0, "")
        )
        self.failures = {**self.failures, model: LoadFailure(generation, version, sha256, reason)}
        self._retry_at[model] = time.monotonic() + self._settings.retry_s
        if release is None or model in self.models or not release.previous_bundle_sha256:
            return
        previous = replace(
            release,
            version=release.previous_version or 0,
            bundle_sha256=release.previous_bundle_sha256,
            previous_version=None,
            previous_bundle_sha256=None,
            generation=release.generation - 1,
        )
        try:
            self.models = {**self.models, model: self._load(previous)}
        except Exception:
            _log.exception("%s: the previous version cannot be brought up either", model)


def _settle_memory() -> None:
    """Take what is loaded out of the garbage collector's rounds, which otherwise stall requests for tens of ms."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
