"""Which contract a table is judged by, and when another may take over.

The contract in use is a record, and each that ever was is kept under its digest, which the partitions judged by it
carry in their commits. Another takes over when rows are first judged by it: at once if its changes are compatible, with
a raised version if they break somebody. Every change goes into the audit log.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from mlops_assets.digests import sha256_json
from mlops_assets.governance import Event
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.steps.intake.standing import Key
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import ContractVersion
from mlops_assets.stores.home import Home
from mlops_assets.validation import Contract
from mlops_assets.validation.changes import Change, changes
from mlops_assets.validation.effect import Effect, effect

CONTRACTS = "contracts"  # in the record store: the one in use by table, and all there were by table and digest
NOTE = "contract"  # what a partition's commit keeps the digest under


def contract_of(declared: TableDeclaration, key: Key) -> Contract:
    """Give the contract of one batch: rows of a day say in `arrival_column` that they arrived on that day."""
    column, contract = declared.arrival_column, declared.contract
    if key is None or column is None or column not in contract.columns or contract.columns[column].type != "timestamp":
        return contract
    span = span_of(key)
    within = {"min": span.start, "max": span.end - timedelta(microseconds=1)}
    rule = contract.columns[column].model_copy(update=within)
    return contract.model_copy(update={"columns": {**contract.columns, column: rule}})


def in_use(stores: Home, table: str) -> ContractVersion | None:
    """Give the contract that rows of `table` were last judged by, None before the first."""
    return stores.records.find((CONTRACTS,), table, ContractVersion)


def changes_since(declared: TableDeclaration, used: ContractVersion) -> tuple[Change, ...]:
    """Give what the declaration has changed since the contract in use."""
    return changes(Contract.model_validate(used.contract), declared.contract)


def refusal_of(declared: TableDeclaration, stores: Home) -> str | None:
    """Say why the declared contract may not take over from the one in use; None if it may."""
    used, version = in_use(stores, declared.table), declared.contract.version
    if used is None or version > used.version:
        return None
    breaking = [each for each in changes_since(declared, used) if each.breaking]
    if version == used.version and not breaking:
        return None
    what = (
        f"The contract of {declared.table} says version {version}, and rows were judged by version {used.version} "
        f"already, so which one a day was judged by could not be told"
        if version < used.version
        else f"The contract of {declared.table} was changed so that it breaks who relied on it, under the same version "
        f"{version}, so nobody would notice"
    )
    told = f": {'; '.join(map(str, breaking))}" if breaking else ""
    return (
        f"{what}{told}. Nothing was read or judged by it. If it is meant, declare `version: {used.version + 1}`, else "
        f"take it back. `mlops contract diff {declared.table}` shows what it makes of stored rows."
    )


def take_over(declared: TableDeclaration, stores: Home, *, at: datetime) -> ContractVersion:
    """Put the declared contract into use, and on record if it is another than before; `refusal_of` must have passed.

    Before rows are judged: a kill in between leaves a contract on record by which nothing was judged yet, never rows
    judged by a contract that nobody can find.
    """
    used = in_use(stores, declared.table)
    plain = declared.contract.model_dump(mode="json", exclude_defaults=True)
    sha256 = sha256_json(plain)
    if used is not None and used.sha256 == sha256:
        return used
    new = ContractVersion(
        table=declared.table, version=declared.contract.version, sha256=sha256, contract=plain, since=at
    )
    stores.records.put((CONTRACTS, declared.table), sha256, new)
    if used is not None:
        different = changes_since(declared, used)
        stores.state.audit_once(
            Event.CONTRACT_CHANGED,
            actor="pipeline",
            subject={"table": declared.table},
            data={
                "version": [used.version, new.version],
                "sha256": [used.sha256, new.sha256],
                "breaking": any(each.breaking for each in different),
                "changes": [str(each) for each in different],
            },
            at=at,
        )
    stores.records.put((CONTRACTS,), declared.table, new)
    return new


def effects(declared: TableDeclaration, stores: Home, used: ContractVersion) -> Iterator[tuple[Key, Effect]]:
    """Give what the declared contract would make of each stored raw partition, one at a time, oldest first."""
    raw = f"raw/{declared.table}"
    before = declared.model_copy(update={"contract": Contract.model_validate(used.contract)})
    if not stores.tables.exists(raw):
        return
    for key in stores.tables.partitions(raw) or (None,):
        rows = stores.tables.read(raw, partitions=[key] if key else None)
        yield key, effect(rows, contract_of(before, key), contract_of(declared, key))
