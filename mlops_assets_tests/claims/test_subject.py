"""What holds an aircraft's rows, on the shipped example: all that is told, held against an independent count."""

import json
import shutil
from datetime import UTC, datetime

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from mlops_assets.cli.subject import show_subject
from mlops_assets.errors import GovernanceError, UnknownNameError
from mlops_assets.orchestration.steps import build_training_set, fit_model
from mlops_assets_tests.claims.conftest import ALL_IN, PROJECT, opened, with_short_training

KEY = "N14228"  # flew from New York on the first of January and on many days after
ARCHIVE = PROJECT / "mlops_assets" / "defs" / "flights" / "data" / "flights.parquet"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(january, tmp_path_factory):
    """January with a first version of flight_delay, in a home of its own."""
    home = tmp_path_factory.mktemp("subject") / "home"
    shutil.copytree(january.home.root, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", str(home))
        project = opened(home)
        folder = with_short_training(project.models["flight_delay"])
        made, _ = build_training_set(folder, project.home, cut_off=ALL_IN)
        fit_model(folder, project.home, made, tags={}, requester="test")
        yield project


@pytest.fixture(scope="module")
def told(trained):
    said = json.loads(show_subject(trained, KEY, column=None, as_json=True))
    return said["column"], {(each["kind"], each["name"]): each for each in said["touched"]}


@pytest.fixture(scope="module")
def flown():
    """The days on which its flights were reported, by the file itself."""
    rows = ds.dataset(ARCHIVE).to_table(filter=pc.field("tailnum") == KEY)["reported_at"].to_pylist()
    until = datetime(2013, 1, 29, tzinfo=UTC)
    return sorted(moment.date().isoformat() for moment in rows if moment.replace(tzinfo=UTC) < until)


def test_the_column_is_found_by_the_key(told):
    """No other column that names something holds it."""
    assert told[0] == "tailnum"


def test_every_partition_that_holds_it_is_told_with_its_rows(told, flown):
    """As many as the file has, day by day, raw and validated."""
    for table in ("raw/flights", "validated/flights"):
        assert told[1]["table", table]["rows"] == {day: flown.count(day) for day in set(flown)}
    assert told[1]["table", "raw/planes"]["rows"] == {"": 1}


def test_the_online_row_the_training_set_and_the_version_are_told(told, trained):
    """The version by its digest, with the rows it learnt from and was judged on."""
    stored = trained.home.tables.read("flight_delay/training_set")["tailnum"].to_pylist()
    (version,) = trained.home.state.versions("flight_delay")

    assert told[1]["online", "aircraft"]["rows"] == {"": 1}
    assert told[1]["table", "flight_delay/training_set"]["rows"] == {"": stored.count(KEY)}
    assert told[1]["version", "flight_delay@1"]["rows"] == {"": stored.count(KEY)}
    assert told[1]["version", "flight_delay@1"]["note"].startswith(version.bundle_sha256[:12])
    assert stored.count(KEY) > 0


def test_views_that_count_its_rows_without_naming_it_are_told(told):
    """A carrier's lateness is computed from its flights, too."""
    assert ("computed", "features/carrier_delays") in told[1]
    assert ("computed", "features/weather") not in told[1]


def test_as_text_it_is_short_and_names_everything(trained, told):
    """Days are counted, and the first named."""
    text = show_subject(trained, KEY, column=None, as_json=False)

    assert text.startswith("tailnum 'N14228' is held by")
    assert all(name in text for _, name in told[1])


def test_a_key_that_no_row_has_is_told_with_the_columns_looked_at(trained):
    """And how to name another."""
    with pytest.raises(GovernanceError, match="No row has 'N14229x' in a column that names something: carrier, dest"):
        show_subject(trained, "N14229x", column=None, as_json=False)


def test_a_key_that_several_columns_hold_asks_which_is_meant(trained, monkeypatch):
    """An airport from which flights leave and one at which they arrive are not the same matter."""
    monkeypatch.setattr("mlops_assets.cli.subject.key_columns", lambda *_: ["dest", "origin"])

    with pytest.raises(GovernanceError, match=r"stands in several columns, dest, origin.*Say which one is meant"):
        show_subject(trained, "JFK", column=None, as_json=False)


def test_a_column_that_is_not_there_is_told_with_the_nearest(trained):
    """Before anything is searched."""
    with pytest.raises(UnknownNameError, match="Did you mean 'tailnum'"):
        show_subject(trained, KEY, column="tailnumber", as_json=False)
