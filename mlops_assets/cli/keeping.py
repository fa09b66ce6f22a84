"""What the commands about kept data do: the versions of a table, retention, and legal holds."""

import getpass
from datetime import datetime

import click
from rich.table import Table

from mlops_assets.cli.printing import console
from mlops_assets.cli.project import Project
from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.resources import now
from mlops_assets.orchestration.retention import declared_retention, said
from mlops_assets.orchestration.steps.archive import keeping
from mlops_assets.stores.history import PastVersion, history, version_at

SHOWN = 20


def show_table(project: Project, table: str, number: int | None) -> None:
    """Print the newest versions of a table, or one of them with its partitions."""
    tables, models = project.home.tables, keeping.trained_on(project.home).get(table, {})
    past = history(tables, table)
    readers: dict[int, list[str]] = {}
    for read, names in models.items():
        readers.setdefault(version_at(past, read).version, []).extend(names)
    if number is None:
        _show_versions(table, past, readers)
        return
    stored, version = tables.version(table, number), version_at(past, number)
    click.echo(f"{table} version {number}, written {_time(version.at)}, {sum(version.rows.values())} rows")
    click.echo(f"digest      {stored.sha256}")
    click.echo(f"replaced    {_time(version.replaced_at) if version.replaced_at else 'not yet'}")
    click.echo(f"readable    {'yes' if version.readable else 'no: retention has deleted files of it'}")
    click.echo(f"trained on  {', '.join(readers.get(version.version, [])) or 'no model'}")
    click.echo(f"columns     {', '.join(f'{column.name} {column.dtype}' for column in stored.columns)}")
    for key, digest in stored.partitions.items():
        click.echo(f"  {key}  {version.rows[key]:>9} rows  {digest}")


def _show_versions(table: str, past: tuple[PastVersion, ...], readers: dict[int, list[str]]) -> None:
    shown = Table("version", "written", "rows", "digest", "changed", "models trained on it", "readable", title=table)
    newest = past[-SHOWN:]
    for version in (v for v in past if v in newest or v.version in readers):
        changed = [key for key in version.written if key]
        shown.add_row(
            str(version.version),
            _time(version.at),
            str(sum(version.rows.values())),
            version.sha256[:12],
            f"{len(changed)} partitions, {changed[0]} to {changed[-1]}" if len(changed) > 1 else "".join(changed),
            ", ".join(readers.get(version.version, [])),
            "yes" if version.readable else "deleted",
        )
    out = console()
    out.print(shown)
    if len(past) > shown.row_count:
        out.print(f"{len(past) - shown.row_count} older versions, on which no model was trained, are not shown.")


def run_retention(project: Project, *, dry_run: bool) -> None:
    """Delete what is older than declared, or say what would go.

    Raises:
        DeclarationError: No declaration says how long anything is kept.
    """
    declared = declared_retention(project.tables, project.views, project.models)
    if not declared:
        raise DeclarationError(
            "No table, view or model of this project declares `retention_days`, so everything is kept for ever. "
            "Declare it in a defs.yaml to have old versions deleted."
        )
    done = keeping.clean(project.home, declared, now=now(project.home), by=getpass.getuser(), dry_run=dry_run)
    for deletion in done:
        click.echo(said(deletion))
    click.echo("Nothing was deleted: this was a trial." if dry_run else "What was deleted is in the audit log.")


def change_hold(project: Project, model: str, number: int, *, reason: str, who: str, release: bool) -> list[str]:
    """Place or release a hold on a version; give what of its data had been deleted before it was held.

    Raises:
        UnknownNameError: There is no such version.
        GovernanceError: The hold is as it was to become.
    """
    at = now(project.home)
    if release:
        keeping.release_hold(project.home, model, number, by=who, reason=reason, at=at)
        return []
    return keeping.place_hold(project.home, model, number, by=who, reason=reason, at=at)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
