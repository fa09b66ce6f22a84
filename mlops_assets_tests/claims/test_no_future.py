"""Claim: nothing that came later moves a training set, from the raw tables to the rows a model learns from.

Every batch that arrives after a moment is replaced by one of another world (other outcomes, other weather, a tenth of
the rows gone), brought in through the same assets, and the training set is built again. `test_point_in_time.py` makes
the same claim of the join alone; here it is the whole way, quarantine, partitions and cut-off included.
"""

import os
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mlops_assets.features.join import DECISION_TIME
from mlops_assets.orchestration.steps import build_training_set
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL
from mlops_assets.records import Span
from mlops_assets_tests.claims.conftest import ALL_IN, DAYS, opened, with_short_training

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MOMENT = datetime(2013, 1, 20, 1, tzinfo=UTC)  # the batch of the 19th has just been taken in
LATER = [day for day in DAYS if day >= "2013-01-20"]
MODELS = ("flight_delay", "air_time")


def other(name: str, rows: pa.Table, seed: int) -> pa.Table:
    """Give a batch as it came in another world: same flights and hours, other outcomes, a tenth of them gone."""
    chance = np.random.default_rng(seed)
    n = rows.num_rows
    if name == "flights":  # three in ten never left; the contract asks that all of a flight agrees with that
        left = pa.array(chance.random(n) >= 0.3)
        outcomes = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
        moved = {column: pc.if_else(left, rows[column], None) for column in outcomes}
        moved |= {"cancelled": pc.or_(rows["cancelled"], pc.invert(left)), "diverted": pc.and_(rows["diverted"], left)}
    else:
        temp = chance.uniform(-20, 100, n)
        moved = {"temp": temp, "dewp": temp - chance.uniform(0, 30, n), "precip": chance.uniform(0, 3, n)}
        moved |= {"wind_speed": chance.uniform(0, 80, n), "visib": chance.uniform(0, 10, n)}
    for column, values in moved.items():
        at = rows.column_names.index(column)
        values = pa.array(values) if isinstance(values, np.ndarray) else values
        rows = rows.set_column(at, column, values.cast(rows.schema.field(column).type))
    return rows.filter(pa.array(chance.random(n) < 0.9))


@pytest.fixture(scope="module")
def another_future(january, tmp_path_factory):
    """The example with everything that arrived after MOMENT replaced, and its features computed anew."""
    home = tmp_path_factory.mktemp("another") / "home"
    shutil.copytree(january.home.root, home)
    project = opened(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", os.environ["MLOPS_HOME"])  # which the project sets, and which is undone here
        for name in ("flights", "weather"):
            folder, declared = project.tables[name]
            for seed, day in enumerate(LATER):
                variables = {"here": str(folder), "landing": str(home / "nothing landed")}
                batch = other(name, declared.source.read(Span.day(day), variables=variables), seed)
                path = project.home.landing / name / f"{day}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(batch, path)
        assert not project.refresh(LATER, now=ALL_IN)
    return project


def learnt(project, model, cut_off):
    """Give the training set of a model and its rows."""
    folder = with_short_training(project.models[model])
    made, _ = build_training_set(folder, project.home, cut_off=cut_off)
    return made, project.home.tables.read(made.table, version=made.version)


@pytest.mark.parametrize("model", MODELS)
def test_what_arrives_after_the_cut_off_moves_nothing(january, another_future, model):
    """Same rows, same digest, whichever future came."""
    ours, _ = learnt(january, model, MOMENT)
    theirs, _ = learnt(another_future, model, MOMENT)

    assert ours.rows > 10_000
    assert theirs.sha256 == ours.sha256
    assert theirs.spec == ours.spec


@pytest.mark.parametrize("model", MODELS)
def test_what_arrives_after_a_decision_moves_none_of_its_features(january, another_future, model):
    """Trained later, decisions until the moment have the features they had; only a label may be of the future."""
    _, ours = learnt(january, model, ALL_IN)
    _, theirs = learnt(another_future, model, ALL_IN)

    before = [until(rows, MOMENT).drop_columns([LABEL]) for rows in (ours, theirs)]
    both = set(keys(before[0])) & set(keys(before[1]))
    kept = [rows.filter(pc.is_in(rows["flight_id"], pa.array(sorted(both)))) for rows in before]

    assert len(both) > 10_000
    assert kept[0].equals(kept[1])


def test_the_other_future_is_another_one(january, another_future):
    """It does move what was decided on later, and labels: the claims above could fail."""
    _, ours = learnt(january, "flight_delay", ALL_IN)
    _, theirs = learnt(another_future, "flight_delay", ALL_IN)
    shared = pa.array(sorted(set(keys(ours)) & set(keys(theirs))))
    ours, theirs = (rows.filter(pc.is_in(rows["flight_id"], shared)) for rows in (ours, theirs))
    late = pc.greater(ours[DECISION_TIME], pa.scalar(MOMENT + timedelta(days=1)))

    for column in ("carrier_late_rate_1d", "temp", LABEL):
        a, b = (rows[column].filter(late).to_numpy(zero_copy_only=False) for rows in (ours, theirs))
        assert np.mean(a != b) > 0.2, column


def until(rows: pa.Table, moment: datetime) -> pa.Table:
    return rows.filter(pc.less_equal(rows[DECISION_TIME], pa.scalar(moment)))


def keys(rows: pa.Table) -> list[str]:
    return rows["flight_id"].to_pylist()
