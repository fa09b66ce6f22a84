"""What of a query can have a part in one of the columns it gives, so that an edit of another one leaves it alone."""

from collections.abc import Iterator

from sqlglot import exp

from mlops_assets.features import sql as view_sql
from mlops_assets.features.definition import PARTITION_END
from mlops_assets.records import ViewComputation


def reached(view: ViewComputation) -> dict[str, tuple[object, ...]]:
    """Give for each feature what of the view's query may have a part in it, in a form fit to be compared.

    Layout, comments and quotes around names are no part of it; the case of names is, for DuckDB shows it in JSON.

    Raises:
        ValueError: The query cannot be read.
    """
    query = view_sql.parse(view.sql or "", tables=view.tables)
    for name in query.find_all(exp.Identifier):
        name.set("quoted", False)
    if not isinstance(query, exp.Select) or _is_of_one_piece(query):
        return dict.fromkeys(view.features, (_as_told(query),))
    given = {each.alias_or_name.lower(): each for each in query.expressions}
    told = {name: _as_told(each) for name, each in given.items()}
    uses = {name: {*_names_in(each)} for name, each in given.items()}
    query.set("expressions", [])
    rest = _as_told(query)
    of_every_row = {*view.keys, *({view.event_time} - {PARTITION_END}), *_names_in(query)}
    found: dict[str, tuple[object, ...]] = {}
    for feature in view.features:
        wanted = {name.lower() for name in (*of_every_row, feature)}
        while not (used := {name for place in wanted & uses.keys() for name in uses[place]}) <= wanted:
            wanted |= used  # an expression may use what another one beside it is called
        found[feature] = (rest, *(said for name, said in told.items() if name in wanted))
    return found


def _as_told(tree: exp.Expression | exp.Query) -> tuple[object, str]:
    """Give a tree fit to be compared. As text too: trees are equal that differ in the case of a key of JSON."""
    return tree, tree.sql("duckdb", comments=False)


def _is_of_one_piece(query: exp.Select) -> bool:
    """Tell whether a column more or less may change which rows the query gives, or what the others hold."""
    grouped, ordered = query.args.get("group"), query.args.get("order")
    return bool(
        query.is_star
        or query.args.get("distinct")
        or len({each.alias_or_name.lower() for each in query.expressions}) < len(query.expressions)
        or any(each.find(exp.Unnest, exp.Explode) for each in query.expressions)
        or (grouped and (grouped.args.get("all") or any(isinstance(e, exp.Literal) for e in grouped.expressions)))
        or (ordered and any(each.find(exp.Literal) for each in ordered.expressions))
    )


def _names_in(tree: exp.Expression) -> Iterator[str]:
    return (column.name.lower() for column in tree.find_all(exp.Column))
