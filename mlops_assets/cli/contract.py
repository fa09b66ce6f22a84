"""The commands about contracts: what a table promises, and what a change of it would do."""

import click

from mlops_assets.cli.options import HOME, project_of


@click.group()
def contract() -> None:
    """Show what tables promise, and what a change of it would do."""


@contract.command()
@HOME
@click.argument("table")
def show(home: str | None, table: str) -> None:
    """Show what TABLE promises, and by which version its days were judged."""
    from mlops_assets.cli.showing_contracts import show_contract

    show_contract(project_of(home), table)


@contract.command()
@HOME
@click.argument("table", required=False)
def diff(home: str | None, table: str | None) -> None:
    """Show what is declared otherwise than rows were last judged by, and what that makes of stored rows.

    Ends with exit code 1 if a change would be refused, because it breaks somebody under the same version.
    """
    from mlops_assets.cli.showing_contracts import show_changes

    show_changes(project_of(home), table)
