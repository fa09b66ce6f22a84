"""A day of the shipped flights, spoilt in one way, through the real ingest and judge; and what became of it."""

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import yaml

import mlops_assets
from mlops_assets.errors import SourceError
from mlops_assets.orchestration.steps.intake.ingesting import ingest, judge
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.sources import FileSource
from mlops_assets.stores.home import Home
from mlops_assets.validation import QualitySuite

FOLDER = Path(mlops_assets.__file__).parent / "defs" / "flights"
DAY, BEFORE = "2013-07-10", "2013-07-09"
WEEK = [(date(2013, 7, 1) + timedelta(days=n)).isoformat() for n in range(9)]  # what is usual is known by then
AT = datetime(2013, 7, 11, 1, tzinfo=UTC)
SUITE = QualitySuite.load(FOLDER / "flights_suite.json")
DECLARED = TableDeclaration.model_validate(
    next(yaml.safe_load_all((FOLDER / "defs.yaml").read_text(encoding="utf-8")))["attributes"]
)
AS_CSV = DECLARED.model_copy(
    update={
        "source": FileSource(
            paths=("{landing}/flights/{partition}.csv",),
            types={name: rule.type for name, rule in DECLARED.contract.columns.items()},
        )
    }
)

End = Literal["blocked", "quarantined", "warned", "accepted"]
Rows = Callable[[pa.Table, pa.Table], pa.Table]
File = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of bad data: what is done to a day, and how that must end.

    `rows` gets the day and the day before; `file` gets the day as CSV. `accepted` says why nothing is held back, and
    `right` what must then have been let through; by default the day as it was before it was spoilt.
    """

    name: str
    what: str
    ends: End
    rows: Rows | None = None
    file: File | None = None
    accepted: str = ""
    right: Rows | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a spoilt day: how it ended, what said so, and the rows that were let through and held."""

    ends: End
    by: str
    held: int
    raw: list[dict[str, Any]]
    validated: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]


def day(which: str = DAY) -> pa.Table:
    """Give a day of the archive, as it should come."""
    return DECLARED.source.read(_span(which), variables={"here": str(FOLDER), "landing": "nothing has landed"})


def csv(rows: pa.Table) -> bytes:
    """Give rows as the CSV file of an honest sender."""
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(rows, buffer, pyarrow.csv.WriteOptions(quoting_style="needed"))
    return buffer.getvalue()


def week_before(root: Path) -> Home:
    """Give a home with the week before the day in it."""
    home = Home(root, settings={})
    ingest(DECLARED, home, WEEK, folder=FOLDER, at=AT)
    assert not judge(DECLARED, home, WEEK, SUITE, at=AT).blocked
    return home


def outcome(kind: Kind, week: Home, root: Path) -> Outcome:
    """Let a spoilt day arrive after its week, and tell what became of it."""
    shutil.copytree(week.root, root)
    home = Home(root, settings={})
    declared = AS_CSV if kind.file else DECLARED
    path = home.landing / "flights" / f"{DAY}.{'csv' if kind.file else 'parquet'}"
    path.parent.mkdir(parents=True)
    if kind.file:
        path.write_bytes(kind.file(csv(day())))
    elif kind.rows:
        pq.write_table(kind.rows(day(), day(BEFORE)), path)
    try:
        came = ingest(declared, home, [DAY], folder=FOLDER, at=AT)
    except SourceError:
        return _outcome(home, "blocked", "the source: it cannot be read")
    if came.misfits:
        return _outcome(home, "blocked", "structure")
    if came.late:
        return _outcome(home, "blocked", "arrived")
    judged = judge(declared, home, [DAY], SUITE, at=AT)
    unmet = [each.rule for each in judged.newest.expectations if not each.success]
    if judged.blocked:
        return _outcome(
            home, "blocked", ", ".join(sorted(judged.rules, key=lambda r: -judged.rules[r])[:3] or unmet[:3])
        )
    if judged.refused_rows:
        return _outcome(home, "quarantined", ", ".join(judged.rules))
    return _outcome(home, "warned" if unmet else "accepted", ", ".join(unmet))


def _outcome(home: Home, ends: End, by: str) -> Outcome:
    raw, validated, held = (_stored(home, f"{stage}/flights") for stage in ("raw", "validated", "quarantine"))
    return Outcome(ends, by, len(held), raw, validated, held)


def _stored(home: Home, table: str) -> list[dict[str, Any]]:
    if not home.tables.exists(table) or DAY not in home.tables.partitions(table):
        return []
    return home.tables.read(table, partitions=[DAY]).to_pylist()


def _span(which: str) -> Any:
    from mlops_assets.records import Span

    return Span.day(which)
