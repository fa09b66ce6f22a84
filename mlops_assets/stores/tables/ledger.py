"""Open tables, and what the commits say of their partitions: digest, rows and notes of each."""

import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from mlops_assets.errors import StoreError, examples, first_line
from mlops_assets.stores._atomic import checked_name
from mlops_assets.stores.tables.faults import TableNotFoundError
from mlops_assets.stores.tables.files import PARTITION

WHOLE = ""  # the ledger's key for the content of an unpartitioned table
NOTE = "mlops_assets"  # our entry in a commit's metadata
_CONTENT_UNTOUCHED = frozenset({"CREATE TABLE", "SET TBLPROPERTIES", "VACUUM START", "VACUUM END"})


class Content(NamedTuple):
    """What the newest write of a partition put there; `extra` is what its writer noted with it."""

    sha256: str
    rows: int
    extra: dict[str, str]


Ledger = dict[str, Content]
Notes = Mapping[str, Mapping[str, str]]  # what to note of each partition, by its key


@dataclass(slots=True)
class Handle:
    """An open table, and its ledger as of `ledger_version`."""

    delta: DeltaTable
    ledger: Ledger = field(default_factory=dict)
    ledger_version: int = -1
    writes: int = 0


class OpenTables:
    """The tables below a folder, each opened once and brought up to its newest version when it is asked for."""

    def __init__(self, root: str | Path) -> None:
        if "://" in str(root):
            raise StoreError(
                f"Tables cannot be kept at {root}: this store writes to local folders. Give the path of one.",
                root=str(root),
            )
        self.root = Path(root)
        self._handles: dict[str, Handle] = {}
        self._lock = threading.RLock()

    def exists(self, table: str) -> bool:
        """Say whether `table` was ever written."""
        return any((self._folder(table) / "_delta_log").glob("*[0-9].json"))

    def tables(self) -> tuple[str, ...]:
        """Give the names of all tables, sorted."""
        found = []
        for folder, inner, _ in os.walk(self.root):
            name = Path(folder).relative_to(self.root).as_posix()
            if "_delta_log" in inner and self.exists(name):
                found.append(name)
            inner[:] = [sub for sub in inner if sub != "_delta_log" and not sub.startswith(f"{PARTITION}=")]
        return tuple(sorted(found))

    def _folder(self, table: str) -> Path:
        return self.root.joinpath(*(checked_name("table", part) for part in table.split("/")))

    def _fresh(self, table: str) -> Handle | None:
        """Give the table's handle at its newest version, or None if it was never written."""
        handle = self._handles.get(table)
        if handle is None or not self.exists(table):
            self._handles.pop(table, None)
            return self._opened(table) if self.exists(table) else None
        handle.delta.update_incremental()
        self._read_up(table, handle)
        return handle

    def _opened(self, table: str) -> Handle:
        known = self._handles.get(table)
        handle = Handle(DeltaTable(self._folder(table)))
        if known:
            handle.ledger, handle.ledger_version = known.ledger, known.ledger_version
        self._read_up(table, handle)
        self._handles[table] = handle
        return handle

    def _at(self, table: str, version: int | None) -> Handle:
        try:
            newest = self._fresh(table)
            if newest is None:
                raise TableNotFoundError(
                    f"Table {table!r} is not in {self.root}. Known: {examples(self.tables()) or 'none'}. "
                    f"Materialize the asset that writes it first.",
                    table=table,
                )
            if version is None or version == newest.delta.version():
                return newest
            if not 0 <= version <= newest.delta.version():
                raise TableNotFoundError(
                    f"Table {table!r} has versions 0 to {newest.delta.version()}, and {version} was asked for.",
                    table=table,
                    version=version,
                )
            older = Handle(DeltaTable(self._folder(table), version=version))
            self._read_up(table, older)
            return older
        except (DeltaError, OSError) as error:
            raise StoreError(
                f"Table {table!r} in {self._folder(table)} cannot be opened: {first_line(error)}. "
                f"Restore the folder from a backup, or move it away and materialize its asset again.",
                table=table,
            ) from error

    def _read_up(self, table: str, handle: Handle) -> None:
        """Bring the handle's ledger to its version from the commits in between, oldest first.

        Raises:
            StoreError: A commit changed rows without saying which partitions; it was made by another program.
        """
        ledger = dict(handle.ledger)
        for version in range(handle.ledger_version + 1, handle.delta.version() + 1):
            commit = commit_info(self._folder(table), version)
            if note := commit.get(NOTE):
                ledger.update({key: Content(**content) for key, content in note["written"].items()})
            elif commit.get("operation") not in _CONTENT_UNTOUCHED:
                raise StoreError(
                    f"Version {version} of table {table!r} was written by another program ({commit.get('operation')}), "
                    f"so the digest of its rows is unknown. Restore version {version - 1} and write by TableStore.",
                    table=table,
                    version=version,
                )
        handle.ledger, handle.ledger_version = ledger, handle.delta.version()


def holds(ledger: Ledger, key: str, content: Content) -> bool:
    """Tell whether the rows of `content` are there, whatever is noted of them."""
    there = ledger.get(key)
    return there is not None and there[:2] == content[:2]


def as_note(contents: Ledger) -> dict[str, Any]:
    """Give what a commit is to say of the partitions it wrote."""
    return {NOTE: {"written": {key: content._asdict() for key, content in contents.items()}}}


def commit_info(folder: Path, version: int) -> dict[str, Any]:
    """Give what a commit says of itself.

    Read from the log, since `DeltaTable.history` of an old version lists newer commits under wrong numbers (1.6.6).
    """
    for line in (folder / "_delta_log" / f"{version:020d}.json").read_bytes().splitlines():
        if b'"commitInfo"' in line and (info := json.loads(line).get("commitInfo")):
            return dict(info)
    return {}


def files_of(delta: DeltaTable, folder: Path) -> list[tuple[str, str]]:
    """Give (partition key, path) of every data file, in the order rows are to be read back."""
    adds = pa.table(delta.get_add_actions(flatten=True))
    paths = adds["path"].to_pylist()
    labelled = f"partition.{PARTITION}"
    keys = adds[labelled].to_pylist() if labelled in adds.column_names else [WHOLE] * len(paths)
    # A write too big for one file numbers its files: part-00000-…, part-00001-…
    return [(key, str(folder / unquote(path))) for key, path in sorted(zip(keys, paths, strict=True))]


def there_of(ledger: Ledger, partitions: Iterable[str], *, table: str) -> set[str]:
    """Give the keys asked for, each of which must have been written."""
    asked = set(partitions)
    if missing := sorted(asked - set(ledger)):
        raise TableNotFoundError(
            f"Table {table!r} has no partition {examples(missing)}. It has {span_of_keys(ledger)}. "
            f"Materialize those first, or ask by since/until for what is there.",
            table=table,
            partitions=tuple(missing),
        )
    return asked


def span_of_keys(keys: Iterable[str]) -> str:
    """Say how many partitions there are, from which to which."""
    ordered = sorted(keys)
    return f"{len(ordered)} partitions, {ordered[0]} to {ordered[-1]}" if ordered else "no partitions"
