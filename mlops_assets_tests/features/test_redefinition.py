"""Which features of a view are computed otherwise after an edit, and which edits change nothing."""

from dataclasses import replace

import pytest
import sqlglot

from mlops_assets.features.redefinition import NOT_THERE, computation_of, computed_otherwise
from mlops_assets.features.view import ViewDefinition

SQL = """
SELECT carrier, avg(delay) AS mean_delay, max(delay) AS worst
FROM flights WHERE known < $partition_end GROUP BY carrier
"""
REORDERED = "max(delay) worst, avg(delay) mean_delay"
PYTHON = '''
import polars as pl

LIMIT = 15


def late(rows):
    """Which rows are late."""
    return rows.filter(pl.col("delay") > LIMIT)  # minutes


def rates(flights):
    return late(flights).group_by("carrier").agg(pl.len().cast(float).alias("mean_delay"))


def other(flights):
    return flights.head(3)
'''


def a_view(**said):
    given = {
        "name": "delays",
        "keys": {"carrier": "string"},
        "features": {"mean_delay": "float64", "worst": "float64"},
        "tables": {"flights": "flights"},
        "ttl": "P3D",
        "sql": SQL,
    }
    return computation_of(ViewDefinition.model_validate({**given, **said}))


def in_python(source=PYTHON, **said):
    code = {"file": "rates.py", "function": "rates", "reads": {"flights": ["carrier", "delay"]}, "source": source}
    return a_view(sql=None, python={**code, **said}, features={"mean_delay": "float64"})


def in_sql(old, new):
    assert old in SQL
    return a_view(sql=SQL.replace(old, new))


def aggregated(*windows, where=None, **values):
    said = {"table": "flights", "time": "known", "windows": list(windows), "values": values, "where": where}
    return a_view(sql=None, features={}, tables={}, aggregates=said)


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(in_sql("avg(delay)", "AVG( delay ) /* minutes */"), id="layout"),
        pytest.param(in_sql("avg(delay) AS mean_delay, max(delay) AS worst", REORDERED), id="order"),
        pytest.param(in_sql("avg(delay) AS mean_delay", 'avg("delay") AS "mean_delay"'), id="quotes"),
        pytest.param(a_view(description="Delays.", owner="team:x", describe={"worst": "The worst."}), id="words"),
        pytest.param(a_view(ttl="P9D", defaults={"worst": 0.0}), id="who finds a row"),
    ],
)  # fmt: skip
def test_what_computes_the_same_is_the_same(now):
    """Neither words and layout count, nor what only decides which row answers."""
    assert computed_otherwise(a_view(), now) == {}


def test_a_feature_computed_otherwise_leaves_the_others_as_they_were():
    """A model that does not ask for it need not wait for anything."""
    assert computed_otherwise(a_view(), in_sql("avg(delay)", "avg(delay + 1)")) == {"mean_delay": "its SQL"}


@pytest.mark.parametrize(
    ("one", "other"),
    [('"delay"', '"Delay"'), ('"delay"', "'delay'"), ('"TRUE"', "TRUE"), ('"a.b"', "a.b"),
     ("delay->'$.late'", "delay->'$.LATE'")],
)  # fmt: skip
def test_names_and_texts_that_look_alike_are_not_the_same(one, other):
    """Quotes around a name do not count, but not all that is in quotes is a name, and cases may tell names apart."""
    before, now = in_sql("avg(delay)", f"max({one})"), in_sql("avg(delay)", f"max({other})")

    assert computed_otherwise(before, now) == {"mean_delay": "its SQL"}


def test_queries_are_read_once_however_many_features_they_give(monkeypatch):
    """A view of a hundred features is compared in the time of reading two queries."""
    read, asked = sqlglot.parse, []
    before, now = a_view(), in_sql("avg(delay)", "avg(delay + 1)")
    monkeypatch.setattr(sqlglot, "parse", lambda sql, **said: asked.append(sql) or read(sql, **said))

    computed_otherwise(before, now)

    assert sorted(asked) == sorted([before.sql, now.sql])


def test_sql_that_a_release_cannot_read_any_more_counts_as_changed():
    """Nobody can tell that it is the same, and days computed again are of one definition for certain."""
    before = replace(a_view(), sql="SELECT carrier, avg(delay FROM flights")
    why = "its SQL on record cannot be read by this release"

    assert computed_otherwise(before, a_view()) == {"mean_delay": why, "worst": why}


def test_a_new_feature_was_not_there():
    """What was there before is as it was."""
    before = a_view(features={"mean_delay": "float64"}, sql=SQL.replace(", max(delay) AS worst", ""))

    assert computed_otherwise(before, a_view()) == {"worst": NOT_THERE}


@pytest.mark.parametrize(
    ("old", "new"),
    [("known <", "known <="), ("FROM flights", "FROM (SELECT * FROM flights WHERE delay > 0) AS flights"),
     ("GROUP BY carrier", "GROUP BY ALL"), ("SELECT carrier", "SELECT DISTINCT carrier")],
)  # fmt: skip
def test_which_rows_are_looked_at_counts_for_every_feature(old, new):
    """Also where it may change nothing, as nobody can tell."""
    assert computed_otherwise(a_view(), in_sql(old, new)) == {"mean_delay": "its SQL", "worst": "its SQL"}


@pytest.mark.parametrize("used", ["mean_delay", "Mean_Delay", '"mean_delay"'])
def test_an_expression_that_others_use_counts_for_them(used):
    """DuckDB lets a column use what another one beside it is called, in any case of letters."""
    before = in_sql("max(delay) AS worst", f"{used} * 2 AS worst")
    now = a_view(sql=before.sql.replace("avg(delay)", "sum(delay)"))

    assert computed_otherwise(before, now) == {"mean_delay": "its SQL", "worst": "its SQL"}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"lookback_days": 2}, "its lookback_days"),
        ({"available_after": "PT1H"}, "its available_after"),
        ({"tables": {"flights": "other"}}, "the tables it reads"),
    ],
)
def test_what_every_row_depends_on_counts_for_every_feature(said, why):
    """From how far back, from which tables, and from when on a row may be looked up."""
    assert computed_otherwise(a_view(), a_view(**said)) == {"mean_delay": why, "worst": why}


def test_another_window_of_aggregates_is_a_feature_more():
    """A shorter one leaves the others; a longer one decides which keys have rows, so it counts for all."""
    day, week = aggregated("1d", delay={"mean": "delay"}), aggregated("1d", "7d", delay={"mean": "delay"})

    assert computed_otherwise(week, aggregated("1d", "3d", "7d", delay={"mean": "delay"})) == {"delay_3d": NOT_THERE}
    assert computed_otherwise(day, week) == {"delay_1d": "its lookback_days, its SQL", "delay_7d": NOT_THERE}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("  # minutes", "", id="comment"),
        pytest.param('    """Which rows are late."""\n', "", id="docstring"),
        pytest.param("head(3)", "head(4)", id="a function that is not called"),
        pytest.param("rows.filter(pl.col", "rows.filter(\n        pl.col", id="layout"),
    ],
)
def test_python_that_computes_the_same_is_the_same(old, new):
    """Comments, docstrings and layout, and what the function does not reach."""
    assert old in PYTHON
    assert computed_otherwise(in_python(), in_python(PYTHON.replace(old, new))) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [("LIMIT = 15", "LIMIT = 10"), ("> LIMIT", ">= LIMIT"), ("pl.len()", "pl.count()"),
     ("LIMIT = 15", "LIMIT = 15\nprint()"), ("import polars as pl", "import polars.selectors as pl")],
)  # fmt: skip
def test_python_that_the_function_reaches_counts(old, new):
    """The function, what it calls and reads, and what may do anything."""
    assert computed_otherwise(in_python(), in_python(PYTHON.replace(old, new))) == {"mean_delay": "its Python"}


def test_columns_a_function_is_shown_count():
    """With another one it may compute something else."""
    now = in_python(reads={"flights": ["carrier", "delay", "origin"]})

    assert computed_otherwise(in_python(), now) == {"mean_delay": "its Python"}


def test_python_that_a_release_cannot_read_any_more_counts_as_changed():
    """As SQL does."""
    before = in_python()
    old = replace(before, python={**before.python, "source": "print 'late'"})

    assert computed_otherwise(old, before) == {"mean_delay": "its Python on record cannot be read by this release"}


IMPORTING = """
import polars as pl
from shop import units
from shop.lateness import late


def rates(flights):
    return late(flights, units.MINUTES)
"""
MODULES = {
    "shop.__init__": "VERSION = 1\n",
    "shop.units": "MINUTES = 1\n",
    "shop.lateness": """
from .bounds import LIMIT, OTHER

def late(rows, unit):
    'Which rows are late.'
    return rows.filter(rows["delay"] > LIMIT * unit)

def early(rows):
    return rows.filter(rows["delay"] < OTHER)
""",
    "shop.bounds": "LIMIT = 15\nOTHER = 0\nUNUSED = 3\n",
}


def importing(module="shop.units", old="", new=""):
    assert old in MODULES[module]
    modules = {**MODULES, module: MODULES[module].replace(old, new)}
    return in_python(IMPORTING, modules=modules)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [("shop.lateness", "'Which", "'The"), ("shop.lateness", "LIMIT * unit)", "LIMIT*unit)  # minutes"),
     ("shop.lateness", '["delay"] < OTHER', '["delay"] <= OTHER'), ("shop.bounds", "UNUSED = 3", "UNUSED = 4"),
     ("shop.__init__", "VERSION = 1", "VERSION = 2")],
)  # fmt: skip
def test_what_the_function_does_not_reach_of_a_module_does_not_count(module, old, new):
    """Comments, layout and docstrings, and names of it that nothing on the way asks for."""
    assert computed_otherwise(importing(), importing(module, old, new)) == {}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [("shop.lateness", "> LIMIT", ">= LIMIT"), ("shop.units", "1", "60"), ("shop.bounds", "LIMIT = 15", "LIMIT = 10"),
     ("shop.__init__", "VERSION = 1", "print()"), ("shop.bounds", "UNUSED = 3", "UNUSED = print()")],
)  # fmt: skip
def test_a_module_that_the_function_imports_counts(module, old, new):
    """Also one that is imported by another, and whatever is done while it is imported."""
    said = f"the module {module.removesuffix('.__init__')}"

    assert computed_otherwise(importing(), importing(module, old, new)) == {"mean_delay": said}


def test_days_noted_before_imports_were_looked_at_are_of_the_text_they_know():
    """What the modules held then nobody knows; an upgrade alone holds no model up."""
    before = importing()
    known = {name: said for name, said in before.python.items() if name != "modules"}

    assert computed_otherwise(replace(before, python=known), before) == {}
