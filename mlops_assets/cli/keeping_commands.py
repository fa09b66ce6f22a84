"""The commands about kept data: `table`, `retention`, `hold`, `release-hold`."""

import click

from mlops_assets.cli.options import HOME, REASON, VERSION, WHO, project_of


@click.command()
@HOME
@click.argument("table")
@click.option("--version", "number", type=int, help="Show this version, with its partitions.")
def table(home: str | None, table: str, number: int | None) -> None:
    """Show the versions of TABLE, and who was trained on them.

    TABLE is such as validated/flights. Each version stands with its time, rows and digest.
    """
    from mlops_assets.cli.keeping import show_table

    show_table(project_of(home), table, number)


@click.command()
@HOME
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
def retention(home: str | None, dry_run: bool) -> None:
    """Delete what is older than declared, and not protected.

    What a live, approved or held model was trained on is never deleted.
    """
    from mlops_assets.cli.keeping import run_retention

    run_retention(project_of(home), dry_run=dry_run)


@click.command()
@HOME
@VERSION
@REASON
@WHO
def hold(home: str | None, version: tuple[str, int], reason: str, who: str) -> None:
    """Keep what MODEL@V was trained on, whatever retention says.

    Until the hold is released.
    """
    from mlops_assets.cli.keeping import change_hold

    model, number = version
    late = change_hold(project_of(home), model, number, reason=reason, who=who, release=False)
    click.echo(f"{model}@{number} is held; the audit log says why.")
    if late:
        raise click.ClickException(f"Too late for {', '.join(late)}: retention had deleted files of it before.")


@click.command("release-hold")
@HOME
@VERSION
@REASON
@WHO
def release_hold(home: str | None, version: tuple[str, int], reason: str, who: str) -> None:
    """Release the hold on MODEL@V.

    Retention may then delete what nothing else protects.
    """
    from mlops_assets.cli.keeping import change_hold

    model, number = version
    change_hold(project_of(home), model, number, reason=reason, who=who, release=True)
    click.echo(f"{model}@{number} is held no longer; the audit log says why.")


KEEPING = (table, retention, hold, release_hold)
