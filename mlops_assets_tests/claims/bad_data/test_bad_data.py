"""Bad data is blocked, quarantined or accepted for a reason; nothing passes unseen."""

from collections import Counter

import pyarrow as pa
import pytest

from mlops_assets.validation import conform
from mlops_assets_tests.claims.bad_data._kinds import KINDS
from mlops_assets_tests.claims.bad_data._page import COMMAND, PAGE, page
from mlops_assets_tests.claims.bad_data._world import BEFORE, DECLARED, Kind, Outcome, day, outcome, week_before

ADDED = {"_rule", "_value", "_reason"}


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory) -> dict[str, Outcome]:
    """What became of every kind."""
    root = tmp_path_factory.mktemp("bad_data")
    week = week_before(root / "week")
    return {kind.name: outcome(kind, week, root / f"{number}") for number, kind in enumerate(KINDS)}


def counted(rows: list[dict[str, object]]) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row[name] for name in DECLARED.contract.columns) for row in rows)


def test_the_catalogue_has_enough_kinds_and_each_once():
    """Thirty were asked for."""
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 30


def test_the_day_itself_goes_through_whole(tmp_path):
    """Or any outcome could be the day's own fault."""
    clean = Kind("clean", "nothing", "accepted", rows=lambda day, _: day)

    found = outcome(clean, week_before(tmp_path / "week"), tmp_path / "clean")

    assert (found.ends, found.by) == ("accepted", "")
    assert found.validated == day().to_pylist()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_ends_as_it_must(kind, outcomes):
    """Blocked: nothing goes on. Quarantined: nothing but rows of the clean day does. Accepted: what is right, whole."""
    found = outcomes[kind.name]

    assert found.ends == kind.ends, found.by
    if found.ends == "blocked":
        assert found.validated == []
        return
    assert counted(found.validated) + counted(found.quarantined) == counted(found.raw)
    if found.ends == "quarantined":
        assert counted(found.validated) <= counted(day().to_pylist())
        assert all(row["_rule"] and row["_reason"] for row in found.quarantined)
    else:
        assert kind.accepted
        assert found.validated == _right(kind).to_pylist()


def _right(kind: Kind) -> pa.Table:
    rows = kind.right(day(), day(BEFORE)) if kind.right else day()
    return conform(rows, DECLARED.contract)[0]


def test_the_page_says_what_is_so(outcomes):
    """A rule that is loosened shows as a change of the page."""
    assert PAGE.read_text(encoding="utf-8") == page(outcomes), f"write it anew with: {COMMAND}"
