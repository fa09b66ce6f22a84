"""Raw batches parted into good rows and held ones, piece by piece, on their way into two tables.

Of a batch of any size a piece at a time is in memory, and the keys that must tell its rows apart. Only a quality suite
sees the good rows of a batch together, and of them the columns that it reads.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from mlops_assets.orchestration.steps.intake.contracts import contract_of
from mlops_assets.orchestration.steps.intake.standing import Key
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import TableVersion
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import WHOLE, TableWrite
from mlops_assets.validation import QualitySuite, Tally, validate, validate_pieces


@dataclass(slots=True)
class Parted:
    """Batches that were judged, and of which nothing is in a table yet; `tallies` say what was found."""

    stores: Home
    passing: TableWrite
    held: TableWrite
    tallies: dict[Key, Tally] = field(default_factory=dict)
    kept: dict[Key, list[pa.Table]] = field(default_factory=dict)

    def good(self, key: Key) -> pa.Table:
        """Give what the suite reads of the good rows of a batch."""
        return pa.concat_tables(self.kept[key])

    def hold(self) -> TableVersion | None:
        """Commit what is held; a batch that is sound now empties its partition of the quarantine."""
        nothing = not any(tally.quarantined for tally in self.tallies.values())
        return None if nothing and not self.stores.tables.exists(self.held.table) else self.held.commit()

    def let_through(self, keys: Collection[Key], notes: Mapping[Key, Mapping[str, str]]) -> TableVersion | None:
        """Commit the good rows of `keys` with their notes; of the other batches what was there before stays."""
        for key in self.tallies:
            if key not in keys:
                self.passing.drop(key)
        return self.passing.commit(extra={key or WHOLE: notes[key] for key in keys}) if keys else None


@contextmanager
def parting(
    declared: TableDeclaration,
    stores: Home,
    keys: Sequence[Key],
    waived: Mapping[Key, frozenset[str]],
    *,
    suite: QualitySuite | None,
) -> Iterator[Parted]:
    """Judge the raw batches `keys`, and keep what `suite` reads of their good rows in memory, too."""
    name, by_day, tables = declared.table, None not in keys, stores.tables
    raw = {key: tables.scan(f"raw/{name}", partition=key) for key in keys}
    blank = [validate(rows.schema.empty_table(), contract_of(declared, key), table=name) for key, rows in raw.items()]
    with (
        tables.begin(f"validated/{name}", [each.good.schema for each in blank], partitioned=by_day) as passing,
        tables.begin(f"quarantine/{name}", [each.quarantined.schema for each in blank], partitioned=by_day) as held,
    ):
        parted = Parted(stores, passing, held)
        for key, rows in raw.items():
            for piece in validate_pieces(rows, contract_of(declared, key), table=name, waived=waived[key]):
                parted.tallies[key] = parted.tallies[key] + piece.tally if key in parted.tallies else piece.tally
                passing.add(piece.good, partition=key)
                held.add(piece.quarantined, partition=key)
                if suite:
                    read = piece.good.select(suite.reads(piece.good.column_names))
                    parted.kept.setdefault(key, []).append(read)
                del piece  # while the next one is made, only one is held
        yield parted
