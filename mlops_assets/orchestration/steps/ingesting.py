"""Rows come in: kept as they came, let through the contract, or held in quarantine. None is lost on the way.

A batch is what arrived for one partition, or the whole of a table that has none (its key is None). What is not fit for
the table at all is held beside it, whole; of a batch that is fit, bad rows are held and good ones go on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from mlops_assets.errors import examples
from mlops_assets.governance import Event
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import TableVersion
from mlops_assets.stores.home import Home
from mlops_assets.validation import Validation, conform, validate
from mlops_assets.validation.suite import QualitySuite, SuiteResult, check

Key = str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What came in. `version` is None if nothing could be kept; `late` and `misfits` say what is wrong with batches."""

    version: TableVersion | None
    late: dict[Key, str]
    misfits: dict[Key, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What contract and suite said. `version` holds the good rows, `held` the bad ones; either may be None."""

    version: TableVersion | None
    held: TableVersion | None
    blocked_by_contract: dict[Key, str]
    blocked_by_suite: dict[Key, str]
    refused_rows: int
    rules: dict[str, int]
    expectations: tuple[SuiteResult, ...]

    @property
    def blocked(self) -> dict[Key, str]:
        """Say of each batch that may not go on why."""
        return self.blocked_by_contract | self.blocked_by_suite


def ingest(declared: TableDeclaration, stores: Home, keys: Sequence[Key], *, folder: Path, at: datetime) -> Ingested:
    """Read the batches `keys` from the source and keep them in one commit."""
    variables = {"here": str(folder), "landing": str(stores.landing)}
    came = {key: declared.source.read(span_of(key) if key else None, variables=variables) for key in keys}
    fitted = {key: conform(rows, declared.contract) for key, rows in came.items()}
    misfits = {key: examples(faults) for key, (_, faults) in fitted.items() if faults}
    if misfits:
        # Such rows would change the table's columns for every other day, so they are held beside it.
        judged = {key: validate(came[key], declared.contract, table=declared.table) for key in misfits}
        _hold(stores, declared.table, judged)
        _record(stores, Event.DATA_BLOCKED, declared.table, {"reasons": _reasons(misfits)}, at=at)
    sound = {key: rows for key, (rows, faults) in fitted.items() if not faults}
    return Ingested(
        version=write(stores, f"raw/{declared.table}", sound) if sound else None,
        late={key: fault for key, rows in came.items() if (fault := _lateness(rows, key, declared))},
        misfits=misfits,
    )


def judge(
    declared: TableDeclaration, stores: Home, keys: Sequence[Key], suite: QualitySuite | None, *, at: datetime
) -> Judged:
    """Hold the raw batches `keys` against contract and suite; good rows go on, bad ones into quarantine."""
    name = declared.table
    raw = {key: stores.tables.read(f"raw/{name}", partitions=[key] if key else None) for key in keys}
    judged = {key: validate(rows, declared.contract, table=name) for key, rows in raw.items()}
    by_contract = {key: batch.summary for key, batch in judged.items() if batch.blocked}
    suited = {key: check(batch.good, suite) for key, batch in judged.items() if suite and key not in by_contract}
    by_suite = {key: _unmet(result) for key, result in suited.items() if not result.passed}
    held = _hold(stores, name, judged)
    refused = sum(batch.quarantined.num_rows for batch in judged.values())
    rules = dict(sum((Counter(batch.counts) for batch in judged.values()), Counter[str]()))
    if refused:
        _record(
            stores,
            Event.DATA_QUARANTINED,
            name,
            {
                "rows": refused,
                "rules": rules,
                "partitions": [key for key in keys if key and judged[key].quarantined.num_rows],
            },
            at=at,
        )
    if blocked := by_contract | by_suite:
        _record(stores, Event.DATA_BLOCKED, name, {"reasons": _reasons(blocked)}, at=at)
    good = {key: batch.good for key, batch in judged.items() if key not in blocked}
    return Judged(
        version=write(stores, f"validated/{name}", good) if good else None,
        held=held,
        blocked_by_contract=by_contract,
        blocked_by_suite=by_suite,
        refused_rows=refused,
        rules=rules,
        expectations=tuple(suited.values()),
    )


def write(stores: Home, table: str, batches: Mapping[Key, pa.Table]) -> TableVersion:
    """Keep batches in one commit, each under its partition; the one of a table without partitions replaces it."""
    if None in batches:
        return stores.tables.write(table, batches[None])
    return stores.tables.write_partitions(table, {key: rows for key, rows in batches.items() if key is not None})


def _hold(stores: Home, name: str, judged: Mapping[Key, Validation]) -> TableVersion | None:
    """Keep refused rows with their reasons; a batch that is sound now empties its partition of the quarantine."""
    table = f"quarantine/{name}"
    if not any(batch.quarantined.num_rows for batch in judged.values()) and not stores.tables.exists(table):
        return None
    return write(stores, table, {key: batch.quarantined for key, batch in judged.items()})


def _lateness(rows: pa.Table, key: Key, declared: TableDeclaration) -> str | None:
    """Say what is wrong with the arrival of a batch, None if nothing is."""
    if not rows.num_rows:
        return "no rows came"
    column = declared.arrival_column
    if key is None or declared.arrives_within_hours is None or column not in rows.column_names:
        return None
    newest = max(rows[column].drop_null().to_pylist(), default=None)
    limit = span_of(key).end - timedelta(hours=declared.arrives_within_hours)
    return f"the newest row came at {newest}, before {limit}" if newest is None or newest < limit else None


def _unmet(result: SuiteResult) -> str:
    failed = [each for each in result.results if not each.success]
    return f"{result.suite} is not met: " + examples(
        f"{each.name} of {each.column or 'the table'} is {each.observed}, expected {each.expected}" for each in failed
    )


def _reasons(faults: Mapping[Key, str]) -> list[str]:
    return [f"{key}: {fault}" if key else fault for key, fault in list(faults.items())[:20]]


def _record(stores: Home, event: Event, table: str, data: dict[str, object], *, at: datetime) -> None:
    stores.state.audit_once(event, actor="pipeline", subject={"table": table}, data=data, at=at)
