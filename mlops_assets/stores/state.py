"""What the platform must not forget: the audit log, approvals, the retraining ledger and the numbers of versions.

One database holds them, SQLite or PostgreSQL behind the same code. Everything in it is only ever added to: triggers
refuse to change or delete a row. Every write holds the database's one write lock from its first read to its commit, so
that numbers have no gaps, each question is answered once, and an acknowledged entry survives a killed process.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mlops_assets import hash_chain
from mlops_assets.errors import StoreError
from mlops_assets.hash_chain import BrokenChainError, Link
from mlops_assets.records import ApprovalDecision, AuditEntry, RetrainingDecision
from mlops_assets.stores._database import Database
from mlops_assets.stores._state_schema import (
    APPROVALS,
    AUDIT,
    AUDIT_TABLES,
    RETRAINING,
    VERSIONS,
    migrate,
    note_table,
    text_of,
)

Record = TypeVar("Record", ApprovalDecision, RetrainingDecision)


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
        migrate(self._database)

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
            alike = _about(event, content["subject"]).order_by(AUDIT.c.seq.desc())
            for row in connection.execute(alike):
                if hash_chain.content_of(bytes(row.body)) == hash_chain.content_of(sought):
                    return _entry(_link(row))
            return _entry(_append(connection, content))

    def audit_entries(self, after_seq: int = 0, model: str | None = None) -> tuple[AuditEntry, ...]:
        """Give the entries after number `after_seq` in their order, of one model or of all."""
        query = sa.select(AUDIT).where(AUDIT.c.seq > after_seq).order_by(AUDIT.c.seq)
        if model is not None:
            query = query.where(AUDIT.c.model == model)
        with self._database.reading() as connection:
            return tuple(_entry(_link(row)) for row in connection.execute(query))

    def audit_of_table(self, table: str, events: Collection[str]) -> tuple[AuditEntry, ...]:
        """Give the entries whose subject is a table, and that tell of one of `events`, in their order."""
        query = _of_table(table, events).order_by(AUDIT.c.seq)
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
            about = sa.select(AUDIT, AUDIT_TABLES.c.table_name, AUDIT_TABLES.c.event)
            joined = about.outerjoin(AUDIT_TABLES, AUDIT_TABLES.c.seq == AUDIT.c.seq).order_by(AUDIT.c.seq)
            rows = connection.execution_options(yield_per=1000).execute(joined)
            head = hash_chain.verify(_links_found_by_their_subject(rows), receipts=receipts)
        return head.seq if head else 0

    # --- approvals ---

    def approval_add(self, decision: ApprovalDecision) -> None:
        """Keep what a person decided about a bundle."""
        with self._database.writing() as connection:
            connection.execute(APPROVALS.insert().values(**asdict(decision)))

    def approvals(self, model: str, bundle_sha256: str) -> tuple[ApprovalDecision, ...]:
        """Give all decisions about a bundle, in the order they were made."""
        query = (
            sa.select(APPROVALS)
            .where(APPROVALS.c.model == model, APPROVALS.c.bundle_sha256 == bundle_sha256)
            .order_by(APPROVALS.c.id)
        )
        with self._database.reading() as connection:
            return tuple(_record(ApprovalDecision, row) for row in connection.execute(query))

    # --- retraining ledger ---

    def decide_once(self, decision: RetrainingDecision) -> bool:
        """Keep a decision unless the model's evidence `answers` was answered before; say whether it was kept."""
        answered = sa.select(RETRAINING.c.id).where(
            RETRAINING.c.model == decision.model, RETRAINING.c.answers == decision.answers
        )
        with self._database.writing() as connection:
            if connection.execute(answered).first():
                return False
            connection.execute(RETRAINING.insert().values(**asdict(decision)))
            return True

    def decisions(self, model: str, since: datetime | None = None) -> tuple[RetrainingDecision, ...]:
        """Give the model's decisions from `since` on (inclusive), oldest first."""
        query = sa.select(RETRAINING).where(RETRAINING.c.model == model)
        if since is not None:
            query = query.where(RETRAINING.c.decided_at >= since)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(RETRAINING.c.decided_at, RETRAINING.c.id))
            return tuple(_record(RetrainingDecision, row) for row in rows)

    # --- model versions ---

    def register(self, model: str, bundle_sha256: str, record_json: str) -> int:
        """Give the bundle's version number: the one it has, or the next of its model, counting 1, 2, 3 without gaps."""
        with self._database.writing() as connection:
            if (known := connection.execute(_version_query(model, bundle_sha256)).scalar()) is not None:
                return int(known)
            last = connection.execute(
                sa.select(sa.func.coalesce(sa.func.max(VERSIONS.c.version), 0)).where(VERSIONS.c.model == model)
            ).scalar_one()
            connection.execute(
                VERSIONS.insert().values(
                    model=model, version=last + 1, bundle_sha256=bundle_sha256, record_json=record_json
                )
            )
            return int(last + 1)

    def versions(self, model: str | None = None) -> tuple[RegisteredVersion, ...]:
        """Give all registered versions of one model or of all, oldest first."""
        query = sa.select(VERSIONS).order_by(VERSIONS.c.model, VERSIONS.c.version)
        if model is not None:
            query = query.where(VERSIONS.c.model == model)
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
    head = connection.execute(sa.select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(1)).one_or_none()
    entry = hash_chain.link(_link(head) if head else None, content)
    connection.execute(
        AUDIT.insert().values(
            seq=entry.seq,
            previous_sha256=entry.previous_sha256,
            sha256=entry.sha256,
            body=entry.body,
            model=text_of(content["subject"].get("model")),
        )
    )
    note_table(connection, entry.seq, content)
    return entry


def _version_query(model: str, bundle_sha256: str) -> sa.Select[tuple[int]]:
    return sa.select(VERSIONS.c.version).where(VERSIONS.c.model == model, VERSIONS.c.bundle_sha256 == bundle_sha256)


def _link(row: sa.Row[Any]) -> Link:
    return Link(seq=row.seq, previous_sha256=row.previous_sha256, sha256=row.sha256, body=bytes(row.body))


def _of_table(table: str, events: Collection[str]) -> sa.Select[Any]:
    wanted = (AUDIT_TABLES.c.table_name == table, AUDIT_TABLES.c.event.in_([str(event) for event in events]))
    return sa.select(AUDIT).join(AUDIT_TABLES, AUDIT_TABLES.c.seq == AUDIT.c.seq).where(*wanted)


def _about(event: str, subject: Mapping[str, Any]) -> sa.Select[Any]:
    """Select the entries among which one of the same event and subject would be."""
    if (table := text_of(subject.get("table"))) is not None:
        return _of_table(table, [event])
    return sa.select(AUDIT).where(AUDIT.c.model.is_not_distinct_from(text_of(subject.get("model"))))


def _links_found_by_their_subject(rows: sa.CursorResult[Any]) -> Iterator[Link]:
    """Give the links, refusing one that a search by its subject would not find, or would find for another."""
    for row in rows:
        current = _link(row)
        yield current  # first let the chain itself be checked: it names the better reason
        content = json.loads(current.body)
        subject = content.get("subject", {})
        table = text_of(subject.get("table"))
        expected = (text_of(subject.get("model")), table, None if table is None else content.get("event"))
        if (row.model, row.table_name, row.event) != expected:
            raise BrokenChainError(current.seq, "its columns do not say what its content says")


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
