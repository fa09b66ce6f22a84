"""Contracts, and what changed in them, as text."""

from itertools import groupby

import click
from rich.table import Table

from mlops_assets.cli.printing import console
from mlops_assets.cli.project import Project
from mlops_assets.errors import examples
from mlops_assets.orchestration.steps.intake.contracts import (
    CONTRACTS,
    NOTE,
    changes_since,
    effects,
    in_use,
    refusal_of,
)
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import ContractVersion
from mlops_assets.stores.home import Home
from mlops_assets.validation import ColumnRule


def show_contract(project: Project, table: str) -> None:
    """Print columns, rules and keys of a table, and by which contract each of its days was judged."""
    declared = project.table(table)[1]
    promised, used = declared.contract, in_use(project.home, table)
    since = f", in use since {used.since:%Y-%m-%d %H:%M} UTC" if used and used.version == promised.version else ""
    columns = Table("column", "type", "may be missing", "values", "meaning", expand=True)
    for name, rule in promised.columns.items():
        columns.add_row(name, rule.type, "yes" if rule.nullable else "", _values(rule), rule.meaning)
    out = console()
    out.print(f"{table}, version {promised.version}{since}", highlight=False)
    out.print(columns)
    for name, condition in promised.rules.items():
        missing = ", and nothing it needs may be missing" if condition.missing == "breaks" else ""
        click.echo(f"rule {name}: {condition.holds}{missing}. {condition.because}")
    for key in promised.keys:
        click.echo(f"told apart by {', '.join(key)}")
    click.echo(f"blocked above {promised.max_quarantined_share:.2%} bad rows")
    for judged in _judged(project.home, table):
        click.echo(judged)


def show_changes(project: Project, table: str | None) -> None:
    """Print what is declared otherwise than in use, table by table.

    Raises:
        click.ClickException: A change would be refused.
    """
    refused = []
    for name in [table] if table else sorted(project.tables):
        declared = project.table(name)[1]
        _show_change(project, declared)
        if why := refusal_of(declared, project.home):
            refused.append(why)
    if refused:
        raise click.ClickException("\n".join(refused))


def _show_change(project: Project, declared: TableDeclaration) -> None:
    used = in_use(project.home, declared.table)
    if used is None:
        click.echo(f"{declared.table}: no rows were judged yet.")
        return
    different = changes_since(declared, used)
    raised = declared.contract.version - used.version
    version = f"version {used.version}" + (f" became {declared.contract.version}" if raised else "")
    if not different:
        click.echo(f"{declared.table}: as in use, {version}.")
        return
    click.echo(f"{declared.table}: {version}, {len(different)} changes since {used.since:%Y-%m-%d %H:%M} UTC.")
    for change in different:
        click.echo(f"  {change}")
    days = Table("partition", "rows", "newly refused", "freed", "")
    found = list(effects(declared, project.home, used))
    for key, each in found:
        if each:
            blocked = "blocked" if each.blocked else ""
            days.add_row(key or "whole", str(each.rows), str(each.newly_refused), str(each.freed), blocked)
    if days.row_count:
        console().print(days)
    refused, freed = sum(each.newly_refused for _, each in found), sum(each.freed for _, each in found)
    click.echo(
        f"  Of {sum(each.rows for _, each in found)} stored rows {refused} would newly be refused and {freed} freed, "
        f"{sum(each.blocked for _, each in found)} of {len(found)} partitions blocked."
    )


def _values(rule: ColumnRule) -> str:
    said = [
        f"at least {rule.min}" if rule.min is not None else "",
        f"at most {rule.max}" if rule.max is not None else "",
        f"one of {examples(rule.isin)}" if rule.isin else "",
        f"like {rule.regex}" if rule.regex else "",
        "each once" if rule.unique else "",
    ]
    return ", ".join(filter(None, said))


def _judged(home: Home, table: str) -> list[str]:
    """Say which partitions were judged by which contract, in runs of days."""
    stored = f"validated/{table}"
    if not home.tables.exists(stored):
        return []
    versions = {
        digest: home.records.get((CONTRACTS, table), digest, ContractVersion).version
        for digest in home.records.partitions((CONTRACTS, table))
    }
    by_key = sorted((key, content.extra.get(NOTE, "")) for key, content in home.tables.contents(stored).items())
    said = []
    for digest, run in groupby(by_key, key=lambda each: each[1]):
        keys = [key or "the whole table" for key, _ in run]
        when = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}, {len(keys)} partitions,"
        by = f"version {versions[digest]} ({digest[:8]})" if digest in versions else "a contract nobody noted"
        said.append(f"{when} judged by {by}")
    return said
