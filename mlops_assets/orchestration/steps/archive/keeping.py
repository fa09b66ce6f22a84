"""What is kept and what may go: old versions of tables, quarantined rows, sealed and logged predictions.

Nothing is deleted that is not declared, and never a version of a table that a protected model was trained on.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from mlops_assets.errors import UnknownNameError
from mlops_assets.governance import Event, holds, require_hold
from mlops_assets.orchestration.partitions import DAY, days_of, span_of
from mlops_assets.orchestration.steps.intake.reopening import EXPIRED
from mlops_assets.records import Dossier, TrainingSet
from mlops_assets.stores import predictions
from mlops_assets.stores._atomic import locked
from mlops_assets.stores.history import PastVersion, history, version_at
from mlops_assets.stores.home import Home
from mlops_assets.stores.state import RegisteredVersion

RETENTION = "retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """For how long old versions of a table are kept.

    `partition` is how long a partition of it lasts, None for a table without. Where `rows_too` is set, the rows of a
    partition go as well once its time is as long ago. `logged_by` names the model whose prediction log the table was
    sealed from; the log goes with the rows.
    """

    table: str
    days: float
    partition: timedelta | None = None
    rows_too: bool = False
    logged_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What of a table is older than declared: whole versions, rows of partitions, days of a log, records.

    `protected` says which old versions stay all the same, and for whom.
    """

    table: str
    before: datetime
    versions: tuple[int, ...]
    files: int
    partitions: tuple[str, ...]
    log_days: tuple[str, ...]
    records: tuple[str, ...]
    protected: dict[int, tuple[str, ...]]

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to delete."""
        return not (self.files or self.partitions or self.log_days or self.records)


# --- who is protected -----------------------------------------------------------------------------


def protected_versions(stores: Home) -> dict[tuple[str, int], tuple[str, ...]]:
    """Give the versions whose training must stay repeatable, by model and number, each with the reasons why.

    Live, the one a rollback would bring back, approved at any time, waiting for approval, or held.
    """
    entries = stores.state.audit_entries()
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for model in stores.releases.models():
        if release := stores.releases.current(model):
            reasons[model, release.bundle_sha256].append("live")
            if release.previous_bundle_sha256:
                reasons[model, release.previous_bundle_sha256].append("next in a rollback")
    for entry in entries:
        if entry.event in {Event.APPROVAL_GIVEN, Event.APPROVAL_GRANTED}:
            reasons[entry.subject["model"], entry.subject["bundle_sha256"]].append("approved")
    for bundle, hold in holds(entries).items():
        reasons[bundle].append(f"held by {hold.actor}: {hold.data['reason']}")
    versions = stores.state.versions()
    for model in {version.model for version in versions}:
        if dossier := stores.records.find((model, "dossier"), None, Dossier):
            reasons[model, dossier.model_version.sha256].append("newest with a dossier")
    return {
        (version.model, version.version): tuple(dict.fromkeys(why))
        for version in versions
        if (why := reasons.get((version.model, version.bundle_sha256)))
    }


def trained_on(stores: Home) -> dict[str, dict[int, list[str]]]:
    """Give, for each table and version of it, the models' versions that were trained on it, as `model@3`."""
    readers: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for version in stores.state.versions():
        for table, number in _inputs(version):
            readers[table][number].append(f"{version.model}@{version.version}")
    return readers


def _inputs(version: RegisteredVersion) -> Iterator[tuple[str, int]]:
    """Name the tables, each with its version, that a model was trained on: its training set and what that was of."""
    made = msgspec.json.decode(version.record_json, type=TrainingSet)
    yield made.table, made.version
    for source in made.sources:
        yield source.table, source.version


# --- holds ----------------------------------------------------------------------------------------


def place_hold(stores: Home, model: str, version: int, *, by: str, reason: str, at: datetime) -> list[str]:
    """Keep what a version was trained on from now on; name the tables of which that is too late.

    Raises:
        UnknownNameError: There is no such version.
        GovernanceError: It is held already.
    """
    found = _registered(stores, model, version)
    with _alone(stores):
        _change_hold(stores, found, Event.HOLD_PLACED, by=by, reason=reason, at=at)
        return [
            f"{table} version {number}"
            for table, number in _inputs(found)
            if not version_at(history(stores.tables, table), number).readable
        ]


def release_hold(stores: Home, model: str, version: int, *, by: str, reason: str, at: datetime) -> None:
    """Let retention have what a version was trained on, unless something else protects it.

    Raises:
        UnknownNameError: There is no such version.
        GovernanceError: It is not held.
    """
    found = _registered(stores, model, version)
    with _alone(stores):
        _change_hold(stores, found, Event.HOLD_RELEASED, by=by, reason=reason, at=at)


def _change_hold(stores: Home, version: RegisteredVersion, event: Event, *, by: str, reason: str, at: datetime) -> None:
    model, number, sha256 = version.model, version.version, version.bundle_sha256
    with stores.state.together():
        entries = stores.state.audit_entries(model=model)
        require_hold(entries, model=model, version=number, bundle_sha256=sha256, held=event == Event.HOLD_RELEASED)
        subject = {"model": model, "version": number, "bundle_sha256": sha256}
        stores.state.audit_append(event, actor=by, subject=subject, data={"reason": reason}, at=at)


def _registered(stores: Home, model: str, version: int) -> RegisteredVersion:
    known = {f"{each.model}@{each.version}": each for each in stores.state.versions()}
    if f"{model}@{version}" not in known:
        raise UnknownNameError("model version", f"{model}@{version}", known=known, if_none="Nothing was trained yet.")
    return known[f"{model}@{version}"]


# --- cleaning -------------------------------------------------------------------------------------


def clean(
    stores: Home,
    declared: Iterable[Retention],
    *,
    now: datetime,
    by: str = RETENTION,
    dry_run: bool = False,
    grace: timedelta = DAY,
) -> tuple[Deletion, ...]:
    """Delete what is older than declared, and give what that was, or would be; each goes on record before it goes.

    Versions count by the clock of the machine that wrote them, partitions by the time they are named after. Killed
    halfway, the rest goes the next time, and every version that is to be kept is whole.

    Args:
        stores: Where everything rests.
        declared: Tables and how long they are kept; all others are left alone.
        now: The time to count back from.
        by: Who deletes.
        dry_run: Only say what would go.
        grace: What was written or replaced less long ago stays on disk, whatever is declared.
    """
    with _alone(stores):
        protected = _protected_tables(stores)
        found = []
        for retention in declared:
            if not stores.tables.exists(retention.table):
                continue
            deletion = _older(stores, retention, protected.get(retention.table, {}), now=now, grace=grace)
            if not dry_run and not deletion.nothing:
                _record(stores, retention, deletion, by=by, at=now)
                _delete(stores, retention, deletion, protected.get(retention.table, {}), grace=grace)
            found.append(deletion)
    return tuple(found)


def _protected_tables(stores: Home) -> dict[str, dict[int, tuple[str, ...]]]:
    protected: dict[str, dict[int, tuple[str, ...]]] = defaultdict(lambda: defaultdict(tuple))
    why = protected_versions(stores)
    for version in stores.state.versions():
        reasons = why.get((version.model, version.version))
        for table, number in _inputs(version) if reasons else ():
            protected[table][number] += (f"{version.model}@{version.version} ({', '.join(reasons or ())})",)
    return protected


def _older(
    stores: Home,
    retention: Retention,
    protected: Mapping[int, tuple[str, ...]],
    *,
    now: datetime,
    grace: timedelta,
) -> Deletion:
    before = now - timedelta(days=retention.days)
    past = history(stores.tables, retention.table)
    rows = past[-1].rows
    over = [key for key in _over(rows, retention, before) if _is_measured(stores, retention, key)]
    keep = _kept(past, retention, before, protected)
    files = stores.tables.keep_only(retention.table, keep, dry_run=True, grace=grace)
    logged = {day for key in over for day in days_of(span_of(key, length=retention.partition or DAY))}
    key = tuple(retention.table.split("/"))
    return Deletion(
        table=retention.table,
        before=before,
        versions=tuple(v.version for v in past if v.readable and v.version not in keep) if files else (),
        files=len(files),
        partitions=tuple(key for key in over if rows[key]) if retention.rows_too else (),
        log_days=tuple(sorted(logged & {*_log_days(stores, retention)})),
        records=tuple(sorted({*over} & {*stores.records.partitions(key)})),
        protected={v: protected[v] for v in sorted(protected) if _is_old(version_at(past, v), before)},
    )


def _over(keys: Iterable[str], retention: Retention, before: datetime) -> list[str]:
    """Name the partitions whose time was over before `before`."""
    length = retention.partition
    return [key for key in keys if span_of(key, length=length).end <= before] if length else []


def _is_measured(stores: Home, retention: Retention, key: str) -> bool:
    """Tell whether a window has its reports, without which its predictions are still needed."""
    model = retention.logged_by
    return model is None or key in stores.records.partitions((model, "performance"))


def _log_days(stores: Home, retention: Retention) -> Sequence[str]:
    return predictions.days(stores.predictions, retention.logged_by) if retention.logged_by else ()


def _is_old(version: PastVersion, before: datetime) -> bool:
    return version.replaced_at is not None and version.replaced_at <= before


def _kept(past: Sequence[PastVersion], retention: Retention, before: datetime, protected: Iterable[int]) -> set[int]:
    """Name the versions to keep: the newest, those replaced not long ago, and the protected ones.

    Where rows go too, a version that was replaced lately but holds rows of old partitions is not one of them.
    """
    keep = {past[-1].version, *(version_at(past, number).version for number in protected)}
    for version in past[:-1]:
        held = [key for key, rows in version.rows.items() if rows] if retention.rows_too else []
        if not _is_old(version, before) and not _over(held, retention, before):
            keep.add(version.version)
    return keep


def _delete(
    stores: Home, retention: Retention, deletion: Deletion, protected: Iterable[int], *, grace: timedelta
) -> None:
    table = retention.table
    if deletion.partitions:
        empty = stores.tables.read(table).slice(0, 0)
        gone = {key: {EXPIRED: deletion.before.isoformat()} for key in deletion.partitions}
        stores.tables.write_partitions(table, dict.fromkeys(deletion.partitions, empty), extra=gone)
    keep = _kept(history(stores.tables, table), retention, deletion.before, protected)
    stores.tables.keep_only(table, keep, grace=grace)
    for day in deletion.log_days:
        predictions.forget(stores.predictions, str(retention.logged_by), day)
    for partition in deletion.records:
        stores.records.remove(tuple(table.split("/")), partition)


def _record(stores: Home, retention: Retention, deletion: Deletion, *, by: str, at: datetime) -> None:
    subject = {"table": retention.table} | ({"model": retention.logged_by} if retention.logged_by else {})
    stores.state.audit_append(
        Event.DATA_DELETED,
        actor=by,
        subject=subject,
        data={
            "older_than": deletion.before.isoformat(),
            "versions": list(deletion.versions),
            "files": deletion.files,
            "partitions": list(deletion.partitions),
            "log_days": list(deletion.log_days),
        },
        at=at,
    )


def _alone(stores: Home) -> AbstractContextManager[None]:
    """Keep holds and cleaning apart: what is held while a cleaning runs would be told to be safe, and go."""
    return locked(stores.root / ".retention.lock")
