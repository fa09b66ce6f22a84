"""Searches for parameters at rest: what was tried, one SQLite file per search, which Optuna's own tools can open.

<root>/<model>/<key>.sqlite

The key digests all that the search is made of, so that one that was killed is found again and no other is. What an
earlier search of the model has left goes when the next begins.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.errors import StoreError
from mlops_assets.stores._atomic import checked_name, flush_folder

if TYPE_CHECKING:
    from optuna.storages import RDBStorage


class StudyStore:
    """Keeps the newest search of each model under `root`."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @contextmanager
    def opened(self, model: str, key: str) -> Iterator["RDBStorage"]:
        """Open the search of `model` that `key` digests, made if there is none, and forget all others of that model.

        Raises:
            StoreError: Optuna is not installed.
        """
        try:
            from optuna.storages import RDBStorage
        except ModuleNotFoundError as error:
            raise StoreError(
                f"{model} declares `training.tuning`, and Optuna, which searches, is not installed. "
                "Install the extra: pip install 'mlops-assets[tuning]'. Or declare the parameters themselves.",
                model=model,
            ) from error
        file = self.root / checked_name("model", model) / f"{checked_name('study key', key)}.sqlite"
        file.parent.mkdir(parents=True, exist_ok=True)
        for other in file.parent.iterdir():
            if not other.name.startswith(file.name):  # beside the file lies its journal, which a killed search needs
                other.unlink(missing_ok=True) if other.is_file() else _remove(other)
        if not file.exists():
            # Its tables are made aside: a process killed among them would leave a file that can never be opened.
            with tempfile.TemporaryDirectory(prefix=".", dir=file.parent) as aside:
                _end(RDBStorage(f"sqlite:///{aside}/{file.name}"))
                Path(aside, file.name).rename(file)
            flush_folder(file.parent)
        storage = RDBStorage(f"sqlite:///{file}")
        try:
            yield storage
        finally:
            _end(storage)


def _end(storage: "RDBStorage") -> None:
    storage.remove_session()
    storage.engine.dispose()


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink(missing_ok=True)
    folder.rmdir()
