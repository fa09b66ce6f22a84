"""Versioned tables on Delta Lake: a write replaces whole partitions in one commit, and every version stays readable.

The digest and row count of each partition written travel in the commit's own metadata, so a table's digest is known
exactly when its rows are there, and without reading them. Files are on the disk before a commit names them. A commit
goes on top of the version it was made for or is made again, so the rows of rivals are never lost or mixed.

Old versions stay until somebody names those to keep (`keep_only`), and the log stays for ever: a model must be able to
find the very rows it was trained on. A process killed at any moment leaves the old version or the new one, and at worst
a file that no version names.
"""

from mlops_assets.stores.tables.cleaning import TableCleaning
from mlops_assets.stores.tables.columns import Rows, stored_digest
from mlops_assets.stores.tables.faults import TableNotFoundError
from mlops_assets.stores.tables.files import PARTITION
from mlops_assets.stores.tables.ledger import NOTE, WHOLE, Content
from mlops_assets.stores.tables.reading import TableReading
from mlops_assets.stores.tables.writing import TableWrite, TableWriting


class TableStore(TableReading, TableWriting, TableCleaning):
    """Keeps tables under a local folder, one Delta table per name; `raw/flights` is a folder in a folder.

    Threads may share a store and processes a folder: writers of different partitions do not disturb each other, and of
    writers of the same partition the last one stays, whole.
    """


__all__ = [
    "NOTE",
    "PARTITION",
    "WHOLE",
    "Content",
    "Rows",
    "TableNotFoundError",
    "TableStore",
    "TableWrite",
    "stored_digest",
]
