"""A view that is computed otherwise than it was: which of its features, and what has changed.

Days that were computed by the one and days by the other are of two features under one name. Comments, layout and
docstrings do not count, nor does what another feature of the view is computed by, where that can be told.
"""

from collections.abc import Mapping
from typing import Any

from mlops_assets.features import reached_code, reached_sql
from mlops_assets.features.definition import ViewDefinition
from mlops_assets.records import ViewComputation

NOT_THERE = "the view had none"
UNREADABLE = "on record cannot be read by this release"
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


def computed_otherwise(before: ViewComputation | None, now: ViewComputation) -> dict[str, str]:
    """Name the features that are computed otherwise now than `before`, each with what has changed, in a few words.

    One that there was not before is among them, with `NOT_THERE`. What this release cannot read, be it all of `before`
    (None), its SQL or its Python, counts as changed, for nobody can tell that it is the same.
    """
    if before is None:
        return dict.fromkeys(now.features, f"its definition {UNREADABLE}")
    every = [said for name, said in _OF_EVERY_ROW.items() if getattr(before, name) != getattr(now, name)]
    every += _changed_in_python(before.python, now.python)
    of_sql = _changed_in_sql(before, now)
    found = {}
    for name, dtype in now.features.items():
        if name not in before.features:
            found[name] = NOT_THERE
            continue
        changed = [*every]
        if before.features[name] != dtype:
            changed.append("its type")
        if name in of_sql:
            changed.append(of_sql[name])
        if changed:
            found[name] = ", ".join(changed)
    return found


def _changed_in_sql(before: ViewComputation, now: ViewComputation) -> dict[str, str]:
    if not before.sql or not now.sql or before.sql == now.sql:
        return {}
    try:
        was = reached_sql.reached(before)
    except ValueError:
        return dict.fromkeys(now.features, f"its SQL {UNREADABLE}")
    return {name: "its SQL" for name, part in reached_sql.reached(now).items() if part != was.get(name)}


def _changed_in_python(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> list[str]:
    if before == now:
        return []
    if before is None or now is None or _told(before) != _told(now):
        return ["its Python"]
    try:
        was = _reached(before)
    except SyntaxError:
        return [f"its Python {UNREADABLE}"]
    new = _reached(now)
    if "modules" not in before:  # noted before imports were looked at
        was, new = {reached_code.OWN: was[reached_code.OWN]}, {reached_code.OWN: new[reached_code.OWN]}
    changed = sorted(module for module in {*was, *new} if was.get(module) != new.get(module))
    return [f"the module {name.removesuffix(reached_code.PACKAGE)}" if name else "its Python" for name in changed]


def _told(code: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the declaration says beside the code: the function's name, its frames and what it is shown."""
    return {name: said for name, said in code.items() if name not in ("source", "file", "modules")}


def _reached(code: Mapping[str, Any]) -> dict[str, list[str]]:
    return reached_code.reached(code["source"], code["function"], modules=code.get("modules", {}))
