"""Business events: recorded one by one or by a pipe, read by the day they came or happened, late ones included."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from mlops_assets.errors import SourceError, StoreError, UnknownNameError
from mlops_assets.orchestration.steps.intake.ingesting import ingest, variables_of
from mlops_assets.orchestration.steps.intake.recording import record_events
from mlops_assets.orchestration.steps.intake.reopening import reopened
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.stores.home import Home
from mlops_assets_tests._shop import pyproject, write_project

NOW = datetime(2024, 1, 3, 12, tzinfo=UTC)
COLUMNS = {"id": {"type": "string"}, "at": {"type": "timestamp"}, "n": {"type": "int64", "nullable": True}}
DECLARED = {
    "table": "claims",
    "source": {"kind": "events", "id": "id", "types": {"id": "string", "at": "timestamp", "n": "int64"}},
    "partitions": {"start": "2024-01-01"},
    "contract": {"columns": {**COLUMNS, "recorded_at": {"type": "timestamp"}}},
}


def declaration(**source) -> TableDeclaration:
    return TableDeclaration.model_validate({**DECLARED, "source": {**DECLARED["source"], **source}})


def line(number: int, at: str = "2024-01-02T10:00:00Z", **more) -> bytes:
    return json.dumps({"id": f"c{number}", "at": at, "n": number, **more}).encode()


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


def came(declared, home, day):
    ingest(declared, home, [day], folder=home.root, at=NOW)
    return home.tables.read("raw/claims", partitions=[day])["id"].to_pylist()


def test_events_belong_to_the_day_on_which_they_are_recorded(home):
    """Unless a time column says otherwise."""
    record_events(declaration(), home, [line(1), line(2)], at=NOW)

    assert came(declaration(), home, "2024-01-03") == ["c1", "c2"]
    assert came(declaration(), home, "2024-01-02") == []


def test_events_belong_to_the_day_on_which_they_happened_where_a_column_says_it(home):
    """In whatever zone it is written."""
    declared = declaration(time_column="at")
    record_events(declared, home, [line(1), line(2, "2024-01-03T00:30:00+01:00"), line(3, "2024-01-03 09:00")], at=NOW)

    assert came(declared, home, "2024-01-02") == ["c1", "c2"]
    assert came(declared, home, "2024-01-03") == ["c3"]


def test_a_late_event_reopens_its_day_and_no_other(home):
    """One that is recorded twice re-opens none."""
    declared, days = declaration(time_column="at"), ["2024-01-01", "2024-01-02", "2024-01-03"]
    record_events(declared, home, [line(1), line(2, "2024-01-01T01:00:00Z")], at=NOW)
    ingest(declared, home, days, folder=home.root, at=NOW)

    def asked():
        return reopened(declared, home, days, variables=variables_of(declared, home, home.root))

    before = asked()
    record_events(declared, home, [line(1)], at=NOW)
    twice = asked()
    record_events(declared, home, [line(3, "2024-01-02T23:00:00Z")], at=NOW)
    late = asked()

    assert (before, twice, late) == (set(), set(), {"2024-01-02"})
    assert came(declared, home, "2024-01-02") == ["c1", "c3"]
    assert asked() == set()


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (b"{", SourceError, "is not JSON"),
        (b"\xff", SourceError, "is not JSON"),
        (b"[1]", SourceError, "is no JSON object"),
        (b'{"n": 1}', SourceError, "has no 'id'"),
        (b'{"id": null}', SourceError, "has no 'id'"),
        (line(2, nn=1), UnknownNameError, "Did you mean 'n'"),
        (line(2, recorded_at="2024-01-01T00:00:00Z"), UnknownNameError, "'recorded_at' is not known"),
        (b'{"id": "c2", "at": "2024-01-02T00:00:00Z", "n": "many"}', SourceError, r"c2.* does not have the declared"),
        (b'{"id": "c2", "at": "2024-01-02T00:00:00Z", "n": 99999999999999999999}', SourceError, "declared types"),
        (line(2, "yesterday"), SourceError, "'yesterday', not a time"),
        (line(2, "2024-01-03T13:00:00Z"), SourceError, "and now it is"),
        (line(2, "2023-12-31T13:00:00Z"), SourceError, "a day that claims does not have"),
    ],
)
def test_what_would_never_be_read_is_refused_with_all_that_came_with_it(home, wrong, error, said):
    """Once in the log it could not be taken out, and would stop its day for ever."""
    declared = declaration(time_column="at")

    with pytest.raises(error, match=said):
        record_events(declared, home, [line(1), wrong], at=NOW)

    assert record_events(declared, home, [line(1)], at=NOW) == 1


def test_another_time_column_over_old_events_is_an_error_and_no_shorter_day(home):
    """Which day an event belongs to is said when it is recorded."""
    record_events(declaration(), home, [line(1)], at=NOW)

    with pytest.raises(SourceError, match="recorded under another `time_column`"):
        came(declaration(time_column="at"), home, "2024-01-03")


def test_a_table_of_files_takes_no_events(home):
    """Nobody would ever read them."""
    files = TableDeclaration.model_validate({**DECLARED, "source": {"kind": "files", "paths": ["x.csv"]}})

    with pytest.raises(SourceError, match=r"takes its rows from files: x\.csv"):
        record_events(files, home, [line(1)], at=NOW)


def test_an_event_cannot_be_recorded_anew_with_other_fields(home):
    """What is recorded stays; a correction is an event of its own."""
    record_events(declaration(), home, [line(1)], at=NOW)

    with pytest.raises(StoreError, match="never changed"):
        record_events(declaration(), home, [line(1, at="2024-01-02T11:00:00Z")], at=NOW + timedelta(hours=1))


DEFINITIONS = """\
import dagster as dg

from mlops_assets.orchestration import project_definitions


@dg.definitions
def defs():
    return project_definitions(__file__)
"""


def test_the_command_records_one_event_or_what_comes_by_a_pipe(tmp_path):
    """It says how many are new, and of a bad one how many before it are on record."""
    package = "claims_of_the_tests"
    declared = json.dumps({"type": "mlops_assets.orchestration.RawTable", "attributes": DECLARED})
    files = {"pyproject.toml": pyproject(package), f"{package}/definitions.py": DEFINITIONS}
    write_project(tmp_path, {**files, f"{package}/__init__.py": "", f"{package}/defs/claims/defs.yaml": declared})

    def record(*arguments, given=b""):
        paths = os.pathsep.join([str(tmp_path), *sys.path])
        return subprocess.run(
            [sys.executable, "-c", "from mlops_assets.cli import main; main()", "record", *arguments],
            input=given,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": paths, "MLOPS_HOME": str(tmp_path / "home")},
            capture_output=True,
            check=False,
        )

    one = record("claims", "--json", line(1).decode())
    piped = record("claims", given=b"\n".join([line(1), line(2), b"", line(3)]))
    bad = record("claims", given=b"no event\n")
    unknown = record("claim", "--json", "{}")

    assert one.stdout == b"On record: 1 events for claims, 1 of them new.\n", one.stderr
    assert piped.stdout == b"On record: 3 events for claims, 2 of them new.\n", piped.stderr
    assert b"no event is not JSON" in bad.stderr
    assert b"0 events before it are on record" in bad.stderr
    assert b"Did you mean 'claims'" in unknown.stderr
    assert (one.returncode, piped.returncode, bad.returncode, unknown.returncode) == (0, 0, 1, 1)
