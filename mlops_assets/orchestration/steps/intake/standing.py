"""What people have said about batches that were held back, and what of it is in force.

Both acts are entries of the audit log, in force from the moment they are in it. A waiver is about a batch as it stood:
a later correction of the same day begins anew, without it. A correction stands in for what the source gave when it was
made; should the source ever give another batch for that day, it is judged as any other, and nothing hides it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from mlops_assets.digests import sha256_pieces
from mlops_assets.errors import SourceError
from mlops_assets.governance import Event
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import AuditEntry, BatchQuality
from mlops_assets.sources import Batch, Stage
from mlops_assets.stores.home import Home

Key = str | None
LATER = "later"  # in an entry's data: on record only
CORRECTION = "correction"  # noted with a raw partition: the entry of the correction that it was taken in under
SAID = (Event.DATA_WAIVED, Event.DATA_CORRECTED)
"""What people say of batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The rules that hold no row of a batch back, and the newest correction of it.

    What was said `later` waits for people: no schedule drives it.
    """

    waived: frozenset[str] = frozenset()
    correction: AuditEntry | None = None
    later: bool = False

    def waits(self, judged: BatchQuality) -> bool:
        """Tell whether more is in force than a batch was last judged by."""
        corrected = self.correction is not None and self.correction.seq != judged.correction
        return corrected or self.waived != frozenset(judged.waivers)

    @property
    def note(self) -> dict[str, str]:
        """Give what to note of rows that come in while this is in force, so that whoever judges them knows."""
        return {CORRECTION: str(self.correction.seq)} if self.correction else {}


def standing(stores: Home, table: str, keys: Iterable[Key]) -> Mapping[Key, Standing]:
    """Give what is in force for each batch of a table."""
    found = {key: Standing() for key in keys}
    for entry in stores.state.audit_of_table(table, SAID):
        key = entry.subject.get("partition")
        if key not in found:
            continue
        later = bool(entry.data.get(LATER))
        if entry.event == Event.DATA_WAIVED:
            found[key] = replace(found[key], waived=found[key].waived | frozenset(entry.data["rules"]), later=later)
        else:
            found[key] = Standing(correction=entry, later=later)
    return found


def waiting(stores: Home, table: str) -> dict[Key, Standing]:
    """Give the batches that are still to be driven on: whoever was to do it was killed on the way.

    One that was never judged is not among them: it has not come in.
    """
    keys = {entry.subject.get("partition") for entry in stores.state.audit_of_table(table, SAID)}
    judged = {key: stores.quality.newest(table, key) for key in keys}
    return {
        key: said
        for key, said in standing(stores, table, keys).items()
        if not said.later and (batch := judged[key]) is not None and said.waits(batch)
    }


def subject(table: str, key: Key) -> dict[str, str]:
    """Name a batch as entries of the audit log do."""
    return {"table": table, "partition": key} if key else {"table": table}


def came(
    declared: TableDeclaration,
    stores: Home,
    stage: Stage,
    said: Mapping[Key, Standing],
    *,
    variables: Mapping[str, str],
) -> dict[Key, Batch]:
    """Give each batch as it came: the source's, or its correction as long as the source says nothing new.

    Raises:
        SourceError: The source gives nothing, and nobody has corrected it.
    """
    asked = [key for key in said if said[key].correction is None]
    spans = [span_of(key) if key else None for key in asked]
    read = dict(zip(asked, stage.fetch(declared.source, spans, variables=variables), strict=True))
    return {
        key: read[key]
        if correction is None
        else _unless_new(declared, stores, stage, key, correction, variables=variables)
        for key, correction in ((key, each.correction) for key, each in said.items())
    }


def _unless_new(
    declared: TableDeclaration,
    stores: Home,
    stage: Stage,
    key: Key,
    correction: AuditEntry,
    *,
    variables: Mapping[str, str],
) -> Batch:
    """Give the corrected batch, or the source's once it is another than the one that was corrected."""
    rows, sha256 = from_source(declared, stage, key, variables=variables)
    if rows is not None and sha256 != correction.data["instead_of"]:
        return rows
    return stage.keep(corrected(stores, declared.table, key, correction))


def from_source(
    declared: TableDeclaration, stage: Stage, key: Key, *, variables: Mapping[str, str]
) -> tuple[Batch | None, str | None]:
    """Give the source's batch and its digest; None where it cannot be read, such as a truncated file."""
    try:
        (rows,) = stage.fetch(declared.source, [span_of(key) if key else None], variables=variables)
    except SourceError:
        return None, None
    return rows, sha256_pieces(rows)


def corrected(stores: Home, table: str, key: Key, correction: AuditEntry) -> pa.Table:
    """Give the rows of a correction, as they were when it was put on record."""
    return stores.tables.read(
        f"corrected/{table}", version=correction.data["version"], partitions=[key] if key else None
    )
