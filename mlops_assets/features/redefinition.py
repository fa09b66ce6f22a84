"""A view that is computed otherwise than it was: which of its features, and what has changed.

Days that were computed by the one and days by the other are of two features under one name. Comments, layout and
docstrings do not count, nor does what another feature of the view is computed by, where that can be told.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlglot import exp

from mlops_assets.features import sql as view_sql
from mlops_assets.features.definition import PARTITION_END, ViewDefinition
from mlops_assets.records import ViewComputation

NOT_THERE = "the view had none"
_OF_EVERY_ROW = {
    "keys": "its keys",
    "tables": "the tables it reads",
    "event_time": "its event_time",
    "lookback_days": "its lookback_days",
    "available_after_s": "its available_after",
}


def computation_of(view: ViewDefinition) -> ViewComputation:
    """Give what the rows of a view are computed by."""
    return ViewComputation(
        view=view.name,
        keys={**view.keys},
        features={**view.features},
        tables=view.tables,
        event_time=view.event_time,
        lookback_days=view.lookback_days,
        available_after_s=view.available_after.total_seconds(),
        sql=view.sql,
        python=view.python.model_dump(mode="json") if view.python else None,
    )


def computed_otherwise(before: ViewComputation, now: ViewComputation) -> dict[str, str]:
    """Name the features that are computed otherwise now than `before`, each with what has changed, in a few words.

    One that there was not before is among them, with `NOT_THERE`.
    """
    every = [said for name, said in _OF_EVERY_ROW.items() if getattr(before, name) != getattr(now, name)]
    if _of_python(before.python) != _of_python(now.python):
        every.append("its Python")
    found = {}
    for name, dtype in now.features.items():
        if name not in before.features:
            found[name] = NOT_THERE
            continue
        changed = [*every]
        if before.features[name] != dtype:
            changed.append("its type")
        if before.sql and now.sql and _of_sql(before, name) != _of_sql(now, name):
            changed.append("its SQL")
        if changed:
            found[name] = ", ".join(changed)
    return found


# --- SQL ------------------------------------------------------------------------------------------


def _of_sql(view: ViewComputation, feature: str) -> exp.Query:
    """Give the query without the other features it gives, where those cannot touch this one."""
    query = view_sql.parse(view.sql or "", tables=view.tables)
    if not isinstance(query, exp.Select) or _is_of_one_piece(query):
        return query
    given = {each.alias_or_name: each for each in query.expressions}
    others = (part for name, value in query.args.items() if name != "expressions" for part in _trees(value))
    wanted = {*view.keys, feature, *({view.event_time} - {PARTITION_END})}
    wanted |= {name for part in others for name in _names_in(part)}
    while True:  # an expression may use what another one beside it is called
        used = {name for place in wanted & given.keys() for name in _names_in(given[place])}
        if used <= wanted:
            break
        wanted |= used
    query.set("expressions", [each for name, each in given.items() if name in wanted])
    return query


def _is_of_one_piece(query: exp.Select) -> bool:
    """Tell whether a column more or less may change which rows the query gives, or what the others hold."""
    grouped, ordered = query.args.get("group"), query.args.get("order")
    return bool(
        query.is_star
        or query.args.get("distinct")
        or len({each.alias_or_name for each in query.expressions}) < len(query.expressions)
        or any(each.find(exp.Unnest, exp.Explode) for each in query.expressions)
        or (grouped and (grouped.args.get("all") or any(isinstance(e, exp.Literal) for e in grouped.expressions)))
        or (ordered and any(each.find(exp.Literal) for each in ordered.expressions))
    )


def _trees(value: Any) -> Iterable[exp.Expression]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, exp.Expression)]


def _names_in(tree: exp.Expression) -> Iterator[str]:
    return (column.name for column in tree.find_all(exp.Column))


# --- Python ---------------------------------------------------------------------------------------


def _of_python(code: Mapping[str, Any] | None) -> object:
    """Give what of the code decides what it computes: the function, and what of the file it reaches."""
    if code is None:
        return None
    body = [each for each in ast.parse(code["source"]).body if not _is_text(each)]
    told = {name: said for name, said in code.items() if name not in ("source", "file")}
    return told, [ast.dump(_without_texts(each)) for each in _reached(body, code["function"])]


def _reached(body: list[ast.stmt], function: str) -> list[ast.stmt]:
    """Give those statements of a file that may have a part in what one of its functions computes."""
    binds = {place: _bound_by(statement) for place, statement in enumerate(body)}
    kept = {place for place, names in binds.items() if not names or function in names}
    while True:
        used = {node.id for place in kept for node in ast.walk(body[place]) if isinstance(node, ast.Name)}
        more = {place for place, names in binds.items() if names & used} - kept
        if not more:
            return [body[place] for place in sorted(kept)]
        kept |= more


def _bound_by(statement: ast.stmt) -> set[str]:
    """Name what a statement does nothing but bind; empty for one that may do more."""
    match statement:
        case ast.FunctionDef(decorator_list=[]) | ast.ClassDef(decorator_list=[]):
            return {statement.name}
        case ast.Import() | ast.ImportFrom():
            names = {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
            return set() if "*" in names else names
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return set() if any(isinstance(node, ast.Call) for node in ast.walk(statement)) else {name}
        case _:
            return set()


def _without_texts(tree: ast.stmt) -> ast.stmt:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = [each for each in node.body if not _is_text(each)]
    return tree


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
