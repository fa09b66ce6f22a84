"""Which batches that are in must come in again, and the notes in the tables' commits that tell.

Each partition of `raw/<table>` is committed with the stamp its source had before it was read, and each partition of the
tables behind it with the digests of the partitions it was made of. So, wherever a process is killed:

- A batch whose source says something else by now is found, and no other. Where many days are kept in one file, a new
  stamp of the file says that some of them changed: it is then read once, each day is compared with what is stored, and
  only those that differ count. For the others the new stamp is noted, so the file is not read again until it changes.
- A batch that came in again and did not reach the last table is found, too.

What is not found: a change that leaves the stamp as it was, and any in a source that has none (see `Source.stamp`).
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from mlops_assets.errors import SourceError
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.steps.intake.standing import Key
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.sources import Source, Stage
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import WHOLE, Content, TableStore
from mlops_assets.validation import Conformed

STAMP = "stamp"
EXPIRED = "expired"  # noted where retention took a partition's rows: nothing made together with them is behind for that
Notes = dict[Key, dict[str, str]]

_log = logging.getLogger(__name__)


def stamps_of(source: Source, keys: Iterable[Key], *, variables: Mapping[str, str]) -> Notes:
    """Note the stamp of each batch; ask before reading, so that what changes meanwhile counts as changed.

    A source that cannot be asked is as one without stamps; whoever reads it next says what is wrong with it.
    """
    stamps: Notes = {key: {} for key in keys}
    try:
        for key in stamps:
            if (stamp := source.stamp(span_of(key) if key else None, variables=variables)) is not None:
                stamps[key] = {STAMP: stamp}
    except SourceError as error:
        _log.warning("whether a source has changed could not be asked: %s", error)
    return stamps


def made_of(tables: TableStore, names: Iterable[str], keys: Iterable[Key]) -> Notes:
    """Note of each batch the digests of the tables' partitions it is about to be made of.

    A batch of a table without partitions is made of whole tables; a day is not made of those that have no days.
    """
    there = {name: tables.contents(name) for name in names if tables.exists(name)}
    whole = {name: tables.version(name).sha256 for name in there}
    return {
        key: whole if key is None else {name: each[key].sha256 for name, each in there.items() if key in each}
        for key in keys
    }


def behind(tables: TableStore, table: str) -> set[str]:
    """Name the partitions of `table` that were made of others than those that are there now."""
    contents = tables.contents(table)
    names = {name for content in contents.values() for name in content.extra if name != STAMP}
    now = {name: tables.contents(name) for name in names if tables.exists(name)}
    whole = {name: tables.version(name).sha256 for name in now} if WHOLE in contents else {}

    def is_behind(key: str, content: Content) -> bool:
        there = {name: each[key] for name, each in now.items() if key in each}
        current = whole if key == WHOLE else {n: each.sha256 for n, each in there.items() if EXPIRED not in each.extra}
        return any(current.get(name, sha256) != sha256 for name, sha256 in content.extra.items())

    return {key for key, content in contents.items() if is_behind(key, content)}


def reopened(
    declared: TableDeclaration, stores: Home, keys: Sequence[Key], *, variables: Mapping[str, str]
) -> set[Key]:
    """Name those of `keys` that are in, and of which the source says something else by now.

    Of a changed file of many days that cannot be read, one day is named: its run says what is wrong with the file.
    """
    table = f"raw/{declared.table}"
    if not stores.tables.exists(table):
        return set()
    contents = stores.tables.contents(table)
    stamps = stamps_of(declared.source, keys, variables=variables)
    moved = [
        key
        for key, note in stamps.items()
        if note and (key or WHOLE) in contents and contents[key or WHOLE].extra.get(STAMP) != note[STAMP]
    ]
    alike = Counter(stamps[key][STAMP] for key in moved)
    shared = [key for key in moved if key is not None and alike[stamps[key][STAMP]] > 1]
    if not shared:
        return set(moved)
    try:
        same = _same(declared, stores, shared, variables=variables)
    except SourceError:
        return {*moved} - {*shared[1:]}
    stores.tables.note(table, {key: contents[key].extra | stamps[key] for key in same})
    return {*moved} - same


def _same(declared: TableDeclaration, stores: Home, days: Sequence[str], *, variables: Mapping[str, str]) -> set[str]:
    """Name the days whose rows at the source are those that are stored."""
    with Stage(stores.root) as stage:
        came = stage.fetch(declared.source, [span_of(day) for day in days], variables=variables)
        fitted = {day: Conformed(rows, declared.contract) for day, rows in zip(days, came, strict=True)}
        sound = {day: rows for day, rows in fitted.items() if not rows.faults}
        return {*sound} - {*stores.tables.differing(f"raw/{declared.table}", sound)}
