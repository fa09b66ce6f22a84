"""What can go wrong with a table, in words that say how to mend it."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mlops_assets.errors import StoreError, examples, first_line
from mlops_assets.stores._atomic import remedy

COMMIT_ATTEMPTS = 100  # a commit goes on top of the newest version only; of writers at once one gets there at a time

_OS_ERROR = re.compile(r"os error (\d+)")  # how the table engine spells an errno


class TableNotFoundError(StoreError, LookupError):
    """No such table, version or partition was ever written."""


class CreatedMeanwhileError(Exception):
    """Another process made the table between our look and our commit."""


class WidenedMeanwhileError(StoreError):
    """Another process added columns to the table while rows were made ready for the ones it had."""


def contended(table: str, partitions: Iterable[str]) -> StoreError:
    """Give the error of a write that others were always faster than."""
    return StoreError(
        f"Table {table!r} was changed by others {COMMIT_ATTEMPTS} times while {examples(partitions)} was being "
        f"written. Let one process at a time write a partition, and run it again.",
        table=table,
        partitions=tuple(partitions),
    )


def refused(table: str, folder: Path, error: Exception) -> StoreError:
    """Give the error of a write that the disk, or the table engine, refused."""
    number = _OS_ERROR.search(str(error))
    os_error = OSError(int(number[1]), os.strerror(int(number[1]))) if number else error
    why = remedy(os_error) if isinstance(os_error, OSError) else f"{first_line(error)}. Mend that and run it again"
    return StoreError(
        f"Table {table!r} was not written to {folder}: {why}. What was there before is unchanged.",
        table=table,
        path=str(folder),
    )
