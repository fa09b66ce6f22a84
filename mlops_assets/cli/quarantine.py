"""`mlops quarantine`: what was held back and why, and how it flows on."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlops_assets.cli.options import HOME, REASON, WHO, project_of

if TYPE_CHECKING:
    from mlops_assets.cli.project import Project

TABLE = click.argument("table")
DAY = click.argument("day", required=False)
LATER = click.option("--later", is_flag=True, help="Put it on record only, and leave the batch where it is.")


@click.group()
def quarantine() -> None:
    """Show what was held back, and let it flow on.

    Rules are waived, batches corrected or judged again. DAY is left out for a table that is read whole.
    """


@quarantine.command(name="list")
@HOME
@click.argument("table", required=False)
def list_(home: str | None, table: str | None) -> None:
    """List batches that are held, blocked or have waived rules."""
    from mlops_assets.cli.held_back import show_list

    show_list(project_of(home), table)


@quarantine.command()
@HOME
@TABLE
@DAY
def show(home: str | None, table: str, day: str | None) -> None:
    """Show the held rows of a batch, and what people said of it.

    Each row stands with rule, value and reason.
    """
    from mlops_assets.cli.held_back import show_batch

    show_batch(project_of(home), table, day)


@quarantine.command()
@HOME
@TABLE
@DAY
@click.option("--rule", "rules", multiple=True, required=True, help="A rule, as `show` names it; may be repeated.")
@REASON
@WHO
@LATER
def waive(
    home: str | None, table: str, day: str | None, rules: tuple[str, ...], reason: str, who: str, later: bool
) -> None:
    """Let rules hold back no row of a batch any more.

    The batch is judged again and driven on. Structure, and keys that must be unique, cannot be waived: tables and
    joins rely on them.
    """
    from mlops_assets.cli.redriving import waive_rules

    project = project_of(home)
    new = waive_rules(project, table, day, rules=rules, reason=reason, who=who, later=later)
    click.echo(f"On record: {', '.join(new)} waived." if new else "Waived before; nothing new is on record.")
    _drive(project, table, day, later=later)


@quarantine.command()
@HOME
@TABLE
@DAY
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The batch as it should have come: Parquet, CSV or JSON lines.",
)
@REASON
@WHO
@LATER
def correct(home: str | None, table: str, day: str | None, file: Path, reason: str, who: str, later: bool) -> None:
    """Let a file stand in for what the source sent.

    It is checked first, then the batch is judged again and driven on. Earlier rows stay in the history of the tables.
    """
    from mlops_assets.cli.redriving import correct_batch

    project = project_of(home)
    click.echo(correct_batch(project, table, day, file=file, reason=reason, who=who, later=later))
    _drive(project, table, day, later=later)


@quarantine.command()
@HOME
@TABLE
@DAY
def redrive(home: str | None, table: str, day: str | None) -> None:
    """Judge a batch again, and compute what depends on it anew."""
    _drive(project_of(home), table, day, later=False)


def _drive(project: "Project", table: str, day: str | None, *, later: bool) -> None:
    from mlops_assets.cli.held_back import outcome
    from mlops_assets.cli.redriving import drive

    if later:
        click.echo(f"Nothing is driven. Do it with: mlops quarantine redrive {table} {day or ''}".rstrip())
        return
    faults = drive(project, table, day)
    click.echo(outcome(project, table, day))
    if faults:
        raise click.ClickException("; ".join(faults))
