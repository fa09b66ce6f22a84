"""A batch that was held back is waived or corrected by people, with who and why on record."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from mlops_assets.errors import ContractError, GovernanceError
from mlops_assets.governance import Event
from mlops_assets.orchestration.steps.intake.contracts import contract_of
from mlops_assets.orchestration.steps.intake.ingesting import variables_of, write
from mlops_assets.orchestration.steps.intake.standing import LATER, Key, from_source, standing, subject
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.sources import Stage
from mlops_assets.stores.home import Home
from mlops_assets.validation import QualitySuite, conform, validate
from mlops_assets.validation.contract import STRUCTURE
from mlops_assets.validation.waiving import require_waivable


def waive(
    declared: TableDeclaration,
    suite: QualitySuite | None,
    stores: Home,
    key: Key,
    *,
    rules: Iterable[str],
    reason: str,
    by: str,
    at: datetime,
    later: bool = False,
) -> tuple[str, ...]:
    """Let `rules` hold no row of a batch back any more, and give those that did so far.

    What is waived already is not put on record again, so a run that is tried again says it once. Unless it is for
    `later`, the next refresh drives the batch on if nobody has by then.

    Raises:
        GovernanceError: Nobody, or no reason, is named; or a rule is one that the tables themselves rely on.
        UnknownNameError: No rule has that name.
    """
    _require_who_and_why(reason=reason, by=by)
    require_waivable(rules, contract_of(declared, key), suite)
    with stores.state.together():
        new = tuple(sorted(set(rules) - standing(stores, declared.table, [key])[key].waived))
        if new:
            stores.state.audit_append(
                Event.DATA_WAIVED,
                actor=by,
                subject=subject(declared.table, key),
                data={"rules": list(new), "reason": reason, **({LATER: True} if later else {})},
                at=at,
            )
    return new


def correct(
    declared: TableDeclaration,
    stores: Home,
    key: Key,
    rows: pa.Table,
    *,
    folder: Path,
    reason: str,
    by: str,
    at: datetime,
    later: bool = False,
) -> bool:
    """Let `rows` stand in for what the source gave for a batch, and tell whether they did not before.

    The next ingest takes them in; that is the next refresh, unless it is for `later`. The rows are there before the
    entry that puts them in force, so whoever finds the entry finds them. The same rows are not put on record again, so
    a command that is tried again says it once.

    Raises:
        GovernanceError: Nobody, or no reason, is named.
        ContractError: The rows have not the contract's structure, or too many of them break it.
    """
    _require_who_and_why(reason=reason, by=by)
    contract = contract_of(declared, key)
    if not rows.num_rows:
        raise ContractError(
            f"The correction of {declared.table} holds no rows, so everything of that batch would be lost. "
            f"Give the batch as it should have come.",
            table=declared.table,
        )
    validate(rows, contract, table=declared.table).require_passed()
    fitted, _ = conform(rows, contract)
    with Stage(stores.root) as stage:
        _, instead_of = from_source(declared, stage, key, variables=variables_of(declared, stores, folder))
    kept = write(stores, f"corrected/{declared.table}", {key: fitted})
    about = {"sha256": kept.partitions[key] if key else kept.sha256, "instead_of": instead_of}
    with stores.state.together():
        before = standing(stores, declared.table, [key])[key]
        if before.correction and not before.waived and about.items() <= before.correction.data.items():
            return False
        stores.state.audit_append(
            Event.DATA_CORRECTED,
            actor=by,
            subject=subject(declared.table, key),
            data={
                "rows": rows.num_rows,
                "version": kept.version,
                "reason": reason,
                **about,
                **({LATER: True} if later else {}),
            },
            at=at,
        )
    return True


def needs_source(declared: TableDeclaration, stores: Home, key: Key) -> bool:
    """Tell whether a batch must be taken in again before it can be judged.

    So it is if what is to be judged is not in `raw` yet, or was stopped there: it came too early, or too few rows came.
    """
    raw = f"raw/{declared.table}"
    if not stores.tables.exists(raw) or (key and key not in stores.tables.partitions(raw)):
        return True
    newest = stores.quality.newest(declared.table, key)
    if newest is not None and newest.blocked and not newest.expectations and set(newest.rules) <= {STRUCTURE}:
        return True
    correction = standing(stores, declared.table, [key])[key].correction
    if correction is None:
        return False
    there = stores.tables.version(raw)
    return bool(correction.data["sha256"] != (there.partitions[key] if key else there.sha256))


def _require_who_and_why(*, reason: str, by: str) -> None:
    for what, given in (("reason", reason), ("name", by)):
        if not given.strip():
            raise GovernanceError(f"No {what} was given, and whoever reads the audit log later was not there. Say it.")
