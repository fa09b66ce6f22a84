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
    """Show what TABLE promises, and what its days were judged by."""
    from mlops_assets.cli.showing_contracts import show_contract

    show_contract(project_of(home), table)


@contract.command()
@HOME
@click.argument("table", required=False)
def diff(home: str | None, table: str | None) -> None:
    """Show what has changed since rows were last judged.

    What is declared otherwise than they were judged by, and how many stored rows that would refuse or free. Ends with
    exit code 1 if a change would be refused, because it breaks somebody under the same version.
    """
    from mlops_assets.cli.showing_contracts import show_changes

    show_changes(project_of(home), table)
