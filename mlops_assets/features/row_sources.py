"""What decides which rows of its tables a view's SQL counts: conditions, joins, groups. No value need come from it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

_CLAUSES = ("joins", "where", "group", "having", "qualify", "distinct", "order")


def row_sources_of(
    sql: str, *, tables: Mapping[str, str], columns: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, str], ...]:
    """Give the (table, column) pairs by which a query chooses, joins or groups rows, in sub-queries too.

    Args:
        sql: The view's SQL.
        tables: Table name by alias.
        columns: Column names by table name.
    """
    schema: dict[str, object] = {
        alias: dict.fromkeys(columns[table], "text") for alias, table in tables.items() if table in columns
    }
    query = qualify(
        sqlglot.parse_one(sql, read="duckdb"), schema=schema, dialect="duckdb", validate_qualify_columns=False
    )
    found = {
        (tables[alias], column)
        for scope in traverse_scope(query)
        for clause in _clauses(_select(scope))
        for node in clause.find_all(exp.Column)
        for alias, column in _origins(scope, node)
        if alias in tables
    }
    return tuple(sorted(found))


def _select(scope: Scope) -> exp.Query:
    query = scope.expression
    assert isinstance(query, exp.Query)
    return query


def _clauses(select: exp.Query) -> Iterator[Any]:
    for name in _CLAUSES:
        part = select.args.get(name)
        yield from part if isinstance(part, list) else [part] if isinstance(part, exp.Expression) else []
    group = select.args.get("group")
    if select.args.get("distinct") or (group and group.args.get("all")):  # by whatever it gives and does not aggregate
        yield from (each for each in select.selects if not each.find(exp.AggFunc))


def _origins(scope: Scope | None, column: exp.Column) -> Iterator[tuple[str, str]]:
    """Give the alias and column of the tables that `column` is computed from, through sub-queries."""
    while scope is not None and column.table not in scope.sources:
        scope = scope.parent  # a sub-query may look at the query around it
    source = scope.sources[column.table] if scope else None
    if isinstance(source, exp.Table):
        yield source.name, column.name
    elif isinstance(source, Scope):
        names = [select.alias_or_name for select in _select(source).selects]
        for part in _parts(source) if column.name in names else ():
            for node in _select(part).selects[names.index(column.name)].find_all(exp.Column):
                yield from _origins(part, node)


def _parts(scope: Scope) -> Iterator[Scope]:
    """Give the SELECTs of a UNION, or the one SELECT itself."""
    inner = {id(each.expression): each for each in scope.traverse()}
    waiting: list[Any] = [scope.expression]
    while waiting:
        query = waiting.pop().unnest()
        if isinstance(query, exp.SetOperation):
            waiting += [query.this, query.expression]
        elif id(query) in inner:
            yield inner[id(query)]
