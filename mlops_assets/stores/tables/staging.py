"""Rows on their way into a table: digested as they come, and put into files once they are too many to hold.

Few rows stay in memory until the commit, so that none is written where the table has them already.
"""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
from deltalake.transaction import AddAction

from mlops_assets.digests import TableDigest
from mlops_assets.stores.tables.files import PartitionFiles

HELD_BYTES = 1 << 27  # of all partitions of one write together


class Staging:
    """The rows of one write, by partition; "" is the key of a table that has none."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self._folder, self._held_bytes = folder, 0
        self._parts: dict[str, _Part] = {}
        self._handed_over: set[str] = set()

    def add(self, key: str, rows: pa.Table) -> None:
        """Take in rows that have exactly the columns of the schema."""
        if key not in self._parts:
            self._parts[key] = _Part(PartitionFiles(self._folder, key or None, self.schema), self.schema)
        self._parts[key].add(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes >= HELD_BYTES:
            for part in self._parts.values():
                part.spill()
            self._held_bytes = 0

    def contents(self) -> dict[str, tuple[str, int]]:
        """Give digest and number of the rows of each partition, by key in order; none can be added after that."""
        return {key: (self._parts[key].sha256, self._parts[key].rows) for key in sorted(self._parts)}

    def drop(self, key: str) -> None:
        """Forget the rows of a partition."""
        if key in self._parts:
            self._parts.pop(key).files.discard()

    def hand_over(self, keys: Collection[str]) -> list[AddAction]:
        """Write what is not in files yet, and give the files of `keys`, which a commit may name from now on."""
        self._handed_over.update(keys)
        return [add for key in keys for add in self._parts[key].finish()]

    def discard(self) -> None:
        """Delete the files that no commit can have named."""
        for key, part in self._parts.items():
            if key not in self._handed_over:
                part.files.discard()


class _Part:
    """The rows of one partition: those that wait in memory, and those that are in files."""

    def __init__(self, files: PartitionFiles, schema: pa.Schema) -> None:
        self.files, self.rows = files, 0
        self._digest, self._waiting, self._sha256 = TableDigest(schema), list[pa.Table](), ""

    def add(self, rows: pa.Table) -> None:
        self._digest.update(rows)
        self._waiting.append(rows)
        self.rows += rows.num_rows

    @property
    def sha256(self) -> str:
        self._sha256 = self._sha256 or self._digest.hexdigest()
        return self._sha256

    def spill(self) -> None:
        self.files.append(pa.concat_tables(self._waiting)) if self._waiting else None
        self._waiting = []

    def finish(self) -> list[AddAction]:
        self.spill()
        return self.files.finish()
