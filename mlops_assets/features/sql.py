"""Reading the SQL of a view before any data is there: what it asks of which table, and what it must not ask."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.lineage import lineage as trace

from mlops_assets.errors import UnknownNameError

PARAMETERS = ("partition_start", "partition_end")

# Functions whose answer depends on when or how often they run; a view computed again must come out the same.
UNREPEATABLE = frozenset({
    "currentdate", "currenttime", "currenttimestamp", "currenttimestampltz", "localtime", "localtimestamp",
    "now", "today", "get_current_time", "get_current_timestamp",
    "rand", "random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "nextval",
})  # fmt: skip


def parse(sql: str, *, tables: Iterable[str]) -> exp.Query:
    """Give the tree of one SELECT over the aliases in `tables`.

    Raises:
        ValueError: It is not one SELECT, uses an alias or parameter not known, or asks for the clock or for chance.
    """
    try:
        statements = [statement for statement in sqlglot.parse(sql, read="duckdb") if statement is not None]
    except ParseError as error:
        fault = error.errors[0]
        raise ValueError(
            f"the SQL cannot be read: {fault.get('description')} at line {fault.get('line')}, "
            f"column {fault.get('col')}, near {fault.get('highlight')!r}"
        ) from error
    except TokenError as error:
        raise ValueError(f"the SQL cannot be read: {error}") from error
    if len(statements) != 1 or not isinstance(query := statements[0], exp.Query):
        raise ValueError("the SQL of a view is exactly one SELECT")
    known = {*tables, *(cte.alias for cte in query.find_all(exp.CTE))}
    for table in query.find_all(exp.Table):
        if table.name and table.name not in known:  # a table function has no name; DuckDB keeps it from files
            raise UnknownNameError("table alias", table.name, known=known)
    for name in parameters(query):
        if name not in PARAMETERS:
            raise UnknownNameError("parameter", f"${name}", known=[f"${known}" for known in PARAMETERS])
    for function in query.find_all(exp.Func):
        called = function.name.lower() if isinstance(function, exp.Anonymous) else function.key
        if called in UNREPEATABLE:
            raise ValueError(
                f"the SQL calls {function.sql('duckdb')}, so computing it again would give something else. "
                "Use $partition_start and $partition_end"
            )
    return query


def parameters(query: exp.Query) -> set[str]:
    """Give the names of the `$parameters` a query uses."""
    return {str(node.this) for node in query.find_all(exp.Placeholder)}


def columns_of(query: exp.Query) -> list[str] | None:
    """Give the columns a query gives back, or None where a star hides them."""
    return None if query.is_star else list(query.named_selects)


def sources_of(
    sql: str, output: str, *, tables: Mapping[str, str], columns: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, str], ...]:
    """Give the (table, column) pairs an output column is computed from, windows and filters of aggregates included.

    Args:
        sql: The view's SQL.
        output: One of the columns it gives back.
        tables: Table name by alias.
        columns: Column names by table name; needed where the SQL uses stars or leaves tables unsaid.
    """
    return _sources(sql, output, tuple(tables.items()), tuple((name, tuple(c)) for name, c in columns.items()))


@lru_cache(maxsize=4096)  # tracing a view takes up to half a second, and every materialization asks
def _sources(
    sql: str, output: str, tables: tuple[tuple[str, str], ...], columns: tuple[tuple[str, tuple[str, ...]], ...]
) -> tuple[tuple[str, str], ...]:
    alias_of, columns_of_table = dict(tables), dict(columns)
    query = _with_windows_spelt_out(parse(sql, tables=alias_of))
    schema = {
        alias: dict.fromkeys(columns_of_table[table], "text") for alias, table in tables if table in columns_of_table
    }
    found = {
        (alias_of[node.expression.name], exp.to_column(node.name, dialect="duckdb").name)
        for node in trace(output, query, schema=schema, dialect="duckdb").walk()
        if isinstance(node.expression, exp.Table) and node.expression.name in alias_of
    }
    return tuple(sorted(found))


def _with_windows_spelt_out(query: exp.Query) -> exp.Query:
    """Put what a WINDOW clause names where it is used, so that what it parts and orders by counts as a source."""
    for select in query.find_all(exp.Select):
        named = {window.name: window for window in select.args.pop("windows", None) or ()}
        for used in select.find_all(exp.Window):
            if window := named.get(used.alias):
                for part in ("partition_by", "order", "spec"):
                    used.set(part, window.args.get(part))
                used.set("alias", None)
    return query
