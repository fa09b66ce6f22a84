"""The tables of the state database, the triggers that make them append-only, and the way up from an older schema."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mlops_assets.errors import StoreError
from mlops_assets.stores._database import Database

SCHEMA_VERSION: Final = 2  # raise it together with a further step in `migrate`


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

AUDIT = sa.Table(
    "mlops_audit",
    _metadata,
    sa.Column("seq", _number, primary_key=True, autoincrement=False),
    sa.Column("previous_sha256", sa.String(64), nullable=False, unique=True),  # two entries cannot follow the same one
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("model", sa.String, index=True),  # a copy from the body, to find entries by
)
AUDIT_TABLES = sa.Table(  # copies from the bodies of entries about a table, to find them by
    "mlops_audit_tables",
    _metadata,
    sa.Column("seq", _number, primary_key=True, autoincrement=False),
    sa.Column("table_name", sa.String, nullable=False),
    sa.Column("event", sa.String, nullable=False),
    sa.Index("mlops_audit_tables_by_event", "table_name", "event"),
)
APPROVALS = sa.Table(
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
RETRAINING = sa.Table(
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
VERSIONS = sa.Table(
    "mlops_versions",
    _metadata,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("bundle_sha256", sa.String(64), nullable=False),
    sa.Column("record_json", sa.Text, nullable=False),
    sa.UniqueConstraint("model", "bundle_sha256"),
)
_append_only = (AUDIT, AUDIT_TABLES, APPROVALS, RETRAINING, VERSIONS)


def migrate(database: Database) -> None:
    """Bring the database to `SCHEMA_VERSION` in one transaction; whoever comes second finds it done."""
    with database.reading() as connection:
        if _version_in(connection) == SCHEMA_VERSION:
            return
    with database.writing() as connection:
        found = _version_in(connection)
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
            AUDIT_TABLES.create(connection)
            for statement in _refuse_changes(dialect, [AUDIT_TABLES]):
                connection.execute(sa.text(statement))
            for row in connection.execute(sa.select(AUDIT.c.seq, AUDIT.c.body)).all():
                note_table(connection, row.seq, json.loads(row.body))
        connection.execute(_schema.update().values(version=SCHEMA_VERSION))


def _version_in(connection: Connection) -> int:
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
            f"CREATE TRIGGER {AUDIT.name}_only_next BEFORE INSERT ON {AUDIT.name} "
            f"WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM {AUDIT.name}) "
            f"BEGIN SELECT RAISE(ABORT, '{AUDIT.name} is append-only: only the next entry is taken'); END"
        )
        return
    yield (
        "CREATE FUNCTION mlops_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP; END $$"
    )
    yield (
        "CREATE FUNCTION mlops_only_next() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM {AUDIT.name}) THEN "
        f"RAISE EXCEPTION '{AUDIT.name} is append-only: only the next entry is taken'; END IF; RETURN NEW; END $$"
    )
    yield (
        f"CREATE TRIGGER {AUDIT.name}_only_next BEFORE INSERT ON {AUDIT.name} "
        "FOR EACH ROW EXECUTE FUNCTION mlops_only_next()"
    )


def note_table(connection: Connection, seq: int, content: Mapping[str, Any]) -> None:
    """Note of an audit entry about a table which table that is, so that the entry is found by it."""
    if (table := text_of(content["subject"].get("table"))) is not None:
        connection.execute(AUDIT_TABLES.insert().values(seq=seq, table_name=table, event=content["event"]))


def text_of(value: Any) -> str | None:
    """Give a member of a subject as the columns hold it."""
    return None if value is None else str(value)
