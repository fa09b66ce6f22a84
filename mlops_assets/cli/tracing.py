"""The commands that trace: where a column comes from, what holds a key, why an answer is so, a version made again."""

import os
import sys
from datetime import UTC, datetime

import click

from mlops_assets.cli.options import ANY_VERSION, HOME, WHO, project_of


@click.command()
@HOME
@click.argument("column", required=False)
@click.option("--down", is_flag=True, help="What it reaches: views, models, versions, endpoints.")
@click.option("--up", is_flag=True, help="What it comes from, back to the sources.")
@click.option("--subject", metavar="KEY", help="Instead: what holds rows of this key, as an erasure request must know.")
@click.option("--column", "key_column", metavar="NAME", help="The column KEY stands in, where several hold it.")
@click.option("--json", "as_json", is_flag=True, help="As data.")
def lineage(
    home: str | None,
    column: str | None,
    down: bool,
    up: bool,
    subject: str | None,
    key_column: str | None,
    as_json: bool,
) -> None:
    """Trace what COLUMN comes from, and what it reaches.

    COLUMN is TABLE.COLUMN, features/VIEW.COLUMN or MODEL.FEATURE, such as flights.arr_delay.
    """
    from mlops_assets.cli.lineage import as_data, as_text
    from mlops_assets.cli.subject import show_subject

    if (column is None) == (subject is None):
        raise click.UsageError("Name a TABLE.COLUMN, VIEW.COLUMN or MODEL.FEATURE, or a key with --subject.")
    if column is None:
        click.echo(show_subject(project_of(home), str(subject), column=key_column, as_json=as_json))
        return
    both = up == down
    shown = as_data if as_json else as_text
    click.echo(shown(project_of(home).lineage, column, up=up or both, down=down or both))


@click.command()
@HOME
@click.argument("table")
@click.argument("conditions", nargs=-1, metavar="[COLUMN=VALUE]...")
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]), help="As a decision then finds it.")
@click.option("--version", type=int, help="Of an older version of the table.")
def rows(home: str | None, table: str, conditions: tuple[str, ...], at: datetime | None, version: int | None) -> None:
    """Show rows of TABLE, or the one that a decision finds.

    TABLE is such as raw/flights, features/weather, MODEL/training_set, or online/weather for what is served. With --at,
    and the keys of a view given, the one row that a decision at that time (UTC) finds.
    """
    from mlops_assets.cli.rows import show_rows

    parted = [condition.partition("=") for condition in conditions]
    if wrong := [name for name, equals, _ in parted if not equals]:
        raise click.UsageError(f"Write COLUMN=VALUE instead of {wrong[0]!r}.")
    wanted = {name: value for name, _, value in parted}
    click.echo(show_rows(project_of(home), table, wanted, at=at and at.replace(tzinfo=UTC), version=version))


@click.command()
@HOME
@click.argument("model")
@click.argument("request_id")
@click.option("--json", "as_json", is_flag=True, help="As data, whole.")
def why(home: str | None, model: str, request_id: str, as_json: bool) -> None:
    """Tell why MODEL answered a request as it did.

    What it saw, what moved the score, what it learnt from, and who let it go live.
    """
    from mlops_assets.cli.why import explain

    click.echo(explain(project_of(home), model, request_id, as_json=as_json))


@click.command()
@HOME
@ANY_VERSION
@click.option(
    "--threads", default="1,2,4", show_default=True, metavar="N,...", help="Numbers of threads to fit on, one fit each."
)
@click.option("--json", "as_json", is_flag=True, help="As data.")
@WHO
def reproduce(home: str | None, version: tuple[str, int | None], threads: str, as_json: bool, who: str) -> None:
    """Fit a version again from its record, and compare it.

    MODEL alone is what is live of it. Every byte is compared; what differs is said, and why. Ends with exit code 1 if
    anything does.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait take ten times as long
    from mlops_assets.cli.reproducing import reproduce_version, said

    outcome = reproduce_version(project_of(home), *version, threads=threads, who=who)
    click.echo(said(outcome, as_json=as_json))
    if not outcome.equal:
        sys.exit(1)


TRACING = (lineage, rows, why, reproduce)
