"""The newest record of every asset, as JSON, one file per asset and partition.

<root>/<key>/<key>.json              an unpartitioned asset
<root>/<key>/<key>@/<partition>.json a partitioned one
"""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mlops_assets.errors import StoreError, examples
from mlops_assets.stores._atomic import checked_name, write_file, writing

RecordT = TypeVar("RecordT")


class RecordNotFoundError(StoreError, LookupError):
    """Nothing was ever put under that key and partition."""


class RecordStore:
    """Keeps records under `root`, each replaced in one step."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def put(self, key: tuple[str, ...], partition: str | None, record: Any) -> None:
        """Keep `record` as the newest under `key` and `partition`."""
        path = self._path(key, partition)
        with writing(f"Record {_label(key, partition)}", path):
            write_file(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")

    def get(self, key: tuple[str, ...], partition: str | None, type: type[RecordT]) -> RecordT:
        """Give the record under `key` and `partition`, as a `type`.

        Raises:
            RecordNotFoundError: There is none.
            StoreError: What is there is not a `type`.
        """
        found = self.find(key, partition, type)
        if found is None:
            others = self.partitions(key)
            known = f" It has partitions {examples(others)}." if others else ""
            raise RecordNotFoundError(
                f"No record of {_label(key, partition)} is in {self.root}.{known} Materialize that asset first.",
                key=key,
                partition=partition,
            )
        return found

    def find(self, key: tuple[str, ...], partition: str | None, type: type[RecordT]) -> RecordT | None:
        """Give the record as `get` does, or None where nothing was put."""
        path = self._path(key, partition)
        try:
            return msgspec.json.decode(path.read_bytes(), type=type)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreError(
                f"The record of {_label(key, partition)} in {path} is not a {type.__name__}: {error}. "
                f"Materialize that asset again to replace it.",
                key=key,
                partition=partition,
                path=str(path),
            ) from error

    def partitions(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """Give the partitions under `key` that have a record, sorted."""
        return tuple(sorted(path.stem for path in self._folder(key).glob("[!.]*.json")))

    def remove(self, key: tuple[str, ...], partition: str) -> None:
        """Forget the record under `key` and `partition`, if there is one."""
        self._path(key, partition).unlink(missing_ok=True)

    def _folder(self, key: tuple[str, ...]) -> Path:
        *parents, name = (checked_name("asset key part", part) for part in key)
        return self.root.joinpath(*parents, f"{name}@")

    def _path(self, key: tuple[str, ...], partition: str | None) -> Path:
        folder = self._folder(key)
        if partition is None:
            return folder.with_name(f"{key[-1]}.json")
        return folder / f"{checked_name('partition', partition)}.json"


def _label(key: tuple[str, ...], partition: str | None) -> str:
    return "/".join(key) + (f" [{partition}]" if partition is not None else "")
