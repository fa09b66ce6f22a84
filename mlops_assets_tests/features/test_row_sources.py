"""What a view's rows are chosen, joined and grouped by is found, however deep in the SQL it stands."""

import pytest

from mlops_assets.features.row_sources import row_sources_of

TABLES = {"o": "orders", "p": "people"}
COLUMNS = {"orders": ["person", "branch", "amount", "at"], "people": ["person", "sex", "age"]}
JOINED = {("orders", "person"), ("people", "person")}
BY_BRANCH = {("orders", "branch")}
SEX, AGE = ("people", "sex"), ("people", "age")

QUERIES = {
    "a group": ("SELECT branch, avg(amount) a FROM o GROUP BY branch", BY_BRANCH),
    "a group by place": ("SELECT branch, avg(amount) a FROM o GROUP BY 1", BY_BRANCH),
    "a group by all": ("SELECT branch, avg(amount) a FROM o GROUP BY ALL", BY_BRANCH),
    "a condition": ("SELECT o.branch, amount FROM o JOIN p USING (person) WHERE sex = 'F'", JOINED | {SEX}),
    "a condition on groups": (
        "SELECT branch, avg(amount) a FROM o JOIN p USING (person) GROUP BY branch HAVING max(age) > 60",
        JOINED | BY_BRANCH | {AGE},
    ),
    "a flag computed further in": (
        "SELECT branch, sum(amount) a FROM (SELECT *, sex = 'F' AS f FROM o JOIN p USING (person)) WHERE f GROUP BY 1",
        JOINED | BY_BRANCH | {SEX},
    ),
    "a flag of either half of a union": (
        "WITH f AS (SELECT person, age > 60 AS old FROM p UNION ALL SELECT person, sex = 'F' FROM p) "
        "SELECT branch, amount FROM o, f WHERE o.person = f.person AND f.old",
        JOINED | {SEX, AGE},
    ),
    "a sub-query in a condition": (
        "SELECT branch, amount FROM o WHERE person IN (SELECT person FROM p WHERE sex = 'F')",
        {("orders", "person"), SEX},
    ),
    "a sub-query that looks out": (
        "SELECT branch, (SELECT max(age) FROM p WHERE p.person = o.person AND sex = 'M') a FROM o",
        JOINED | {SEX},
    ),
    "a join in time": (
        "SELECT branch, sum(amount) a FROM o ASOF JOIN p ON o.person = p.person AND o.at >= p.age GROUP BY branch",
        JOINED | BY_BRANCH | {("orders", "at"), AGE},
    ),
    "the newest of each": (
        "SELECT branch, amount FROM o QUALIFY row_number() OVER (PARTITION BY branch ORDER BY at) = 1",
        BY_BRANCH | {("orders", "at")},
    ),
    "rows each once": ("SELECT DISTINCT branch, amount FROM o", BY_BRANCH | {("orders", "amount")}),
    "a renamed column": (
        "SELECT branch, amount FROM o JOIN (SELECT person AS who FROM p WHERE sex = 'F') f ON f.who = o.person",
        JOINED | {SEX},
    ),
    "nothing": ("SELECT branch, amount FROM o", set()),
}


@pytest.mark.parametrize(("sql", "expected"), QUERIES.values(), ids=QUERIES)
def test_what_decides_the_rows_is_found(sql, expected):
    """As (table, column), through aliases, stars and sub-queries."""
    assert set(row_sources_of(sql, tables=TABLES, columns=COLUMNS)) == expected
