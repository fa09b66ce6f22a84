"""What should be live: one small JSON file per model, which the endpoint reads without any database.

The file is replaced whole, and only by whoever saw the release before: `generation` counts up by one, so of two
deployments at the same time one wins and the other is told.
"""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from mlops_assets.errors import DeploymentError, StoreError
from mlops_assets.stores._atomic import checked_name, locked, write_file, writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The version of a model that should answer requests, and the one to go back to."""

    model: str
    version: int
    bundle_sha256: str
    previous_bundle_sha256: str | None
    previous_version: int | None
    generation: int
    at: datetime


class ReleaseStore:
    """Keeps the current release of every model under `root`."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def current(self, model: str) -> Release | None:
        """Give what should be live for `model`, or None if nothing was ever released.

        Raises:
            StoreError: The file is there but is not a release.
        """
        path = self._path(model)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Release)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreError(
                f"The release of model {model!r} in {path} cannot be read ({error}), so the endpoint keeps what it "
                f"serves. Restore the file from a backup, or move it away and deploy again.",
                model=model,
                path=str(path),
            ) from error

    def put(self, release: Release) -> None:
        """Make `release` the current one.

        Raises:
            DeploymentError: Its generation does not follow the current one: somebody released meanwhile.
            StoreError: The disk refused; the old release stays.
        """
        path = self._path(release.model)
        with writing(f"Release {release.generation} of model {release.model!r}", path), self._alone(release.model):
            current = self.current(release.model)
            expected = 1 if current is None else current.generation + 1
            if release.generation != expected:
                raise DeploymentError(
                    f"Model {release.model!r} was released by somebody else meanwhile: generation "
                    f"{release.generation} was to be written, {expected} is next. "
                    f"Look at what is live now, and deploy again if it still should change.",
                    model=release.model,
                    generation=release.generation,
                    expected=expected,
                )
            write_file(path, msgspec.json.format(msgspec.json.encode(release), indent=2) + b"\n")

    def models(self) -> tuple[str, ...]:
        """Give the models that have a release, sorted."""
        return tuple(sorted(path.stem for path in self.root.glob("[!.]*.json")))

    def stamp(self, model: str) -> int:
        """Give a number that changes with every release of `model`, for the price of one `stat`; 0 if there is none."""
        try:
            found = os.stat(self._path(model))
        except FileNotFoundError:
            return 0
        return hash((found.st_mtime_ns, found.st_ino))  # two releases within one clock tick differ in the inode

    def _path(self, model: str) -> Path:
        return self.root / f"{checked_name('model', model)}.json"

    def _alone(self, model: str) -> AbstractContextManager[None]:
        return locked(self.root / f".{checked_name('model', model)}.lock")
