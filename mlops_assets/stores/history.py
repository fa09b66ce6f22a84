"""What became of a table over time: its versions, when each was written and replaced, and which can still be read.

All of it is read from the table's own log, which is never cleaned up. A version counts here when a write made it; the
log has others that changed no row, and those hold what the version before them holds.
"""

import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mlops_assets.digests import sha256_parts
from mlops_assets.stores.tables import NOTE, WHOLE, Content, TableNotFoundError, TableStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PastVersion:
    """A version of a table as it was written.

    `at` is when, by the clock of the machine that wrote it, and `replaced_at` when the next version took its place.
    `written` names the partitions that this write replaced, and `rows` counts each partition there was afterwards; the
    key of a table without partitions is "". `readable` is False once files of it have been deleted.
    """

    version: int
    at: datetime
    sha256: str
    rows: dict[str, int]
    written: tuple[str, ...]
    replaced_at: datetime | None = None
    readable: bool = True


def history(tables: TableStore, table: str) -> tuple[PastVersion, ...]:
    """Give the versions of a table, oldest first.

    Raises:
        TableNotFoundError: It was never written.
    """
    if not tables.exists(table):
        tables.version(table)  # says what there is instead
    folder = tables.root / table
    there = {Path(at, name).relative_to(folder).as_posix() for at, _, names in os.walk(folder) for name in names}
    contents: dict[str, Content] = {}
    files: set[str] = set()
    found: list[PastVersion] = []
    for version, actions in _commits(folder):
        files |= {unquote(action["add"]["path"]) for action in actions if "add" in action}
        files -= {unquote(action["remove"]["path"]) for action in actions if "remove" in action}
        info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
        written = {key: Content(**content) for key, content in info.get(NOTE, {}).get("written", {}).items()}
        changed = sorted(key for key, content in written.items() if contents.get(key, ())[:2] != content[:2])
        if not changed:
            continue
        contents |= written
        at = datetime.fromtimestamp(info["timestamp"] / 1000, UTC)
        if found:
            found[-1] = replace(found[-1], replaced_at=at)
        digests = {key: content.sha256 for key, content in contents.items()}
        found.append(
            PastVersion(
                version=version,
                at=at,
                sha256=digests[WHOLE] if WHOLE in digests else sha256_parts(digests),
                rows={key: content.rows for key, content in contents.items()},
                written=tuple(changed),
                readable=files <= there,
            )
        )
    return tuple(found)


def version_at(versions: Sequence[PastVersion], number: int) -> PastVersion:
    """Give the version whose rows are those of the table at `number`, which may be one that changed no row.

    Raises:
        TableNotFoundError: The table has no such version.
    """
    place = bisect_right([version.version for version in versions], number) - 1
    if place < 0:
        raise TableNotFoundError(f"The table has no version {number}; its first is {versions[0].version}.")
    return versions[place]


def _commits(folder: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    for path in sorted((folder / "_delta_log").glob("*[0-9].json")):
        yield int(path.stem), [json.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
