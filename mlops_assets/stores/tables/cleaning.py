"""Old versions go, and files that no version names."""

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from mlops_assets.errors import examples
from mlops_assets.stores.tables.faults import TableNotFoundError, refused
from mlops_assets.stores.tables.ledger import OpenTables

_GRACE = timedelta(days=1)  # a file younger than this may be one that a writer has yet to commit


class TableCleaning(OpenTables):
    """What a store of tables can be told to let go."""

    def keep_only(
        self, table: str, versions: Collection[int], *, dry_run: bool = False, grace: timedelta = _GRACE
    ) -> tuple[str, ...]:
        """Delete the files that neither the newest version nor one of `versions` needs, and name them.

        A version that loses a file can no longer be read; its digest and row counts stay in the log. A file that was
        written, or replaced, within `grace` stays for now. Killed halfway, the rest goes the next time.

        Raises:
            TableNotFoundError: There is no such table, or no such version.
            StoreError: The disk refused.
        """
        with self._lock:
            newest = self._at(table, None).delta
            if unknown := sorted(version for version in versions if not 0 <= version <= newest.version()):
                raise TableNotFoundError(
                    f"Table {table!r} has versions 0 to {newest.version()}, and {examples(unknown)} were to be kept, "
                    f"so nothing was deleted. `mlops table {table}` lists the versions there are.",
                    table=table,
                )
            folder, kept = self._folder(table), sorted({*versions, newest.version()})
            try:
                # What was deleted before is listed again for a while.
                listed = [unquote(file) for file in _vacuum(folder, kept, grace=grace, dry_run=True)]
                files = sorted(file for file in listed if (folder / file).exists())
                if files and not dry_run:
                    _vacuum(folder, kept, grace=grace, dry_run=False)
            except (DeltaError, OSError) as error:
                raise refused(table, folder, error) from error
            return tuple(files)


def _vacuum(folder: Path, versions: list[int], *, grace: timedelta, dry_run: bool) -> list[str]:
    return DeltaTable(folder).vacuum(
        retention_hours=int(grace / timedelta(hours=1)),
        dry_run=dry_run,
        enforce_retention_duration=False,
        full=True,  # also what a killed writer left, and what the log's checkpoints have forgotten
        keep_versions=versions,
    )
