"""What the platform must not forget: the audit log, approvals, the retraining ledger and the numbers of versions.

One database holds them, SQLite or PostgreSQL behind the same code. Everything in it is only ever added to: triggers
refuse to change or delete a row. Every write holds the database's one write lock from its first read to its commit, so
that numbers have no gaps, each question is answered once, and an acknowledged entry survives a killed process.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mlops_assets import hash_chain
from mlops_assets.errors import StoreError
from mlops_assets.hash_chain import BrokenChainError, Link
from mlops_assets.records import ApprovalDecision, AuditEntry, RetrainingDecision
from mlops_assets.stores._database import Database

SCHEMA_VERSION: Final = 2  # raise it together with a further step in `_migrate`

Record = TypeVar("Record", ApprovalDecision, RetrainingDecision)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware time, kept in UTC; SQLite, which has no zones, keeps it without one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse a time without a zone: nobody could say later when it was."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise StoreError(f"The time {value} has no zone, so its place among others is unknown. Pass it in UTC.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give the time back in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_metadata = sa.MetaData()
_schema = sa.Table("mlops_schema", _metadata, sa.Column("version", sa.Integer, primary_key=True))
_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up by itself only on INTEGER

_audit = sa.Table(
    "mlops_audit",
    _metadata,
    sa.Column("seq", _number, primary_key=True, autoincrement=False),
    sa.Column("previous_sha256", sa.String(64), nullable=False, unique=True),  # two entries cannot follow the same one
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("model", sa.String, index=True),  # a copy from the body, to find entries by
)
_about_tables = sa.Table(  # copies from the bodies of entries about a table, to find them by
    "mlops_audit_tables",
    _metadata,
    sa.Column("seq", _number, primary_key=True, autoincrement=False),
    sa.Column("table_name", sa.String, nullable=False),
    sa.Column("event", sa.String, nullable=False),
    sa.Index("mlops_audit_tables_by_event", "table_name", "event"),
)
_approvals = sa.Table(
    "mlops_approvals",
    _metadata,
    sa.Column("id", _number, primary_key=True, autoincrement=True),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("bundle_sha256", sa.String(64), nullable=False),
    sa.Column("dossier_sha256", sa.String(64), nullable=False),
    sa.Column("approve", sa.Boolean, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Index("mlops_approvals_by_bundle", "model", "bundle_sha256"),
)
_retraining = sa.Table(
    "mlops_retraining",
    _metadata,
    sa.Column("id", _number, primary_key=True, autoincrement=True),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("answers", sa.String, nullable=False),
    sa.Column("retrain", sa.Boolean, nullable=False),
    sa.Column("trigger", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("decided_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("model", "answers"),
)
_versions = sa.Table(
    "mlops_versions",
    _metadata,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("bundle_sha256", sa.String(64), nullable=False),
    sa.Column("record_json", sa.Text, nullable=False),
    sa.UniqueConstraint("model", "bundle_sha256"),
)
_append_only = (_audit, _about_tables, _approvals, _retraining, _versions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """The number a bundle was given among its model's versions, and what was recorded with it."""

    model: str
    version: int
    bundle_sha256: str
    record_json: str


class StateStore:
    """The state database at `url`, made on first use: `sqlite:////path/state.sqlite` or `postgresql://…`.

    Processes and threads may share a database freely, and an instance may cross a fork: no connection outlives a call.

    Raises:
        StoreError: The database cannot be reached, is busy for too long, or belongs to a newer library.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url, holds="audit log, approvals, retraining ledger and version numbers")
        _migrate(self._database)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Keep all that this thread writes inside the block, or, when it is cut off, nothing of it."""
        with self._database.writing():
            yield

    # --- audit log ---

    def audit_append(
        self, event: str, *, actor: str, subject: Mapping[str, Any], data: Mapping[str, Any], at: datetime
    ) -> AuditEntry:
        """Add an entry at the end of the audit log; once it is given back, it is on disk.

        Args:
            event: What happened, as `governance.Event` names it.
            actor: Who did it: a person's account, or what ran on its own (`sensor:retraining`). Never personal data
                beyond that: the log cannot forget.
            subject: What it happened to; its `model` is what `audit_entries(model=…)` finds it by.
            data: What is worth knowing about it, plain JSON.
            at: When it happened, with its zone.

        Raises:
            GovernanceError: `subject` or `data` has no canonical JSON form.
        """
        with self._database.writing() as connection:
            return _entry(_append(connection, _content(event, actor, subject, data, at)))

    def audit_once(
        self, event: str, *, actor: str, subject: Mapping[str, Any], data: Mapping[str, Any], at: datetime
    ) -> AuditEntry:
        """Add an entry as `audit_append` does, or give the one that says the very same, its time included.

        For acts of a run that may be killed and repeated: the repetition is the same act, and no second entry.
        """
        content = _content(event, actor, subject, data, at)
        with self._database.writing() as connection:
            sought = hash_chain.link(None, content).body
            alike = _about(event, content["subject"]).order_by(_audit.c.seq.desc())
            for row in connection.execute(alike):
                if hash_chain.content_of(bytes(row.body)) == hash_chain.content_of(sought):
                    return _entry(_link(row))
            return _entry(_append(connection, content))

    def audit_entries(self, after_seq: int = 0, model: str | None = None) -> tuple[AuditEntry, ...]:
        """Give the entries after number `after_seq` in their order, of one model or of all."""
        query = sa.select(_audit).where(_audit.c.seq > after_seq).order_by(_audit.c.seq)
        if model is not None:
            query = query.where(_audit.c.model == model)
        with self._database.reading() as connection:
            return tuple(_entry(_link(row)) for row in connection.execute(query))

    def audit_of_table(self, table: str, events: Collection[str]) -> tuple[AuditEntry, ...]:
        """Give the entries whose subject is a table, and that tell of one of `events`, in their order."""
        query = _of_table(table, events).order_by(_audit.c.seq)
        with self._database.reading() as connection:
            return tuple(_entry(_link(row)) for row in connection.execute(query))

    def audit_verify(self, receipts: Mapping[int, str] | None = None) -> int:
        """Check the whole audit log and give the number of its entries.

        Args:
            receipts: Digests by entry number that somebody kept elsewhere; they show a log cut short or written anew.

        Raises:
            BrokenChainError: A GovernanceError naming the first entry that is not as it was written.
        """
        with self._database.reading() as connection:
            about = sa.select(_audit, _about_tables.c.table_name, _about_tables.c.event)
            joined = about.outerjoin(_about_tables, _about_tables.c.seq == _audit.c.seq).order_by(_audit.c.seq)
            rows = connection.execution_options(yield_per=1000).execute(joined)
            head = hash_chain.verify(_links_found_by_their_subject(rows), receipts=receipts)
        return head.seq if head else 0

    # --- approvals ---

    def approval_add(self, decision: ApprovalDecision) -> None:
        """Keep what a person decided about a bundle."""
        with self._database.writing() as connection:
            connection.execute(_approvals.insert().values(**asdict(decision)))

    def approvals(self, model: str, bundle_sha256: str) -> tuple[ApprovalDecision, ...]:
        """Give all decisions about a bundle, in the order they were made."""
        query = (
            sa.select(_approvals)
            .where(_approvals.c.model == model, _approvals.c.bundle_sha256 == bundle_sha256)
            .order_by(_approvals.c.id)
        )
        with self._database.reading() as connection:
            return tuple(_record(ApprovalDecision, row) for row in connection.execute(query))

    # --- retraining ledger ---

    def decide_once(self, decision: RetrainingDecision) -> bool:
        """Keep a decision unless the model's evidence `answers` was answered before; say whether it was kept."""
        answered = sa.select(_retraining.c.id).where(
            _retraining.c.model == decision.model, _retraining.c.answers == decision.answers
        )
        with self._database.writing() as connection:
            if connection.execute(answered).first():
                return False
            connection.execute(_retraining.insert().values(**asdict(decision)))
            return True

    def decisions(self, model: str, since: datetime | None = None) -> tuple[RetrainingDecision, ...]:
        """Give the model's decisions from `since` on (inclusive), oldest first."""
        query = sa.select(_retraining).where(_retraining.c.model == model)
        if since is not None:
            query = query.where(_retraining.c.decided_at >= since)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(_retraining.c.decided_at, _retraining.c.id))
            return tuple(_record(RetrainingDecision, row) for row in rows)

    # --- model versions ---

    def register(self, model: str, bundle_sha256: str, record_json: str) -> int:
        """Give the bundle's version number: the one it has, or the next of its model, counting 1, 2, 3 without gaps."""
        with self._database.writing() as connection:
            if (known := connection.execute(_version_query(model, bundle_sha256)).scalar()) is not None:
                return int(known)
            last = connection.execute(
                sa.select(sa.func.coalesce(sa.func.max(_versions.c.version), 0)).where(_versions.c.model == model)
            ).scalar_one()
            connection.execute(
                _versions.insert().values(
                    model=model, version=last + 1, bundle_sha256=bundle_sha256, record_json=record_json
                )
            )
            return int(last + 1)

    def versions(self, model: str | None = None) -> tuple[RegisteredVersion, ...]:
        """Give all registered versions of one model or of all, oldest first."""
        query = sa.select(_versions).order_by(_versions.c.model, _versions.c.version)
        if model is not None:
            query = query.where(_versions.c.model == model)
        with self._database.reading() as connection:
            return tuple(RegisteredVersion(**row._mapping) for row in connection.execute(query))

    def version_of(self, model: str, bundle_sha256: str) -> int | None:
        """Give the bundle's version number; None if it was never registered."""
        with self._database.reading() as connection:
            known = connection.execute(_version_query(model, bundle_sha256)).scalar()
        return None if known is None else int(known)


def _content(
    event: str, actor: str, subject: Mapping[str, Any], data: Mapping[str, Any], at: datetime
) -> dict[str, Any]:
    if at.tzinfo is None:
        raise StoreError(f"The time {at} of {event!r} has no zone. Pass an aware time, best in UTC.", event=event)
    return {
        "event": str(event),
        "actor": actor,
        "subject": dict(subject),
        "data": dict(data),
        "at": at.astimezone(UTC),
    }


def _append(connection: Connection, content: Mapping[str, Any]) -> Link:
    """Add a link at the end of the audit log; the connection holds the write lock."""
    head = connection.execute(sa.select(_audit).order_by(_audit.c.seq.desc()).limit(1)).one_or_none()
    entry = hash_chain.link(_link(head) if head else None, content)
    connection.execute(
        _audit.insert().values(
            seq=entry.seq,
            previous_sha256=entry.previous_sha256,
            sha256=entry.sha256,
            body=entry.body,
            model=_text(content["subject"].get("model")),
        )
    )
    _note_table(connection, entry.seq, content)
    return entry


def _note_table(connection: Connection, seq: int, content: Mapping[str, Any]) -> None:
    if (table := _text(content["subject"].get("table"))) is not None:
        connection.execute(_about_tables.insert().values(seq=seq, table_name=table, event=content["event"]))


# --- the schema -----------------------------------------------------------------------------------


def _migrate(database: Database) -> None:
    """Bring the database to `SCHEMA_VERSION` in one transaction; whoever comes second finds it done."""
    with database.reading() as connection:
        if _schema_version(connection) == SCHEMA_VERSION:
            return
    with database.writing() as connection:
        found = _schema_version(connection)
        if found > SCHEMA_VERSION:
            raise StoreError(
                f"The state database has schema {found}, this library knows up to {SCHEMA_VERSION}: a newer version of "
                "mlops_assets wrote it. Upgrade the library here.",
                found=found,
                known=SCHEMA_VERSION,
            )
        dialect = connection.dialect.name
        if found < 1:
            _metadata.create_all(connection, checkfirst=False)
            for statement in (*_refuse_all_but_the_next(dialect), *_refuse_changes(dialect, _append_only)):
                connection.execute(sa.text(statement))
            connection.execute(_schema.insert().values(version=SCHEMA_VERSION))
            return
        if found < 2:
            _about_tables.create(connection)
            for statement in _refuse_changes(dialect, [_about_tables]):
                connection.execute(sa.text(statement))
            for row in connection.execute(sa.select(_audit.c.seq, _audit.c.body)).all():
                _note_table(connection, row.seq, json.loads(row.body))
        connection.execute(_schema.update().values(version=SCHEMA_VERSION))


def _schema_version(connection: Connection) -> int:
    if not sa.inspect(connection).has_table(_schema.name):
        return 0
    return int(connection.execute(sa.select(_schema.c.version)).scalar_one())


def _refuse_changes(dialect: str, tables: Iterable[sa.Table]) -> Iterator[str]:
    """Give the statements that make tables append-only."""
    for table in tables:
        if dialect == "sqlite":
            for change in ("UPDATE", "DELETE"):
                yield (
                    f"CREATE TRIGGER {table.name}_no_{change.lower()} BEFORE {change} ON {table.name} "
                    f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only: {change} is refused'); END"
                )
            continue
        yield (
            f"CREATE TRIGGER {table.name}_no_change BEFORE UPDATE OR DELETE ON {table.name} "
            "FOR EACH ROW EXECUTE FUNCTION mlops_refuse_change()"
        )
        yield (
            f"CREATE TRIGGER {table.name}_no_truncate BEFORE TRUNCATE ON {table.name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION mlops_refuse_change()"
        )


def _refuse_all_but_the_next(dialect: str) -> Iterator[str]:
    """Give the statements that make the audit log a chain with one end, and what `_refuse_changes` calls."""
    if dialect == "sqlite":
        yield (  # INSERT OR REPLACE deletes without asking the triggers that refuse to
            f"CREATE TRIGGER {_audit.name}_only_next BEFORE INSERT ON {_audit.name} "
            f"WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM {_audit.name}) "
            f"BEGIN SELECT RAISE(ABORT, '{_audit.name} is append-only: only the next entry is taken'); END"
        )
        return
    yield (
        "CREATE FUNCTION mlops_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP; END $$"
    )
    yield (
        "CREATE FUNCTION mlops_only_next() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM {_audit.name}) THEN "
        f"RAISE EXCEPTION '{_audit.name} is append-only: only the next entry is taken'; END IF; RETURN NEW; END $$"
    )
    yield (
        f"CREATE TRIGGER {_audit.name}_only_next BEFORE INSERT ON {_audit.name} "
        "FOR EACH ROW EXECUTE FUNCTION mlops_only_next()"
    )


# --- rows and records -----------------------------------------------------------------------------


def _version_query(model: str, bundle_sha256: str) -> sa.Select[tuple[int]]:
    return sa.select(_versions.c.version).where(_versions.c.model == model, _versions.c.bundle_sha256 == bundle_sha256)


def _link(row: sa.Row[Any]) -> Link:
    return Link(seq=row.seq, previous_sha256=row.previous_sha256, sha256=row.sha256, body=bytes(row.body))


def _of_table(table: str, events: Collection[str]) -> sa.Select[Any]:
    wanted = (_about_tables.c.table_name == table, _about_tables.c.event.in_([str(event) for event in events]))
    return sa.select(_audit).join(_about_tables, _about_tables.c.seq == _audit.c.seq).where(*wanted)


def _about(event: str, subject: Mapping[str, Any]) -> sa.Select[Any]:
    """Select the entries among which one of the same event and subject would be."""
    if (table := _text(subject.get("table"))) is not None:
        return _of_table(table, [event])
    return sa.select(_audit).where(_audit.c.model.is_not_distinct_from(_text(subject.get("model"))))


def _links_found_by_their_subject(rows: sa.CursorResult[Any]) -> Iterator[Link]:
    """Give the links, refusing one that a search by its subject would not find, or would find for another."""
    for row in rows:
        current = _link(row)
        yield current  # first let the chain itself be checked: it names the better reason
        content = json.loads(current.body)
        subject = content.get("subject", {})
        table = _text(subject.get("table"))
        expected = (_text(subject.get("model")), table, None if table is None else content.get("event"))
        if (row.model, row.table_name, row.event) != expected:
            raise BrokenChainError(current.seq, "its columns do not say what its content says")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _entry(link: Link) -> AuditEntry:
    content = json.loads(link.body)
    return AuditEntry(
        seq=link.seq,
        previous_sha256=link.previous_sha256,
        sha256=link.sha256,
        event=content["event"],
        actor=content["actor"],
        subject=content["subject"],
        data=content["data"],
        at=msgspec.convert(content["at"], datetime),
    )


def _record(kind: type[Record], row: sa.Row[Any]) -> Record:
    return kind(**{name: value for name, value in row._mapping.items() if name != "id"})
