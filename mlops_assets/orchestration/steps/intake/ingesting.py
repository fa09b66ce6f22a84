"""Rows come in: kept as they came, let through the contract, or held in quarantine. None is lost on the way.

A batch is what arrived for one partition, or the whole of a table that has none (its key is None). What is not fit for
the table at all is held beside it, whole; of a batch that is fit, bad rows are held and good ones go on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc

from mlops_assets.errors import examples
from mlops_assets.governance import Event
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.steps.intake.arriving import odd_volumes
from mlops_assets.orchestration.steps.intake.contracts import NOTE, take_over
from mlops_assets.orchestration.steps.intake.parting import parting
from mlops_assets.orchestration.steps.intake.reopening import made_of, stamps_of
from mlops_assets.orchestration.steps.intake.standing import CORRECTION, Key, came, standing
from mlops_assets.orchestration.steps.intake.usual import parameters_of, usual_rows
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import BatchQuality, ExpectationResult, TableVersion
from mlops_assets.sources import Batch, Stage
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import WHOLE, Rows
from mlops_assets.validation import Conformed, refused_pieces, validate
from mlops_assets.validation.contract import STRUCTURE
from mlops_assets.validation.report import page
from mlops_assets.validation.suite import QualitySuite, check
from mlops_assets.validation.waiving import ARRIVED, VOLUME


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What came in. `version` is None if nothing could be kept; the others say what is wrong with which batches."""

    version: TableVersion | None
    late: dict[Key, str]
    odd: dict[Key, str]
    misfits: dict[Key, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What contract and suite said. `version` holds the good rows, `held` the bad ones; either may be None."""

    version: TableVersion | None
    held: TableVersion | None
    blocked_by_contract: dict[Key, str]
    blocked_by_suite: dict[Key, str]
    found: dict[Key, BatchQuality]
    pages: dict[Key, Path]

    @property
    def blocked(self) -> dict[Key, str]:
        """Say of each batch that may not go on why."""
        return self.blocked_by_contract | self.blocked_by_suite

    @property
    def refused_rows(self) -> int:
        """Count the rows that were held back."""
        return sum(batch.quarantined for batch in self.found.values())

    @property
    def rules(self) -> dict[str, int]:
        """Count the rows that each rule held back."""
        return dict(sum((Counter(batch.rules) for batch in self.found.values()), Counter[str]()))

    @property
    def warnings(self) -> dict[Key, str]:
        """Say of each batch which expectations that block nothing are not met."""
        unmet = {
            key: [e for e in batch.expectations if not e.success and not e.blocks] for key, batch in self.found.items()
        }
        return {key: _told(failed) for key, failed in unmet.items() if failed}

    @property
    def newest(self) -> BatchQuality:
        """Give what was found in the newest batch."""
        return list(self.found.values())[-1]

    @property
    def newest_page(self) -> Path:
        """Give the page of the newest batch, which shows those before it too."""
        return list(self.pages.values())[-1]

    @property
    def waived(self) -> dict[str, int]:
        """Count the rows that break each waived rule."""
        return dict(sum((Counter(batch.waived) for batch in self.found.values()), Counter[str]()))


def ingest(declared: TableDeclaration, stores: Home, keys: Sequence[Key], *, folder: Path, at: datetime) -> Ingested:
    """Read the batches `keys` from the source, or as people corrected them, and keep them in one commit."""
    said = standing(stores, declared.table, keys)
    variables = variables_of(declared, stores, folder)
    stamps = stamps_of(declared.source, keys, variables=variables)
    with Stage(stores.root) as stage:
        rows = came(declared, stores, stage, said, variables=variables)
        fitted = {key: Conformed(batch, declared.contract) for key, batch in rows.items()}
        misfits = {key: examples(batch.faults) for key, batch in fitted.items() if batch.faults}
        if misfits:
            # Such rows would change the table's columns for every other day, so they are held beside it.
            _hold_whole(declared, stores, {key: (rows[key], fitted[key].faults) for key in misfits})
            _record(stores, Event.DATA_BLOCKED, declared.table, {"reasons": _reasons(misfits)}, at=at)
        sound = {key: batch for key, batch in fitted.items() if key not in misfits}
        notes = {key: stamps[key] | said[key].note for key in sound}
        version = write(stores, f"raw/{declared.table}", sound, notes=notes) if sound else None
        late = {
            key: fault
            for key, batch in sound.items()
            if ARRIVED not in said[key].waived and (fault := _lateness(batch, rows[key].num_rows, key, declared))
        }
    odd = {
        key: fault
        for key, fault in odd_volumes(declared, stores, list(sound)).items()
        if VOLUME not in said[key].waived
    }
    for key, fault in {**(odd if declared.volume.on_fault == "block" else {}), **late, **misfits}.items():
        held = rows[key].num_rows if key in misfits else 0
        stores.quality.add(
            BatchQuality(
                table=declared.table,
                partition=key,
                at=at,
                rows=rows[key].num_rows,
                quarantined=held,
                rules={STRUCTURE: held} if key in misfits else {},
                waivers=tuple(sorted(said[key].waived)),
                correction=correction.seq if (correction := said[key].correction) else None,
                blocked=fault,
            ),
            page,
        )
    return Ingested(version=version, late=late, odd=odd, misfits=misfits)


def judge(
    declared: TableDeclaration, stores: Home, keys: Sequence[Key], suite: QualitySuite | None, *, at: datetime
) -> Judged:
    """Hold the raw batches `keys` against contract and suite; good rows go on, bad ones into quarantine.

    What people waived of a batch holds none of its rows back. The good rows are committed last, with a note of what
    they were parted from and what was held: a batch that was killed on its way there is found by that (`reopening`).
    """
    from mlops_assets.validation.rules import demands  # pandera takes seconds to load

    name = declared.table
    contract = take_over(declared, stores, at=at)
    made = made_of(stores.tables, [f"raw/{name}"], keys)
    raw = stores.tables.contents(f"raw/{name}")
    waived = {key: said.waived for key, said in standing(stores, name, keys).items()}
    with parting(declared, stores, keys, waived, suite=suite) as parted:
        tallies = parted.tallies
        by_contract = {key: tally.summary for key, tally in tallies.items() if tally.blocked}
        sound = {key: tally.rows for key, tally in tallies.items() if key not in by_contract}
        usual = usual_rows(stores, name, sound) if suite else {}
        suited = {
            key: check(parted.good(key), suite, parameters=parameters_of(key, usual[key])).results
            for key in sound
            if suite
        }
        by_suite = {
            key: f"{suite.name} is not met: {_told(failed)}"
            for key, results in suited.items()
            if suite and (failed := [each for each in results if each.blocks and each.rule not in waived[key]])
        }
        held = parted.hold()
        asked = demands(declared.contract)
        blocked = by_contract | by_suite
        found = {
            key: BatchQuality(
                table=name,
                partition=key,
                at=at,
                rows=tally.rows,
                quarantined=tally.quarantined,
                rules=tally.counts,
                waived=tally.waived
                | {each.rule: tally.rows for each in suited.get(key, ()) if each.blocks and key not in by_suite},
                waivers=tuple(sorted(waived[key])),
                correction=int(raw[key or WHOLE].extra.get(CORRECTION, 0)) or None,
                blocked=blocked.get(key),
                expectations=suited.get(key, ()),
                asked={} if tally.structural else asked,
                contract=declared.contract.version,
            )
            for key, tally in tallies.items()
        }
        _report(stores, name, found, blocked, at=at)
        pages = {key: stores.quality.add(batch, page) for key, batch in found.items()}
        notes = {key: {**made[key], NOTE: contract.sha256, **_noted(held, name, key)} for key in keys}
        version = parted.let_through([key for key in keys if key not in blocked], notes)
    return Judged(
        version=version,
        held=held,
        blocked_by_contract=by_contract,
        blocked_by_suite=by_suite,
        found=found,
        pages=pages,
    )


def _noted(held: TableVersion | None, name: str, key: Key) -> dict[str, str]:
    """Note what was held of a batch, by its digest; nothing if nothing ever was of any."""
    sha256 = "" if held is None else held.sha256 if key is None else held.partitions[key]
    return {f"quarantine/{name}": sha256}


def _report(
    stores: Home, table: str, found: Mapping[Key, BatchQuality], blocked: Mapping[Key, str], *, at: datetime
) -> None:
    """Put on record which rows were held and which batches blocked."""
    if held := {key: batch for key, batch in found.items() if batch.quarantined}:
        data = {
            "rows": sum(batch.quarantined for batch in held.values()),
            "rules": dict(sum((Counter(batch.rules) for batch in held.values()), Counter[str]())),
            "partitions": [key for key in held if key],
        }
        _record(stores, Event.DATA_QUARANTINED, table, data, at=at)
    if blocked:
        _record(stores, Event.DATA_BLOCKED, table, {"reasons": _reasons(blocked)}, at=at)


def variables_of(declared: TableDeclaration, stores: Home, folder: Path) -> dict[str, str]:
    """Give what the places in a source's declaration stand for."""
    return {
        "here": str(folder),
        "landing": str(stores.landing),
        "events": str(stores.events),
        "table": declared.table,
    }


def write(
    stores: Home,
    table: str,
    batches: Mapping[Key, Rows],
    *,
    notes: Mapping[Key, Mapping[str, str]] | None = None,
) -> TableVersion:
    """Keep batches in one commit, each under its partition; the one of a table without partitions replaces it.

    `notes` are what to note of each batch, see `reopening`.
    """
    notes = notes or {}
    if None in batches:
        return stores.tables.write(table, batches[None], extra=notes.get(None))
    days = {key: rows for key, rows in batches.items() if key is not None}
    return stores.tables.write_partitions(table, days, extra={key: notes.get(key, {}) for key in days})


def _hold_whole(declared: TableDeclaration, stores: Home, batches: Mapping[Key, tuple[Batch, tuple[str, ...]]]) -> None:
    """Keep batches that are refused for their structure, every row with its reasons."""
    table = f"quarantine/{declared.table}"
    if not any(rows.num_rows for rows, _ in batches.values()) and not stores.tables.exists(table):
        return
    blank = validate(declared.contract.schema.empty_table(), declared.contract, table=declared.table)
    with stores.tables.begin(table, [blank.quarantined.schema], partitioned=None not in batches) as write:
        for key, (rows, faults) in batches.items():
            for piece in refused_pieces(rows, faults, declared.contract, table=declared.table):
                write.add(piece.quarantined, partition=key)
        write.commit()


def _lateness(batch: Conformed, rows: int, key: Key, declared: TableDeclaration) -> str | None:
    """Say what is wrong with the arrival of a batch, None if nothing is."""
    if not rows:
        return "no rows came"
    column = declared.arrival_column
    if key is None or declared.arrives_within_hours is None or column not in batch.schema.names:
        return None
    newest = max(filter(None, (pc.max(piece[column]).as_py() for piece in batch.pieces())), default=None)
    limit = span_of(key).end - timedelta(hours=declared.arrives_within_hours)
    return f"the newest row came at {newest}, before {limit}" if newest is None or newest < limit else None


def _told(failed: Sequence[ExpectationResult]) -> str:
    return examples(
        f"{each.name} of {each.column or 'the table'} is {each.observed}, expected {each.expected}" for each in failed
    )


def _reasons(faults: Mapping[Key, str]) -> list[str]:
    return [f"{key}: {fault}" if key else fault for key, fault in list(faults.items())[:20]]


def _record(stores: Home, event: Event, table: str, data: dict[str, object], *, at: datetime) -> None:
    stores.state.audit_once(event, actor="pipeline", subject={"table": table}, data=data, at=at)
