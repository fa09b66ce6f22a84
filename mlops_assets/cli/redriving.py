"""Batches that were held back: what people decide about them, and the runs that drive them on."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from mlops_assets.cli.project import Project
from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.feature_table import FeatureTableDeclaration
from mlops_assets.orchestration.partitions import DAY, days_of, span_of
from mlops_assets.orchestration.resources import now
from mlops_assets.orchestration.steps.intake.contracts import contract_of
from mlops_assets.orchestration.steps.intake.redriving import correct, needs_source, waive
from mlops_assets.orchestration.steps.intake.standing import Key
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import Span
from mlops_assets.sources import FileSource
from mlops_assets.validation import QualitySuite


def waive_rules(
    project: Project, table: str, day: str | None, *, rules: Iterable[str], reason: str, who: str, later: bool
) -> tuple[str, ...]:
    """Put a waiver on record, and give the rules that were not waived before."""
    folder, declared, key = batch_of(project, table, day)
    suite = QualitySuite.load(folder / declared.suite) if declared.suite else None
    by, at = who, now(project.home)
    return waive(declared, suite, project.home, key, rules=rules, reason=reason, by=by, at=at, later=later)


def correct_batch(
    project: Project, table: str, day: str | None, *, file: Path, reason: str, who: str, later: bool
) -> str:
    """Put the rows of a file in the place of a batch, and say what came of it."""
    folder, declared, key = batch_of(project, table, day)
    types = {name: rule.type for name, rule in contract_of(declared, key).columns.items()}
    rows = FileSource(paths=(str(file.absolute()),), types=types).read(None, variables={})
    by, at = who, now(project.home)
    new = correct(declared, project.home, key, rows, folder=folder, reason=reason, by=by, at=at, later=later)
    if not new:
        return "Corrected so before; nothing new is on record."
    return f"On record: {rows.num_rows} rows from {file} stand in for what the source sent."


def drive(project: Project, table: str, day: str | None) -> list[str]:
    """Judge a batch again and compute the views that read it anew; give what went wrong, nothing if nothing did."""
    _, declared, key = batch_of(project, table, day)
    time = now(project.home)
    stages = (
        ("raw", "validated", "quarantine") if needs_source(declared, project.home, key) else ("validated", "quarantine")
    )
    own = [f"{stage}/{table}" for stage in stages]
    readers = {name: view for name, (_, view) in project.views.items() if table in view.tables.values()}
    if key is None:
        whole = [f"features/{name}" for name, view in readers.items() if view.partitions is None]
        return project.refresh_whole_tables(now=time, only=[*own, *whole])
    if faults := project.refresh([key], now=time, only=own):
        return faults
    together: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, view in readers.items():
        for days in _days_that_read(project, name, view, key):
            together[tuple(days)].append(f"features/{name}")
    return [fault for days, views in together.items() for fault in project.refresh(days, now=time, only=views)]


def _days_that_read(project: Project, name: str, view: FeatureTableDeclaration, day: str) -> list[list[str]]:
    """Give the days of a view that read a day's batch, in unbroken stretches: the day itself, and later ones it has.

    The day itself only if every table that the view reads has it, as in a refresh.
    """
    tables = project.home.tables
    span = span_of(day, length=DAY * (view.lookback_days + 1))
    there = set(tables.partitions(f"features/{name}")) if tables.exists(f"features/{name}") else set()
    daily = [table for table in view.tables.values() if project.tables[table][1].partitions]
    if all(tables.exists(f"validated/{table}") and day in tables.partitions(f"validated/{table}") for table in daily):
        there.add(day)
    stretches: list[list[str]] = [[]]
    for each in days_of(Span(span.start, span.end)):
        if each in there:
            stretches[-1].append(each)
        elif stretches[-1]:
            stretches.append([])
    return [days for days in stretches if days]


def batch_of(project: Project, table: str, day: str | None) -> tuple[Path, TableDeclaration, Key]:
    """Give the folder, the declaration and the key of a batch.

    Raises:
        UnknownNameError: There is no such table.
        DeclarationError: A day was given for a table that has none, none for one that has, or one out of its range.
    """
    folder, declared = project.table(table)
    if declared.partitions is None:
        if day is not None:
            raise DeclarationError(f"{table} is read whole and has no days. Leave the day out.")
        return folder, declared, None
    if day is None:
        raise DeclarationError(f"{table} comes in days. Say which, such as {declared.partitions.start}.")
    try:
        known = date.fromisoformat(day).isoformat() == day and declared.partitions.start <= date.fromisoformat(day)
    except ValueError:
        known = False
    if not known:
        raise DeclarationError(f"{day!r} is no day of {table}, which begins on {declared.partitions.start}.", day=day)
    return folder, declared, day
